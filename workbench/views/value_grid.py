"""The value grid: every code of up to four formats over the density of the data.

One strip a format, one tick a code; under them the step size relative to the value, whose sawtooth
is the relative error that rounding can make at most.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from . import style
from .axis import ValueAxis, axis_for, number
from .summaries import Grid, Histogram
from .view import View, ViewSpec

MOST_TICKS = 2000
BARS = 280
STRIP = 26  # pixels
LINE_HEIGHT = 1.3  # of plotly's texts, in font sizes
_ROWS = {"data": 3, "strips": 2, "step": 1}  # y axis number of each panel


def value_grid(
    grids: Sequence[Grid],
    histogram: Histogram | None = None,
    spec: ViewSpec | Mapping[str, Any] | None = None,
) -> View:
    """Draw the codes of `grids` over the data of `histogram`.

    Args:
        grids: one to four, as `grid_of` or `Overlay` make them.
        histogram: of the data, or None for the formats alone.
        spec: theme, axis, window, selection and probe; see `ViewSpec`.

    Example:
        >>> import workbench as wb
        >>> from workbench.views.summaries import grid_of
        >>> view = value_grid([grid_of(wb.format("e2m1"))])
        >>> view.data()[-1]["value"], view.caption
        (6.0, 'e2m1 has 15 values from −6 to 6.')
    """
    spec = ViewSpec.of(spec)
    axis = axis_of(grids, histogram, spec)
    looks = style.identities([grid.family for grid in grids], spec.theme)
    counts = [None if histogram is None else grid.occupancy(histogram) for grid in grids]
    layout = _layout(grids, axis, spec, histogram is not None)
    layout["shapes"] = _marks(axis, spec)
    traces = [] if histogram is None else [_density(histogram, axis, spec)]
    for row, (grid, look, count) in enumerate(zip(grids, looks, counts, strict=True)):
        traces += _strip(grid, look, count, len(grids) - 1 - row, axis, spec)
        traces.append(_sawtooth(grid, look, axis))
    return View(
        name="value_grid",
        title="Values of the formats over the data",
        plot={"data": traces, "layout": layout},
        caption=_caption(grids, counts, histogram),
        provenance="exact" if histogram is None else histogram.provenance,
        table=lambda: _rows(grids, counts),
        description=_description(grids, histogram),
        spec=spec,
    )


def axis_of(grids: Sequence[Grid], histogram: Histogram | None, spec: ViewSpec) -> ValueAxis:
    """The axis over the data, or over all formats where that is asked for or there is no data."""
    if histogram is not None and histogram.total and spec.window == "data":
        return histogram.axis(spec.axis)
    ends = [v for grid in grids for v in (grid.values[0], grid.values[-1])]
    if histogram is not None and histogram.total:
        ends += [float(histogram.low[0]), float(histogram.high[-1])]
    smallest = min((float(grid.values[grid.values > 0][0]) for grid in grids), default=1.0)
    largest = float(max(map(abs, ends), default=1.0))
    return axis_for(largest, max(smallest, largest * 2.0**-40) * 64, spec.axis, min(ends) < 0)


def _layout(grids: Sequence[Grid], axis: ValueAxis, spec: ViewSpec, data: bool) -> dict[str, Any]:
    """Three panels over one value axis: data, strips, step size."""
    look = style.theme(spec.theme)
    strips = STRIP * len(grids)
    heights = {"step": 110, "strips": strips, "data": 100 if data else 0}
    total, gap, at = sum(heights.values()) + 28, 14, 0
    layout = style.base_layout(spec.theme, total + 84)
    for name, number_ in (("step", 1), ("strips", 2), ("data", 3)):
        top = at + heights[name]
        if heights[name]:
            layout[f"yaxis{number_ if number_ > 1 else ''}"] = {
                "domain": [at / total, min(top / total, 1)],
                **_Y_AXES[name],
            }
        at = top + gap
    layout["yaxis2"] |= {
        "tickvals": list(range(len(grids))),
        "ticktext": [f"<b>{grid.label}</b>" for grid in reversed(grids)],
        "range": [-0.55, len(grids) - 0.45],
    }
    layout["xaxis"] = axis.layout(
        "value (symmetric log, powers of two)" if axis.kind == "symlog2" else "value", most=13
    )
    layout["xaxis"] |= {"anchor": "y", "showgrid": True}
    layout["annotations"] = [_tray(grids, look)]
    layout |= {"showlegend": False, "dragmode": "select", "selectdirection": "h", "selections": []}
    longest = max(len(grid.label) for grid in grids)
    layout["margin"] = {"l": max(84, 16 + 7 * longest), "r": 112, "t": 8, "b": 44}
    for name in [key for key in layout if key[1:].startswith("axis")]:
        layout[name]["automargin"] = False  # which would measure every label on every move
    return layout  # fmt: skip


_Y_AXES: dict[str, dict[str, Any]] = {
    "data": {
        "title": {"text": "share of<br>the data"}, "tickformat": ".1~%", "nticks": 3,
        "rangemode": "tozero", "fixedrange": True,
    },
    "strips": {"showgrid": False, "zeroline": False, "ticks": "", "fixedrange": True},
    "step": {
        "title": {"text": "step ÷ value"}, "type": "log", "range": [-2.86, 0.15],
        "tickmode": "array", "tickvals": [2**-8, 2**-4, 1], "ticktext": ["0.4 %", "6 %", "100 %"],
        "zeroline": False, "fixedrange": True,
    },
}  # fmt: skip


def _tray(grids: Sequence[Grid], look: style.Theme) -> dict[str, Any]:
    """Beside the strips, in one text as many lines high, the codes that are no finite value."""
    lines = [" · ".join(grid.specials) or "no specials" for grid in grids]
    small = [f'<span style="font-size:11px">{line}</span>' for line in lines]
    return {
        "xref": "paper", "x": 1.006, "xanchor": "left", "yref": "y2", "y": (len(grids) - 1) / 2,
        "text": "<br>".join(small), "showarrow": False, "align": "left",
        "font": {"size": STRIP / LINE_HEIGHT, "color": look.quiet},
    }  # fmt: skip


def _density(histogram: Histogram, axis: ValueAxis, spec: ViewSpec) -> Any:
    """The ridge: share of the values in each of many bars evenly wide on the axis."""
    edges = axis.places(BARS + 1)
    shares = histogram.between(axis.value(edges)) / max(histogram.total, 1)
    look = style.theme(spec.theme)
    return style.trace(
        "scatter",
        x=np.repeat(edges, 2)[1:-1], y=np.repeat(shares, 2), yaxis="y3", mode="lines",
        fill="tozeroy", fillcolor=style.clear(look.data, 0.75),
        line={"width": 1, "color": look.quiet},
        customdata=np.repeat(axis.value(0.5 * (edges[1:] + edges[:-1])), 2),
        hovertemplate="about %{customdata:.4g}<br>%{y:.3%} of the data<extra></extra>",
        name="data",
    )  # fmt: skip


def _strip(
    grid: Grid, look: style.Identity, counts: Any, row: int, axis: ValueAxis, spec: ViewSpec
) -> list[Any]:
    """The ticks of one format, or bars of their density where there are too many."""
    x = axis.position(grid.values)
    seen = (x >= axis.range[0]) & (x <= axis.range[1])
    if np.count_nonzero(seen) > MOST_TICKS:
        return [_dense_strip(x[seen], look, row, axis, grid.label)]
    paler = style.mix(look.colour, style.theme(spec.theme).paper, 0.68)
    used = np.ones(x.size, bool) if counts is None else ~(counts < 0.5)
    kinds = [("unused", ~used, paler), ("used", used, look.colour)]
    chosen = ((name, np.flatnonzero(seen & those), colour) for name, those, colour in kinds)
    return [
        _ticks(grid, counts, x, at, row, colour, name) for name, at, colour in chosen if at.size
    ]


def _ticks(
    grid: Grid, counts: Any, x: np.ndarray, at: np.ndarray, row: int, colour: str, name: str
) -> Any:
    """Values of one kind as one line that goes up at each, like a ruler's edge.

    One line draws in a fraction of the time of a mark for each value. Subnormals go up half as far.
    """
    foot, tiny = row - 0.45, grid.subnormal[at]
    tops = foot + np.where(tiny, 0.42, 0.85)
    digits = (grid.bits + 3) // 4
    feet = np.full(at.size, foot)
    return style.trace(
        "scatter",
        x=np.repeat(x[at], 3), y=np.column_stack([feet, tops, feet]).ravel(), yaxis="y2",
        mode="lines", line={"width": 1.6, "color": colour, "simplify": False},
        customdata=np.repeat(_hover(grid, counts, at), 3, axis=0),
        text=_words(tiny),
        hovertemplate=f"<b>{grid.label}</b> code %{{customdata[3]:#0{digits + 2}x}} = "
        f"%{{customdata[3]:0{grid.bits}b}}%{{text}}{_template(counts)}",
        meta={"scheme": grid.label}, name=f"{grid.label} {name}",
    )  # fmt: skip


def _words(tiny: np.ndarray) -> list[str] | str:
    """What the hover adds for each of a line's three points a tick."""
    if not tiny.any():
        return ""
    return np.repeat(np.where(tiny, " subnormal", ""), 3).tolist()


