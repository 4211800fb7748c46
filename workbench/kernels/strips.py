"""Rounding strips: some blocks one after another in a row, each with its own scale.

The quick loops work on eight values at a time where scales and format are moderate, so that nothing
overflows or is subnormal on the way; the plain loops serve the rest, and the tails of short blocks,
with the same bits. A value beyond the format's reach is brought to the reach before it is divided,
which also takes care of infinities; powers of two need no division at all, as rounding to a float
format times a power of two is the same arithmetic with other constants.
"""

from __future__ import annotations

import numpy as np

from .cache import as_float32
from .casts import grid_nearest32, lookup32, nearest_short
from .elements import FLOAT, FLOAT_AT, GRID, SHORT
from .lane_steps import (
    clamped_lanes,
    float_lanes,
    found_lanes,
    nearest_lanes,
    quotient_lanes,
    scaled_lanes,
    tree_lanes,
)
from .lanes import LANES, bits, inline, load, rounded, spread, store
from .parameters import fast_float
from .scales import EXACT, GIVEN, POWER_OF_TWO
from .steps import saturated

_ONE = np.int32(0x3F800000)
SMALLEST, LARGEST = np.float32(2.0**-60), np.float32(2.0**60)  # moderate scales


@inline
def invert(scales, inverses, count):
    """Write the inverses of `count` scales; whether all are moderate."""
    moderate = True
    for b in range(count):
        inverses[b] = np.float32(1) / scales[b]
        moderate &= (scales[b] >= SMALLEST) & (scales[b] <= LARGEST)
    return moderate


@inline
def _float_times_powers(x, out, start, width, whole, count, scales, p):
    """A float format times powers of two: its largest value and its exponents are what move."""
    for b in range(count):
        at, scale = start + b * width, scales[b]
        top, bottom = spread(p.top) * spread(scale), spread(np.float32(-p.top)) * spread(scale)
        least = spread(np.int32(p.least - _ONE)) + bits(spread(scale))
        for j in range(at, at + whole, LANES):
            v = clamped_lanes(load(x, j), bottom, top)
            store(out, j, float_lanes(v, v, least, p))


@inline
def _float_times_scales(x, out, start, width, whole, count, scales, inverses, p):
    least = spread(p.least)
    for b in range(count):
        at, s, i = start + b * width, spread(scales[b]), spread(inverses[b])
        top, bottom = spread(p.top) * s, spread(np.float32(-p.top)) * s
        for j in range(at, at + whole, LANES):
            v = clamped_lanes(load(x, j), bottom, top)
            store(out, j, float_lanes(quotient_lanes(v, s, i), v, least, p) * s)


@inline
def _float_strip(x, out, start, width, count, scales, inverses, quick, exact_inverse, p):
    """Blocks of 16 and of 32 are named, so that the compiler writes their short loops out."""
    whole = (width & -LANES) if quick else 0
    if whole == width == 32 and exact_inverse:
        _float_times_powers(x, out, start, 32, 32, count, scales, p)
    elif whole == width == 16 and not exact_inverse:
        _float_times_scales(x, out, start, 16, 16, count, scales, inverses, p)
    elif exact_inverse:
        _float_times_powers(x, out, start, width, whole, count, scales, p)
    else:
        _float_times_scales(x, out, start, width, whole, count, scales, inverses, p)
    if whole < width:
        for b in range(count):
            at, scale = start + b * width, scales[b]
            for j in range(at + whole, at + width):
                out[j] = np.float32(saturated(np.float32(x[j] / scale), p) * scale)


@inline
def _grid_times_scales(x, out, start, width, whole, count, scales, inverses, reached, words):
    low, high, step, of_step = _of_grid(words)
    bottom, top = spread(low), spread(high)
    for b in range(count):
        at = start + b * width
        u, i = spread(scales[b]) * spread(step), spread(inverses[b]) * spread(of_step)
        for j in range(at, at + whole, LANES):
            v = load(x, j) if reached else clamped_lanes(load(x, j), bottom * u, top * u)
            store(out, j, scaled_lanes(rounded(quotient_lanes(v, u, i)), u))


