"""A failing case that is about arrays, as a picture: small matrices with the entries that differ.

Plain SVG in the colour of the surrounding text. Entries are shaded by magnitude, so that a large
channel is seen; what was expected is framed, and what came is framed by a dashed line.
"""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from .picture import BLUE, ORANGE, WIDTH

MOST_ROWS, MOST_COLUMNS = 6, 8
CELL, LINE, LEFT = 62, 22, 40
FRAMES = {"expected": (BLUE, ""), "yours": (ORANGE, ' stroke-dasharray="5 3"')}


@dataclass(frozen=True)
class Matrix:
    """One array of the picture.

    Args:
        name: what stands over it.
        values: numbers of at most two axes; one axis is a row.
        framed: for "expected" and "yours", the row and column of an entry that is framed, or None
            for the row to frame a whole column.
    """

    name: str
    values: np.ndarray
    framed: Mapping[str, tuple[int | None, int]] = field(default_factory=dict)

    @property
    def rows(self) -> np.ndarray:
        """The values as a matrix."""
        return np.atleast_2d(np.asarray(self.values, np.float64))


def matrices(parts: Sequence[Matrix]) -> str:
    """SVG of matrices under each other; of a large one the part with what is framed.

    Example:
        >>> picture = matrices([Matrix("x", np.eye(2), {"yours": (0, 1)})])
        >>> picture.count("<svg"), picture.count("stroke-dasharray")
        (1, 1)
    """
    drawn, top = [], 0
    for part in parts:
        if part.rows.size:
            body, height = _matrix(part, top)
            drawn.append(body)
            top += height
    said = html.escape("; ".join(f"{part.name}, {_shape(part)}" for part in parts))
    return (
        f'<svg role="img" aria-label="{said}" viewBox="0 0 {WIDTH} {top}" width="{WIDTH}" '
        'style="max-width:100%;height:auto" font-family="system-ui, sans-serif" font-size="12" '
        f'fill="currentColor">{"".join(drawn)}</svg>'
    )


def number_text(value: float) -> str:
    """A number as it fits into a cell.

    Example:
        >>> number_text(0.0123456), number_text(-3.0), number_text(float("nan"))
        ('0.0123', '−3', 'NaN')
    """
    if np.isnan(value):
        return "NaN"
    return f"{value:.3g}".replace("-", "−").replace("inf", "∞")


def _shape(part: Matrix) -> str:
    return " by ".join(map(str, np.shape(part.values))) or "one number"


def _matrix(part: Matrix, top: int) -> tuple[str, int]:
    """One matrix from `top` on, and how high it is."""
    values = part.rows
    down, across = _window(part)
    shown = values[down, across]
    title = f"{part.name}, {_shape(part)}"
    title += f", {shown.shape[0]} by {shown.shape[1]} of it shown" * (shown.size < values.size)
    title += "; framed: expected, dashed: yours" * (len(part.framed) == 2)
    finite = np.abs(values[np.isfinite(values)])
    largest = float(finite.max(initial=0)) or 1.0
    parts = [f'<text x="0" y="{top + 15}" font-weight="600">{html.escape(title)}</text>']
    parts += [_number(j, across, top + 33) for j in range(shown.shape[1])]
    for (i, j), value in np.ndenumerate(shown):
        parts.append(_cell(LEFT + CELL * j, top + 38 + LINE * i, float(value), largest))
    parts += [_frame(role, place, down, across, top + 38, len(shown))
              for role, place in part.framed.items()]  # fmt: skip
    return "".join(parts), 38 + LINE * len(shown) + 14


def _window(part: Matrix) -> tuple[slice, slice]:
    """The rows and columns shown: the first ones, or those up to what is framed."""
    places = list(part.framed.values())
    ends = [max([place[axis] or 0 for place in places], default=0) for axis in (0, 1)]
    starts = [max(0, end - most + 1)
              for end, most in zip(ends, (MOST_ROWS, MOST_COLUMNS), strict=True)]  # fmt: skip
    return slice(starts[0], starts[0] + MOST_ROWS), slice(starts[1], starts[1] + MOST_COLUMNS)


def _number(j: int, across: slice, y: int) -> str:
    """The number of a column over it."""
    return (
        f'<text x="{LEFT + CELL * j + CELL / 2:g}" y="{y}" font-size="10" fill-opacity="0.75" '
        f'text-anchor="middle">{across.start + j}</text>'
    )


def _cell(x: float, y: float, value: float, largest: float) -> str:
    """One entry, the darker the larger it is."""
    shade = 0.3 * min(abs(value) / largest, 1.0) if np.isfinite(value) else 0.0
    return (
        f'<rect x="{x}" y="{y}" width="{CELL - 2}" height="{LINE - 2}" fill-opacity="{shade:.3f}" '
        'stroke="currentColor" stroke-opacity="0.25"/>'
        f'<text x="{x + CELL / 2 - 1:g}" y="{y + 14}" text-anchor="middle">{number_text(value)}'
        "</text>"
    )


def _frame(
    role: str, place: tuple[int | None, int], down: slice, across: slice, top: int, rows: int
) -> str:
    """A frame around an entry or a whole column; nothing where it is not shown."""
    row, column = place
    j, i = column - across.start, 0 if row is None else row - down.start
    if not 0 <= j < MOST_COLUMNS:
        return ""
    tall = LINE * (rows if row is None else 1)
    colour, dash = FRAMES[role]
    return (
        f'<rect x="{LEFT + CELL * j - 1}" y="{top + LINE * i - 1}" width="{CELL}" height="{tall}" '
        f'fill="none" stroke="{colour}" stroke-width="2.5"{dash}/>'
    )
