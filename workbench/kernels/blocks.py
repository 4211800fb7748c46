"""Fused quantize-dequantize of blocks: maximum, scale, round and rescale in one pass over memory.

Arrays are two-dimensional and contiguous; a block is `size` neighbours of one row, and the last
block of a row may be shorter. Rows are worked through in strips that stay in the first-level cache:
all maxima of a strip, then all its scales, then all its values, so that every loop vectorises. One
compiled kernel serves every element format, scale format and block size.
"""

from __future__ import annotations

from typing import NamedTuple

import numba
import numpy as np

from .cache import as_float32, as_int32, jit
from .casts import (
    FloatRounder,
    GridRounder,
    Rounder,
    TableRounder,
    chain32,
    grid_nearest32,
    lookup32,
)
from .scales import POWER_OF_TWO, ScaleRule, scale_of
from .steps import FastFloat, saturated
from .threads import over_chunks

_inline = numba.njit(nogil=True, error_model="numpy", forceinline=True)

STRIP = 1024  # values worked on together: 4 kB
FLOAT, GRID, CHAIN, LOOKUP = range(4)


class Element(NamedTuple):
    """The rounding of scaled values: one of four kinds, with the parameters of all."""

    kind: np.int64
    fast: FastFloat
    inverse: np.float32
    step: np.float32
    low: np.float32
    high: np.float32
    chain: tuple
    chain_values: tuple
    thresholds: np.ndarray
    first: np.ndarray
    values: np.ndarray


_NO_CHAIN = (np.float32(np.inf),) * 15


def element_of(rounder: Rounder) -> Element:
    """The block kernels' view of a rounder that saturates and has a float32 fast path.

    Example:
        >>> import workbench as wb
        >>> int(element_of(wb.format("int4").rounder).kind)
        1
    """
    one = np.float32(1)
    fields: dict = {
        "kind": np.int64(FLOAT), "fast": no_fast_float(),
        "inverse": one, "step": one, "low": one, "high": one,
        "chain": _NO_CHAIN, "chain_values": (one,) * 16, "thresholds": np.zeros(1, np.float32),
        "first": np.zeros(1, np.int32), "values": np.zeros(1, np.float32),
    }  # fmt: skip
    if isinstance(rounder, FloatRounder):
        return Element(**fields | {"fast": rounder.fast})
    if isinstance(rounder, GridRounder):
        step, low, high = (np.float32(v) for v in rounder.grid)
        grid = {"inverse": one / step, "step": step, "low": low, "high": high}
        return Element(**fields | grid | {"kind": np.int64(GRID)})
    assert isinstance(rounder, TableRounder)
    if rounder.first is None:
        tables: dict = {"chain": tuple(rounder.thresholds), "chain_values": tuple(rounder.values32)}
        return Element(**fields | tables | {"kind": np.int64(CHAIN)})
    tables = {"thresholds": rounder.thresholds, "first": rounder.first, "values": rounder.values32}
    return Element(**fields | tables | {"kind": np.int64(LOOKUP)})


def no_fast_float() -> FastFloat:
    """A FastFloat of zeros, for kernels that are handed one they do not use.

    Example:
        >>> float(no_fast_float().top)
        0.0
    """
    floats = ("top", "grow", "shrink")
    fields: dict = {name: np.int32(0) for name in FastFloat._fields}
    return FastFloat(**fields | {name: np.float32(0) for name in floats})


@_inline
def _magnitude(x):
    return np.int32(as_int32(x) & np.int32(0x7FFFFFFF))


@_inline
def _halve(work, count):
    """The larger of each pair of neighbours, `count` pairs, in place."""
    for i in range(count):
        work[i] = max(work[2 * i], work[2 * i + 1])


@_inline
def _maxima(x, size, count, amax, work):
    """The largest magnitude of each of `count` blocks; infinite or NaN bits sort to the top."""
    if size & (size - 1) == 0 and 1 < size <= 32:
        pairs = size * count >> 1
        for i in range(pairs):
            work[i] = max(_magnitude(x[2 * i]), _magnitude(x[2 * i + 1]))
        while pairs > count:
            pairs >>= 1
            _halve(work, pairs)
        for b in range(count):
            amax[b] = as_float32(work[b])
        return
    for b in range(count):
        block = x[b * size : b * size + size]
        most = np.int32(0)
        for j in range(size):
            most = max(most, _magnitude(block[j]))
        amax[b] = as_float32(most)


@jit
def finite_amax(x):
    """The largest finite magnitude in a flat array, 0 where there is none."""
    most = np.float32(0)
    for j in range(x.size):
        magnitude = abs(x[j])
        if magnitude < np.float32(np.inf) and magnitude > most:
            most = magnitude
    return most


@jit
def _scales_of_strip(x, size, count, amax, scale, rule):
    """Every block's scale; blocks that hold NaN or infinities go by the rule's `poison`."""
    special = False
    for b in range(count):
        scale[b] = scale_of(amax[b], rule)
        special |= not (amax[b] < np.float32(np.inf))
    if special:
        for b in range(count):
            if not (amax[b] < np.float32(np.inf)):
                finite = scale_of(finite_amax(x[b * size : b * size + size]), rule)
                scale[b] = np.float32(np.nan) if rule.poison else finite