@inline
def _of_grid(words):
    """Smallest and largest value in steps, the step and its inverse."""
    return as_float32(words[2]), as_float32(words[3]), as_float32(words[4]), as_float32(words[5])


@inline
def _grid_strip(x, out, start, width, count, scales, inverses, quick, reached, words):
    whole = (width & -LANES) if quick else 0
    if whole == width == 32:
        _grid_times_scales(x, out, start, 32, 32, count, scales, inverses, reached, words)
    elif whole == width == 128:
        _grid_times_scales(x, out, start, 128, 128, count, scales, inverses, reached, words)
    else:
        _grid_times_scales(x, out, start, width, whole, count, scales, inverses, reached, words)
    if whole < width:
        low, high, step, of_step = _of_grid(words)
        for b in range(count):
            at, scale = start + b * width, scales[b]
            for j in range(at + whole, at + width):
                y = grid_nearest32(np.float32(np.float32(x[j] / scale) * of_step), low, high)
                out[j] = np.float32(np.float32(y * step) * scale)


@inline
def _short_times_scales(x, out, start, width, whole, count, scales, inverses, finite, e):
    low, high = spread(as_float32(e.words[2])), spread(as_float32(e.words[3]))
    tree = tree_lanes(e.tree)
    for b in range(count):
        at, s, i = start + b * width, spread(scales[b]), spread(inverses[b])
        if finite:
            for j in range(at, at + whole, LANES):
                v = quotient_lanes(load(x, j), s, i)
                store(out, j, found_lanes(v, tree, e.thresholds, e.values) * s)
        else:
            for j in range(at, at + whole, LANES):
                v = quotient_lanes(clamped_lanes(load(x, j), low * s, high * s), s, i)
                store(out, j, nearest_lanes(v, tree, e.thresholds, e.values) * s)


@inline
def _short_strip(x, out, start, width, count, scales, inverses, quick, finite, e):
    whole = (width & -LANES) if quick else 0
    if whole == width == 64:
        _short_times_scales(x, out, start, 64, 64, count, scales, inverses, finite, e)
    else:
        _short_times_scales(x, out, start, width, whole, count, scales, inverses, finite, e)
    if whole < width:
        for b in range(count):
            at, scale = start + b * width, scales[b]
            for j in range(at + whole, at + width):
                y = nearest_short(np.float32(x[j] / scale), e.thresholds, e.values)
                out[j] = np.float32(y * scale)


@inline
def _long_strip(x, out, start, width, count, scales, e):
    for b in range(count):
        at, scale = start + b * width, scales[b]
        for j in range(at, at + width):
            y = lookup32(np.float32(x[j] / scale), e.thresholds, e.first, e.values)
            out[j] = np.float32(y * scale)


@inline
def round_strip(x, out, start, width, count, scales, inverses, moderate, kind, e):
    """Round `count` blocks of `width` values from `start` on; `out` may be `x`.

    `inverses` and `moderate` are what `invert` found; `kind` is that of the scales' rule, or GIVEN
    for scales that come from elsewhere: only these may meet NaN or infinities while moderate.
    """
    words = e.words
    quick = moderate and words[1] != 0
    finite, exact_inverse = kind != GIVEN, kind == POWER_OF_TWO
    if words[0] == FLOAT:
        p = fast_float(words, FLOAT_AT)
        _float_strip(x, out, start, width, count, scales, inverses, quick, exact_inverse, p)
    elif words[0] == GRID:
        high = as_float32(words[3])
        reached = kind == EXACT and high > np.float32(0) and as_float32(words[2]) <= -high
        _grid_strip(x, out, start, width, count, scales, inverses, quick, reached, words)
    elif words[0] == SHORT:
        _short_strip(x, out, start, width, count, scales, inverses, quick, finite, e)
    else:
        _long_strip(x, out, start, width, count, scales, e)
