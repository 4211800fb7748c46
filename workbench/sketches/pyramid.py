"""Where the large values of a matrix lie: a pyramid of largest magnitudes, the top list, marginals.

Pooling takes maxima, so no large value is ever lost from the picture.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import WorkbenchError
from ..kernels import arrays
from ..kernels.pyramids import pool_magnitudes

SIDE = 512  # cells a side of the finest level
TOP = 64  # largest values kept with their places


@dataclass(frozen=True, eq=False)
class Pyramid:
    """The largest magnitudes of a (rows, cols) matrix; rows are usually tokens.

    Args:
        pooled: float32 (at most 512, at most 512), the largest |x| of each cell; inf for NaN.
        row_starts: int64, the first row of each row of cells.
        width: columns a cell is wide; the last may be narrower.
        row_max, column_max: float32, the largest |x| of every row and column.
        top: int64 (k, 2), row and column of the k largest finite |x|, largest first; `top_values`
            float32 with their signs.
    """

    pooled: np.ndarray = field(repr=False)
    row_starts: np.ndarray = field(repr=False)
    width: int
    row_max: np.ndarray = field(repr=False)
    column_max: np.ndarray = field(repr=False)
    top: np.ndarray = field(repr=False)
    top_values: np.ndarray = field(repr=False)

    @staticmethod
    def of(x: Any) -> Pyramid:
        """The pyramid of an array or tensor; all axes but the last are rows.

        Example:
            >>> p = Pyramid.of(np.float32([[1, -9], [2, 3]]))
            >>> p.top[0].tolist(), float(p.top_values[0])
            ([0, 1], -9.0)
        """
        values = np.atleast_1d(arrays.to_numpy(x.cpu() if arrays.on_device(x) else x))
        cols = values.shape[-1]
        rows = values.size // cols if cols else 0
        matrix = np.ascontiguousarray(values).reshape(rows, cols)
        height, width = max(1, -(-rows // SIDE)), max(1, -(-cols // SIDE))
        pooled, row_max, column_max = pool_magnitudes(matrix, height, width)
        starts = np.arange(0, rows, height)
        top, top_values = _largest(matrix, pooled, starts, width)
        return Pyramid(pooled, starts, width, row_max, column_max, top, top_values)

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of the matrix."""
        return self.row_max.size, self.column_max.size

    def level(self, down: int) -> np.ndarray:
        """The cells pooled `down` more times by 2 x 2; level 0 is the finest.

        Example:
            >>> Pyramid.of(np.float32([[1, 2, 3], [4, 5, 6]])).level(1).tolist()
            [[5.0, 6.0]]
        """
        cells = self.pooled
        for _ in range(down):
            if cells.size:
                for axis in (0, 1):
                    cells = np.maximum.reduceat(cells, np.arange(0, cells.shape[axis], 2), axis)
        return cells

    def __add__(self, other: Pyramid) -> Pyramid:
        """The pyramid of both, `other`'s rows below; rows of cells are paired where over 512."""
        if self.column_max.size != other.column_max.size:
            raise WorkbenchError(
                f"pyramids of {self.column_max.size} and {other.column_max.size} columns",
                "rows are joined under each other",
                "add pyramids of the same layer",
            )
        rows = self.row_max.size
        pooled = np.concatenate([self.pooled, other.pooled])
        starts = np.concatenate([self.row_starts, other.row_starts + rows])
        while starts.size > SIDE:
            pairs = np.arange(0, starts.size, 2)
            pooled, starts = np.maximum.reduceat(pooled, pairs, axis=0), starts[pairs]
        top = np.concatenate([self.top, other.top + [rows, 0]])
        values = np.concatenate([self.top_values, other.top_values])
        best = np.lexsort((top[:, 1], top[:, 0], -np.abs(values)))[:TOP]
        return Pyramid(
            pooled,
            starts,
            self.width,
            np.concatenate([self.row_max, other.row_max]),
            np.maximum(self.column_max, other.column_max),
            top[best],
            values[best],
        )

    def save(self, path: str | Path) -> None:
        """Write a safetensors file, under a temporary name first."""
        from .files import save_arrays

        names = ("pooled", "row_starts", "row_max", "column_max", "top", "top_values")
        parts = {name: getattr(self, name) for name in names}
        save_arrays("pyramid", parts, {"width": self.width}, path)

    @staticmethod
    def load(path: str | Path) -> Pyramid:
        """Read what `save` wrote; any other file raises `WorkbenchError`."""
        from .files import foreign, load_arrays

        parts, about = load_arrays("pyramid", path)
        try:
            return Pyramid(width=int(about["width"]), **parts)
        except (KeyError, ValueError, TypeError) as error:
            raise foreign(path, "pyramid", error) from error


def _largest(
    matrix: np.ndarray, pooled: np.ndarray, starts: np.ndarray, width: int
) -> tuple[np.ndarray, np.ndarray]:
    """Places and values of the largest finite magnitudes.

    They lie in the cells with the largest maxima; infinite cells are looked at too.
    """
    if not pooled.size:
        return np.zeros((0, 2), np.int64), np.zeros(0, np.float32)
    finite = pooled[np.isfinite(pooled)]
    least = np.sort(finite)[-TOP:][0] if finite.size else np.inf
    found, ties, ends = [], 0, [*starts[1:], matrix.shape[0]]
    for down in np.flatnonzero((pooled >= least).any(axis=1)):
        # of equal values the first rows count, so that later bands hold none once there are enough
        enough = ties >= TOP and np.isfinite(least)
        row = pooled[down] > least if enough else pooled[down] >= least
        for across in np.flatnonzero(row):
            top, left = starts[down], across * width
            cell = matrix[top : ends[down], left : left + width].astype(np.float32)
            size = np.where(np.isfinite(cell), np.abs(cell), -1)
            best = np.argsort(-size, axis=None, kind="stable")[:TOP]
            best = best[size.reshape(-1)[best] >= 0]
            r, c = np.divmod(best, cell.shape[1])
            found.append(np.column_stack([top + r, left + c, np.arange(best.size)]))
            ties += int(np.count_nonzero(size.reshape(-1)[best] >= least))
    if not found:
        return np.zeros((0, 2), np.int64), np.zeros(0, np.float32)
    places = np.concatenate(found)[:, :2].astype(np.int64)
    values = matrix[places[:, 0], places[:, 1]].astype(np.float32)
    order = np.lexsort((places[:, 1], places[:, 0], -np.abs(values)))[:TOP]
    return places[order], values[order]
