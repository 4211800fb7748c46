"""From the largest magnitude of a block to the scale it is stored with.

A scale is amax / q, where q is the format's largest value, kept exactly (float32), rounded to a
float format, or rounded to a power of two by one of four rules: floor is OCP's (it may clip), even
rounds amax to the element's mantissa first, ceil and rceil never clip (rceil looks at amax / q).
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np

from .cache import as_float32, jit
from .lane_steps import cut_lanes, most, saturated_lanes
from .lanes import LANES, bits, floats, inline, less, load, spread, store, where
from .parameters import fast_float, words_of
from .steps import CUT, FastFloat

_LEAST_NORMAL = np.int32(0x800000)
EXACT, ROUNDED, POWER_OF_TWO, GIVEN = range(4)
FLOOR, CEIL, EVEN, RCEIL = range(4)


class ScaleRule(NamedTuple):
    """How a block's scale comes from its amax.

    `q` is the largest value of the element format and `q_exponent` its power of two; `rule` and
    `even_bit` (half of the element's last mantissa bit, as a float32 pattern) serve powers of two,
    whose exponents stay within `low` and `high`; `format` rounds ROUNDED scales, never below
    `smallest`; `whole` is the tensor's own scale above the blocks' (1 where there is one level);
    `poison` makes a block that holds NaN or an infinity NaN as a whole.
    """

    kind: np.int32
    rule: np.int32
    q: np.float32
    q_exponent: np.int32
    even_bit: np.int32
    low: np.int32
    high: np.int32
    format: FastFloat
    smallest: np.float32
    whole: np.float32
    poison: np.bool_

    def words(self) -> np.ndarray:
        """All fields as one array, which kernels take quickly and `rule_of` reads back."""
        if self.whole == 1:
            return _words(self)
        words = _words(self._replace(whole=np.float32(1))).copy()
        words.view(np.float32)[_WHOLE_AT] = self.whole
        return words


_WHOLE_AT = 8


@lru_cache(maxsize=256)
def _words(rule: ScaleRule) -> np.ndarray:
    """The words of a rule whose tensor has no scale of its own."""
    plain = rule._replace(poison=np.int32(rule.poison), format=())
    return words_of(*plain, rule.format)


@jit
def rule_of(words):
    """The ScaleRule that `ScaleRule.words` wrote."""
    return ScaleRule(
        words[0],
        words[1],
        as_float32(words[2]),
        words[3],
        words[4],
        words[5],
        words[6],
        fast_float(words, 10),
        as_float32(words[7]),
        as_float32(words[8]),
        words[9] != 0,
    )


@inline
def _power_of_two_lanes(amax, p):
    """The powers of two that eight amax are scaled by, under the rule of `p`.

    Subnormals are brought to where the exponent field is their logarithm, 2^24 further up.
    """
    above, far = p.rule == RCEIL, p.rule != FLOOR
    v = amax / spread(p.q) if above else amax
    small = less(bits(v), spread(_LEAST_NORMAL))
    pattern = where(small, bits(v * spread(np.float32(2.0**24))), bits(v))
    added = p.even_bit if p.rule == EVEN else np.int32(0x7FFFFF if far else 0)
    of_q = np.int32(0) if above else p.q_exponent
    less_by = where(small, spread(np.int32(151 + of_q)), spread(np.int32(127 + of_q)))
    exponent = ((pattern + spread(added)) >> spread(np.int32(23))) - less_by
    exponent = most(exponent, spread(p.low))
    exponent = where(less(spread(p.high), exponent), spread(p.high), exponent)
    subnormal = spread(np.int32(1)) << most(exponent + spread(np.int32(149)), spread(np.int32(0)))
    normal = (exponent + spread(np.int32(127))) << spread(np.int32(23))
    return floats(where(less(exponent, spread(np.int32(-126))), subnormal, normal))


@inline
def _stored_lanes(amax, p):
    """Eight scales as they come back from the float format that they are stored in."""
    scale = amax / spread(p.q) / spread(p.whole)
    cut = p.format.kind == CUT
    scale = cut_lanes(scale, p.format) if cut else saturated_lanes(scale, p.format)
    smallest = spread(p.smallest)
    return where(less(scale, smallest), smallest, scale) * spread(p.whole)


@inline
def _exact_lanes(amax, p):
    """Eight unrounded scales; 1 for blocks of zeros."""
    scale, smallest = amax / spread(p.q), spread(np.float32(1e-45))
    scale = where(less(scale, smallest), smallest, scale)  # the last subnormals keep a scale
    return where(less(spread(np.float32(0)), amax), scale, spread(np.float32(1)))


@inline
def scale_lanes(amax, p):
    """The float32 scales of eight blocks by their amax; infinite or NaN gives NaN."""
    if p.kind == POWER_OF_TWO:
        scale = _power_of_two_lanes(amax, p)
    elif p.kind == EXACT:
        scale = _exact_lanes(amax, p)
    else:
        scale = _stored_lanes(amax, p)
    nan = spread(np.float32(np.nan))
    return where(less(amax, spread(np.float32(np.inf))), scale, nan)


@jit
def _scales(amax, out, words):
    p = rule_of(words)
    for i in range(0, amax.size, LANES):
        store(out, i, scale_lanes(load(amax, i), p))


def scales_of(amax: np.ndarray, p: ScaleRule) -> np.ndarray:
    """The float32 scale of every amax (float32, any shape); infinite or NaN gives NaN.

    Example:
        >>> from workbench.schemes import parse
        >>> scales_of(np.float32([6.0, 7.0, 0.5]), parse("mxfp4").rule())
        array([1.   , 1.   , 0.125], dtype=float32)
    """
    flat = np.zeros(-(-amax.size // LANES) * LANES, np.float32)
    flat[: amax.size] = np.asarray(amax, np.float32).reshape(-1)
    _scales(flat, flat, p.words())
    return flat[: amax.size].reshape(amax.shape)
