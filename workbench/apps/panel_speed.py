"""The two places where Panel's own ways are too slow for a slider; a test guards that they exist.

Panel waits 50 ms before it looks at a change, and has plotly validate every figure again; without
both, a slider's picture is drawn in about half the time.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import panel as pn

DEBOUNCE = 5  # milliseconds


class LeanPlotly(pn.pane.Plotly):
    """Panel's plotly pane for plain `{"data", "layout"}` dicts, sent as they are.

    Our views are valid by construction (their tests build the figure), so nothing is checked here.
    """

    def _to_figure(self, obj: Any) -> Any:
        data = [_copied(trace) for trace in obj["data"]]
        return SimpleNamespace(_data=data, _layout=dict(obj["layout"]))


def _copied(trace: dict[str, Any]) -> dict[str, Any]:
    """A copy whose dicts Panel may take arrays out of."""
    return {key: _copied(v) if isinstance(v, dict) else v for key, v in trace.items()}


def lower_debounce() -> None:
    """Have Panel look at a change after `DEBOUNCE` ms."""
    pn.reactive.Syncable._debounce = DEBOUNCE
