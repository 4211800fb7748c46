"""Histograms of blocks that share a scale, each block brought to one unit first.

A block's unit is the power of two under its largest magnitude, or that magnitude itself (or the
width of its range). Values are counted in bins of their magnitude in that unit, apart for classes
of the largest magnitude's mantissa, so that a scale is one number for all values of a cell. Each
cell keeps the count, the weight (the sum of unit^2) and the two weighted moments about the bin's
edge.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from .cache import as_float32, as_int32, jit
from .counters import add_three
from .threads import over_chunks, spans

SPAN = 1 << 21  # values behind one table; tables are added in order, whatever thread filled them
SPANS = 16
_MAGNITUDE = np.int32(0x7FFFFFFF)


class Grid(NamedTuple):
    """Bins of magnitudes up to 2: `top` - d mantissa bits, but `floor` at least, d octaves down.

    Magnitudes of `depth` octaves or more below share one bin. `offsets` is where octaves begin.
    """

    top: int
    floor: int
    depth: int
    offsets: np.ndarray


def grid_of(top: int, floor: int, depth: int) -> Grid:
    """The grid with these bits.

    Example:
        >>> grid_of(2, 1, 3).offsets.tolist()
        [0, 4, 6, 8]
    """
    bits = np.maximum(floor, top - np.arange(depth))
    return Grid(top, floor, depth, np.concatenate([[0], np.cumsum(1 << bits)]))


def grid_edges(grid: Grid) -> tuple[np.ndarray, np.ndarray]:
    """The lower edge and the width of every bin, float64.

    Example:
        >>> low, width = grid_edges(grid_of(1, 1, 2))
        >>> low.tolist(), width.tolist()
        ([1.0, 1.5, 0.5, 0.75, 0.0], [0.5, 0.5, 0.25, 0.25, 0.5])
    """
    low, width = [], []
    for octave in range(grid.depth):
        count = 1 << max(grid.floor, grid.top - octave)
        step = 2.0**-octave / count
        low.append(2.0**-octave + step * np.arange(count))
        width.append(np.full(count, step))
    end = 2.0 ** (1 - grid.depth)
    return np.append(np.concatenate(low), 0.0), np.append(np.concatenate(width), end)


@jit
def _class_of(mantissa, cuts):
    """How many cuts the mantissa reaches."""
    low, high = 0, cuts.size
    while low < high:
        middle = (low + high) // 2
        if cuts[middle] <= mantissa:
            low = middle + 1
        else:
            high = middle
    return low


@jit
def _scaled_bits(part, unit, powers, bits):
    """The patterns of values in a unit; dividing by a power of two is multiplying."""
    inverse = np.float32(1) / unit
    if powers:
        for j in range(part.size):
            bits[j] = as_int32(np.float32(part[j] * inverse))
    else:
        for j in range(part.size):
            bits[j] = as_int32(np.float32(part[j] / unit))


@jit
def _block(bits, count, reference, weight, grid, dropped, steps, cells):
    """Add one block's values to the cells of its class; `reference` is its own scaled pattern."""
    bins, address = grid.offsets[grid.depth] + 1, cells.ctypes.data
    for j in range(count):
        magnitude = np.int64(bits[j] & _MAGNITUDE)
        octave = 127 - (magnitude >> 23)
        if octave < 0:  # NaN or infinite
            continue
        row = np.int64(bits[j] < 0)
        row += 2 if magnitude == reference else 0
        octave = min(octave, grid.depth)
        mantissa, drop = magnitude & 0x7FFFFF, dropped[octave]
        offset = np.float64(mantissa & ((1 << drop) - 1)) * steps[octave]
        if octave == grid.depth:
            offset = np.float64(as_float32(np.int32(magnitude)))
        cell = row * bins + grid.offsets[octave] + (mantissa >> drop)
        first = weight * offset
        add_three(np.int64(address + 32 * cell), weight, first, first * offset)


@jit
def _fill(x, size, reference, cuts, powers, grid, dropped, steps, cells, sizes):
    rows, cols = x.shape
    buffer = np.empty(min(size, cols), np.int32)
    for r in range(rows):
        for b in range(reference.shape[1]):
            most = reference[r, b]
            part = x[r, b * size : min(b * size + size, cols)]
            bits = as_int32(most)
            exponent = bits >> 23
            if most == 0:
                continue
            sizes[exponent] += part.size
            if exponent < 27 or exponent > 227:  # 2^-100 to 2^100; else only counted
                continue
            unit = as_float32(np.int32(exponent << 23)) if powers else most
            _scaled_bits(part, unit, powers, buffer)
            weight = np.float64(unit) * np.float64(unit)
            own = np.int64(as_int32(np.float32(most / unit)))
            kind = cells[_class_of(bits & 0x7FFFFF, cuts)]
            _block(buffer, part.size, own, weight, grid, dropped, steps, kind)


