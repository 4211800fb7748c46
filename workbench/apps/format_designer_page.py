"""The format designer as a Panel page: a format's parts at the side, its grid and figures beside.

The page's state is the designer's; its address is the designer's link, so a copied address opens
what is seen.
"""

from __future__ import annotations

from typing import Any

import panel as pn

from ..explorers.designer_parts import clickable
from ..explorers.designer_words import HEADLINE_STYLE, SPEC, headline
from ..explorers.format_designer import FormatDesigner
from ..views.browser import copy_script
from .designer_controls import Controls
from .format_page import Card, FiguresCard
from .page_parts import code_card, frame, link_of_page, show_link, text, write_code
from .page_style import SMALL
from .panel_speed import quicken

TITLE = "Format designer"
COPY = "copyText(field.value, (word) => { button.label = word; });"


class DesignerPage:
    """The page of one session: a designer, its controls, its figures and its two views."""

    def __init__(self, link: str = ""):
        self.designer = FormatDesigner()
        self.designer.problem = self.designer.follow(link) if link else ""
        self.controls = Controls(self.designer)
        self.headline = text(stylesheets=[HEADLINE_STYLE])
        self.spec, self.copy = _spec_field()
        self.spec.param.watch(lambda _: self._show_spec(), "value")
        self.grid, self.table = Card("value_grid"), FiguresCard("metrics_table")
        self.grid.pane.clicked = self._clicked
        self.code = code_card()
        self.designer.param.watch(self._changed, list(FormatDesigner.STATE))
        self.draw()

    def _changed(self, *events: Any) -> None:
        """Draw the new state, all at once, and put it into the address."""
        with pn.io.hold():
            self.draw()
        show_link(self.designer)

    def draw(self) -> None:
        """Grid, figures, spec string and code of the present state."""
        views = self.designer.figures()
        self.grid.show(clickable(views["value_grid"], self.designer.value_axis()))
        self.table.show(views["metrics_table"])
        self._show_spec()
        self.headline.object = headline(self.designer)
        write_code(self.code, self.designer)

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


def build() -> Any:
    """The page of a new session, from the address it was opened with."""
    quicken()
    page = DesignerPage(link_of_page())
    main = pn.Column(
        page.headline, pn.Row(page.spec, page.copy, sizing_mode="stretch_width"),
        page.grid.column, page.table.column, page.code, sizing_mode="stretch_width",
    )  # fmt: skip
    return frame(TITLE, page.designer.theme, main, [page.controls.column])
