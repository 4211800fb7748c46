"""Fused quantize-dequantize of blocks: maximum, scale, round and rescale in one pass over memory.

Arrays are two-dimensional and contiguous; a block is `size` neighbours of one row, and the last
block of a row may be shorter. Rows are worked through in strips that stay in the first-level cache:
all maxima of a strip, then all its scales, then all its values. One compiled kernel serves every
element format, scale format and block size, in place and not.
"""

from __future__ import annotations

import numpy as np

from .cache import as_float32, as_int32, jit
from .elements import Element, element_of
from .lane_steps import magnitudes, most
from .lanes import (
    LANES,
    bits,
    floats,
    inline,
    largest,
    largest_of_each,
    less,
    load,
    lowest,
    spread,
    store,
    where,
)
from .scales import ScaleRule, rule_of, scale_lanes
from .strips import LARGEST, SMALLEST, round_strip
from .threads import over_chunks

STRIP = 4096  # values worked on together: 16 kB in, 16 kB out
TOGETHER = 64  # values of the largest blocks whose maxima are taken eight at a time


@inline
def _magnitude(x):
    return np.int32(as_int32(x) & np.int32(0x7FFFFFFF))


@inline
def _largest_magnitude(x, start, stop):
    """The pattern of the largest magnitude in a range; infinite or NaN patterns sort to the top."""
    whole = start + ((stop - start) & -LANES)
    found = np.int32(0)
    if whole - start == 32:  # written out, for the most common block
        a = most(magnitudes(load(x, start)), magnitudes(load(x, start + 8)))
        b = most(magnitudes(load(x, start + 16)), magnitudes(load(x, start + 24)))
        found = largest(most(a, b))
    elif whole > start:
        a = b = magnitudes(load(x, start))
        pairs = start + ((stop - start) & -2 * LANES)
        for j in range(start, pairs, 2 * LANES):
            a = most(a, magnitudes(load(x, j)))
            b = most(b, magnitudes(load(x, j + LANES)))
        if pairs < whole:
            a = most(a, magnitudes(load(x, pairs)))
        found = largest(most(a, b))
    for j in range(whole, stop):
        found = max(found, _magnitude(x[j]))
    return found


@jit
def finite_amax(x):
    """The largest finite magnitude in a flat array, 0 where there is none."""
    most = np.float32(0)
    for j in range(x.size):
        magnitude = abs(x[j])
        if magnitude < np.float32(np.inf) and magnitude > most:
            most = magnitude
    return most


@inline
def _eight_maxima(x, start, width):
    """The patterns of the largest magnitudes of eight blocks in a row, as lanes."""
    a = b = c = d = e = f = g = h = spread(np.int32(0))
    for j in range(start, start + width, LANES):
        a = most(a, magnitudes(load(x, j)))
        b = most(b, magnitudes(load(x, j + width)))
        c = most(c, magnitudes(load(x, j + 2 * width)))
        d = most(d, magnitudes(load(x, j + 3 * width)))
        e = most(e, magnitudes(load(x, j + 4 * width)))
        f = most(f, magnitudes(load(x, j + 5 * width)))
        g = most(g, magnitudes(load(x, j + 6 * width)))
        h = most(h, magnitudes(load(x, j + 7 * width)))
    return largest_of_each(a, b, c, d, e, f, g, h)


@inline
def _maxima(x, start, width, count, amax):
    """Write the largest magnitude of `count` blocks in a row."""
    done = 0
    if width % LANES == 0 and width <= TOGETHER:
        done = count & -LANES
        for b in range(0, done, LANES):
            store(amax, b, floats(_eight_maxima(x, start + b * width, width)))
    for b in range(done, count):
        at = start + b * width
        amax[b] = as_float32(_largest_magnitude(x, at, at + width))


@inline
def _settle(x, start, width, count, amax, poison):
    """Blocks that hold NaN or infinities go by their finite values, or are NaN with `poison`."""
    for b in range(count):
        if not (amax[b] < np.float32(np.inf)):
            at = start + b * width
            amax[b] = np.float32(np.nan) if poison else finite_amax(x[at : at + width])


