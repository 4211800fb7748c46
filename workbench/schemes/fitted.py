"""A scheme whose scales have been chosen: what solvers and static ranges round with.

Choosing scales and rounding under them are two steps; `Scheme.round` does both at once. Here the
second can be repeated: column by column, on other values, or on values moved by a solver.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from ..errors import WorkbenchError
from . import apply
from .apply import Chosen
from .layout import Layout

if TYPE_CHECKING:
    from .quantized import QuantizedTensor
    from .scheme import Scheme


@dataclass(frozen=True, eq=False)
class Fitted:
    """A scheme with the scales, and zero points, of an array of one shape.

    Attributes:
        scheme: what values are rounded under.
        shape, axis: of the array; values share scales along `axis`.
        chosen: scales, zero points and the tensor's or rows' own; None for a plain cast.

    Example:
        >>> import workbench as wb
        >>> fitted = wb.scheme("int4/channel").fit(np.array([[7.0, 1.0], [14.0, 2.0]]))
        >>> fitted.round(np.array([[2.6, 99.0], [2.6, 99.0]]))
        array([[ 3.,  7.],
               [ 2., 14.]])
    """

    scheme: Scheme
    shape: tuple[int, ...]
    axis: int
    chosen: Chosen | None

    @cached_property
    def layout(self) -> Layout | None:
        """Where the blocks lie; None for a plain cast."""
        scale = self.scheme.scale
        return None if scale is None else Layout.of(self.shape, self.axis, scale)

    @cached_property
    def scales(self) -> np.ndarray:
        """The scale of every value, broadcastable to rows and columns; one for a plain cast."""
        if self.chosen is None:
            return np.ones((1, 1), np.float32)
        return self.layout.spread(self.chosen.scales)

    @cached_property
    def zeros(self) -> np.ndarray | None:
        """The zero point, mean or choice of every value, likewise; None where there is none."""
        if self.chosen is None or self.chosen.zeros is None:
            return None
        return self.layout.spread(self.chosen.zeros)

    def round(self, x: np.ndarray, rounding: str = "nearest_even", seed: int = 0) -> np.ndarray:
        """Values of an array of the same shape, rounded under the chosen scales."""
        if self.chosen is None:
            return self.scheme.format.round(x, rounding, seed)
        rows = self.layout.to_rows(x)
        rounded = apply.round_scaled(self.scheme, rows, self.scales, self.zeros, rounding, seed)
        return self.layout.from_rows(rounded)

    def region(self, rows: slice, columns: slice) -> Region:
        """The rounding of a part of a 2-D array.

        Args:
            rows: a slice, or places.
            columns: likewise.
        """
        parts = (_part(each, rows, columns) for each in (self.scales, self.zeros))
        return Region(self.scheme, *parts)

    def quantize(
        self, x: np.ndarray, rounding: str = "nearest_even", seed: int = 0
    ) -> QuantizedTensor:
        """Bit-packed codes of an array of the same shape under the chosen scales."""
        from .quantized import packed

        return packed(self, x, rounding, seed)


@dataclass(frozen=True, eq=False)
class Region:
    """A part of a 2-D array under chosen scales.

    Attributes:
        scheme: what values are rounded under.
        scales, zeros: broadcastable to the part.
    """

    scheme: Scheme
    scales: np.ndarray
    zeros: np.ndarray | None

    def round(self, values: np.ndarray) -> np.ndarray:
        """The nearest values that the scheme has."""
        if self.scheme.scale is None:
            return self.scheme.format.round(values)
        return apply.round_scaled(self.scheme, values, self.scales, self.zeros)

    def neighbours(self, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The next value of the scheme at or below each value, and the next one above that.

        Beyond an end of the range both are that end. Mixtures of grids raise `WorkbenchError`.

        Example:
            >>> import workbench as wb
            >>> fitted = wb.scheme("e2m1/tensor").fit(np.array([[6.0, 0.7]]))
            >>> region = fitted.region(slice(0, 1), slice(1, 2))
            >>> [part.tolist() for part in region.neighbours(np.array([[0.7]]))]
            [[[0.5]], [[1.0]]]
        """
        scheme = self.scheme
        if scheme.parts:
            raise WorkbenchError(
                str(scheme), "each block has a grid of its own", "choose one of them, or nearest"
            )
        element = scheme.element if scheme.scale is not None else scheme.format
        grid = np.asarray(element.values, np.float64)
        offset = apply.offsets(scheme, self.scales, self.zeros)
        place = np.clip(values / self.scales + offset, grid[0], grid[-1])
        below = np.clip(np.searchsorted(grid, place, side="right") - 1, 0, grid.size - 1)
        above = np.minimum(below + (grid[below] < place), grid.size - 1)
        back = (apply.restore(scheme, grid[at], self.scales, self.zeros) for at in (below, above))
        low, high = (part.astype(np.float32) for part in back)
        return low, high


def _part(spread: np.ndarray | None, rows: slice, columns: slice) -> np.ndarray | None:
    """A part of what broadcasts to the whole."""
    if spread is None:
        return None
    spread = spread if spread.shape[0] == 1 else spread[rows]
    return spread if spread.shape[1] == 1 else spread[:, columns]


def fit(
    scheme: Scheme, x: np.ndarray, axis: int = -1, whole: float | np.ndarray | None = None
) -> Fitted:
    """Choose the scales of an array; see `Scheme.fit`."""
    if scheme.scale is None:
        return Fitted(scheme, x.shape, axis, None)
    layout = Layout.of(x.shape, axis, scheme.scale)
    chosen = apply.choose_scales(scheme, layout.to_rows(x), layout, whole)
    return Fitted(scheme, x.shape, axis, chosen)
