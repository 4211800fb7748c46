"""From the fields of a float format to the scalars its kernels run on."""

from __future__ import annotations

import numpy as np

from .casts import FloatRounder
from .steps import CUT, INFINITE, INVALID, NO_FAST_PATH, SATURATE, AnyFloat, FastFloat


def float_rounder(
    *,
    mantissa: int,
    least_exponent: int,
    top: float,
    top_odd: int,
    overflow: str,
    subnormals: bool,
    sign: bool,
    signed_zero: bool,
) -> FloatRounder:
    """The rounder of a float whose smallest normal is 2^least_exponent and whose largest is `top`.

    Example:
        >>> rounder = float_rounder(mantissa=1, least_exponent=0, top=6.0, top_odd=1,
        ...     overflow="saturate", subnormals=True, sign=True, signed_zero=True)
        >>> y = np.empty(1, np.float32); rounder.round(np.array([2.4], np.float32), y, 0); y
        array([2.], dtype=float32)
    """
    largest = int(np.frexp(top)[1]) - 1  # the power of two of the largest value
    usual = subnormals and sign
    kind = _kind(mantissa, least_exponent, top, largest, overflow, signed_zero) if usual else None
    fast = _fast(kind, mantissa, least_exponent, top, largest, signed_zero)
    over = {"saturate": top, "inf": np.inf, "nan": np.nan}[overflow]
    gap_exponent = max(largest, least_exponent) - mantissa
    general = AnyFloat(
        mantissa=np.int64(mantissa),
        least=np.int64(least_exponent),
        top=np.float64(top),
        next_gap=np.float64(2.0**gap_exponent),
        top_odd=np.int64(top_odd),
        over=np.float64(over),
        tiny=np.float64(0.0 if subnormals else 2.0**least_exponent),
        below=np.float64(1.0 if sign else (0.0 if overflow == "saturate" else np.nan)),
        signed_zero=np.int64(signed_zero),
    )
    return FloatRounder(fast, general)


def _kind(mantissa, least_exponent, top, largest, overflow, signed_zero) -> int:
    """Which float32 fast path is exact for these fields, or NO_FAST_PATH."""
    full = top == (2 - 2.0**-mantissa) * 2.0**largest  # the largest mantissa is a number
    if (least_exponent, largest) == (-126, 127) and full and overflow == "inf" and mantissa:
        return CUT
    fits = least_exponent - mantissa >= -126 and largest + 24 - mantissa <= 127
    if mantissa == 0 or not fits:  # with no mantissa, the exponent's parity decides ties
        return NO_FAST_PATH
    if overflow == "saturate":
        return SATURATE
    if overflow == "nan":
        return INVALID
    return INFINITE if full and signed_zero else NO_FAST_PATH


def _fast(kind, mantissa, least_exponent, top, largest, signed_zero) -> FastFloat:
    """The fast parameters; all zero where there is no fast path."""
    if kind is None or kind == NO_FAST_PATH:
        return FastFloat(np.int32(NO_FAST_PATH), *_zeros())
    drop = 23 - mantissa
    grow = 2.0 ** (127 - largest) if kind == INFINITE else 1.0
    return FastFloat(
        kind=np.int32(kind),
        least=np.float32(2.0**least_exponent).view(np.int32),
        shift=np.int32((drop << 23) + 0x400000),
        top=np.float32(top),
        grow=np.float32(grow),
        shrink=np.float32(1 / grow),
        last=np.int32(1 << drop),
        half=np.int32((1 << drop >> 1) - 1),
        mask=np.int32(-1 << drop),
        step=np.int32(-mantissa << 23),
        sign=np.int32(-(1 << 31) if signed_zero else 0),
    )


def _zeros() -> list:
    """A zero of the right type for every field after `kind`."""
    names = FastFloat._fields[1:]
    return [np.float32(0) if name in ("top", "grow", "shrink") else np.int32(0) for name in names]
