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
    most = np.int32(as_int32(p.top) & _EXPONENT32)  # beyond it, C itself would overflow
    exponent = np.int32(min(np.int32(as_int32(x) & _EXPONENT32), most))
    c = as_float32(np.int32(np.int32(max(exponent, p.least)) + p.shift))
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


_ALWAYS, _NEVER = np.float64(5e-324), np.float64(2)  # the least fractions of all, and of none
_HALF, _ABOVE_HALF = np.float64(0.5), np.nextafter(np.float64(0.5), 1)


@jit
def least_fraction(mode, odd, negative):
    """The smallest way to its upper neighbour from which a magnitude is rounded there.

    `odd` says that the lower neighbour's code is odd. Exact values (fraction 0) always stay.
    Stochastic modes have `drawn_fraction` in its place.
    """
    if mode == NEAREST_AWAY or (mode == NEAREST_EVEN and odd):
        return _HALF
    if mode in (NEAREST_EVEN, NEAREST_ZERO):
        return _ABOVE_HALF
    outward = mode == (DOWN if negative else UP)
    return _ALWAYS if outward or (mode == TO_ODD and not odd) else _NEVER


@jit
def drawn_fraction(mode, uniform):
    """The smallest fraction that is rounded up for a random number in [0, 1)."""
    if mode == STOCHASTIC:  # what is above the number: from the next float64 on
        return as_float64(as_int64(uniform) + 1)
    return _ALWAYS if uniform < 0.5 else _NEVER


@jit
def least_fractions(mode):
    """`least_fraction` for an even and an odd code, of positive and then of negative values."""
    return (
        least_fraction(mode, False, False),
        least_fraction(mode, True, False),
        least_fraction(mode, False, True),
        least_fraction(mode, True, True),
    )


@jit
def _limit(limits, odd, negative):
    positive = limits[1] if odd else limits[0]
    return (limits[3] if odd else limits[2]) if negative else positive


@jit
def any_mode(x, limits, mode, p):
    """The float64 to which `x` is rounded in the format `p`, by the `least_fractions` of a mode.

    Above the largest value the next one, had the format one more, is the upper neighbour. An
    infinite input always overflows; rounding to odd never does otherwise. All is straight-line
    code on both sides of every choice, so that loops of it vectorise.
    """
    reach = p.top + p.next_gap
    magnitude = abs(x)
    y = min(magnitude, as_float64(as_int64(reach) - 1))
    exponent = max(as_int64(y) & _EXPONENT64, np.int64(p.least + 1023) << 52)
    tiny = y < p.tiny
    shift = np.int64(0) if tiny else p.mantissa << 52
    exponent = np.int64(p.least + 1023) << 52 if tiny else exponent
    scaled = y * as_float64((np.int64(2046) << 52) - exponent + shift)
    scaled = 1e-300 if (scaled == 0) & (magnitude > 0) else scaled
    whole = np.floor(scaled)
    odd = whole - 2 * np.floor(0.5 * whole)
    if p.mantissa == 0:  # the code is the exponent field: its parity decides
        field = ((exponent >> 52) - 1022 - p.least) & 1
        odd = odd if field != 0 else 0.0
    up = scaled - whole >= _limit(limits, odd != 0, x < 0)
    y = (whole + 1 if up else whole) * as_float64(exponent - shift)
    y = (p.top if mode == TO_ODD else p.over) if y > p.top else y
    over = (magnitude == np.inf) | ((mode == STOCHASTIC_EQUAL) & (magnitude >= reach))
    y = p.over if over & (magnitude > p.top) else y
    y = 0.0 if (y == 0) & (p.signed_zero == 0) else np.copysign(y, x)
    y = p.below if (p.below != 1) & (x < 0) else y
    return x if x != x else y


@jit
def on_grid(x, limits, p):
    """The float64 to which `x` is rounded on an integer or fixed-point grid; never -0."""
    scaled = x / p.step
    scaled = x if scaled == 0 else scaled  # the last subnormals are still not zero
    scaled = p.low if scaled < p.low else scaled
    scaled = p.high if p.high < scaled else scaled
    magnitude = abs(scaled)
    whole = np.floor(magnitude)
    odd = whole - 2 * np.floor(0.5 * whole)
    up = magnitude - whole >= _limit(limits, odd != 0, scaled < 0)
    y = (whole + 1 if up else whole) * p.step
    y = (-y if scaled < 0 else y) + 0.0
    return x if x != x else y


@jit
def in_table(x, mode, uniform, values, middles, odd, first, last):
    """The index in sorted float64 `values` to which `x` is rounded.

    Nearest rounding turns at `middles`; `odd` is the codes' parity.
    """
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
    return low + 1 if _upper_in_table(x, mode, uniform, values, middles, odd, low) else low


@jit
def _upper_in_table(x, mode, uniform, values, middles, odd, low):
    """Whether `x`, strictly between two neighbours, is rounded to the upper one."""
    lower, upper = values[low], values[low + 1]
    middle = middles[low]
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
