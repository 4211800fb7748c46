"""One value at a time: the arithmetic that every cast and block kernel inlines.

A float cast at copy speed needs no table: adding and subtracting `C = 1.5 * 2^(e + 23 - M)` lets
the hardware's own nearest-even do signs, ties and subnormals at once. Everything here takes plain
scalars, so one compiled kernel serves every format.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from .cache import as_float32, as_float64, as_int32, as_int64, jit

# Rounding modes by number, in the order in which formats name them.
NEAREST_EVEN, NEAREST_AWAY, NEAREST_ZERO, TOWARD_ZERO, UP, DOWN, TO_ODD = range(7)
STOCHASTIC, STOCHASTIC_EQUAL = 7, 8

# How the float32 fast path treats what lies above the largest value.
SATURATE, INFINITE, INVALID, CUT, NO_FAST_PATH = range(5)

_EXPONENT32 = np.int32(0x7F800000)
_EXPONENT64 = np.int64(0x7FF0000000000000)


class FastFloat(NamedTuple):
    """A float format for the float32 nearest-even fast path.

    `kind` says what overflow does: SATURATE, INFINITE, INVALID (NaN), CUT (the first bits of
    float32, as bfloat16) or NO_FAST_PATH. `least` is the pattern of the smallest normal's power of
    two, `shift` turns an exponent pattern into that of C, `step` into that of the local step;
    `grow` and `shrink` are the powers of two that push an overflow to infinity and back; CUT keeps
    the bits of `mask`, the last of which is `last`, and adds `half`; zero keeps the bit `sign`.
    """

    kind: np.int32
    least: np.int32
    shift: np.int32
    top: np.float32
    grow: np.float32
    shrink: np.float32
    last: np.int32
    half: np.int32
    mask: np.int32
    step: np.int32
    sign: np.int32


class AnyFloat(NamedTuple):
    """A float format as float64 scalars, for any rounding mode and any exponent range.

    `least` is the exponent of the smallest normal, `next_gap` the step above the largest value,
    `top_odd` the parity of the largest value's code, `over` what an overflow becomes, `tiny` the
    smallest normal where subnormals are off (else 0), `below` what negative values become where
    there is no sign (signed formats: 1).
    """

    mantissa: np.int64
    least: np.int64
    top: np.float64
    next_gap: np.float64
    top_odd: np.int64
    over: np.float64
    tiny: np.float64
    below: np.float64
    signed_zero: np.int64


class Grid(NamedTuple):
    """An integer or fixed-point format: the multiples of `step` from `low` to `high`, in steps."""

    step: np.float64
    low: np.float64
    high: np.float64


@jit
def saturated(x, p):
    """The float32 nearest to `x` in the format `p`, ties to even, never beyond the largest."""
    y = p.top if p.top < x else x
    y = -p.top if -p.top > y else y
    exponent = np.int32(max(np.int32(as_int32(y) & _EXPONENT32), p.least))
    c = as_float32(np.int32(exponent + p.shift))
    y = np.float32(np.float32(y + c) - c)
    return as_float32(np.int32(as_int32(y) | np.int32(as_int32(x) & p.sign)))


@jit
def to_infinity(x, p):
    """The float32 nearest to `x` in the format `p`, ties to even, infinite beyond the largest."""
    exponent = np.int32(max(np.int32(as_int32(x) & _EXPONENT32), p.least))
    c = as_float32(np.int32(exponent + p.shift))
    y = np.float32(np.float32(x + c) - c)
    y = np.float32(np.float32(y * p.grow) * p.shrink)
    return as_float32(np.int32(as_int32(y) | np.int32(as_int32(x) & p.sign)))


@jit
def to_nan(x, p):
    """The float32 nearest to `x` in the format `p`, ties to even, NaN beyond the largest."""
    exponent = np.int32(max(np.int32(as_int32(x) & _EXPONENT32), p.least))
    c = as_float32(np.int32(exponent + p.shift))
    y = np.float32(np.float32(x + c) - c)
    y = np.float32(np.nan) if abs(y) > p.top else y
    y = np.float32(np.nan) if abs(x) == np.float32(np.inf) else y
    return as_float32(np.int32(as_int32(y) | np.int32(as_int32(x) & p.sign)))


@jit
def cut(x, p):
    """The float32 nearest to `x` with the bits below `p.last` zero, ties to even (bfloat16)."""
    bits = as_int32(x)
    odd = np.int32(0) if np.int32(bits & p.last) == np.int32(0) else np.int32(1)
    rounded = np.int32(np.int32(bits + p.half) + odd)
    return x if x != x else as_float32(np.int32(rounded & p.mask))


@jit
def stochastic32(x, bits, p):
    """A float32 rounded up with the probability of its position in the step; saturates.

    The same decision as `any_mode` takes on the same 24 random bits.
    """
    y = as_float32(np.int32(as_int32(x) & np.int32(0x7FFFFFFF)))
    y = p.top if p.top < y else y
    exponent = np.int32(max(np.int32(as_int32(y) & _EXPONENT32), p.least))
    step = as_float32(np.int32(exponent + p.step))
    inverse = as_float32(np.int32(np.int32(0x7F000000) - np.int32(exponent + p.step)))
    scaled = np.float32(y * inverse)
    whole = np.floor(scaled)
    uniform = np.float32(np.int32(bits >> np.uint32(8))) * np.float32(2.0**-24)
    whole = whole + np.float32(1) if uniform < np.float32(scaled - whole) else whole
    y = np.float32(whole * step)
    return as_float32(np.int32(as_int32(y) | np.int32(as_int32(x) & p.sign)))


@jit
def random_bits(index, key, key2):
    """32 random bits that depend only on the index and the keys (a keyed integer hash)."""
    h = np.uint32(np.uint32(index) ^ key)
    h = np.uint32(np.uint32(h ^ np.uint32(h >> np.uint32(16))) * np.uint32(0x7FEB352D))
    h = np.uint32(h + key2)
    h = np.uint32(np.uint32(h ^ np.uint32(h >> np.uint32(15))) * np.uint32(0x846CA68B))
    return np.uint32(h ^ np.uint32(h >> np.uint32(16)))


@jit
def goes_up(mode, fraction, odd, negative, uniform):
    """Whether a magnitude that lies `fraction` of the way to its upper neighbour is rounded there.

    `odd` says that the lower neighbour's code is odd; `uniform` is in [0, 1). Exact values
    (`fraction` 0) always stay.
    """
    if mode == NEAREST_EVEN:
        return (fraction > 0.5) | ((fraction == 0.5) & odd)
    if mode == NEAREST_AWAY:
        return fraction >= 0.5
    if mode == NEAREST_ZERO:
        return fraction > 0.5
    if mode == TOWARD_ZERO:
        return False
    if mode == UP:
        return (fraction > 0) & (not negative)
    if mode == DOWN:
        return (fraction > 0) & negative
    if mode == TO_ODD:
        return (fraction > 0) & (not odd)
    if mode == STOCHASTIC:
        return uniform < fraction
    return (fraction > 0) & (uniform < 0.5)


@jit
def beyond(mode, x, magnitude, uniform, p):
    """What a magnitude above the largest value becomes: the largest, or the format's overflow.

    An infinite input always overflows, and rounding to odd never does; the other modes treat the
    value that would come next, had the format one more, as the upper neighbour.
    """
    if magnitude == np.inf:
        return p.over
    if mode == TO_ODD:
        return p.top
    gap = (magnitude - p.top) / p.next_gap
    if gap >= 1 and mode == STOCHASTIC_EQUAL:
        return p.over
    return p.over if goes_up(mode, min(gap, 1.0), p.top_odd == 1, x < 0, uniform) else p.top


@jit
def any_mode(x, mode, uniform, p):
    """The float64 to which `x` is rounded in the format `p`, by any mode."""
    magnitude = abs(x)
    if x != x:
        return x
    if p.below != 1 and x < 0:
        return p.below
    if magnitude > p.top:
        y = beyond(mode, x, magnitude, uniform, p)
        return -y if x < 0 else y
    if magnitude < p.tiny:
        up = goes_up(mode, magnitude / p.tiny, False, x < 0, uniform)
        y = p.tiny if up else 0.0
    else:
        exponent = max(as_int64(magnitude) & _EXPONENT64, np.int64(p.least + 1023) << 52)
        inverse = as_float64((np.int64(2046) << 52) - exponent + (p.mantissa << 52))
        scaled = magnitude * inverse
        scaled = 1e-300 if (scaled == 0) & (magnitude > 0) else scaled
        whole = np.floor(scaled)
        odd = np.int64(whole) & 1
        if p.mantissa == 0:  # the code is the exponent field: its parity decides
            odd = odd & ((exponent >> 52) - 1022 - p.least)
        up = goes_up(mode, scaled - whole, odd == 1, x < 0, uniform)
        y = (whole + 1 if up else whole) / inverse
    if y == 0 and p.signed_zero == 0:
        return 0.0
    return np.copysign(y, x)


@jit
def on_grid(x, mode, uniform, p):
    """The float64 to which `x` is rounded on an integer or fixed-point grid; never -0."""
    if x != x:
        return x
    scaled = min(max(x / p.step, p.low), p.high)
    magnitude = abs(scaled)
    whole = np.floor(magnitude)
    odd = (np.int64(whole) & 1) == 1
    up = goes_up(mode, magnitude - whole, odd, scaled < 0, uniform)
    y = (whole + 1 if up else whole) * p.step
    return -y if (scaled < 0) & (y != 0) else y


@jit
def in_table(x, mode, uniform, values, odd, first, last):
    """The index in sorted float64 `values` to which `x` is rounded; `odd` is the codes' parity."""
    if x <= values[first]:
        return first
    if x >= values[last]:
        return last
    low, high = first, last
    while high - low > 1:
        middle = (low + high) // 2
        if values[middle] <= x:
            low = middle
        else:
            high = middle
    if x == values[low]:
        return low
    return low + 1 if _upper_in_table(x, mode, uniform, values, odd, low) else low


@jit
def _upper_in_table(x, mode, uniform, values, odd, low):
    """Whether `x`, strictly between two neighbours, is rounded to the upper one."""
    lower, upper = values[low], values[low + 1]
    middle = 0.5 * lower + 0.5 * upper
    outward = abs(upper) > abs(lower)  # the upper neighbour is the larger magnitude
    if mode == UP:
        return True
    if mode == DOWN:
        return False
    if mode == TOWARD_ZERO:
        return not outward
    if mode == TO_ODD:
        return (odd[low + 1] == 1) if odd[low] != odd[low + 1] else outward
    if mode in (STOCHASTIC, STOCHASTIC_EQUAL):  # a magnitude is what is rounded up
        position = (upper - x if upper <= 0 else x - lower) / (upper - lower)
        up = uniform < (position if mode == STOCHASTIC else 0.5)
        return up != (upper <= 0)
    if x != middle:
        return x > middle
    if mode == NEAREST_AWAY:
        return outward
    if mode == NEAREST_ZERO or odd[low] == odd[low + 1]:
        return not outward
    return odd[low] == 1
