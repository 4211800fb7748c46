"""Where the values that share a scale lie: any granularity as blocks of rows of a 2-D array.

The axis along which values share scales is moved to the end; then a token, a group or a block is a
run in a row, a channel or a tensor is a whole row, and a tile is a stack of runs. Blocks never
straddle rows, and the last of a row may be shorter.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ..errors import WorkbenchError
from .scale import Scale


@dataclass(frozen=True)
class Layout:
    """The blocks of an array of `shape` under a scale along `axis`.

    `rows` x `cols` is the 2-D view, `size` the values of a block in a row, `stack` the rows that
    share a block's scale (1 but for tiles).

    Example:
        >>> layout = Layout.of((4, 100), -1, Scale("group", (32,)))
        >>> layout.rows, layout.size, layout.scale_shape
        (4, 32, (4, 4))
    """

    shape: tuple[int, ...]
    axis: int
    rows: int
    cols: int
    size: int
    stack: int = 1

    @classmethod
    def of(cls, shape: tuple[int, ...], axis: int, scale: Scale) -> Layout:
        """The layout of an array; an axis that is not there raises `WorkbenchError`."""
        dims = len(shape)
        if dims and not -dims <= axis < dims:
            raise WorkbenchError(
                f"axis {axis}", f"the array has {dims} dimensions", f"use -{dims} to {dims - 1}"
            )
        axis = axis % dims if dims else 0
        moved = [*shape[:axis], *shape[axis + 1 :], shape[axis]] if dims else [1]
        total = math.prod(moved)
        kind = scale.granularity
        if kind == "tensor":
            return cls(shape, axis, 1, total, max(1, total))
        if kind == "channel":
            rows = moved[0] if dims > 1 else 1
            cols = total // rows if rows else 0
            return cls(shape, axis, rows, cols, max(1, cols))
        cols = moved[-1]
        rows = total // cols if cols else 0
        if kind == "token":
            return cls(shape, axis, rows, cols, max(1, cols))
        if kind == "group":
            return cls(shape, axis, rows, cols, max(1, min(scale.size[0], cols)))
        if dims < 2:
            raise WorkbenchError(
                f"tiles of an array of shape {shape}", "a tile has two axes", "use gN"
            )
        stack = min(scale.size[0], max(1, moved[-2]))
        return cls(shape, axis, rows, cols, max(1, min(scale.size[1], cols)), stack)

    @property
    def across(self) -> int:
        """Blocks in a row."""
        return -(-self.cols // self.size)

    @property
    def bands(self) -> np.ndarray:
        """The first row of every stack of rows; stacks do not straddle leading dimensions."""
        if self.stack == 1:
            return np.arange(self.rows)
        height = [*self.shape[: self.axis], *self.shape[self.axis + 1 :]][-1]
        within = np.arange(0, height, self.stack)
        return (np.arange(0, self.rows, height)[:, None] + within).reshape(-1)

    @property
    def scale_shape(self) -> tuple[int, int]:
        """How many scales there are, as (stacks of rows, blocks in a row)."""
        return self.bands.size, self.across

    def to_rows(self, x: np.ndarray) -> np.ndarray:
        """`x` as a contiguous (rows, cols) array, a view where strides allow."""
        moved = np.moveaxis(x, self.axis, -1) if x.ndim else x
        return np.ascontiguousarray(moved).reshape(self.rows, self.cols)

    def from_rows(self, y: np.ndarray) -> np.ndarray:
        """A (rows, cols) array back in the original shape."""
        if not self.shape:
            return y.reshape(())
        moved = [*self.shape[: self.axis], *self.shape[self.axis + 1 :], self.shape[self.axis]]
        return np.moveaxis(y.reshape(moved), -1, self.axis)

    def reduce(self, per_row: np.ndarray, ufunc: np.ufunc) -> np.ndarray:
        """Per-row block figures (rows, blocks) combined over each stack of rows."""
        if self.stack == 1 or not per_row.size:
            return per_row
        return ufunc.reduceat(per_row, self.bands, axis=0)

    def spread(self, per_scale: np.ndarray) -> np.ndarray:
        """Figures of scale_shape as an array that broadcasts to (rows, cols)."""
        if self.stack > 1:
            heights = np.diff([*self.bands, self.rows])
            per_scale = np.repeat(per_scale, heights, axis=0)
        if self.across == 1:
            return per_scale
        return np.repeat(per_scale, self.size, axis=1)[:, : self.cols]