def block_cells(
    x: np.ndarray,
    size: int,
    reference: np.ndarray,
    cuts: np.ndarray,
    powers: bool,
    grid: Grid,
) -> tuple[np.ndarray, np.ndarray]:
    """The cells of all blocks of rows.

    Args:
        x: (rows, cols) float32 or float64 (rounded to float32); NaN and infinities are left out.
        size: values a block in a row; the last may be shorter.
        reference: (rows, blocks) float32, each block's finite amax, or the width of its range.
        cuts: mantissas (the 23 bits as integers) at which a class of the reference begins.
        powers: the unit is the power of two under the reference, else the reference itself.
        grid: the bins.

    Returns:
        Float64 cells (classes, 4, bins, 4) of count, weight and two moments, where the second axis
        is positive and negative values, then those of the reference's own magnitude; and how many
        values lie in blocks of each exponent field of a reference above 0; those below 27 and
        above 227 are in no cell.

    Example:
        >>> x, grid = np.float32([[1.0, -0.5, 3.0]]), grid_of(2, 2, 4)
        >>> cells, sizes = block_cells(x, 3, np.float32([[3.0]]), np.array([1]), True, grid)
        >>> cells.shape, float(cells[..., 0].sum()), float(cells[..., 1].sum())
        ((2, 4, 17, 4), 3.0, 12.0)
    """
    rows, cols = x.shape
    step = max(1, max(SPAN, -(-rows * cols // SPANS)) // max(1, cols))
    parts = spans(rows, step)
    cuts = np.ascontiguousarray(cuts, np.int64)
    octaves = np.arange(grid.depth + 1)
    dropped = 23 - np.maximum(grid.floor, grid.top - octaves)
    dropped[-1], steps = 23, np.ldexp(1.0, -23 - octaves)

    def one(start: int, stop: int):
        cells = np.zeros((cuts.size + 1, 4, int(grid.offsets[-1]) + 1, 4))
        sizes = np.zeros(256, np.int64)
        with np.errstate(over="ignore", invalid="ignore"):
            narrow = x[start:stop].astype(np.float32, copy=False)
        how = (cuts, powers, grid, dropped, steps)
        _fill(narrow, size, reference[start:stop], *how, cells, sizes)
        return cells, sizes

    done = over_chunks(lambda a, b: [one(*part) for part in parts[a:b]], len(parts), SPAN)
    flat = [result for chunk in done for result in chunk]
    cells, sizes = flat[0] if flat else one(0, 0)
    for more, counts in flat[1:]:
        cells += more
        sizes += counts
    return cells, sizes


@jit
def _spans_of(x, size, low, high):
    for r in range(x.shape[0]):
        for b in range(low.shape[1]):
            part = x[r, b * size : min(b * size + size, x.shape[1])]
            least = most = np.float32(0)
            for j in range(part.size):
                v = np.float32(part[j])
                if abs(v) < np.float32(np.inf):
                    least = min(least, v)
                    most = max(most, v)
            low[r, b] = least
            high[r, b] = most


def block_ends(x: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
    """The smallest and the largest finite value of every block, zero included, as float32.

    Example:
        >>> low, high = block_ends(np.float32([[1, -5, 2]]), 2)
        >>> low.tolist(), high.tolist()
        ([[-5.0, 0.0]], [[1.0, 2.0]])
    """
    shape = x.shape[0], -(-x.shape[1] // size)
    low, high = np.zeros(shape, np.float32), np.zeros(shape, np.float32)
    over_chunks(lambda a, b: _spans_of(x[a:b], size, low[a:b], high[a:b]), x.shape[0], x.shape[1])
    return low, high


@jit
def _merge(group_of_class, kind, row, bin_, moments, count, bins, out, place):
    for i in range(kind.size):
        group = group_of_class[kind[i]]
        key = (group * 2 + row[i] % 2) * bins + bin_[i]
        place[i] = key
        if group >= 0:
            cell = out[key]
            cell[0] += moments[i, 0]
            cell[1] += moments[i, 1]
            cell[2] += moments[i, 2]
            cell[3] += count[i]


def merge_classes(
    group_of_class: np.ndarray,
    places: tuple[np.ndarray, np.ndarray, np.ndarray],
    moments: np.ndarray,
    count: np.ndarray,
    bins: int,
) -> tuple[np.ndarray, np.ndarray]:
    """The cells of classes that belong to one group put together.

    Args:
        group_of_class: the group of each class, -1 to leave it out.
        places: class, row and bin of each cell.
        moments: (cells, 3) float64.
        count: (cells,) float64.
        bins: how many bins there are.

    Returns:
        (groups * 2 * bins, 4) of moments and count by group, sign and bin; and where each cell
        went (negative where it was left out).

    Example:
        >>> one = np.zeros(1, np.int64)
        >>> cells, place = merge_classes(one, (one, one, one), np.ones((1, 3)), np.ones(1), 2)
        >>> cells.shape, place.tolist()
        ((4, 4), [0])
    """
    groups = int(group_of_class.max(initial=-1)) + 1
    out, place = np.zeros((groups * 2 * bins, 4)), np.empty(count.size, np.int64)
    _merge(group_of_class.astype(np.int64), *places, moments, count, bins, out, place)
    return out, place
