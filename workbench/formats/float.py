"""Binary floats of any exponent and mantissa width up to 16 bits, and the exponent-only scale e8m0.

A value is (-1)^s * 2^(e - bias) * (1 + m / 2^M), or (-1)^s * 2^(1 - bias) * m / 2^M where the
exponent field is zero. What the largest codes mean is the `top` scheme: "ieee" (an exponent of all
ones is infinity or NaN), "fn" (only the code of all ones is NaN), "fnuz" (the code of -0 is the one
NaN), "finite" (every code is a number; the OCP types of 4 and 6 bits).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import numpy as np

from ..errors import WorkbenchError
from .base import Format

TOPS = ("ieee", "fn", "fnuz", "finite")
OVERFLOWS = ("saturate", "inf", "nan")
_USUAL_OVERFLOW = {"ieee": "inf", "fn": "saturate", "fnuz": "nan", "finite": "saturate"}


def usual_bias(exponent: int, top: str) -> int:
    """The bias a float has where none is named: 2^(E-1) - 1, one more for fnuz.

    Example:
        >>> usual_bias(4, "fn"), usual_bias(4, "fnuz")
        (7, 8)
    """
    return (1 << exponent >> 1) - (0 if top == "fnuz" else 1) if exponent else 1


def usual_top(exponent: int, mantissa: int) -> str:
    """The top scheme meant by a bare `eXmY`: finite up to 6 bits, fn for e4m3, else ieee.

    Example:
        >>> usual_top(2, 1), usual_top(4, 3), usual_top(5, 2)
        ('finite', 'fn', 'ieee')
    """
    if exponent + mantissa + 1 <= 6 or exponent == 0:
        return "finite"
    return "fn" if (exponent, mantissa) == (4, 3) else "ieee"


@dataclass(frozen=True)
class FloatFormat(Format):
    """A float of `exponent` and `mantissa` bits; every convention that differs is a field.

    Args:
        exponent: bits of the exponent field, 0 or more (0 has subnormals only).
        mantissa: bits of the mantissa field, 0 or more.
        bias: exponent bias; None takes the usual one.
        top: what the largest codes mean, one of `TOPS`.
        overflow: what lies beyond the largest value becomes: "saturate", "inf" or "nan".
        subnormals: without them, values under the smallest normal round to it or to zero.
        sign: without it, negative values become 0 where overflow saturates, else NaN.

    Example:
        >>> FloatFormat(4, 3, top="fn").max
        448.0
    """

    family: ClassVar[str] = "float"
    exponent: int
    mantissa: int
    bias: int | None = None
    top: str = "ieee"
    overflow: str | None = None
    subnormals: bool = True
    sign: bool = True

    def __post_init__(self):
        if self.bias is None:
            object.__setattr__(self, "bias", usual_bias(self.exponent, self.top))
        if self.overflow is None:
            object.__setattr__(self, "overflow", _USUAL_OVERFLOW[self.top])
        _check_fields(self)

    @property
    def bits(self) -> int:
        """Bits of a code: sign, exponent and mantissa."""
        return int(self.sign) + self.exponent + self.mantissa

    @property
    def name(self) -> str:
        """The canonical name: `e4m3fn`, `bf16`, or with what is unusual in brackets."""
        if self == FloatFormat(8, 7):
            return "bf16"
        if self == FloatFormat(5, 10):
            return "f16"
        usual = usual_top(self.exponent, self.mantissa)
        suffix = "" if self.top == usual else self.top
        if (self.exponent, self.mantissa, self.top) == (4, 3, "fn"):
            suffix = "fn"
        if (self.exponent, self.mantissa, suffix) == (8, 0, ""):
            suffix = "ieee"  # bare, e8m0 is the scale format
        options = []
        if suffix == "fn" and self.exponent + self.mantissa + 1 <= 6:
            suffix, options = "", ["top=fn"]
        if self.bias != usual_bias(self.exponent, self.top):
            options.append(f"bias={self.bias}")
        if self.overflow != _USUAL_OVERFLOW[self.top]:
            options.append(str(self.overflow))
        if not self.subnormals:
            options.append("nosub")
        prefix = "" if self.sign else "u"
        text = f"{prefix}e{self.exponent}m{self.mantissa}{suffix}"
        return f"{text}({','.join(options)})" if options else text

    @property
    def least_exponent(self) -> int:
        """The power of two of the smallest normal value."""
        return 1 - self.bias

    @cached_property
    def magnitudes(self) -> np.ndarray:
        """The float64 value of every code without its sign bit, NaN and infinity included."""
        codes = np.arange(1 << (self.exponent + self.mantissa), dtype=np.int64)
        field, fraction = codes >> self.mantissa, codes & ((1 << self.mantissa) - 1)
        scale = np.maximum(field, 1) - self.bias - self.mantissa
        whole = fraction + np.where(field > 0, 1 << self.mantissa, 0)
        if not self.subnormals:
            whole = np.where(field == 0, 0, whole)
        values = np.ldexp(whole.astype(np.float64), scale)
        if self.top == "ieee":
            last = field == (1 << self.exponent) - 1
            values = np.where(last, np.where(fraction == 0, np.inf, np.nan), values)
        if self.top == "fn":
            values[-1] = np.nan
        return values

    @cached_property
    def code_values(self) -> np.ndarray:
        """The float64 value of every code in order."""
        if not self.sign:
            return self.magnitudes
        negative = -self.magnitudes
        if self.top == "fnuz":
            negative[0] = np.nan
        return np.concatenate([self.magnitudes, negative])

    @property
    def max_exponent(self) -> int:
        """The power of two of the largest value."""
        return int(np.frexp(self.max)[1]) - 1

    @cached_property
    def rounder(self):
        """The float kernel with this format's parameters."""
        from ..kernels.float_parameters import float_rounder

        finite = self.magnitudes[np.isfinite(self.magnitudes)]
        return float_rounder(
            mantissa=self.mantissa,
            least_exponent=self.least_exponent,
            top=self.max,
            top_odd=(finite.size - 1) % 2,
            overflow=self.overflow,
            subnormals=self.subnormals,
            sign=self.sign,
            signed_zero=self.sign and self.top != "fnuz",
        )

    def codes_of(self, rounded: np.ndarray, out: np.ndarray) -> None:
        """Write the codes of already rounded, flat values to `out`."""
        from ..kernels.codes import float_codes

        nan = np.flatnonzero(np.isnan(self.code_values))
        field = (1 << self.exponent) - 1
        quiet = (field << self.mantissa) | (1 << self.mantissa >> 1)
        code = quiet if self.top == "ieee" and self.mantissa else int(nan[0]) if nan.size else 0
        magnitude_bits = self.exponent + self.mantissa
        float_codes(
            rounded, out, self.mantissa, self.least_exponent, magnitude_bits, code,
            field << self.mantissa, self.sign,
        )  # fmt: skip

    def precision(self, x) -> np.ndarray:
        """The local step (ulp) at each |x|, float64; beyond the largest value, the last step."""
        magnitude = np.minimum(np.abs(np.asarray(x, np.float64)), self.max)
        if not self.subnormals:
            return super().precision(x)
        exponent = np.maximum(np.frexp(magnitude)[1] - 1, self.least_exponent)
        exponent = np.where(magnitude == 0, self.least_exponent, exponent)
        return np.ldexp(1.0, exponent - self.mantissa)


