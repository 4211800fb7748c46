"""The outlier map: how large the values of each token and channel are, and who sets the scale.

A cell is the largest magnitude of its tokens and channels, so that no outlier is ever lost from
the picture. Read against the tensor's, its channel's or its token's largest value, it shows what
one scale for each of these leaves unused.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..sketches import Pyramid
from . import style
from .axis import number
from .outlier_cells import FACTOR, Cells, Reading, cells_of, read, usual_size
from .view import View, ViewSpec

MOST_NAMED, MOST_POINTS, MOST_FRAMED = 8, 16, 64


@dataclass(frozen=True)
class _Map:
    """What the parts of the picture are drawn from."""

    pyramid: Pyramid
    reading: Reading
    limit: str  # the threshold in words
    row: str
    spec: ViewSpec

    @property
    def cells(self) -> Cells:
        return self.reading.cells


def outlier_map(
    pyramid: Pyramid,
    spec: ViewSpec | Mapping[str, Any] | None = None,
    reading: str = "tensor",
    threshold: float | None = None,
    window: tuple[int, int, int, int] | None = None,
    row: str = "token",
) -> View:
    """Draw the largest magnitudes over tokens and channels, with the outlier channels named.

    Args:
        pyramid: of a (tokens, channels) activation, or of a weight.
        spec: theme, channel, channels, sort and selection (magnitudes; other cells are drawn as
            the least).
        reading: "tensor", "channel" or "token": whose largest value a cell is read against.
        threshold: magnitude from which a channel is an outlier, in the unit of the data, such as
            6.0 (Dettmers et al. 2022, "LLM.int8()"); None for 8 times the median channel's largest.
        window: first token, end of the tokens, first channel, end of the channels to show, as
            finely as the pyramid knows them; None for all.
        row: what a row is, "token" or such as "output".

    Example:
        >>> x = np.ones((8, 4), np.float32)
        >>> x[3, 2] = 64
        >>> outlier_map(Pyramid.of(x)).caption
        "Channel 2 exceeds 8 times the median channel's largest value; one scale for the tensor...
    """
    spec = ViewSpec.of(spec)
    found = read(cells_of(pyramid, window, spec.sort), pyramid, reading, threshold)
    usual = f"{FACTOR:g} times the median channel's largest value"
    limit = usual if threshold is None else f"a magnitude of {number(threshold)}"
    shown = _Map(pyramid, found, limit, row, spec)
    return View(
        name="outlier_map",
        title=f"Largest values of {row}s and channels",
        plot={"data": _traces(shown), "layout": _layout(shown)},
        caption=_caption(shown),
        provenance=_provenance(shown),
        table=lambda: _rows(shown),
        description=_description(shown),
        spec=spec,
    )


def _traces(shown: _Map) -> list[dict[str, Any]]:
    """The heat map, the strips of largest values beside it, and the marked points."""
    if not shown.cells.sizes.size:
        return []
    traces = [_heat(shown), *_strips(shown), *_points(shown)]
    broken = np.argwhere(~np.isfinite(shown.cells.sizes))[:200]
    if broken.size:
        traces.append(_symbols(shown, broken))
    return traces


def _heat(shown: _Map) -> dict[str, Any]:
    """One coloured cell a group of tokens and channels."""
    cells, (low, high) = shown.cells, shown.reading.range
    level = np.where(np.isfinite(cells.sizes), np.nan_to_num(shown.reading.levels, nan=low), high)
    if shown.spec.selection is not None:
        least, most = sorted(map(abs, shown.spec.selection))
        level = np.where((cells.sizes >= least) & (cells.sizes <= most), level, low)
    against = shown.reading.against
    share = "" if against == "tensor" else f" of its {against}'s largest value"
    return style.trace(
        "heatmap", x=cells.column_names, y=cells.row_names,
        z=np.clip(level, low, high).astype(np.float32), zmin=low, zmax=high,
        colorscale=style.cividis_scale(), colorbar=_colourbar(shown), name="largest |x|",
        hovertemplate=f"{shown.row} %{{y}}, channel %{{x}}<br>largest |x| = 2^%{{z:.2f}}{share}"
        "<extra></extra>",
    )  # fmt: skip


def _colourbar(shown: _Map) -> dict[str, Any]:
    """Ticks at powers of two; the lowest one stands for all that is smaller."""
    low, high = shown.reading.range
    every = max(1, int(np.ceil((high - low) / 8)))
    ticks = [e for e in range(int(low), int(np.floor(high)) + 1) if (e - int(low)) % every == 0]
    against = shown.reading.against
    title = "largest |x|" if against == "tensor" else "÷ its largest"
    texts = [style.power(e) for e in ticks]
    return {
        "tickvals": ticks, "ticktext": ["≤ " + texts[0], *texts[1:]], "len": 0.78, "y": 0,
        "yanchor": "bottom", "x": 1.01, "thickness": 12, "outlinewidth": 0,
        "tickfont": {"size": 11},
        "title": {"text": title, "font": {"size": 11}, "side": "top"},
    }  # fmt: skip


def _strips(shown: _Map) -> list[dict[str, Any]]:
    """The largest value of every column above the map, of every row beside it."""
    cells, look = shown.cells, style.theme(shown.spec.theme)
    line = {"color": look.quiet, "width": 1}
    above = {"yaxis": "y2", "fillcolor": look.data, "mode": "lines", "showlegend": False}
    beside = {**above, "yaxis": "y", "xaxis": "x2"}
    unseen = {"line": {"width": 0}, "hoverinfo": "skip", "name": "ground"}
    columns, rows = cells.column_names, cells.row_names
    ground, left = (_strip_range(size)[0] for size in (cells.column_max, cells.row_max))
    return [
        style.trace("scatter", x=[columns[0], columns[-1]], y=[ground] * 2, **above, **unseen),
        style.trace(
            "scatter", x=columns, y=_logs(cells.column_max), fill="tonexty", name="channels",
            line={**line, "shape": "hvh"}, **above,
            hovertemplate="channel %{x}<br>largest |x| = 2^%{y:.2f}<extra></extra>",
        ),
        style.trace("scatter", x=[left] * 2, y=[rows[0], rows[-1]], **beside, **unseen),
        style.trace(
            "scatter", x=_logs(cells.row_max), y=rows, fill="tonextx", name="rows",
            line={**line, "shape": "vhv"}, **beside,
            hovertemplate=f"{shown.row} %{{y}}<br>largest |x| = 2^%{{x:.2f}}<extra></extra>",
        ),
    ]  # fmt: skip


def _strip_range(sizes: np.ndarray) -> tuple[float, float]:
    """The ends of a strip's axis of log2 of magnitudes, from an octave under the smallest."""
    logs = [log for log in _logs(sizes) if log is not None] or [0.0]
    return float(np.floor(min(logs) - 1)), max(logs) + 0.3


