"""The block sketch: values in the unit of their block, so that any shared scale is one number.

Cells of one class of the block's largest magnitude (amax) are rounded under one scale, which
makes power-of-two scales exact up to the bins. What remains open goes into the bounds: a class in
which a scale changes, a float scale's own rounding, and blocks so small or large that their scale
is clamped.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from ..kernels.block_histograms import block_cells, block_ends, merge_classes
from ..kernels.blocks import block_amax
from ..schemes import Layout
from .cells import Cells
from .geometry import UNITS, Geometry, edges_of


@dataclass(frozen=True, eq=False)
class BlockSketch:
    """The cells of all blocks of one geometry that hold something.

    Args:
        geometry: which blocks, in which unit.
        index: ascending int32, the cell's place in (classes, 4, bins).
        count: int64, values in each cell.
        moments: (cells, 3) float64: the sum of unit^2, and the weighted moments about the edge.
        sizes: int64 (256,), values in blocks by the exponent field of their reference.
        lost: finite values in blocks that hold a NaN or an infinity.
    """

    geometry: Geometry
    index: np.ndarray = field(repr=False)
    count: np.ndarray = field(repr=False)
    moments: np.ndarray = field(repr=False)
    sizes: np.ndarray = field(repr=False)
    lost: int = 0

    @staticmethod
    def of(x: np.ndarray, geometry: Geometry, axis: int = -1) -> BlockSketch:
        """The sketch of a float32 or float64 array's blocks along `axis`."""
        unit = UNITS[geometry.unit]
        layout = Layout.of(x.shape, axis, geometry.scale)
        rows = layout.to_rows(x) if x.size else np.zeros((0, 1), np.float32)
        reference, lost = _references(rows, layout, geometry.unit)
        rows, size, reference = _as_many_rows(rows, layout.size, reference)
        cells, sizes = block_cells(rows, size, reference, unit.cuts, unit.powers, unit.grid)
        flat = cells.reshape(-1, 4)
        index = np.flatnonzero(flat[:, 0])
        count = flat[index, 0].astype(np.int64)
        kept = np.ascontiguousarray(flat[index, 1:])
        return BlockSketch(geometry, index.astype(np.int32), count, kept, sizes, lost)

    def __add__(self, other: BlockSketch) -> BlockSketch:
        index = np.union1d(self.index, other.index)
        count, moments = np.zeros(index.size, np.int64), np.zeros((index.size, 3))
        for part in (self, other):
            at = np.searchsorted(index, part.index)
            count[at] += part.count
            moments[at] += part.moments
        lost = self.lost + other.lost
        return BlockSketch(self.geometry, index, count, moments, self.sizes + other.sizes, lost)

    @cached_property
    def places(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Class, row (sign, and whether it is the reference itself) and bin of each cell."""
        unit = UNITS[self.geometry.unit]
        bins = int(unit.grid.offsets[-1]) + 1
        row, bin_ = np.divmod(self.index.astype(np.int64), bins)
        kind, row = np.divmod(row, 4)
        return kind, row, bin_

    @cached_property
    def cells(self) -> Cells:
        """The cells in units of their blocks."""
        low, width = edges_of(self.geometry.unit)
        _, row, bin_ = self.places
        return Cells(low[bin_], width[bin_], row % 2, self.moments, self.count.astype(np.float64))

    @cached_property
    def top(self) -> np.ndarray:
        """Which cells hold the references themselves: the largest magnitudes of their blocks."""
        return self.places[1] >= 2

    @cached_property
    def class_ends(self) -> tuple[np.ndarray, np.ndarray]:
        """The first and last mantissa of every class, as float64 in [1, 2)."""
        cuts = UNITS[self.geometry.unit].cuts
        first = np.concatenate([[0], cuts])
        last = np.concatenate([cuts - 1, [(1 << 23) - 1]])
        return 1 + first / (1 << 23), 1 + last / (1 << 23)

    def merged(self, scale: np.ndarray, kept: np.ndarray) -> tuple[Cells, np.ndarray, np.ndarray]:
        """The cells with those of classes that share a scale put together.

        Args:
            scale: one for each class.
            kept: bool, the classes that take part.

        Returns:
            The cells, the scale of each, and for every cell of the sketch its place among them
            (negative where its class does not take part).
        """
        low, width = edges_of(self.geometry.unit)
        distinct, which = np.unique(scale, return_inverse=True)
        group = np.where(kept, which, -1)
        counts = self.cells.count
        sums, key = merge_classes(group, self.places, self.moments, counts, low.size)
        used = np.flatnonzero(sums[:, 3])
        place = np.zeros(len(sums), np.int64)
        place[used] = np.arange(used.size)
        group, at = np.divmod(used, low.size)
        moments = np.ascontiguousarray(sums[used, :3])
        cells = Cells(low[at], width[at], group % 2, moments, sums[used, 3])
        return cells, distinct[group // 2], np.where(key < 0, -1, place[key])

    def energy_where(self, exponents: np.ndarray) -> float:
        """What the squares of all values in blocks with these reference exponents cannot exceed.

        Args:
            exponents: bool (256,) by exponent field.
        """
        reach = np.ldexp(1.0, 2 * (np.arange(256) - 126))
        return float((self.sizes * reach)[exponents].sum())

    @cached_property
    def largest_unit(self) -> float:
        """What no block's unit exceeds."""
        used = np.flatnonzero(self.sizes)
        return 2.0 ** (int(used[-1]) - 126) if used.size else 0.0


def _references(rows: np.ndarray, layout: Layout, unit: str) -> tuple[np.ndarray, int]:
    """Each row's block references, (rows, blocks) float32, and the values in special blocks."""
    with np.errstate(over="ignore"):
        narrow = rows.astype(np.float32, copy=False)
    amax = layout.reduce(block_amax(narrow, layout.size), np.maximum)
    special = ~np.isfinite(amax)
    lost = 0
    if unit == "span" or special.any():
        low, high = block_ends(narrow, layout.size)
        low, high = layout.reduce(low, np.minimum), layout.reduce(high, np.maximum)
        with np.errstate(over="ignore"):
            amax = high - low if unit == "span" else np.maximum(high, -low)
    if special.any():
        lost = int(np.count_nonzero(np.isfinite(narrow) & layout.spread(special)))
    if layout.stack > 1:
        amax = np.repeat(amax, np.diff([*layout.bands, layout.rows]), axis=0)
    return np.minimum(amax, np.finfo(np.float32).max), lost


def _as_many_rows(
    rows: np.ndarray, size: int, reference: np.ndarray
) -> tuple[np.ndarray, int, np.ndarray]:
    """Whole blocks as rows of their own, so that a long row is shared out between threads."""
    if rows.size and rows.shape[1] % size == 0:
        return rows.reshape(-1, size), size, reference.reshape(-1, 1)
    return rows, size, reference


__all__ = ["BlockSketch"]