@_inline
def _double(source, target, count):
    for i in range(count):
        value = source[i]
        target[2 * i] = value
        target[2 * i + 1] = value


@_inline
def _spread16(scale, count, spread, work):
    """Each scale sixteen times, by doubling."""
    _double(scale, work, count)
    _double(work, spread, 2 * count)
    _double(spread, work, 4 * count)
    _double(work, spread, 8 * count)


@_inline
def grid_step(x, e):
    """A scaled value on the grid of `e`."""
    return np.float32(grid_nearest32(np.float32(x * e.inverse), e.low, e.high) * e.step)


@_inline
def _round_by_array(x, out, count, scale, e):
    """Round `count` values, each with its own scale."""
    if e.kind == FLOAT:
        for j in range(count):
            out[j] = np.float32(saturated(np.float32(x[j] / scale[j]), e.fast) * scale[j])
    elif e.kind == GRID:
        for j in range(count):
            out[j] = np.float32(grid_step(np.float32(x[j] / scale[j]), e) * scale[j])
    elif e.kind == CHAIN:
        for j in range(count):
            y = chain32(np.float32(x[j] / scale[j]), e.chain, e.chain_values)
            out[j] = np.float32(y * scale[j])
    else:
        for j in range(count):
            y = lookup32(np.float32(x[j] / scale[j]), e.thresholds, e.first, e.values)
            out[j] = np.float32(y * scale[j])


@_inline
def _round_block(x, out, scale, exact_inverse, e):
    """Round one block with its one scale; a power of two is multiplied by its inverse."""
    if e.kind == FLOAT and exact_inverse:
        inverse = np.float32(np.float32(1) / scale)
        for j in range(x.size):
            out[j] = np.float32(saturated(np.float32(x[j] * inverse), e.fast) * scale)
    elif e.kind == FLOAT:
        for j in range(x.size):
            out[j] = np.float32(saturated(np.float32(x[j] / scale), e.fast) * scale)
    elif e.kind == GRID:
        for j in range(x.size):
            out[j] = np.float32(grid_step(np.float32(x[j] / scale), e) * scale)
    elif e.kind == CHAIN:
        for j in range(x.size):
            y = chain32(np.float32(x[j] / scale), e.chain, e.chain_values)
            out[j] = np.float32(y * scale)
    else:
        for j in range(x.size):
            y = lookup32(np.float32(x[j] / scale), e.thresholds, e.first, e.values)
            out[j] = np.float32(y * scale)


@jit
def _round_blocks(x, out, size, rule, e, in_place):
    """Round every block of every row; in place, by way of a buffer, so that loops vectorise."""
    rows, cols = x.shape
    each = max(1, STRIP // size)
    amax, scale = np.empty(each, np.float32), np.empty(each, np.float32)
    bits = np.empty(each * size, np.int32)
    spread, work = np.empty(each * size, np.float32), np.empty(each * size, np.float32)
    buffer = np.empty(each * size if in_place else 1, np.float32)
    exact_inverse = rule.kind == POWER_OF_TWO
    for r in range(rows):
        row, target = x[r], out[r]
        start = 0
        while start < cols:
            width = min(size, cols - start)  # the last block of a row may be shorter
            count = min(each, (cols - start) // width)
            part = row[start : start + count * width]
            final = target[start : start + count * width]
            result = buffer[: count * width] if in_place else final
            _maxima(part, width, count, amax, bits)
            _scales_of_strip(part, width, count, amax, scale, rule)
            if width == 16:
                _spread16(scale, count, spread, work)
                _round_by_array(part, result, count * 16, spread, e)
            else:
                for b in range(count):
                    o = b * width
                    block, rounded = part[o : o + width], result[o : o + width]
                    _round_block(block, rounded, scale[b], exact_inverse, e)
            if in_place:
                for j in range(count * width):
                    final[j] = result[j]
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
    in_place = x.ctypes.data == out.ctypes.data
    if cols % size:
        over_chunks(
            lambda a, b: _round_blocks(x[a:b], out[a:b], size, rule, e, in_place), rows, cols
        )
        return
    x, out = x.reshape(1, -1), out.reshape(1, -1)  # whole blocks: rows do not matter

    def work(a, b):
        span = slice(a * size, b * size)
        _round_blocks(x[:, span], out[:, span], size, rule, e, in_place)

    over_chunks(work, x.size // size, size)


@jit
def _amax_blocks(x, size, amax):
    for r in range(x.shape[0]):
        for b in range(amax.shape[1]):
            block = x[r, b * size : min(b * size + size, x.shape[1])]
            most = np.int32(0)
            for j in range(block.size):
                most = max(most, _magnitude(block[j]))
            amax[r, b] = as_float32(most)


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
