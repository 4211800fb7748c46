"""The model page: open a model, see which layers hurt, why, and what helps, down to one value.

The page's state is the explorer's; its address is the explorer's link.
"""

from __future__ import annotations

import html
from typing import Any

import panel as pn

from ..explorers.layer_value import LayerValue
from ..explorers.model_explorer import VIEWS, ModelExplorer
from ..explorers.opened_model import Opened
from .format_page import Card
from .model_controls import Controls
from .opened_page import OpenedPage
from .page_parts import code_card, frame, later, link_of_page, show_link, text, write_code
from .page_style import SMALL
from .panel_speed import quicken

TITLE = "Model explorer"
MOST_FINDINGS = 6
DRAWN = {  # what of the state each view depends on, beside the model
    "sensitivity_map": {"recipe", "figure", "layer", "theme"},
    "outlier_map": {"layer", "channels", "what", "sort", "theme"},
    "what_helps": {"recipe", "layer", "channels", "transform", "theme"},
    "channel_fan": {"layer", "channels", "what", "sort", "transform", "theme"},
    "qsur_view": {"recipe", "layer", "transform", "part", "theme"},
}
AT_ONCE = ("outlier_map",)  # what is looked at when a layer is chosen
AFTERWARDS = 15  # milliseconds, in which the first pictures are written to the socket


class ModelPage(OpenedPage):
    """The page of one session: an explorer, its controls, and its cards."""

    def __init__(self, link: str = ""):
        explorer = ModelExplorer()
        explorer.problem = explorer.follow(link) if link else ""
        self.cards = {name: Card(name) for name in VIEWS}
        self.findings, self.value = pn.Column(margin=0), text()
        self.code = code_card()
        cards = {name: card.column for name, card in self.cards.items()}
        pictures = pn.Column(
            cards["sensitivity_map"], cards["what_helps"], cards["outlier_map"], self.value,
            cards["channel_fan"], cards["qsur_view"], sizing_mode="stretch_width", visible=False,
        )  # fmt: skip
        super().__init__(explorer, pictures)
        self.controls = Controls(explorer)
        self._waiting: set[str] = set()
        self._asked = False
        self._listen()
        explorer.param.watch(self._changed, list(ModelExplorer.STATE))

    def ready(self, opened: Opened) -> None:
        """Show the model that is open."""
        self._findings(opened)
        self.controls.follow()
        with pn.io.hold():
            self.draw(VIEWS)
            self.pictures.visible = True
        self._refine()

    def _findings(self, opened: Opened) -> None:
        """Name the outliers that were found, each with a button that goes there."""
        found = [one for one in opened.outliers if one.place == "input"][:MOST_FINDINGS]
        rest = [one for one in opened.outliers if one.place == "residual"][:2]
        rows = [pn.Row(self._look(one), text(_finding(one)), margin=0) for one in found]
        rows += [pn.Row(text(_finding(one)), margin=(0, 0, 0, 66)) for one in rest]
        head = "Outliers found in what the model read" if rows else "No outlier channel was found"
        self.findings.objects = [text(f'<h2 class="view-title">{head}</h2>'), *rows]

    def _look(self, one: Any) -> Any:
        """A button that goes to a layer and its channel."""
        button = pn.widgets.Button(
            label="Look", width=56, height=26, margin=(1, 10, 1, 0), stylesheets=[SMALL]
        )
        button.on_click(
            lambda _: self.explorer.set(layer=one.name, channels=(one.channel,), what="inputs")
        )
        return button

    def draw(self, names: tuple[str, ...]) -> None:
        """Draw these views of the present state, and the words around them."""
        for name, view in self.explorer.figures(names).items():
            self.cards[name].show(view)
        self._words()

    def _words(self) -> None:
        """The heading, the line on the chosen value, and the code while it is open."""
        explorer, opened = self.explorer, self.explorer.opened
        alert = f'<p class="problem" role="alert">{html.escape(explorer.problem)}</p>'
        self.headline.object = (
            f'<div class="tensor">{html.escape(explorer.model)} · '
            f"{html.escape(explorer.chosen_layer)}</div>"
            f'<div class="quiet">{html.escape(opened.model.about)} · {html.escape(opened.about)} · '
            "click a cell of the map to look at a layer, drag over its outliers to choose channels"
            f"</div>{alert if explorer.problem else ''}"
        )
        value = explorer.value
        self.value.object = "" if value is None else _value(value)
        if not self.code.collapsed:
            write_code(self.code, explorer)

    def _changed(self, *events: Any) -> None:
        """Redraw what a change touches: the layer's map at once, the rest when that is sent."""
        names = {event.name for event in events}
        if "model" in names:
            self.start()
            return
        if not self.explorer.ready:
            return
        touched = [name for name in VIEWS if DRAWN[name] & names]
        self.draw(tuple(name for name in AT_ONCE if name in touched))
        self._waiting.update(name for name in touched if name not in AT_ONCE)
        if not self._asked:
            self._asked = True
            later(self._document, self._follow, AFTERWARDS)

    def _follow(self) -> None:
        """Draw what waits, of several changes only the last, and put the state into the address."""
        self._asked = False
        names, self._waiting = tuple(n for n in VIEWS if n in self._waiting), set()
        with pn.io.hold():
            self.draw(names)
        show_link(self.explorer)
        self._refine()

    def _refine(self) -> None:
        """Measure what is not measured yet, drawn as it comes."""
        self.explorer.refine(lambda names: later(self._document, lambda: self.draw(names)))

    def _listen(self) -> None:
        """Clicks and brushes in one view change the selection of all."""
        explorer, cards = self.explorer, self.cards
        cards["sensitivity_map"].pane.clicked = lambda at: self._layer_clicked(at["customdata"])
        cards["what_helps"].pane.clicked = lambda at: self._helper_clicked(at["customdata"])
        cards["outlier_map"].pane.clicked = lambda at: explorer.look(str(at["y"]), str(at["x"]))
        cards["outlier_map"].pane.brushed = lambda ends: explorer.brush(*map(float, ends))
        self.code.param.watch(lambda _: write_code(self.code, explorer), "collapsed")

    def _layer_clicked(self, data: Any) -> None:
        if data:
            self.explorer.set(layer=data[0])

    def _helper_clicked(self, data: Any) -> None:
        """Take the transform that was clicked."""
        label = data[0] if data else ""
        if label in self.explorer.param["transform"].objects:
            self.explorer.set(transform=label)


def _value(value: LayerValue) -> str:
    """A value in words, with a link to its bits."""
    return (
        f'<p class="view-caption" style="margin: 0 0 14px"><b>The value</b> '
        f"{html.escape(value.describe())} "
        f'<a href="bit_editor{html.escape(value.link)}">See its bits</a></p>'
    )


def _finding(one: Any) -> str:
    """What was found, where, and what to try."""
    carried = f", carried over {one.carried} more blocks" if one.carried else ""
    kind = "input" if one.place == "input" else "residual"
    return (
        f'<p class="quiet"><b>{html.escape(one.name)}</b>, {kind} channel <b>{one.channel}</b>: '
        f"{one.ratio:,.0f} times the median channel, {html.escape(one.where)}{carried}</p>"
    )


def build() -> Any:
    """The page of a new session, from the address it was opened with."""
    quicken()
    page = ModelPage(link_of_page())
    if pn.state.curdoc is not None:
        pn.state.on_session_destroyed(lambda _: page.stop())
    main = pn.Column(
        page.headline, page.findings, page.pictures, page.code, sizing_mode="stretch_width"
    )
    return frame(TITLE, page.explorer.theme, main, [page.controls.column])