@inline
def _scales_of(amax, scale, inverse, count, rule, for_zeros):
    """Write scales and their inverses; whether all are moderate.

    With `for_zeros` a block of zeros gets 1, which does as well for it and is moderate.
    """
    one = spread(np.float32(1))
    least = spread(np.int32(1 if for_zeros else 0))
    low = high = bits(one)
    for b in range(0, count, LANES):
        a = load(amax, b)
        s = where(less(bits(a), least), one, scale_lanes(a, rule))
        store(scale, b, s)
        store(inverse, b, one / s)
        low, high = where(less(bits(s), low), bits(s), low), most(high, bits(s))
    return (lowest(floats(low)) >= SMALLEST) & (as_float32(largest(high)) <= LARGEST)


@jit
def _round_blocks(x, out, size, rule_words, words, thresholds, values, tree, first):
    """Round every block of every row of a strip after the other; `out` may be `x`."""
    e = Element(words, thresholds, values, tree, first)
    rule = rule_of(rule_words)
    rows, cols = x.shape
    each = max(1, STRIP // size)
    amax, scale, inverse = of_blocks(each)
    for r in range(rows):
        row, target = x[r], out[r]
        start = 0
        while start < cols:
            width = min(size, cols - start)  # the last block of a row may be shorter
            count = min(each, (cols - start) // width)
            _maxima(row, start, width, count, amax)
            quick = _scales_of(amax, scale, inverse, count, rule, True)
            if not quick:  # perhaps for NaN or an infinity
                _settle(row, start, width, count, amax, rule.poison)
                _scales_of(amax, scale, inverse, count, rule, False)
            round_strip(row, target, start, width, count, scale, inverse, quick, rule.kind, e)
            start += count * width


@inline
def of_blocks(count):
    """Three arrays for `count` blocks, long enough for whole lanes: of ones, and two to fill."""
    length = (count + LANES - 1) & -LANES
    return np.ones(length, np.float32), np.empty(length, np.float32), np.empty(length, np.float32)


def round_blocks(x: np.ndarray, out: np.ndarray, size: int, rule: ScaleRule, e: Element) -> None:
    """Quantize and dequantize float32 rows in blocks of `size`, one scale each, to `out`.

    Args:
        x: (rows, cols) float32, contiguous.
        out: likewise; may be `x`.
        size: values a block; the last block of a row may be shorter.
        rule: how a block's scale comes from its amax.
        e: how scaled values are rounded.

    Example:
        >>> import workbench as wb
        >>> s, y = wb.scheme("mxfp4"), np.empty((1, 3), np.float32)
        >>> round_blocks(np.float32([[1, 5, 7]]), y, 32, s.rule(), element_of(s.format.rounder)); y
        array([[1., 4., 6.]], dtype=float32)
    """
    rows, cols = x.shape
    if rows * cols == 0:
        return
    words = rule.words()
    if cols % size:
        over_chunks(lambda a, b: _round_blocks(x[a:b], out[a:b], size, words, *e), rows, cols)
        return
    x, out = x.reshape(1, -1), out.reshape(1, -1)  # whole blocks: rows do not matter

    def work(a, b):
        span = slice(a * size, b * size)
        _round_blocks(x[:, span], out[:, span], size, words, *e)

    over_chunks(work, x.size // size, size)


@jit
def _amax_blocks(x, size, amax):
    for r in range(x.shape[0]):
        for b in range(amax.shape[1]):
            stop = min(b * size + size, x.shape[1])
            amax[r, b] = as_float32(_largest_magnitude(x[r], b * size, stop))


def block_amax(x: np.ndarray, size: int) -> np.ndarray:
    """The largest magnitude of every block, (rows, blocks) float32; NaN or inf where one is inside.

    Example:
        >>> block_amax(np.float32([[1, -5, 2]]), 2)
        array([[5., 2.]], dtype=float32)
    """
    rows, cols = x.shape
    amax = np.zeros((rows, -(-cols // size)), np.float32)
    over_chunks(lambda a, b: _amax_blocks(x[a:b], size, amax[a:b]), rows, cols)
    return amax


__all__ = ["Element", "block_amax", "element_of", "finite_amax", "round_blocks"]