def _known(counts: Any) -> bool:
    """Whether it is known how many values became each of a grid's."""
    return counts is not None and not np.isnan(counts).any()


def _template(counts: Any) -> str:
    """What a tick says when it is pointed at."""
    share = "<br>%{customdata[2]:.3%} of the data rounds to it" if _known(counts) else ""
    return f"<br>value %{{customdata[0]:.6g}}<br>step %{{customdata[1]:.4g}}{share}<extra></extra>"


def _hover(grid: Grid, counts: Any, at: np.ndarray) -> np.ndarray:
    """Value, step, share of the data that rounds to it, and code, float64 (ticks, 4)."""
    shares = counts[at] / max(counts.sum(), 1) if _known(counts) else np.zeros(at.size)
    return np.column_stack([grid.values[at], grid.step(grid.values[at]), shares, grid.codes[at]])


def _dense_strip(x: np.ndarray, look: style.Identity, row: int, axis: ValueAxis, name: str) -> Any:
    """Codes a bar, as the height of bars inside the strip."""
    edges = axis.places(BARS + 1)
    counts = np.histogram(x, edges)[0]
    heights = counts / max(counts.max(), 1) * 0.8
    return style.trace(
        "bar",
        x=0.5 * (edges[1:] + edges[:-1]), y=heights, base=row - 0.4, width=np.diff(edges),
        yaxis="y2", marker={"color": look.colour, "line": {"width": 0}}, customdata=counts,
        hovertemplate=f"<b>{name}</b><br>%{{customdata}} codes here<extra></extra>",
        name=name, meta={"scheme": name},
    )  # fmt: skip


