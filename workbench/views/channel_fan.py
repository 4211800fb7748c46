"""The channel fan: how the values of each channel spread, as nested ribbons over sorted channels.

Lines show how far each format reaches with one scale for the tensor, so that a few large channels
are seen to set the scale for all others.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from ..errors import WorkbenchError
from . import style
from .axis import ValueAxis, number
from .summaries import Grid
from .view import View, ViewSpec

COVERAGES = (0.5, 0.9, 0.99, 0.999, 1.0)
MOST_COLUMNS = 400


@dataclass(frozen=True)
class Fan:
    """Quantiles of every channel of a tensor.

    Args:
        low, high: for each of `COVERAGES`, between what the middle share of a channel's values
            lies; float64 `(5, channels)`.
        name: what a channel is, such as "channel" or "row".
        provenance: "exact" or "sketch".

    Example:
        >>> fan = Fan(np.full((5, 2), -1.0), np.array([[1.0, 3.0]] * 5))
        >>> fan.largest.tolist(), fan.order("size").tolist()
        ([1.0, 3.0], [1, 0])
    """

    low: np.ndarray = field(repr=False)
    high: np.ndarray = field(repr=False)
    name: str = "channel"
    provenance: str = "sketch"

    def __post_init__(self):
        if self.low.shape != self.high.shape or self.low.shape[0] != len(COVERAGES):
            raise WorkbenchError(
                f"quantiles of shapes {self.low.shape} and {self.high.shape}",
                f"there is one row for each of {COVERAGES}",
                "pass (5, channels) twice",
            )

    @property
    def channels(self) -> int:
        """How many channels there are."""
        return self.low.shape[1]

    @cached_property
    def largest(self) -> np.ndarray:
        """The largest magnitude in each channel."""
        return np.maximum(np.abs(self.low[-1]), np.abs(self.high[-1]))

    @cached_property
    def bulk(self) -> np.ndarray:
        """The magnitude under which 99.9 % of each channel lies."""
        return np.maximum(np.abs(self.low[3]), np.abs(self.high[3]))

    def order(self, sort: str) -> np.ndarray:
        """Channel numbers as drawn: by falling 99.9 % magnitude ("size"), or by "index"."""
        if sort == "index":
            return np.arange(self.channels)
        if sort != "size":
            raise WorkbenchError(
                f"sort {sort!r}", "channels are sorted by size or by index", "write 'size'"
            )
        return np.lexsort((np.arange(self.channels), -self.largest, -self.bulk))

    def used_bits(self, grid: Grid) -> np.ndarray:
        """For each channel, log2 of how many values of `grid` lie within its range."""
        low = np.searchsorted(grid.limits, self.low[-1], side="right")
        high = np.searchsorted(grid.limits, self.high[-1], side="right")
        return np.log2(np.maximum(high - low + 1, 1))


def channel_fan(
    fan: Fan,
    grids: Sequence[Grid] = (),
    spec: ViewSpec | Mapping[str, Any] | None = None,
    axis: ValueAxis | None = None,
) -> View:
    """Draw the spread of every channel and how many bits of each format it uses.

    Args:
        fan: quantiles of the channels.
        grids: formats with one scale for the tensor, whose reach is drawn; up to four.
        spec: theme, axis, selection, channel and sort; see `ViewSpec`.
        axis: the value axis, for fans that stand beside each other; None for this fan's own.
    """
    spec = ViewSpec.of(spec)
    order = fan.order(spec.sort)
    columns = _columns(order)
    axis = axis or fan_axis(fan, spec)
    looks = style.identities([grid.family for grid in grids], spec.theme)
    bits = [fan.used_bits(grid) for grid in grids]
    traces = _ribbons(fan, columns, axis, spec)
    for grid, look, used in zip(grids, looks, bits, strict=True):
        traces.append(_reach(grid, look, fan.channels, axis))
        traces.append(_bits_line(grid, look, used, columns))
    layout = _layout(fan, columns, axis, spec, bool(grids))
    layout["shapes"] = _marks(columns, axis, spec)
    return View(
        name="channel_fan",
        title=f"Spread of each {fan.name}",
        plot={"data": traces, "layout": layout},
        caption=_caption(fan, grids, bits),
        provenance=fan.provenance,
        table=lambda: _rows(fan, order, grids, bits),
        description=_description(fan),
        spec=spec,
    )


def _columns(order: np.ndarray) -> list[np.ndarray]:
    """The channels of each drawn column: one, or neighbours together where there are many."""
    count = min(order.size, MOST_COLUMNS)
    return [part for part in np.array_split(order, max(count, 1)) if part.size]


def _places(columns: list[np.ndarray]) -> np.ndarray:
    """The rank of the first channel of each column."""
    return np.cumsum([0, *(c.size for c in columns[:-1])])


def fan_axis(fan: Fan, spec: ViewSpec) -> ValueAxis:
    """The value axis of a fan: linear up to the middle channel's inner half."""
    largest = float(fan.largest.max(initial=0.0))
    inner = np.maximum(np.abs(fan.low[0]), np.abs(fan.high[0]))
    inner = inner[inner > 0]
    largest = largest if largest > 0 else 1.0
    typical = float(np.median(inner)) if inner.size else largest / 8
    high, linear = 1.25 * largest, int(np.clip(np.floor(np.log2(typical)), -1000, 1000))
    return ValueAxis(-high if (fan.low < 0).any() else 0.0, high, linear, spec.axis)


