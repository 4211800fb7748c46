"""A plotly figure on a Panel page that is drawn once for each change.

It uses the plotly.js that `pn.extension("plotly")` serves with the page; nothing is fetched.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import panel as pn
import param

from ..views.style import CONFIG
from ..views.view import View


class PlotlyPane(pn.custom.JSComponent):
    """The picture of a `View`; `show` draws another one in its place.

    `brushed` gets the two ends of a chosen range as places on the x axis, `clicked` the clicked
    mark as `{"x": ..., "customdata": [...]}`.
    """

    figure = param.Dict(default={}, doc="traces and layout")
    config = param.Dict(default=CONFIG, doc="plotly's configuration")
    words = param.String(default="", doc="the picture in words, for screen readers")

    _esm = Path(__file__).parent / "data" / "plotly_pane.js"

    def __init__(self, **params: Any):
        super().__init__(**params)
        self.brushed: Callable[[list[float]], None] | None = None
        self.clicked: Callable[[dict[str, Any]], None] | None = None

    def show(self, view: View) -> None:
        """Draw a view."""
        self.param.update(
            figure=plain(view.plot), words=f"{view.title}. {view.caption}",
            height=view.plot["layout"]["height"],
        )  # fmt: skip

    def _handle_msg(self, message: dict[str, Any]) -> None:
        if "brushed" in message and self.brushed is not None:
            self.brushed(message["brushed"])
        if "clicked" in message and self.clicked is not None:
            self.clicked(message["clicked"])


def plain(value: Any) -> Any:
    """A figure with arrays of one axis kept, to be sent as bytes, and all others as lists.

    Example:
        >>> plain({"x": np.zeros((2, 1)), "y": (1, None)})
        {'x': [[0.0], [0.0]], 'y': [1, None]}
    """
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, np.ndarray):
        narrow = value.astype(np.float32) if value.dtype == np.float64 else value
        return narrow if value.ndim == 1 and value.dtype.kind == "f" else value.tolist()
    return value.item() if isinstance(value, np.generic) else value
