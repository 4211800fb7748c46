"""One view in a notebook cell: a live picture with its words, and its table.

The picture is a small widget of our own: plotly's carries its library of 5 MB in every figure, and
four of them are more than a page takes in within the two seconds that it is given.
"""

from __future__ import annotations

import html
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import anywidget
import ipywidgets as ipw
import traitlets

from workbench.views.browser import script, sent, style_sheet
from workbench.views.style import CONFIG
from workbench.views.view import View

Handler = Callable[[dict[str, Any]], None]


@cache
def library() -> str:
    """plotly.js as text, as the plotly package holds it."""
    from plotly.offline import get_plotlyjs

    return get_plotlyjs()


class FigureWidget(anywidget.AnyWidget):
    """A view given as JSON; plotly.js itself travels with the first of a kernel.

    Messages from the page are given to `heard`: `{"brushed": [low, high]}` or
    `{"clicked": {"x": ..., "customdata": [...]}}`.
    """

    _esm = script() + (Path(__file__).parent / "figure.js").read_text("utf-8")
    _sent = False

    _css = style_sheet()
    view = traitlets.Unicode("").tag(sync=True)
    config = traitlets.Dict(CONFIG).tag(sync=True)
    library = traitlets.Unicode("").tag(sync=True)

    def __init__(self, heard: Handler | None = None):
        first = not FigureWidget._sent
        FigureWidget._sent = True
        self.heard = heard
        super().__init__(library=library() if first else "")
        self.on_msg(self._message)

    def show(self, view: View) -> None:
        """Draw a view."""
        self.view = sent(view)

    def _message(self, widget: Any, content: dict[str, Any], buffers: Any) -> None:
        if content.get("need") == "plotly":
            self.library = library()
        elif self.heard is not None:
            self.heard(content)


def readable(bundle: Any, view: View) -> Any:
    """What a cell shows of a widget, with a view's table for readers who have no kernel.

    Args:
        bundle: what the widget's own `_repr_mimebundle_` gave.
        view: whose table it is.
    """
    data = bundle[0] if isinstance(bundle, tuple) else bundle
    if isinstance(data, dict):
        data["text/html"] = f"{view.table_html()}<p>{html.escape(view.caption)}</p>"
    return bundle


class ViewBox(ipw.VBox):
    """A `View` as a widget; `show` draws another one in its place.

    Args:
        brushed: gets `[low, high]`, places on the x axis, when a range is chosen.
        clicked: gets the point, `{"x": ..., "customdata": ...}`, when a mark is clicked.
    """

    def __init__(
        self,
        brushed: Callable[[list[float]], None] | None = None,
        clicked: Handler | None = None,
    ):
        self.brushed, self.clicked = brushed, clicked
        self.table = ipw.HTML()
        self.figure = FigureWidget(self._heard)
        self.twin = ipw.Accordion([self.table], titles=["Table"], selected_index=None)
        self.twin.observe(lambda _: self._fill(), "selected_index")
        self.view: View | None = None
        super().__init__([self.figure, self.twin])

    def show(self, view: View) -> None:
        """Draw a view."""
        self.view = view
        self.figure.show(view)
        self._fill()

    def _fill(self) -> None:
        """The table, only while it is open."""
        if self.view is not None and self.twin.selected_index is not None:
            style = "max-height:300px;overflow:auto"
            self.table.value = f'<div style="{style}">{self.view.table_html()}</div>'

    def _heard(self, content: dict[str, Any]) -> None:
        if "brushed" in content and self.brushed is not None:
            self.brushed(content["brushed"])
        if "clicked" in content and self.clicked is not None:
            self.clicked(content["clicked"])