def _check_fields(f: FloatFormat) -> None:
    """Raise one clear error for a float that cannot be."""
    what = f"e{f.exponent}m{f.mantissa} ({f.top})"
    if f.exponent < 0 or f.mantissa < 0 or f.bits > 16 or f.bits < 1 + int(f.sign):
        raise WorkbenchError(
            what, f"it has {f.bits} bits, and floats here have 2 to 16", "write e5m10 or narrower"
        )
    if f.top not in TOPS:
        raise WorkbenchError(what, f"top is one of {', '.join(TOPS)}", "write e4m3fn")
    if f.overflow not in OVERFLOWS:
        raise WorkbenchError(
            f"overflow {f.overflow!r}", f"it is one of {', '.join(OVERFLOWS)}", "write saturate"
        )
    if f.exponent == 0 and f.top != "finite":
        raise WorkbenchError(what, "without exponent bits no code is special", "write top=finite")
    only_subnormals = f.top == "ieee" and f.exponent == 1 and not f.subnormals
    if only_subnormals or (f.top in ("ieee", "fn") and f.exponent + f.mantissa < 2):
        raise WorkbenchError(what, "no finite non-zero code is left", "write top=finite")
    if f.top == "fnuz" and not f.sign:
        raise WorkbenchError(
            what, "fnuz takes the code of -0 for NaN, which needs a sign", "use fn"
        )
    low, high = f.least_exponent - f.mantissa, (1 << f.exponent) - f.bias
    if low < -1022 or high > 1023:
        raise WorkbenchError(
            f"{what} with bias {f.bias}",
            f"its values reach from 2^{low} to 2^{high}, beyond float64",
            _possible_bias(high + f.bias - 1023, 1023 - f.mantissa),
        )
    if not (f.subnormals or f.exponent):
        raise WorkbenchError(what, "without exponent bits all values are subnormal", "drop nosub")
    _check_overflow(f, what)


def _possible_bias(first: int, last: int) -> str:
    """What to write where a bias, or any bias at all, leaves float64."""
    if first > last:
        return "use at most 10 exponent bits"
    return f"choose a bias from {first} to {last}"


def _check_overflow(f: FloatFormat, what: str) -> None:
    """Raise where the overflow rule names a value that the format does not have."""
    if f.overflow == "inf" and f.top != "ieee":
        raise WorkbenchError(f"{what} with overflow inf", "it has no infinity", "write saturate")
    if f.overflow == "nan" and (f.top == "finite" or (f.top == "ieee" and f.mantissa == 0)):
        raise WorkbenchError(f"{what} with overflow nan", "it has no NaN", "write saturate")


@dataclass(frozen=True)
class ExponentFormat(Format):
    """Powers of two alone, as the scales of the OCP microscaling formats: e8m0.

    Code c is 2^(c - bias) and the last code is NaN; there is no zero and no sign, so zero and
    negative values become NaN, and what lies beyond the ends becomes NaN above and the smallest
    value below.

    Example:
        >>> ExponentFormat(8).decode([0, 127, 255])
        array([5.87747175e-39, 1.00000000e+00,            nan])
    """

    family: ClassVar[str] = "exponent"
    width: int = 8

    @property
    def name(self) -> str:
        """`e8m0`."""
        return f"e{self.width}m0"

    @property
    def bits(self) -> int:
        """Bits of a code."""
        return self.width

    @cached_property
    def code_values(self) -> np.ndarray:
        """Powers of two, and NaN for the last code."""
        bias = (1 << self.width >> 1) - 1
        values = np.ldexp(1.0, np.arange(1 << self.width) - bias)
        values[-1] = np.nan
        return values

    @cached_property
    def rounder(self):
        """The table kernel over the powers of two, with NaN for what has no power of two."""
        from ..kernels.casts import table_rounder

        limits = (0.0, 1.5 * self.max)
        return table_rounder(self.values, np.arange(self.values.size) % 2, limits)
