"""The format designer as a Panel page: a format's parts at the side, its grid and figures beside.

The page's state is the designer's; its address is the designer's link, so a copied address opens
what is seen.
"""

from __future__ import annotations

import html
from typing import Any

import panel as pn

from ..explorers.designer_parts import clickable
from ..explorers.designer_words import HEADLINE_STYLE, SPEC, headline
from ..explorers.format_designer import FormatDesigner
from ..views.browser import copy_script
from .designer_controls import Controls
from .format_page import Card, FiguresCard
from .page_style import BAR, CARD, CSS, DARK, SMALL
from .panel_speed import quicken

TITLE = "Format designer"
COPY = "copyText(field.value, (word) => { button.label = word; });"


class DesignerPage:
    """The page of one session: a designer, its controls, its figures and its two views."""

    def __init__(self, link: str = ""):
        self.designer = FormatDesigner()
        self.designer.problem = self.designer.follow(link) if link else ""
        self.controls = Controls(self.designer)
        self.headline = pn.pane.HTML(
            "", stylesheets=[CARD, HEADLINE_STYLE], margin=0, sizing_mode="stretch_width"
        )
        self.spec, self.copy = _spec_field()
        self.spec.param.watch(lambda _: self._show_spec(), "value")
        self.grid, self.table = Card("value_grid"), FiguresCard("metrics_table")
        self.grid.pane.clicked = self._clicked
        self.code = pn.Card(
            pn.pane.HTML("", stylesheets=[CARD], sizing_mode="stretch_width"),
            title="Code and link that redo this", collapsed=True, sizing_mode="stretch_width",
            header_background="transparent", active_header_background="transparent",
            stylesheets=[BAR], margin=0,
        )  # fmt: skip
        self.designer.param.watch(self._changed, list(FormatDesigner.STATE))
        self.draw()

    def _changed(self, *events: Any) -> None:
        """Draw the new state, all at once, and put it into the address."""
        with pn.io.hold():
            self.draw()
        if pn.state.location is not None:
            pn.state.location.search = self.designer.link()

    def draw(self) -> None:
        """Grid, figures, spec string and code of the present state."""
        views = self.designer.figures()
        self.grid.show(clickable(views["value_grid"], self.designer.value_axis()))
        self.table.show(views["metrics_table"])
        self._show_spec()
        self.headline.object = headline(self.designer)
        code, link = html.escape(self.designer.code()), html.escape(self.designer.link() or "?")
        self.code[0].object = f"<pre>{code}</pre><p>Link: <code>{link}</code></p>"

    def _show_spec(self) -> None:
        """The spec string; what is typed over it is put back."""
        if self.spec.value != self.designer.spec_text:
            self.spec.value = self.designer.spec_text

    def _clicked(self, point: dict[str, Any]) -> None:
        """Add, move or remove a value of a codebook where the grid was clicked."""
        self.controls.say(self.designer.click(point["x"], self.controls.click.value))


def _spec_field() -> tuple[Any, Any]:
    """The field of the spec string, and the button that copies it."""
    field = pn.widgets.TextInput(
        label=SPEC, sizing_mode="stretch_width", margin=(4, 6, 14, 0), max_length=1 << 16,
    )  # fmt: skip
    button = pn.widgets.Button(
        label="Copy", width=70, height=30, margin=(32, 0, 0, 0), stylesheets=[SMALL]
    )
    button.js_on_click(args={"field": field, "button": button}, code=copy_script() + COPY)
    return field, button


def build() -> pn.template.BootstrapTemplate:
    """The page of a new session, from the address it was opened with."""
    quicken()
    location = pn.state.location
    page = DesignerPage((location.search if location is not None else "") or "")
    dark = page.designer.theme == "dark"
    template = pn.template.BootstrapTemplate(
        title=TITLE, theme="dark" if dark else "default", sidebar_width=310,
        raw_css=[CSS + DARK if dark else CSS], header_background="#1C2530", busy_indicator=None,
    )  # fmt: skip
    template.sidebar.append(page.controls.column)
    template.main.append(
        pn.Column(
            page.headline, pn.Row(page.spec, page.copy, sizing_mode="stretch_width"),
            page.grid.column, page.table.column, page.code, sizing_mode="stretch_width",
        )
    )  # fmt: skip
    return template