def _logs(size: np.ndarray) -> list[float | None]:
    """Log2 of magnitudes, None where there is none."""
    return [round(float(np.log2(s)), 4) if np.isfinite(s) and s > 0 else None for s in size]


def _points(shown: _Map) -> list[dict[str, Any]]:
    """Rings around the largest single values, with rank, place and sign in their hover."""
    cells, top, values = shown.cells, shown.pyramid.top, shown.pyramid.top_values
    found = [(i, cells.place(int(r), int(c))) for i, (r, c) in enumerate(top)]
    found = [(i, place) for i, place in found if place is not None][:MOST_POINTS]
    places = {
        "x": [cells.column_names[column] for _, (_, column) in found],
        "y": [cells.row_names[row] for _, (row, _) in found],
        "mode": "markers", "showlegend": False, "name": "largest values",
    }  # fmt: skip
    # Black around white, as columns are often narrower than a ring and may be light or dark.
    ring = {"symbol": "circle-open", "size": 11, "color": "#000000", "line": {"width": 1.2}}
    return [
        style.trace("scatter", **places, marker=ring, hoverinfo="skip"),
        style.trace(
            "scatter", **places, marker={**ring, "size": 8.5, "color": "#FFFFFF"},
            customdata=[[i + 1, *top[i].tolist(), float(values[i])] for i, _ in found],
            hovertemplate=f"<b>%{{customdata[3]:.5g}}</b> at {shown.row} %{{customdata[1]}}, "
            "channel %{customdata[2]}<br>number %{customdata[0]} by magnitude<extra></extra>",
        ),
    ]  # fmt: skip