def _ribbons(
    fan: Fan, columns: list[np.ndarray], axis: ValueAxis, spec: ViewSpec
) -> list[dict[str, Any]]:
    """One filled ribbon a coverage, the widest first; a column takes the widest of its channels."""
    x = starts = _places(columns)
    order = np.concatenate(columns) if columns else np.arange(0)
    if not order.size:
        return []
    shades = _SHADES[spec.theme]
    traces = []
    for row in range(len(COVERAGES) - 1, -1, -1):
        low = axis.position(np.minimum.reduceat(fan.low[row][order], starts))
        high = axis.position(np.maximum.reduceat(fan.high[row][order], starts))
        label = "all values" if COVERAGES[row] == 1 else f"{100 * COVERAGES[row]:g} %"
        traces.append(
            style.trace(
                "scatter", x=np.concatenate([x, x[::-1]]), y=np.concatenate([high, low[::-1]]),
                mode="lines", fill="toself", fillcolor=shades[row], line={"width": 0},
                name=label, hoverinfo="skip", yaxis="y2",
            )
        )  # fmt: skip
    traces.append(_hover(fan, columns, axis))
    return traces


# Shades of cividis, opaque so that nested ribbons stay distinct.
_SHADES = {
    "light": ["#00224E", "#35456C", "#666970", "#A69D75", "#E4CF5B"],
    "dark": ["#CDBB68", "#A69D75", "#7D7C78", "#565C6C", "#31446B"],
}


def _hover(fan: Fan, columns: list[np.ndarray], axis: ValueAxis) -> dict[str, Any]:
    """An unseen line along the tops of the columns that carries their numbers."""
    first = np.array([c[0] for c in columns])
    names = [_span(c) for c in columns]
    numbers = np.column_stack([fan.low[-1][first], fan.high[-1][first], fan.bulk[first]])
    return style.trace(
        "scatter", x=_places(columns), y=axis.position(fan.high[-1][first]), mode="markers",
        marker={"size": 7, "opacity": 0}, yaxis="y2", showlegend=False, name="channels",
        customdata=[[name, *map(float, row), int(c)] for name, row, c in
                    zip(names, numbers, first, strict=True)],
        hovertemplate=f"{fan.name} %{{customdata[0]}}<br>from %{{customdata[1]:.4g}} to "
        "%{customdata[2]:.4g}<br>99.9 % within ±%{customdata[3]:.4g}<extra></extra>",
    )  # fmt: skip


def _span(channels: np.ndarray) -> str:
    return str(channels[0]) if channels.size == 1 else f"{channels[0]} and {channels.size - 1} more"


def _reach(grid: Grid, look: style.Identity, count: int, axis: ValueAxis) -> dict[str, Any]:
    """Lines at the largest and the smallest positive value that the format has, both signs."""
    ends = [grid.min, grid.max] if grid.min < 0 else [grid.max]
    ends = [end for end in ends if axis.low <= end <= axis.high]
    x: list[float | None] = []
    y: list[float | None] = []
    for end in ends:
        x += [-0.5, count - 0.5, None]
        y += [float(axis.position(end))] * 2 + [None]
    return style.trace(
        "scatter", x=x, y=y, mode="lines", yaxis="y2", name=grid.label, legendgroup=grid.label,
        line={"color": look.colour, "width": 1.6, "dash": look.dash}, hoverinfo="skip",
        showlegend=False, meta={"scheme": grid.label},
    )  # fmt: skip


def _bits_line(
    grid: Grid, look: style.Identity, used: np.ndarray, columns: list[np.ndarray]
) -> dict[str, Any]:
    """Bits that each channel uses of the format."""
    return style.trace(
        "scatter", x=_places(columns), y=_medians(used, columns),
        mode="lines", line={"color": look.colour, "width": 1.6, "dash": look.dash}, yaxis="y",
        name=grid.label, legendgroup=grid.label, meta={"scheme": grid.label},
        hovertemplate=f"uses %{{y:.1f}} of {grid.bits} bits<extra>{grid.label}</extra>",
    )  # fmt: skip


