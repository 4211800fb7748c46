"""The method page: every transform with every solver on a layer or a model, measured as one looks.

The page's state is the explorer's; its address is the explorer's link.
"""

from __future__ import annotations

import html
from typing import Any

import panel as pn

from ..explorers.method_matrix import BASES, VIEWS, WHOLE, MethodMatrix
from ..explorers.opened_model import Opened
from ..models import available
from ..quantizers.papers import PAPERS
from .format_page import Card
from .opened_page import OpenedPage
from .page_parts import (
    WIDTH,
    code_card,
    frame,
    later,
    link_of_page,
    problem_line,
    put,
    reopen,
    say,
    show_link,
    text,
    typed,
    write_code,
)
from .panel_speed import quicken

TITLE = "Method matrix"
CHOOSE = "…"


class MethodPage(OpenedPage):
    """The page of one session: an explorer, its controls, and its cards."""

    def __init__(self, link: str = ""):
        explorer = MethodMatrix()
        explorer.problem = explorer.follow(link) if link else ""
        self.cards = {name: Card(name) for name in VIEWS}
        self.chosen, self.code = text(), code_card()
        pictures = pn.Column(
            self.chosen, *(card.column for card in self.cards.values()),
            sizing_mode="stretch_width", visible=False,
        )  # fmt: skip
        super().__init__(explorer, pictures)
        self.controls = Controls(explorer)
        self._listen()

    def ready(self, opened: Opened) -> None:
        """Show the model that is open."""
        self.controls.follow()
        with pn.io.hold():
            self.draw(VIEWS)
            self.pictures.visible = True
        self._refine()

    def draw(self, names: tuple[str, ...]) -> None:
        """Draw these views of the present state, and the words around them."""
        for name, view in self.explorer.figures(names).items():
            self.cards[name].show(view)
        explorer = self.explorer
        alert = f'<p class="problem" role="alert">{html.escape(explorer.problem)}</p>'
        self.headline.object = (
            f'<div class="tensor">{html.escape(explorer.model)} · '
            f"{html.escape(explorer.chosen_layer)}</div>"
            '<div class="quiet">click a cell for its recipe, a method for its parts'
            f"</div>{alert if explorer.problem else ''}"
        )
        self.chosen.object = (
            '<p class="view-caption" style="margin: 0 0 12px"><b>The chosen cell</b> '
            f"{html.escape(explorer.sentence())} "
            f'<a href="model_explorer{html.escape(explorer.model_link())}">See the layer</a></p>'
        )
        if not self.code.collapsed:
            write_code(self.code, explorer)

    def _changed(self, *events: Any) -> None:
        """Redraw, put the state into the address, and measure what is missing."""
        if any(event.name == "model" for event in events):
            self.start()
            return
        if not self.explorer.ready:
            return
        with pn.io.hold():
            self.draw(VIEWS)
        show_link(self.explorer)
        self._refine()

    def _refine(self) -> None:
        self.explorer.refine(lambda names: later(self._document, lambda: self.draw(names)))

    def _listen(self) -> None:
        """Clicks on a cell and on a method choose it."""
        explorer = self.explorer
        explorer.param.watch(self._changed, list(MethodMatrix.STATE))
        self.cards["crossing_map"].pane.clicked = lambda at: self._cell(at["customdata"])
        self.cards["published_methods"].pane.clicked = lambda at: self._method(at["customdata"])
        self.code.param.watch(lambda _: write_code(self.code, explorer), "collapsed")

    def _cell(self, data: Any) -> None:
        if data:
            self.explorer.set(transform=data[0], solver=data[1])

    def _method(self, data: Any) -> None:
        if data:
            self.explorer.take(data[0])


class Controls:
    """Widgets over a method matrix; a refusal is shown under them."""

    def __init__(self, explorer: MethodMatrix):
        self.explorer, self._quiet = explorer, False
        here = [row["name"] for row in available() if not row["state"].startswith("not")]
        runs = [name for name in here if name != "efficientnet-lite0"]
        self.widgets = {
            "model": typed("Model, or the path of one", runs, "reference, /path/to/folder ..."),
            "layer": pn.widgets.Select(label="Layer", options=[], width=WIDTH),
            "base": typed("Scheme of all cells", list(BASES), "w=int4/channel a=int8/token ..."),
            "transform": pn.widgets.TextInput(label="Transforms of the cell", width=WIDTH),
            "solver": pn.widgets.TextInput(label="Solver of the cell", width=WIDTH),
            "theme": pn.widgets.Select(label="Theme", options=["light", "dark"], width=WIDTH // 2),
        }
        self.method = pn.widgets.Select(
            label="Parts of a method", options=[CHOOSE, *(p.name for p in PAPERS)], width=WIDTH
        )
        self.problem = problem_line()
        self.column = pn.Column(
            *(self.widgets[name] for name in ("model", "layer", "base", "transform", "solver")),
            self.method, self.problem, self.widgets["theme"], width=WIDTH + 20,
        )  # fmt: skip
        for name, widget in self.widgets.items():
            widget.param.watch(lambda event, name=name: self._set(name, event.new), "value")
        self.method.param.watch(lambda event: self._take(event.new), "value")
        explorer.param.watch(lambda *_: self.follow(), [*MethodMatrix.STATE, "problem"])
        self.follow()

    def _set(self, name: str, value: Any) -> None:
        """Take over a changed widget; another theme opens the page again in it."""
        if self._quiet or value is None:
            return
        say(self.problem, self.explorer.set(**{name: value}))
        if name == "theme":
            reopen(self.explorer)

    def _take(self, method: str) -> None:
        """Choose the cell of a published method; then any of them can be chosen again."""
        if method != CHOOSE:
            say(self.problem, self.explorer.take(method))
            self.method.value = CHOOSE

    def follow(self) -> None:
        """Show the state in the widgets."""
        explorer, state = self.explorer, self.explorer.state
        self._quiet = True
        try:
            state["layer"] = None
            if explorer.ready:
                state["layer"] = explorer.chosen_layer
                layers = [*explorer.opened.layers, WHOLE]
                if self.widgets["layer"].options != layers:
                    self.widgets["layer"].options = layers
            for name, widget in self.widgets.items():
                put(widget, state[name])
        finally:
            self._quiet = False


def build() -> Any:
    """The page of a new session, from the address it was opened with."""
    quicken()
    page = MethodPage(link_of_page())
    if pn.state.curdoc is not None:
        pn.state.on_session_destroyed(lambda _: page.stop())
    main = pn.Column(page.headline, page.pictures, page.code, sizing_mode="stretch_width")
    return frame(TITLE, page.explorer.theme, main, [page.controls.column])
