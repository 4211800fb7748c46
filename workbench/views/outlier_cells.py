"""The cells of the outlier map: a part of a pyramid, as coarse as a screen needs, and its reading.

A cell can be read as it is, or against the largest value of its channel or of its token, which is
what a scale for each of those would see.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from ..errors import WorkbenchError
from ..sketches import Pyramid

READINGS = ("tensor", "channel", "token")
FACTOR = 8.0  # an outlier channel's largest value over the median channel's
MOST_ROWS, MOST_COLUMNS = 96, 512  # cells; together some 270 kB as float32 in base64


@dataclass(frozen=True, eq=False)
class Cells:
    """Largest magnitudes of groups of tokens and channels, in the order drawn.

    Args:
        sizes: float64 `(rows, columns)`; infinite where a value is NaN or infinite.
        rows, columns: first and end index of each group, int64 `(groups, 2)`.
        row_max, column_max: the largest magnitude of each group over the whole tensor.
    """

    sizes: np.ndarray = field(repr=False)
    rows: np.ndarray = field(repr=False)
    columns: np.ndarray = field(repr=False)
    row_max: np.ndarray = field(repr=False)
    column_max: np.ndarray = field(repr=False)

    @cached_property
    def row_names(self) -> list[str]:
        """What each row of cells is called, such as "7" or "32–63"."""
        return [_name(*ends) for ends in self.rows.tolist()]

    @cached_property
    def column_names(self) -> list[str]:
        """What each column of cells is called."""
        return [_name(*ends) for ends in self.columns.tolist()]

    @property
    def size(self) -> tuple[int, int]:
        """How many tokens and channels a cell holds at most."""
        rows, columns = (np.ptp(ends, axis=1) for ends in (self.rows, self.columns))
        return int(rows.max(initial=1)), int(columns.max(initial=1))

    def place(self, row: int, column: int) -> tuple[int, int] | None:
        """Row and column of the cell that holds a value, None where it is out of the window."""
        down, across = _within(self.rows, row), _within(self.columns, column)
        return None if down is None or across is None else (down, across)

    def column_of(self, channel: int) -> int | None:
        """The column of cells that holds a channel, None where it is out of the window."""
        return _within(self.columns, channel)


@dataclass(frozen=True, eq=False)
class Reading:
    """Cells read against the largest value of the tensor, of their channel or of their token.

    Args:
        cells: what is shown.
        against: one of `READINGS`.
        threshold: magnitude from which a channel is an outlier.
        outliers: the channels beyond it, largest first, int64.

    Example:
        >>> cells = cells_of(Pyramid.of(np.float32([[1, 8], [2, 2]])))
        >>> Reading(cells, "channel", 4.0, np.array([1])).levels.tolist()
        [[-1.0, 0.0], [0.0, -2.0]]
    """

    cells: Cells
    against: str
    threshold: float
    outliers: np.ndarray = field(repr=False)

    @cached_property
    def levels(self) -> np.ndarray:
        """Log2 of every cell, absolute or against its own largest; NaN for zero and infinity."""
        size = self.cells.sizes
        if self.against == "channel":
            size = size / np.maximum(self.cells.column_max, np.finfo(float).tiny)
        if self.against == "token":
            size = size / np.maximum(self.cells.row_max, np.finfo(float).tiny)[:, None]
        usable = np.isfinite(size) & (size > 0)
        return np.log2(size, out=np.full(size.shape, np.nan), where=usable)

    @cached_property
    def known(self) -> np.ndarray:
        """The levels there are."""
        return self.levels[np.isfinite(self.levels)]

    @cached_property
    def range(self) -> tuple[float, float]:
        """The levels between which colours run: from well under the median up to the largest."""
        if not self.known.size:
            return -1.0, 0.0
        high = float(self.known.max())
        return min(float(np.floor(np.median(self.known) - 4)), high - 1), high

    @property
    def unused(self) -> float:
        """Bits of the range that the median cell leaves unused; 0 where there is none."""
        if not self.known.size:
            return 0.0
        top = float(self.known.max()) if self.against == "tensor" else 0.0
        return top - float(np.median(self.known))


def read(cells: Cells, pyramid: Pyramid, against: str, threshold: float | None) -> Reading:
    """Cells with the outlier channels of their pyramid.

    Args:
        cells: of `pyramid`.
        pyramid: of a (tokens, channels) matrix.
        against: one of `READINGS`.
        threshold: a positive magnitude, or None for 8 times the median channel's largest value.

    Example:
        >>> pyramid = Pyramid.of(np.float32([[1, 1, 9]]))
        >>> read(cells_of(pyramid), pyramid, "tensor", None).outliers.tolist()
        [2]
    """
    if against not in READINGS:
        raise WorkbenchError(
            f"reading {against!r}",
            "cells are read against the largest value of the tensor, a channel or a token",
            "write 'tensor', 'channel' or 'token'",
        )
    size = pyramid.column_max.astype(np.float64)
    if threshold is None:
        threshold = FACTOR * usual_size(pyramid) or np.inf
    elif not 0 < threshold < np.inf:
        raise WorkbenchError(
            f"a threshold of {threshold}", "it is a positive magnitude", "write 6.0 or None"
        )
    beyond = np.flatnonzero(np.isfinite(size) & (size > threshold))
    order = np.argsort(-size[beyond], kind="stable")
    return Reading(cells, against, float(threshold), beyond[order])


def cells_of(
    pyramid: Pyramid, window: tuple[int, int, int, int] | None = None, sort: str = "index"
) -> Cells:
    """The cells of a window of a pyramid, pooled until at most 96 x 512 of them are left.

    Args:
        pyramid: of a (tokens, channels) matrix.
        window: first token, end of the tokens, first channel, end of the channels; None for all.
        sort: order of the columns, "index" or "size" (largest first).

    A window outside the matrix or without a value, or another order, raises `WorkbenchError`.

    Example:
        >>> cells = cells_of(Pyramid.of(np.float32([[1, -9], [2, 3]])), sort="size")
        >>> cells.sizes.tolist(), cells.column_names
        ([[9.0, 1.0], [3.0, 2.0]], ['1', '0'])
    """
    top, bottom, left, right = _checked(window, pyramid.shape)
    rows, columns = pyramid.shape
    starts = np.arange(0, columns, pyramid.width)
    down = _groups(pyramid.row_starts, rows, top, bottom, MOST_ROWS)
    across = _groups(starts, columns, left, right, MOST_COLUMNS)
    order = _order(pyramid, across, sort)
    return Cells(
        sizes=_pooled(pyramid.pooled, pyramid.row_starts, starts, down, across)[:, order],
        rows=down,
        columns=across[order],
        row_max=_largest(pyramid.row_max, down),
        column_max=_largest(pyramid.column_max, across)[order],
    )


def usual_size(pyramid: Pyramid) -> float:
    """The largest magnitude of the median channel among those with values; 0 where there is none.

    Example:
        >>> usual_size(Pyramid.of(np.float32([[1, 3, 0], [2, 9, 0]])))
        5.5
    """
    size = pyramid.column_max[np.isfinite(pyramid.column_max) & (pyramid.column_max > 0)]
    return float(np.median(size)) if size.size else 0.0


def _checked(
    window: tuple[int, int, int, int] | None, shape: tuple[int, int]
) -> tuple[int, int, int, int]:
    rows, columns = shape
    if window is None:
        return 0, rows, 0, columns
    top, bottom, left, right = map(int, window)
    if not (0 <= top < bottom <= rows and 0 <= left < right <= columns):
        raise WorkbenchError(
            f"the window {tuple(window)}",
            f"there are {rows} tokens and {columns} channels",
            f"write (first token, end, first channel, end) within (0, {rows}, 0, {columns})",
        )
    return top, bottom, left, right


def _groups(starts: np.ndarray, count: int, first: int, end: int, most: int) -> np.ndarray:
    """First and end index of groups of neighbouring cells that cover a part, at most `most`."""
    ends = np.append(starts[1:], count)
    inside = np.flatnonzero((starts < end) & (ends > first))
    if not inside.size:
        return np.zeros((0, 2), np.int64)
    step = -(-inside.size // most)
    firsts, lasts = inside[::step], np.append(inside[step::step] - 1, inside[-1])
    return np.column_stack([starts[firsts], ends[lasts]])


def _pooled(
    pooled: np.ndarray, row_starts: np.ndarray, starts: np.ndarray, down: np.ndarray,
    across: np.ndarray,
) -> np.ndarray:  # fmt: skip
    """The largest value of each group of rows and of columns."""
    if not (down.size and across.size):
        return np.zeros((len(down), len(across)))
    rows = slice(*np.searchsorted(row_starts, [down[0, 0], down[-1, 1]]))
    columns = slice(*np.searchsorted(starts, [across[0, 0], across[-1, 1]]))
    part = pooled[rows, columns].astype(np.float64)
    part = np.maximum.reduceat(part, np.searchsorted(row_starts[rows], down[:, 0]), axis=0)
    return np.maximum.reduceat(part, np.searchsorted(starts[columns], across[:, 0]), axis=1)


def _largest(values: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """The largest entry of each group, float64."""
    return np.array([values[first:end].max() for first, end in groups], np.float64)


def _order(pyramid: Pyramid, across: np.ndarray, sort: str) -> np.ndarray:
    """The columns of cells as drawn."""
    if sort not in ("size", "index"):
        raise WorkbenchError(
            f"sort {sort!r}", "channels are sorted by size or by index", "write 'size'"
        )
    if sort == "index":
        return np.arange(len(across))
    return np.argsort(-_largest(pyramid.column_max, across), kind="stable")


def _within(groups: np.ndarray, at: int) -> int | None:
    found = np.flatnonzero((groups[:, 0] <= at) & (at < groups[:, 1]))
    return int(found[0]) if found.size else None


def _name(first: int, end: int) -> str:
    return str(first) if end - first == 1 else f"{first}–{end - 1}"


def ends_of(name: str) -> tuple[int, int]:
    """First and end index of a group of cells by the name that an axis shows.

    Example:
        >>> ends_of("7"), ends_of("32–63")
        ((7, 8), (32, 64))
    """
    first, _, last = str(name).partition("–")
    return int(first), int(last or first) + 1