def _medians(values: np.ndarray, columns: list[np.ndarray]) -> np.ndarray:
    """The median over the channels of each column."""
    if len(columns) == values.size:
        return values[np.concatenate(columns)] if columns else values
    return np.array([np.median(values[c]) for c in columns])


def _layout(
    fan: Fan, columns: list[np.ndarray], axis: ValueAxis, spec: ViewSpec, grids: bool
) -> dict[str, Any]:
    """The fan above, the used bits below, over the same channels."""
    layout = style.base_layout(spec.theme, 420)
    sorted_by = "sorted by their 99.9 % magnitude" if spec.sort == "size" else "in their order"
    layout["xaxis"] = {
        "range": [-0.5, fan.channels - 0.5], "title": {"text": f"{fan.channels:,} {fan.name}s, "
        f"{sorted_by}"}, "anchor": "y", "showgrid": False, "zeroline": False,
    }  # fmt: skip
    if len(columns) < fan.channels:
        layout["xaxis"]["title"]["text"] += f" (about {fan.channels / len(columns):.1f} a column)"
    layout["yaxis"] = {
        "domain": [0, 0.2], "title": {"text": "bits used"}, "rangemode": "tozero", "nticks": 4,
        "visible": grids,
    }  # fmt: skip
    layout["yaxis2"] = {**axis.layout("value", most=15), "domain": [0.27 if grids else 0, 1]}
    layout |= {"dragmode": "zoom", "margin": {"l": 64, "r": 16, "t": 30, "b": 44}}
    layout["legend"] = {"x": 0, "y": 1.01, "yanchor": "bottom", "traceorder": "normal"}
    return layout


def _marks(columns: list[np.ndarray], axis: ValueAxis, spec: ViewSpec) -> list[dict[str, Any]]:
    """The chosen value range across, the probe, and the chosen channel."""
    look = style.theme(spec.theme)
    shapes: list[dict[str, Any]] = []
    across = {"xref": "paper", "x0": 0, "x1": 1, "yref": "y2"}
    if spec.selection is not None:
        low, high = map(float, axis.position(spec.selection))
        line = {"width": 1, "color": look.text}
        fill = style.clear(look.mark, 0.12)
        shapes.append(
            {"type": "rect", "y0": low, "y1": high, "fillcolor": fill, "line": line, **across}
        )
    if spec.probe is not None:
        at = float(axis.position(spec.probe))
        line = {"width": 1.5, "color": look.mark, "dash": "dot"}
        shapes.append({"type": "line", "y0": at, "y1": at, "line": line, **across})
    if spec.channel is not None:
        for x in (
            int(i) for i, c in zip(_places(columns), columns, strict=True) if spec.channel in c
        ):
            line = {"width": 2, "color": look.mark}
            end = {"xref": "x", "yref": "paper", "y0": 0, "y1": 1}
            shapes.append({"type": "line", "x0": x, "x1": x, "line": line, **end})
    return shapes


def _caption(fan: Fan, grids: Sequence[Grid], bits: Sequence[np.ndarray]) -> str:
    """Which channel sets the scale and how few bits the median channel uses."""
    if not fan.channels or not fan.largest.max():
        return f"Every {fan.name} is zero or empty."
    worst, median = int(fan.largest.argmax()), float(np.median(fan.largest))
    ratio = fan.largest[worst] / median if median else np.inf
    text = (
        f"One scale for the tensor is set by {fan.name} {worst}, whose largest value is "
        f"{number(ratio, 3)} times the median {fan.name}'s"
    )
    parts = [
        f"{np.median(used):.1f} of {grid.bits} bits of {grid.label}"
        for grid, used in zip(grids, bits, strict=True)
    ]
    return f"{text}; the median {fan.name} uses {', '.join(parts)}." if parts else text + "."


def _rows(
    fan: Fan, order: np.ndarray, grids: Sequence[Grid], bits: Sequence[np.ndarray]
) -> list[dict[str, Any]]:
    """One row a channel, in the order drawn."""
    rows = []
    for channel in map(int, order):
        row: dict[str, Any] = {fan.name: channel}
        for coverage, low, high in zip(COVERAGES, fan.low, fan.high, strict=True):
            row[f"{100 * coverage:g} % from"] = float(low[channel])
            row[f"{100 * coverage:g} % to"] = float(high[channel])
        for grid, used in zip(grids, bits, strict=True):
            row[f"bits used of {grid.label}"] = float(used[channel])
        rows.append(row)
    return rows


def _description(fan: Fan) -> str:
    return (
        f"Nested ribbons over {fan.channels:,} {fan.name}s, between which 50, 90, 99, 99.9 and 100 "
        "% of each one's values lie; lines where each format ends; below, the bits each one uses."
    )
