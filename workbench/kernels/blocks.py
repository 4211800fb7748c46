"""Fused quantize-dequantize of blocks: maximum, scale, round and rescale in one pass over memory.

Arrays are two-dimensional and contiguous; a block is `size` neighbours of one row, and the last
block of a row may be shorter. Rows are worked through in strips that stay in the first-level cache:
all maxima of a strip, then all its scales, then all its values. One compiled kernel serves every
element format, scale format and block size, in place and not.
"""

from __future__ import annotations

import numpy as np

from .cache import as_float32, as_int32, jit
from .elements import Element, element_of, round_strip
from .lane_steps import magnitudes, most
from .lanes import LANES, inline, largest, load
from .scales import EXACT, POWER_OF_TWO, ScaleRule, exact_scale, rule_of, scale_of
from .threads import over_chunks

STRIP = 1024  # values worked on together: 4 kB


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
def _scales_of_strip(x, start, width, count, scale, rule):
    """From amax to scale in place; blocks of NaN or infinities go by the rule's `poison`."""
    special = False
    for b in range(count):
        special |= not (scale[b] < np.float32(np.inf))
    if rule.kind == EXACT:  # the one scale that is a formula, for all blocks at once
        for b in range(count):
            scale[b] = exact_scale(scale[b], rule.q)
    else:
        for b in range(count):
            scale[b] = scale_of(scale[b], rule)
    if special:
        for b in range(count):
            at = start + b * width
            if _largest_magnitude(x, at, at + width) >= np.int32(0x7F800000):
                finite = scale_of(finite_amax(x[at : at + width]), rule)
                scale[b] = np.float32(np.nan) if rule.poison else finite


@jit
def _round_blocks(x, out, size, rule_words, words, thresholds, values, tree, first):
    """Round every block of every row of a strip after the other; `out` may be `x`."""
    e = Element(words, thresholds, values, tree, first)
    rule = rule_of(rule_words)
    rows, cols = x.shape
    each = max(1, STRIP // size)
    scale = np.empty(each, np.float32)
    for r in range(rows):
        row, target = x[r], out[r]
        start = 0
        while start < cols:
            width = min(size, cols - start)  # the last block of a row may be shorter
            count = min(each, (cols - start) // width)
            for b in range(count):
                at = start + b * width
                scale[b] = as_float32(_largest_magnitude(row, at, at + width))
            _scales_of_strip(row, start, width, count, scale, rule)
            round_strip(row, target, start, width, count, scale, rule.kind == POWER_OF_TWO, e)
            start += count * width


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