def _symbols(shown: _Map, broken: np.ndarray) -> dict[str, Any]:
    """Crosses over the cells that hold NaN or an infinity."""
    return style.trace(
        "scatter", mode="markers", showlegend=False, name="NaN or infinity", hoverinfo="name",
        x=[shown.cells.column_names[c] for _, c in broken],
        y=[shown.cells.row_names[r] for r, _ in broken],
        marker={"symbol": "x", "size": 7, "color": "#000000",
                "line": {"width": 1, "color": "#FFFFFF"}},
    )  # fmt: skip


def _layout(shown: _Map) -> dict[str, Any]:
    """The map, a strip above it and one at its right; tokens run downwards."""
    layout = style.base_layout(shown.spec.theme, 470)
    cells, by = shown.cells, shown.spec.sort
    order = "largest first" if by == "size" else "in their order"
    names = [str(first) for first in cells.columns[:, 0]]
    ranks = [str(rank) for rank in np.cumsum([0, *np.ptp(cells.columns, axis=1)[:-1]])]
    layout["xaxis"] = {
        **_category(cells.column_names, ranks if by == "size" else names, 12),
        "domain": [0, 0.89], "title": {"text": f"{shown.pyramid.shape[1]:,} channels, {order}"},
    }  # fmt: skip
    layout["yaxis"] = {
        **_category(cells.row_names, [str(first) for first in cells.rows[:, 0]], 8),
        "domain": [0, 0.78], "title": {"text": shown.row},
    }  # fmt: skip
    layout["yaxis"]["range"].reverse()
    layout["yaxis2"] = {"domain": [0.81, 1], "anchor": "x", **_strip_axis(cells.column_max, 3)}
    layout["xaxis2"] = {"domain": [0.905, 1], "anchor": "y", **_strip_axis(cells.row_max, 2)}
    layout["yaxis2"]["title"] = {"text": "largest"}
    layout |= {"dragmode": "zoom", "shapes": _marks(shown), "annotations": _names(shown)}
    layout["margin"] = {"l": 64, "r": 84, "t": 36, "b": 44}
    return layout


