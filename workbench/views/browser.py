"""What a browser needs to draw a view: the figure as JSON, and the script all hosts share."""

from __future__ import annotations

import base64
import json
import math
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from .view import View

DATA = Path(__file__).parent / "data"


@cache
def script() -> str:
    """JavaScript that defines `figurePane`; a host appends its own few lines.

    Example:
        >>> "function figurePane" in script()
        True
    """
    return (DATA / "figure_pane.js").read_text("utf-8")


@cache
def style_sheet() -> str:
    """The style of heading and caption around a picture, the same in all hosts.

    Example:
        >>> ".view-caption" in style_sheet()
        True
    """
    return (DATA / "figure_pane.css").read_text("utf-8")


@cache
def copy_script() -> str:
    """JavaScript that defines `copyText`, for the buttons that put text on the clipboard.

    Example:
        >>> "function copyText" in copy_script()
        True
    """
    return (DATA / "copy_text.js").read_text("utf-8")


def as_json(plot: dict[str, Any]) -> str:
    """A figure as JSON, its arrays of numbers as base64: plotly reads both.

    One string is sent as it is, where hosts would look through every entry of a list.

    Example:
        >>> as_json({"y": np.zeros(1, np.float32), "x": [1.0, math.nan]})
        '{"y":{"dtype":"f4","bdata":"AAAAAA=="},"x":[1.0,null]}'
    """
    options: dict[str, Any] = {"separators": (",", ":"), "default": _plain, "allow_nan": False}
    try:
        return json.dumps(plot, **options)
    except ValueError:  # a NaN or an infinity somewhere, which JSON has no word for
        return json.dumps(_finite(plot), **options)


def sent(view: View) -> str:
    """A view as the hosts send it: title, provenance, caption and figure as one JSON text."""
    words = {"title": view.title, "provenance": view.provenance, "caption": view.caption}
    return as_json(words | view.plot)


def _plain(value: Any) -> Any:
    """What JSON has no word for: arrays, as base64 where they hold numbers, and NumPy's scalars."""
    if not isinstance(value, np.ndarray):
        return value.item()
    if value.dtype.kind not in "iuf":
        return value.tolist()
    narrow = np.ascontiguousarray(value, np.float32)
    spec = {"dtype": "f4", "bdata": base64.b64encode(narrow.tobytes()).decode()}
    return spec | ({"shape": ",".join(map(str, value.shape))} if value.ndim > 1 else {})


def _finite(value: Any) -> Any:
    """The same with None for every number that is not finite, outside arrays of numbers."""
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, np.ndarray) and value.dtype.kind in "iuf":
        return value
    if isinstance(value, list | tuple | np.ndarray):
        return [_finite(item) for item in value]
    value = value.item() if isinstance(value, np.generic) else value
    return None if isinstance(value, float) and not math.isfinite(value) else value
