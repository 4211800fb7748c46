"""Two channel fans side by side on one value axis: a tensor before and after a transform."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from . import style
from .axis import ValueAxis, number
from .channel_fan import Fan, channel_fan, fan_axis
from .summaries import Grid
from .view import View, ViewSpec

# Axes of the second fan's traces and shapes, by those of a fan that stands alone.
_SECOND = {"x": "x2", "y": "y3", "y2": "y4"}


def fan_pair(
    before: Fan,
    after: Fan,
    grids: tuple[Sequence[Grid], Sequence[Grid]] = ((), ()),
    spec: ViewSpec | Mapping[str, Any] | None = None,
    names: tuple[str, str] = ("before", "after"),
) -> View:
    """Draw the spread of every channel before and after a transform.

    Args:
        before: quantiles of the channels of the first tensor.
        after: of the second one, drawn at the right.
        grids: the same formats, with one scale for the tensor before and for the one after.
        spec: theme, axis, selection, channel and sort (each fan by its own sizes).
        names: what stands over the two fans.

    Example:
        >>> wide = Fan(np.full((5, 2), -1.0), np.array([[1.0, 8.0]] * 5))
        >>> even = Fan(np.full((5, 2), -1.0), np.array([[2.0, 2.0]] * 5))
        >>> fan_pair(wide, even).caption
        'The largest channel is 1.78 times the median one before and 1 times after.'
    """
    spec = ViewSpec.of(spec)
    axis = _shared(fan_axis(before, spec), fan_axis(after, spec))
    views = [
        channel_fan(fan, own, spec, axis) for fan, own in zip((before, after), grids, strict=True)
    ]
    return View(
        name="fan_pair",
        title=f"Spread of each {before.name}, {' and '.join(names)}",
        plot={"data": _traces(views), "layout": _layout(views, names, spec)},
        caption=_caption((before, after), grids, names),
        provenance=" and ".join(dict.fromkeys(view.provenance for view in views)),
        table=lambda: _rows(views, names),
        description=f"{views[0].description} Left {names[0]}, right {names[1]}.",
        spec=spec,
    )


def _shared(first: ValueAxis, second: ValueAxis) -> ValueAxis:
    """An axis that shows what both show, linear up to where the finer one is."""
    return ValueAxis(
        min(first.low, second.low),
        max(first.high, second.high),
        min(first.linear, second.linear),
        first.kind,
    )


def _traces(views: Sequence[View]) -> list[dict[str, Any]]:
    """The traces of both; the second fan's are not in the legend again."""
    first, second = (view.plot["data"] for view in views)
    moved = [
        {
            **trace, "xaxis": "x2", "yaxis": _SECOND[trace.get("yaxis", "y")], "showlegend": False,
            "legendgroup": trace.get("legendgroup", trace["name"]),
        }
        for trace in second
    ]  # fmt: skip
    return [{**trace, "legendgroup": trace.get("legendgroup", trace["name"])}
            for trace in first] + moved  # fmt: skip


def _layout(views: Sequence[View], names: tuple[str, str], spec: ViewSpec) -> dict[str, Any]:
    """The first fan's layout on the left half, the second's axes on the right one."""
    first, second = (view.plot["layout"] for view in views)
    look = style.theme(spec.theme)
    across = {"title": {"text": _order(views[0])}}  # short enough for half the width
    layout = {**first, "xaxis": {**first["xaxis"], **across, "domain": [0, 0.49]}}
    layout["xaxis2"] = {**second["xaxis"], **across, "domain": [0.51, 1], "anchor": "y3"}
    layout["yaxis3"] = {
        **second["yaxis"], "anchor": "x2", "matches": "y", "showticklabels": False, "title": {},
    }  # fmt: skip
    layout["yaxis4"] = {
        **second["yaxis2"], "anchor": "x2", "matches": "y2", "showticklabels": False, "title": {},
    }  # fmt: skip
    layout["shapes"] = [_placed(shape, "x", {}) for shape in first["shapes"]]
    layout["shapes"] += [_placed(shape, "x2", _SECOND) for shape in second["shapes"]]
    layout["annotations"] = [
        {
            "text": f"<b>{name}</b>", "x": x, "y": 1, "xref": "paper", "yref": "paper",
            "xanchor": "left", "yanchor": "bottom", "showarrow": False,
            "font": {"size": 12, "color": look.text},
        }
        for name, x in zip(names, (0, 0.51), strict=True)
    ]  # fmt: skip
    layout["legend"] = {**first["legend"], "y": 1.06}
    layout["margin"] = {**first["margin"], "t": 56}
    return layout


def _order(view: View) -> str:
    """How the channels are sorted."""
    name, _, _ = view.plot["layout"]["xaxis"]["title"]["text"].partition(", ")
    return f"{name}, {'largest first' if view.spec.sort == 'size' else 'in their order'}"


def _placed(shape: dict[str, Any], across: str, axes: dict[str, str]) -> dict[str, Any]:
    """A shape over one fan alone, where it stood over the whole picture."""
    shape = {**shape, "xref": f"{across} domain" if shape["xref"] == "paper" else across}
    if shape["yref"] != "paper":
        shape["yref"] = axes.get(shape["yref"], shape["yref"])
    return shape


def _caption(
    fans: tuple[Fan, Fan], grids: tuple[Sequence[Grid], Sequence[Grid]], names: tuple[str, str]
) -> str:
    """The largest channel against the median one, and the bits the median one uses, both times."""
    ratios = [_ratio(fan) for fan in fans]
    if None in ratios:
        return "One of the two tensors is zero or empty."
    text = (
        f"The largest {fans[0].name} is {number(ratios[0], 3)} times the median one {names[0]} "
        f"and {number(ratios[1], 3)} times {names[1]}"
    )
    parts = [
        f"{_used(fans[0], old):.1f} and then {_used(fans[1], new):.1f} of {old.bits} bits of "
        f"{old.label}"
        for old, new in zip(*grids, strict=True)
    ]
    return f"{text}; the median {fans[0].name} uses {', '.join(parts)}." if parts else text + "."


def _ratio(fan: Fan) -> float | None:
    """The largest channel over the median one; None without values."""
    median = float(np.median(fan.largest)) if fan.channels else 0.0
    return float(fan.largest.max()) / median if median else None


def _used(fan: Fan, grid: Grid) -> float:
    """Bits of a format that the median channel uses."""
    return float(np.median(fan.used_bits(grid)))


def _rows(views: Sequence[View], names: tuple[str, str]) -> list[dict[str, Any]]:
    """The rows of both tables, each with which of the two it is of."""
    tables = [(name, view.data()) for name, view in zip(names, views, strict=True)]
    keys = dict.fromkeys(key for _, rows in tables for row in rows[:1] for key in row)
    return [{"tensor": name} | {key: row.get(key) for key in keys}
            for name, rows in tables for row in rows]  # fmt: skip