def _category(names: list[str], texts: list[str], most: int) -> dict[str, Any]:
    """An axis with a place for each group of cells, and about `most` ticks."""
    every = max(1, -(-len(names) // most))
    return {
        "type": "category", "categoryorder": "array", "categoryarray": names, "showgrid": False,
        "range": [-0.5, len(names) - 0.5], "tickvals": names[::every],
        "ticktext": texts[::every], "zeroline": False, "tickangle": 0,
    }  # fmt: skip


def _strip_axis(sizes: np.ndarray, most: int) -> dict[str, Any]:
    """An axis of log2 of magnitudes with about `most` ticks at powers of two."""
    low, high = _strip_range(sizes)
    every = max(1, int(np.ceil((high - low) / most)))
    ticks = [e for e in range(int(low), int(np.floor(high)) + 1) if e % every == 0]
    return {
        "range": [low, high], "tickvals": ticks, "ticktext": [style.power(e) for e in ticks],
        "zeroline": False, "fixedrange": True,
    }  # fmt: skip


def _marks(shown: _Map) -> list[dict[str, Any]]:
    """The threshold in the strip above, and the chosen channels through everything."""
    look = style.theme(shown.spec.theme)
    shapes: list[dict[str, Any]] = []
    threshold = shown.reading.threshold
    if np.isfinite(threshold):
        at = float(np.log2(threshold))
        shapes.append({
            "type": "line", "xref": "x domain", "x0": 0, "x1": 1, "yref": "y2", "y0": at, "y1": at,
            "line": {"width": 1.2, "color": look.mark, "dash": "dot"},
        })  # fmt: skip
    shapes += [
        {
            "type": "rect", "xref": "x", "x0": first - 0.5, "x1": last + 0.5, "yref": "paper",
            "y0": 0, "y1": 1, "line": {"width": 1.5, "color": style.FAMILIES["float"].colour},
        }
        for first, last in _runs(shown)[:MOST_FRAMED]
    ]  # fmt: skip
    return shapes


def _runs(shown: _Map) -> list[tuple[int, int]]:
    """First and last column of each unbroken run of columns that hold a chosen channel."""
    spec = shown.spec
    chosen = {spec.channel, *spec.channels} - {None}
    columns = sorted({shown.cells.column_of(int(c)) for c in chosen if c is not None} - {None})
    runs: list[tuple[int, int]] = []
    for column in columns:
        if runs and column == runs[-1][1] + 1:
            runs[-1] = (runs[-1][0], column)
        else:
            runs.append((column, column))
    return runs


def _names(shown: _Map) -> list[dict[str, Any]]:
    """The numbers of the largest outlier channels over their columns, on two lines at most."""
    cells = shown.cells
    places = {int(c): cells.column_of(int(c)) for c in shown.reading.outliers[:MOST_NAMED]}
    seen = sorted((column, channel) for channel, column in places.items() if column is not None)
    if shown.spec.sort == "size" and seen:  # they stand side by side: one text for all
        text = ", ".join(str(channel) for _, channel in seen)
        return [{**_name(shown, seen[0][0], text), "xanchor": "left"}]
    wide = 0.045 * len(cells.columns)
    ends = [-np.inf, -np.inf]  # of the last name on each line
    annotations = []
    for column, channel in seen:
        line = next((i for i in (0, 1) if column - ends[i] >= wide), None)
        if line is not None:
            ends[line] = column
            annotations.append({**_name(shown, column, str(channel)), "yshift": 13 * line})
    return annotations


def _name(shown: _Map, column: int, text: str) -> dict[str, Any]:
    """A text over a column of cells."""
    return {
        "text": f"<b>{text}</b>", "x": column, "xref": "x", "y": 1, "yref": "paper",
        "yanchor": "bottom", "showarrow": False,
        "font": {"size": 11, "color": style.theme(shown.spec.theme).text},
    }  # fmt: skip


def _caption(shown: _Map) -> str:
    """Which channels are outliers, and how many bits a scale leaves unused."""
    pyramid, found = shown.pyramid, shown.reading
    if not found.known.size:
        return "Every value is zero, or there is none."
    count, channels = found.outliers.size, pyramid.shape[1]
    names = ", ".join(map(str, found.outliers[:MOST_NAMED])) + ", …" * (count > MOST_NAMED)
    who = f"{count} of {channels:,} channels ({names}) exceed" if count else "No channel exceeds"
    who = f"Channel {names} exceeds" if count == 1 else who
    one = {"tensor": "one scale for the tensor", "channel": "a scale for each channel",
           "token": f"a scale for each {shown.row}"}[found.against]  # fmt: skip
    text = f"{who} {shown.limit}; {one} leaves the median cell {found.unused:.1f} bits of its range"
    broken = int((~np.isfinite(shown.cells.sizes)).sum())
    more = f"; {broken} cells hold NaN or infinities" if broken else ""
    if shown.spec.selection is not None:
        least, most = map(number, sorted(map(abs, shown.spec.selection)))
        more += f"; cells whose largest value is not between {least} and {most} are dark"
    return f"{text} unused{more}."


def _provenance(shown: _Map) -> str:
    rows, columns = shown.cells.size
    parts = [f"{n} {name}s" for n, name in ((rows, shown.row), (columns, "channel")) if n > 1]
    return f"exact, the largest of {' × '.join(parts)} in each cell" if parts else "exact"


def _rows(shown: _Map) -> list[dict[str, Any]]:
    """One row a channel, in the order drawn."""
    size = shown.pyramid.column_max.astype(np.float64)
    median, top = usual_size(shown.pyramid), float(size[np.isfinite(size)].max(initial=0))
    order = np.argsort(-size, kind="stable") if shown.spec.sort == "size" else range(size.size)
    return [
        {
            "channel": int(channel),
            "largest |x|": float(size[channel]),
            "times the median channel's": float(size[channel] / median) if median else None,
            "bits unused under one scale": _unused(float(size[channel]), top),
            "outlier": bool(np.isfinite(size[channel]) and size[channel] > shown.reading.threshold),
        }
        for channel in order
    ]


def _unused(size: float, top: float) -> float | None:
    """How many octaves a channel lies under the largest one; None where it is zero or infinite."""
    return round(float(np.log2(top / size)), 3) if 0 < size < np.inf else None


def _description(shown: _Map) -> str:
    rows, columns = shown.pyramid.shape
    return (
        f"A heat map of the largest magnitudes of {rows:,} {shown.row}s by {columns:,} channels, "
        "lighter for larger; above it the largest of each channel with a dotted line from which "
        f"channels are outliers, at its right the largest of each {shown.row}; rings around the "
        "largest values."
    )
