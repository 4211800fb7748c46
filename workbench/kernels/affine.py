"""Fused quantize-dequantize with a scale and a zero point for every block of a row.

A block's range is from its smallest to its largest finite value and includes zero; scale is the
range over the steps between codes, the zero point the code of 0. Integers are rounded first and
shifted after, so that zero comes back as zero.
"""

from __future__ import annotations

import numpy as np

from .blocks import STRIP, of_blocks
from .cache import jit
from .lane_steps import clamped_lanes, quotient_lanes, scaled_lanes
from .lanes import LANES, highest, inline, less, load, lowest, rounded, spread, store, where
from .scales import ScaleRule, rule_of, scale_lanes
from .strips import invert
from .threads import over_chunks

_INFINITY = np.float32(np.inf)


@inline
def _lowest_in(x, start, stop):
    """The smallest value of a range, or 0 where it is larger; NaN is passed over."""
    whole = start + ((stop - start) & -LANES)
    lanes = spread(np.float32(0))
    for j in range(start, whole, LANES):
        v = load(x, j)
        lanes = where(less(v, lanes), v, lanes)
    found = lowest(lanes)
    for j in range(whole, stop):
        found = x[j] if x[j] < found else found
    return found


@inline
def _highest_in(x, start, stop):
    """The largest value of a range, or 0 where it is smaller; NaN is passed over."""
    whole = start + ((stop - start) & -LANES)
    lanes = spread(np.float32(0))
    for j in range(start, whole, LANES):
        v = load(x, j)
        lanes = where(less(lanes, v), v, lanes)
    found = highest(lanes)
    for j in range(whole, stop):
        found = x[j] if x[j] > found else found
    return found


@jit
def _finite_ends(x):
    """The smallest and the largest finite value with zero among them."""
    low = high = np.float32(0)
    for j in range(x.size):
        if abs(x[j]) < _INFINITY:
            low = min(low, x[j])
            high = max(high, x[j])
    return low, high


@inline
def _zero_lanes(low, scale, first, last):
    """The codes of 0 of eight blocks, as whole numbers within the codes."""
    return clamped_lanes(spread(first) - rounded(low / scale), spread(first), spread(last))


@inline
def _round_block(x, out, start, stop, scale, inverse, zero, first, last, quick):
    """Round one block: to whole steps, then within what the codes reach from its zero point."""
    low, high = np.float32(first - zero), np.float32(last - zero)
    whole = start + ((stop - start) & -LANES if quick else 0)
    s, i = spread(scale), spread(inverse)
    bottom, top = spread(low) * s, spread(high) * s
    for j in range(start, whole, LANES):
        v = clamped_lanes(load(x, j), bottom, top)
        store(out, j, scaled_lanes(rounded(quotient_lanes(v, s, i)), s))
    for j in range(whole, stop):
        y = np.rint(np.float32(x[j] / scale))
        y = low if y < low else y
        y = high if high < y else y
        out[j] = np.float32(np.float32(y + np.float32(0)) * scale)


@inline
def _ends(x, start, width, count, low, high):
    """The ends of `count` blocks; infinities are left out."""
    special = False
    for b in range(count):
        at = start + b * width
        low[b] = _lowest_in(x, at, at + width)
        high[b] = _highest_in(x, at, at + width)
        special |= low[b] == -_INFINITY or high[b] == _INFINITY
    if special:
        for b in range(count):
            at = start + b * width
            low[b], high[b] = _finite_ends(x[at : at + width])


@jit
def _round_affine(x, out, size, rule_words, first, last):
    rule = rule_of(rule_words)
    rows, cols = x.shape
    each = max(1, STRIP // size)
    low, scale, inverse = of_blocks(each)
    high, zero, _ = of_blocks(each)
    for r in range(rows):
        row, target = x[r], out[r]
        start = 0
        while start < cols:
            width = min(size, cols - start)
            count = min(each, (cols - start) // width)
            _ends(row, start, width, count, low, high)
            for b in range(0, count, LANES):
                bottom = load(low, b)
                s = scale_lanes(load(high, b) - bottom, rule)
                store(scale, b, s)
                store(zero, b, _zero_lanes(bottom, s, first, last))
            quick = invert(scale, inverse, count)
            for b in range(count):
                at, stop = start + b * width, start + (b + 1) * width
                ends = (zero[b], first, last)
                _round_block(row, target, at, stop, scale[b], inverse[b], *ends, quick)
            start += count * width


def round_affine(
    x: np.ndarray, out: np.ndarray, size: int, rule: ScaleRule, first: int, last: int
) -> None:
    """Quantize and dequantize float32 rows with a scale and a zero point for each block.

    Args:
        x: (rows, cols) float32, contiguous.
        out: likewise; may be `x`.
        size: values a block; the last block of a row may be shorter.
        rule: how the scale comes from a block's range, with q the steps between the end codes.
        first: the smallest code.
        last: the largest code.

    Example:
        >>> import workbench as wb
        >>> rule = wb.scheme("uint4/g4").rule()
        >>> y = np.empty((1, 4), np.float32)
        >>> round_affine(np.float32([[-1, 0, 7, 14]]), y, 4, rule, 0, 15); y
        array([[-1.,  0.,  7., 14.]], dtype=float32)
    """
    rows, cols = x.shape
    if rows * cols == 0:
        return
    fields = (size, rule.words(), np.float32(first), np.float32(last))
    if cols % size == 0:  # whole blocks: rows do not matter
        x, out = x.reshape(-1, size), out.reshape(-1, size)

        def work(a, b):
            _round_affine(x[a:b].reshape(1, -1), out[a:b].reshape(1, -1), *fields)

        over_chunks(work, len(x), size)
        return
    over_chunks(lambda a, b: _round_affine(x[a:b], out[a:b], *fields), rows, cols)
