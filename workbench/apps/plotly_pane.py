"""A plotly figure on a Panel page that is drawn once for each change.

It uses the plotly.js that `pn.extension("plotly")` serves with the page; nothing is fetched.
"""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import panel as pn
import param

from ..views.style import CONFIG
from ..views.view import View

DATA = Path(__file__).parent / "data"


class PlotlyPane(pn.custom.JSComponent):
    """The picture of a `View`; `show` draws another one in its place.

    `brushed` gets the two ends of a chosen range as places on the x axis, `clicked` the clicked
    mark as `{"x": ..., "customdata": [...]}`.
    """

    figure = param.String(default="", doc="traces and layout as JSON")
    config = param.Dict(default=CONFIG, doc="plotly's configuration")
    words = param.String(default="", doc="the picture in words, for screen readers")

    _esm = DATA / "plotly_pane.js"
    _stylesheets: ClassVar[list[str]] = [(DATA / "plotly_pane.css").read_text("utf-8")]

    def __init__(self, **params: Any):
        super().__init__(**params)
        self.brushed: Callable[[list[float]], None] | None = None
        self.clicked: Callable[[dict[str, Any]], None] | None = None

    def show(self, view: View) -> None:
        """Draw a view."""
        self.param.update(
            figure=as_json(view.plot), words=f"{view.title}. {view.caption}",
            height=view.plot["layout"]["height"],
        )  # fmt: skip

    def _handle_msg(self, message: dict[str, Any]) -> None:
        if "brushed" in message and self.brushed is not None:
            self.brushed(message["brushed"])
        if "clicked" in message and self.clicked is not None:
            self.clicked(message["clicked"])


def as_json(plot: dict[str, Any]) -> str:
    """A figure as JSON, its arrays of numbers as base64: plotly reads both, and Panel neither.

    A string is sent as it is, where Panel would look through every entry of a list.

    Example:
        >>> as_json({"y": np.zeros(1, np.float32), "x": [1.0, math.nan]})
        '{"y":{"dtype":"f4","bdata":"AAAAAA=="},"x":[1.0,null]}'
    """
    return json.dumps(_plain(plot), separators=(",", ":"))


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, np.ndarray) and value.dtype.kind in "iuf":
        narrow = np.ascontiguousarray(value, np.float32)
        spec = {"dtype": "f4", "bdata": base64.b64encode(narrow.tobytes()).decode()}
        return spec | ({"shape": ",".join(map(str, value.shape))} if value.ndim > 1 else {})
    if isinstance(value, list | tuple | np.ndarray):
        return [_plain(item) for item in value]
    value = value.item() if isinstance(value, np.generic) else value
    return None if isinstance(value, float) and not math.isfinite(value) else value