def _sawtooth(grid: Grid, look: style.Identity, axis: ValueAxis) -> Any:
    """Step over value along the axis, from the format's smallest to its largest value."""
    x = axis.samples(481)
    x = x[(x >= grid.min) & (x <= grid.max)]
    with np.errstate(divide="ignore", over="ignore"):
        ratio = np.minimum(grid.step(x) / np.abs(x), 2.0)
    return style.trace(
        "scatter",
        x=axis.position(x), y=ratio, mode="lines", yaxis="y",
        line={"color": look.colour, "width": 1.6, "dash": look.dash},
        customdata=x,
        hovertemplate=f"<b>{grid.label}</b> at %{{customdata:.4g}}<br>"
        "step %{y:.2%} of the value<extra></extra>",
        name=f"{grid.label} step", meta={"scheme": grid.label},
    )  # fmt: skip


def _marks(axis: ValueAxis, spec: ViewSpec) -> list[dict[str, Any]]:
    """The chosen range and the probe, through all panels."""
    look = style.theme(spec.theme)
    common = {"xref": "x", "yref": "paper", "y0": 0, "y1": 1}
    shapes: list[dict[str, Any]] = []
    if spec.selection is not None:
        low, high = map(float, axis.position(spec.selection))
        fill = {"fillcolor": style.clear(look.mark, 0.08), "layer": "below"}
        line = {"width": 1, "color": look.quiet}
        shapes.append({"type": "rect", "x0": low, "x1": high, "line": line, **fill, **common})
    if spec.probe is not None:
        at = float(axis.position(spec.probe))
        line = {"width": 1.5, "color": look.mark, "dash": "dot"}
        shapes.append({"type": "line", "x0": at, "x1": at, "line": line, **common})
    return shapes


def _caption(grids: Sequence[Grid], counts: Sequence[Any], histogram: Histogram | None) -> str:
    """How many codes of each format the data leaves unused."""
    if histogram is None:
        parts = [
            f"{g.label} has {g.values.size:,} values from {number(g.min)} to {number(g.max)}"
            for g in grids
        ]
        return "; ".join(parts) + "."
    if not histogram.total:
        return "There are no finite values to lay the formats over."
    parts = [_unused(grid, count) for grid, count in zip(grids, counts, strict=True)]
    return f"Values that no datum rounds to: {', '.join(parts)}."


def _unused(grid: Grid, count: np.ndarray) -> str:
    """How many values of one format are unused, where that is known."""
    if not _known(count):
        return f"{grid.label} not counted"
    unused = int(np.count_nonzero(count < 0.5))
    return f"{unused / grid.values.size:.0%} of {grid.label} ({unused:,} of {grid.values.size:,})"


def _rows(grids: Sequence[Grid], counts: Sequence[Any]) -> list[dict[str, Any]]:
    """One row a value of each format; a format of more than 4,096 values gives its first 4,096."""
    rows = []
    for grid, count in zip(grids, counts, strict=True):
        steps = grid.step(grid.values)
        total = 1 if count is None else max(float(count.sum()), 1.0)
        rows += [
            {
                "scheme": grid.label,
                "code": int(grid.codes[i]),
                "bits": f"{int(grid.codes[i]):0{grid.bits}b}",
                "value": float(grid.values[i]),
                "step": float(steps[i]),
                "subnormal": bool(grid.subnormal[i]),
                "share of data": _share(count, i, total),
            }
            for i in range(min(grid.values.size, 4096))
        ]
    return rows


def _share(count: Any, index: int, total: float) -> float | None:
    """Share of the data that one value got; None where it is not known."""
    return None if count is None or np.isnan(count[index]) else float(count[index] / total)


def _description(grids: Sequence[Grid], histogram: Histogram | None) -> str:
    """The picture in words."""
    strips = "; ".join(
        f"{g.label} has {g.values.size:,} values from {number(g.min)} to {number(g.max)}"
        f"{', ' + g.note if g.note else ''}" for g in grids
    )  # fmt: skip
    if histogram is None:
        return f"One strip of ticks for each format. {strips}."
    return (
        f"Above, the density of {histogram.total:,.0f} values, whose largest magnitude is "
        f"{number(histogram.largest)}; below it one strip of ticks for each format. {strips}."
    )
