"""One view in a notebook cell: a live figure changed in place, its caption and its table."""

from __future__ import annotations

import html
from collections.abc import Callable
from typing import Any

import ipywidgets as ipw
import numpy as np
import plotly.graph_objects as go

from workbench.views.style import CONFIG
from workbench.views.view import View

Handler = Callable[[dict[str, Any]], None]


class ViewBox(ipw.VBox):
    """A `View` as a widget; `show` draws another one in its place.

    Args:
        brushed: gets `[low, high]`, places on the x axis, when a range is chosen.
        clicked: gets the point, `{"x": ..., "customdata": ...}`, when a mark is clicked.
    """

    def __init__(self, brushed: Handler | None = None, clicked: Handler | None = None):
        self.brushed, self.clicked = brushed, clicked
        self.heading, self.caption, self.table = ipw.HTML(), ipw.HTML(), ipw.HTML()
        self.twin = ipw.Accordion([self.table], titles=["Table"], selected_index=None)
        self.twin.observe(lambda _: self._fill(), "selected_index")
        self.figure: Any = None
        self.view: View | None = None
        super().__init__([self.heading, self.caption, self.twin])

    def show(self, view: View) -> None:
        """Draw a view: in place where its traces are of the same kinds, else as a new figure."""
        before, self.view = self.view, view
        if before is not None and _kinds(before) == _kinds(view):
            self._change(before, view)
        else:
            self._build(view)
        mark = "●" if view.provenance == "exact" else "○"
        self.heading.value = (
            f'<b style="font-size:15px">{html.escape(view.title)}</b> &nbsp; '
            f"<span>{mark} {html.escape(view.provenance)}</span>"
        )
        self.caption.value = f'<span style="line-height:1.4">{html.escape(view.caption)}</span>'
        self._fill()

    def _build(self, view: View) -> None:
        self.figure = go.FigureWidget(view.plot)
        self.figure._config = {**self.figure._config, **CONFIG}
        for trace in self.figure.data:
            trace.on_selection(self._selected)
            trace.on_click(self._pointed)
        self.children = [self.heading, self.figure, self.caption, self.twin]

    def _change(self, before: View, view: View) -> None:
        """Send what differs: plotly checks everything it is given, and that takes time."""
        with self.figure.batch_update():
            traces = zip(self.figure.data, before.plot["data"], view.plot["data"], strict=True)
            for shown, old, new in traces:
                changes = _differing(old, new)
                if changes:
                    shown.update(changes, overwrite=True)
            changes = _differing(before.plot["layout"], view.plot["layout"])
            if changes:
                self.figure.layout.update(changes, overwrite=True)

    def _fill(self) -> None:
        """The table, only while it is open."""
        if self.view is not None and self.twin.selected_index is not None:
            style = "max-height:300px;overflow:auto"
            self.table.value = f'<div style="{style}">{self.view.table_html()}</div>'

    def _selected(self, trace: Any, points: Any, selector: Any) -> None:
        places = getattr(selector, "xrange", None)
        if self.brushed is not None and places:
            self.brushed({"x": list(places)})

    def _pointed(self, trace: Any, points: Any, state: Any) -> None:
        if self.clicked is not None and points.point_inds:
            index = points.point_inds[0]
            data = trace.customdata
            self.clicked({"x": points.xs[0], "customdata": None if data is None else data[index]})


def _kinds(view: View) -> list[tuple[str, ...]]:
    """Type, axes and entries of each trace, which tell whether a figure can be changed in place."""
    return [(t["type"], t.get("yaxis", "y"), *sorted(t)) for t in view.plot["data"]]


def _differing(old: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
    """The entries of `new` that `old` does not have just so.

    Example:
        >>> _differing({"x": np.zeros(2), "y": 1}, {"x": np.zeros(2), "y": 2})
        {'y': 2}
    """
    return {key: value for key, value in new.items() if not _same(old.get(key), value)}


def _same(a: Any, b: Any) -> bool:
    if isinstance(a, np.ndarray) or isinstance(b, np.ndarray):
        return np.array_equal(a, b, equal_nan=getattr(b, "dtype", a).kind == "f")
    return a is b or a == b
