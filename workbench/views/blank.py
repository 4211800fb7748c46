"""A view whose numbers are not there: still being computed, or with the reason why not."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from typing import Any

from . import style
from .view import View, ViewSpec

PENDING = "Being computed."


def blank(
    name: str,
    title: str,
    why: str = PENDING,
    spec: ViewSpec | Mapping[str, Any] | None = None,
    height: int = 240,
) -> View:
    """An empty picture that says why it is.

    Args:
        name: of the view that will stand there.
        title: what the heading says.
        why: one sentence.
        spec: the theme; see `ViewSpec`.
        height: in pixels, that of the view to come, so that nothing jumps.

    Example:
        >>> blank("qsur_view", "Use of the range").provenance
        'being computed'
    """
    spec = ViewSpec.of(spec)
    layout = style.base_layout(spec.theme, height)
    for axis in ("xaxis", "yaxis"):
        layout[axis] = {"visible": False, "range": [0, 1], "fixedrange": True}
    layout["annotations"] = [{
        "text": "<br>".join(textwrap.wrap(why, 90)), "x": 0.5, "y": 0.5, "xref": "paper",
        "yref": "paper", "showarrow": False,
        "font": {"size": 13, "color": style.theme(spec.theme).quiet},
    }]  # fmt: skip
    return View(
        name=name,
        title=title,
        plot={"data": [], "layout": layout},
        caption=why,
        provenance="being computed" if why == PENDING else "nothing to show",
        table=list,
        spec=spec,
    )
