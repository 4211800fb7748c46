"""From the largest magnitude of a block to the scale it is stored with.

A scale is amax / q, where q is the format's largest value, kept exactly (float32), rounded to a
float format, or rounded to a power of two by one of four rules: floor is OCP's (it may clip), even
rounds amax to the element's mantissa first, ceil and rceil never clip (rceil looks at amax / q).
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np

from .cache import as_float32, as_int32, jit
from .parameters import fast_float, words_of
from .steps import CUT, FastFloat, cut, saturated

EXACT, ROUNDED, POWER_OF_TWO = range(3)
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


@jit
def power_of_two(exponent):
    """2^exponent as float32, for exponents from -149 to 127."""
    if exponent < -126:
        return as_float32(np.int32(np.int32(1) << np.int32(exponent + 149)))
    return as_float32(np.int32(np.int32(exponent + 127) << 23))


@jit
def power_of_two_scale(amax, p):
    """The power of two that a finite float32 amax is scaled by, under the rule of `p`."""
    bits = np.int64(as_int32(amax))
    if p.rule == RCEIL:
        bits = np.int64(as_int32(np.float32(amax / p.q)))
        exponent = ((bits + 0x7FFFFF) >> 23) - 127
    else:
        added = 0x7FFFFF if p.rule == CEIL else (p.even_bit if p.rule == EVEN else 0)
        exponent = ((bits + added) >> 23) - 127 - p.q_exponent
    return power_of_two(min(max(exponent, p.low), p.high))


@jit
def exact_scale(amax, q):
    """The unrounded float32 scale of a block; 1 for a block of zeros."""
    scale = max(np.float32(amax / q), np.float32(1e-45))  # the last subnormals keep a scale
    return np.float32(1) if amax == np.float32(0) else scale


@jit
def scale_of(amax, p):
    """The float32 scale of a block with this finite amax."""
    if p.kind == POWER_OF_TWO:
        return power_of_two_scale(amax, p)
    if p.kind == EXACT:
        return exact_scale(amax, p.q)
    scale = np.float32(amax / p.q)
    scale = np.float32(scale / p.whole)
    scale = cut(scale, p.format) if p.format.kind == CUT else saturated(scale, p.format)
    return np.float32(max(scale, p.smallest) * p.whole)


@jit
def _scales(amax, out, words):
    p = rule_of(words)
    for i in range(amax.size):
        a = amax[i]
        if a < np.float32(np.inf):
            out[i] = scale_of(a, p)
        else:
            out[i] = np.float32(np.nan)


def scales_of(amax: np.ndarray, p: ScaleRule) -> np.ndarray:
    """The float32 scale of every amax (float32, any shape); infinite or NaN gives NaN.

    Example:
        >>> from workbench.schemes import parse
        >>> scales_of(np.float32([6.0, 7.0, 0.5]), parse("mxfp4").rule())
        array([1.   , 1.   , 0.125], dtype=float32)
    """
    out = np.empty(amax.shape, np.float32)
    _scales(np.ascontiguousarray(amax, np.float32).reshape(-1), out.reshape(-1), p.words())
    return out
