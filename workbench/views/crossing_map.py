"""The method matrix: transforms by solvers, the lighter the worse, with published methods named.

A click on a cell gives the texts of its transforms and of its solver.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from ..studies.crossing import AS_IT_IS, Cell, Crossing, best
from . import style
from .axis import number
from .view import View, ViewSpec

ROW, MOST_NAMES, MOST_LETTERS = 54, 2, 18  # pixels of a row; names in a cell, and their length
REFUSED, WAITING = "✕", "·"


def crossing_map(
    crossing: Crossing,
    cells: Sequence[Cell],
    figure: str,
    unit: str = "",
    provenance: str = "exact",
    spec: ViewSpec | Mapping[str, Any] | None = None,
    chosen: tuple[str, str] | None = None,
) -> View:
    """Draw what every pair of transforms and solver gives under one scheme.

    Args:
        crossing: the pairs there are.
        cells: those that have been measured or refused by now, in any order.
        figure: what is measured; less is better.
        unit: of it.
        provenance: what it was measured on.
        spec: the theme; see `ViewSpec`.
        chosen: transform and solver that are looked at, or None.

    Example:
        >>> pairs = Crossing("w=int4/channel", ("", "smooth"), ("nearest",))
        >>> two = [Cell("", "nearest", "w=int4/channel", 0.02, 0.01, 0.03, 4.1),
        ...        Cell("smooth", "nearest", "smooth w=int4/channel", 0.01, 0.01, 0.01, 4.1)]
        >>> crossing_map(pairs, two, "error").caption
        'nearest behind smooth has the least error, 0.01, 0.5 of rounding to nearest as it is.'
    """
    spec = ViewSpec.of(spec)
    grid = {(cell.transform, cell.solver): cell for cell in cells}
    return View(
        name="crossing_map",
        title=f"Every transform with every solver: {figure}",
        plot={
            "data": [_heat(crossing, grid, figure, unit), _texts(crossing, grid, spec)],
            "layout": _layout(crossing, spec, chosen),
        },
        caption=_caption(crossing, grid, figure),
        provenance=provenance,
        table=lambda: [cell.record() for cell in cells],
        description=f"A cell for every pair under {crossing.base}: transforms from top to bottom, "
        f"solvers from left to right, {figure} in the cell, darker is better. Names are published "
        f"methods that have these parts; {REFUSED} is a pair that makes no sense, with its reason.",
        spec=spec,
    )


def _row_names(crossing: Crossing) -> list[str]:
    return [transform or AS_IT_IS for transform in crossing.transforms]


def _levels(crossing: Crossing, grid: Mapping[tuple[str, str], Cell]) -> np.ndarray:
    """log2 of each value, NaN where there is none; values of zero an octave under the least."""
    values = np.array([
        [getattr(grid.get((transform, solver)), "value", None) for solver in crossing.solvers]
        for transform in crossing.transforms
    ], np.float64)  # fmt: skip
    least = np.nanmin(values, where=values > 0, initial=np.inf)
    floor = least / 2 if np.isfinite(least) else 1.0
    with np.errstate(invalid="ignore"):
        return np.log2(np.where(values <= 0, floor, values))


def _range(levels: np.ndarray) -> tuple[float, float]:
    known = levels[np.isfinite(levels)]
    if not known.size:
        return 0.0, 1.0
    low, high = float(known.min()), float(known.max())
    return (low, high) if high > low else (low - 1, high)


def _heat(crossing: Crossing, grid, figure: str, unit: str) -> dict[str, Any]:
    """The coloured cells; each carries its texts and what is said when it is pointed at."""
    levels = _levels(crossing, grid)
    low, high = _range(levels)
    ticks = np.linspace(low, high, 5)
    return style.trace(
        "heatmap", x=list(crossing.solvers), y=_row_names(crossing), zmin=low, zmax=high,
        z=[[round(float(v), 4) if np.isfinite(v) else None for v in line] for line in levels],
        xgap=2, ygap=2, colorscale=style.cividis_scale(), hoverongaps=True, name=figure,
        customdata=[[[t, s, *_hover(grid.get((t, s)), figure, unit)] for s in crossing.solvers]
                    for t in crossing.transforms],
        hovertemplate="<b>%{customdata[2]}</b><br>%{customdata[3]}<extra></extra>",
        colorbar={"tickvals": ticks.tolist(), "thickness": 12, "outlinewidth": 0, "x": 1.01,
                  "ticktext": [number(float(2.0**t), 2) for t in ticks], "tickfont": {"size": 11}},
    )  # fmt: skip


def _hover(cell: Cell | None, figure: str, unit: str) -> tuple[str, str]:
    if cell is None:
        return "", "not measured yet"
    if cell.value is None:
        return cell.recipe, cell.refused
    said = f"{figure} {number(cell.value)} ({number(cell.low)} to {number(cell.high)}) {unit}"
    names = ", ".join(f"{paper.name}: {paper.says}" for paper in cell.papers)
    more = f"{cell.bits:.2f} bits a weight, {cell.seconds:.2g} s"
    return cell.recipe, "<br>".join(part for part in (said.rstrip(), more, names) if part)


def _texts(crossing: Crossing, grid, spec: ViewSpec) -> dict[str, Any]:
    texts = list(_cell_texts(crossing, grid, spec))
    return style.trace(
        "scatter", x=[one[1] for one in texts], y=[one[0] for one in texts], mode="text",
        text=[one[2] for one in texts], hoverinfo="skip", showlegend=False, name="figures",
        textfont={"size": 12, "color": [one[3] for one in texts]},
    )  # fmt: skip


def _cell_texts(crossing: Crossing, grid, spec: ViewSpec) -> Iterator[tuple[str, str, str, str]]:
    """Row, column, text and ink of every cell."""
    levels, quiet = _levels(crossing, grid), style.theme(spec.theme).quiet
    low, high = _range(levels)
    first = best(list(grid.values()))
    for (row, column), level in np.ndenumerate(levels):
        transform, solver = crossing.transforms[row], crossing.solvers[column]
        cell, place = grid.get((transform, solver)), (transform or AS_IT_IS, solver)
        if cell is None or cell.value is None:
            yield *place, WAITING if cell is None else REFUSED, quiet
            continue
        text = number(cell.value, 3)
        text = f"<b>{text}</b>" if cell is first else text
        yield *place, text + _names(cell), style.ink(style.cividis((level - low) / (high - low)))


def _names(cell: Cell) -> str:
    """The methods that a cell is, a line each, as many as it has room for."""
    names = [paper.name for paper in cell.papers]
    lines = [one if len(one) <= MOST_LETTERS else f"{one[: MOST_LETTERS - 1]}…" for one in names]
    if len(lines) > MOST_NAMES:
        lines[MOST_NAMES - 1 :] = [f"and {len(names) - MOST_NAMES + 1} more"]
    return "".join(f'<br><span style="font-size:9px">{line}</span>' for line in lines)


def _layout(crossing: Crossing, spec: ViewSpec, chosen: tuple[str, str] | None) -> dict[str, Any]:
    rows, columns = _row_names(crossing), list(crossing.solvers)
    layout = style.base_layout(spec.theme, 74 + ROW * len(rows))
    layout["margin"] = {"l": 130, "r": 70, "t": 44, "b": 16}
    layout["xaxis"] = {
        "type": "category", "categoryarray": columns, "side": "top", "showgrid": False,
        "ticks": "", "range": [-0.5, len(columns) - 0.5], "tickangle": 0, "tickfont": {"size": 11},
        "ticktext": [name.replace("(", "<br>(") for name in columns], "tickvals": columns,
    }  # fmt: skip
    layout["yaxis"] = {
        "type": "category", "categoryarray": rows, "showgrid": False, "ticks": "",
        "range": [len(rows) - 0.5, -0.5],
    }  # fmt: skip
    if chosen and chosen[0] in crossing.transforms and chosen[1] in crossing.solvers:
        row, column = crossing.transforms.index(chosen[0]), columns.index(chosen[1])
        layout["shapes"] = [{
            "type": "rect", "x0": column - 0.5, "x1": column + 0.5, "y0": row - 0.5,
            "y1": row + 0.5, "line": {"width": 3, "color": style.FAMILIES["float"].colour},
        }]  # fmt: skip
    return layout


def _caption(crossing: Crossing, grid, figure: str) -> str:
    """The best pair against plain rounding, how many are refused, how many are still to come."""
    first = best(list(grid.values()))
    if first is None:
        return "Nothing was measured yet."
    text = f"{first.solver} behind {first.transform or 'no transform'} has the least {figure}, "
    text += number(first.value, 3)
    plain = grid.get(("", "nearest"))
    if plain is not None and plain.value and plain is not first:
        text += f", {number(first.value / plain.value, 2)} of rounding to nearest as it is"
    refused = sum(bool(cell.refused) for cell in grid.values())
    left = len(crossing.pairs) - len(grid)
    text += f"; refused with a reason: {refused}" if refused else ""
    return text + (f"; still to come: {left} of {len(crossing.pairs)}." if left else ".")
