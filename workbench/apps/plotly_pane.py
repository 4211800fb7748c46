"""A view on a Panel page, heading, picture and caption, that is drawn once for each change.

It uses the plotly.js that `pn.extension("plotly")` serves with the page; nothing is fetched.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import panel as pn
import param

from ..views.browser import script, sent, style_sheet
from ..views.style import CONFIG
from ..views.view import View

DATA = Path(__file__).parent / "data"


class PlotlyPane(pn.custom.JSComponent):
    """A `View`; `show` draws another one in its place.

    `brushed` gets the two ends of a chosen range as places on the x axis, `clicked` the clicked
    mark as `{"x": ..., "y": ..., "customdata": [...]}`.
    """

    view = param.String(default="", doc="words, traces and layout as JSON")
    config = param.Dict(default=CONFIG, doc="plotly's configuration")
    bare = param.Boolean(default=False, doc="leave heading and caption to the page")

    _esm = script() + (DATA / "plotly_pane.js").read_text("utf-8")
    _stylesheets: ClassVar[list[str]] = [
        (DATA / "plotly_pane.css").read_text("utf-8"), style_sheet(),
    ]  # fmt: skip

    def __init__(self, **params: Any):
        super().__init__(**params)
        self.brushed: Callable[[list[float]], object] | None = None
        self.clicked: Callable[[dict[str, Any]], object] | None = None

    def show(self, view: View) -> None:
        """Draw a view."""
        self.view = sent(view)

    def _handle_msg(self, message: dict[str, Any]) -> None:
        if "brushed" in message and self.brushed is not None:
            self.brushed(message["brushed"])
        if "clicked" in message and self.clicked is not None:
            self.clicked(message["clicked"])
