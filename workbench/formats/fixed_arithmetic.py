"""Fixed-point sums and products as high-level synthesis makes them: exact, then cut into a type.

`ap_fixed<width, integer, quantization, overflow>` is the type of AMD's Vitis HLS (user guide
UG1399, after SystemC): a result is exact until it is assigned, and the type that it is assigned to
says how digits are dropped and what becomes of values beyond its ends. Codes are whole numbers.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import WorkbenchError, unknown
from ..kernels import arrays

# Where a value half-way between two codes goes; TRN drops digits of the two's complement, which is
# towards minus infinity, and TRN_ZERO those of the magnitude.
QUANTIZATIONS = ("RND", "RND_ZERO", "RND_MIN_INF", "RND_INF", "RND_CONV", "TRN", "TRN_ZERO")
OVERFLOWS = ("SAT", "SAT_ZERO", "SAT_SYM", "WRAP")
MOST_BITS = 62  # of an exact result, so that every step here fits 64-bit integers

_TEXT = re.compile(r"ap_(u?)fixed<(-?\d+),(-?\d+)(?:,AP_([A-Z_]+))?(?:,AP_([A-Z_]+))?>")


@dataclass(frozen=True)
class FixedType:
    """A fixed-point type with the rules by which values are assigned to it.

    Args:
        width: bits of a code, 2 to 32.
        integer: how many of them lie left of the binary point, the sign included; it may be
            negative or larger than `width`.
        sign: two's complement, or without a sign.
        quantization: one of `QUANTIZATIONS`: to nearest with ties up (RND), toward zero, down,
            away from zero or to even (RND_CONV), or cut down (TRN) or toward zero (TRN_ZERO).
        overflow: one of `OVERFLOWS`: the nearer end, zero, the nearer end of a symmetric range
            (which also leaves out the most negative code), or the low bits alone (WRAP).

    Example:
        >>> FixedType(3, 2, quantization="RND", overflow="SAT").round([1.25, -1.25, 9.0])
        array([ 1.5, -1. ,  1.5])
    """

    width: int
    integer: int
    sign: bool = True
    quantization: str = "TRN"
    overflow: str = "WRAP"

    def __post_init__(self):
        if self.quantization not in QUANTIZATIONS:
            raise unknown("quantization mode", self.quantization, QUANTIZATIONS)
        if self.overflow not in OVERFLOWS:
            raise unknown("overflow mode", self.overflow, OVERFLOWS)
        if not 2 <= self.width <= 32 or abs(self.fraction) > 256:
            raise WorkbenchError(
                f"ap_fixed<{self.width},{self.integer}>",
                "fixed-point types here have 2 to 32 bits, the point at most 256 places away",
                "write ap_fixed<16,6>",
            )

    def __str__(self) -> str:
        kind = f"ap_{'' if self.sign else 'u'}fixed"
        return f"{kind}<{self.width},{self.integer},AP_{self.quantization},AP_{self.overflow}>"

    @property
    def fraction(self) -> int:
        """Bits right of the binary point."""
        return self.width - self.integer

    @property
    def low(self) -> int:
        """The smallest code."""
        return -(1 << (self.width - 1)) if self.sign else 0

    @property
    def high(self) -> int:
        """The largest code."""
        return (1 << (self.width - int(self.sign))) - 1

    def encode(self, x: Any) -> np.ndarray:
        """The code of every value assigned to the type, int64.

        Args:
            x: array or tensor of any shape, or numbers; each taken as the exact value it is. NaN
                and infinities, which no code means, raise `WorkbenchError`.

        Example:
            >>> FixedType(4, 4).encode([19.0, -19.0])
            array([ 3, -3])
        """
        values = arrays.to_numpy(x).astype(np.float64)
        if not np.isfinite(values).all():
            raise WorkbenchError(
                f"{int((~np.isfinite(values)).sum())} values that are NaN or infinite",
                f"{self} has no code for them", "replace them first, as with np.nan_to_num(x)",
            )  # fmt: skip
        steps = np.ldexp(values, self.fraction)
        size = np.abs(steps)
        whole = np.floor(size)
        rest = size - whole  # exact
        up = _away(whole % 2 == 1, rest > 0, np.sign(rest - 0.5), steps < 0, self.quantization)
        signed = np.copysign(whole + up, steps)
        if self.overflow == "WRAP":
            signed = np.fmod(signed, 2.0**self.width)  # exact, and the same low bits
        return self.fit(np.clip(signed, -(2.0**62), 2.0**62).astype(np.int64))

    def decode(self, codes: np.ndarray) -> np.ndarray:
        """The values of codes, float64.

        Example:
            >>> FixedType(4, 2).decode(np.array([-8, 7]))
            array([-2.  ,  1.75])
        """
        return np.ldexp(np.asarray(codes).astype(np.float64), -self.fraction)

    def round(self, x: Any) -> Any:
        """Every value as the type keeps it: what `x` was, float32 or float64.

        Example:
            >>> FixedType(4, 2, quantization="RND_CONV").round([0.125, 0.375])
            array([0. , 0.5])
        """
        values = arrays.to_numpy(x)
        return arrays.like(x, self.decode(self.encode(values)).astype(values.dtype))

    def assign(self, codes: np.ndarray, fraction: int) -> np.ndarray:
        """The codes of this type for int64 codes that have `fraction` bits right of the point.

        Example:
            >>> FixedType(4, 4, quantization="RND_INF").assign(np.array([5, -5, 6]), 1)
            array([ 3, -3,  3])
        """
        dropped = fraction - self.fraction
        if dropped <= 0:
            most = max((int(np.abs(codes).max(initial=0))).bit_length() - dropped, 0)
            _check_bits(most, f"codes moved up by {-dropped} bits")
            return self.fit(codes << -dropped)
        dropped = min(dropped, MOST_BITS)  # beyond it nothing but the sign is left
        size = np.abs(codes)
        whole = size >> dropped
        rest = size - (whole << dropped)
        side = np.sign(rest - (1 << (dropped - 1)))
        up = _away(whole % 2 == 1, rest > 0, side, codes < 0, self.quantization)
        return self.fit(np.where(codes < 0, -(whole + up), whole + up))

    def fit(self, codes: np.ndarray) -> np.ndarray:
        """Whole numbers of steps brought into the range of the type by its overflow mode, int64.

        Example:
            >>> FixedType(4, 4, overflow="SAT_SYM").fit(np.array([19, -8]))
            array([ 7, -7])
        """
        if self.overflow == "WRAP":
            return ((codes - self.low) & ((1 << self.width) - 1)) + self.low
        if self.overflow == "SAT_ZERO":
            return np.where((codes < self.low) | (codes > self.high), 0, codes)
        low = -self.high if self.overflow == "SAT_SYM" and self.sign else self.low
        return np.clip(codes, low, self.high)


def fixed_type(text: str) -> FixedType:
    """The type that `ap_fixed<8,3,AP_RND,AP_SAT>` or `ap_ufixed<..>` means; modes may be left out.

    Example:
        >>> str(fixed_type("ap_fixed<8, 3>"))
        'ap_fixed<8,3,AP_TRN,AP_WRAP>'
    """
    found = _TEXT.fullmatch(re.sub(r"\s+", "", text))
    if not found:
        raise WorkbenchError(
            repr(text), "it is not a fixed-point type", "write ap_fixed<8,3,AP_RND,AP_SAT>"
        )
    unsigned, width, integer, quantization, overflow = found.groups()
    return FixedType(
        int(width), int(integer), not unsigned, quantization or "TRN", overflow or "WRAP"
    )


def add(a: np.ndarray, b: np.ndarray, of: tuple[FixedType, FixedType], out: FixedType):
    """Codes of sums: exact sums of the values of codes, assigned to the type `out`.

    Args:
        a: int64 codes of the first type.
        b: int64 codes of the second, of the same shape.
        of: the two types.
        out: the type of the result.

    Example:
        >>> q = FixedType(4, 2)
        >>> add(np.array([7]), np.array([6]), (q, q), FixedType(4, 3)), 7 / 4 + 6 / 4
        (array([6]), 3.25)
    """
    fraction = max(t.fraction for t in of)
    _check_bits(max(t.integer + int(not t.sign) for t in of) + 1 + fraction, "an exact sum")
    shifted = [code << (fraction - t.fraction) for code, t in zip((a, b), of, strict=True)]
    return out.assign(shifted[0] + shifted[1], fraction)


def multiply(a: np.ndarray, b: np.ndarray, of: tuple[FixedType, FixedType], out: FixedType):
    """Codes of products: exact products of the values of codes, assigned to the type `out`.

    Args:
        a: int64 codes of the first type.
        b: int64 codes of the second, of the same shape.
        of: the two types.
        out: the type of the result.

    Example:
        >>> q = FixedType(4, 2)
        >>> multiply(np.array([7]), np.array([6]), (q, q), FixedType(4, 3)), 7 / 4 * 6 / 4
        (array([5]), 2.625)
    """
    _check_bits(sum(t.width for t in of), "an exact product")
    return out.assign(a * b, sum(t.fraction for t in of))


def accumulate(a: np.ndarray, b: np.ndarray, bits: int = 32) -> int:
    """The sum of products of whole numbers in an accumulator of `bits`, which must never overflow.

    Args:
        a: integers, one axis.
        b: as many; they are multiplied by those of `a` and added up in order.
        bits: of the accumulator, two's complement; a partial sum beyond raises `WorkbenchError`.

    Example:
        >>> accumulate(np.array([3, -2]), np.array([5, 7]))
        1
    """
    sums = np.cumsum(np.asarray(a, np.int64) * np.asarray(b, np.int64))
    beyond = (sums < -(1 << (bits - 1))) | (sums >= 1 << (bits - 1))
    if beyond.any():
        first = int(beyond.argmax())
        raise WorkbenchError(
            f"{sums.size} products of up to {int(np.abs(a).max())} and {int(np.abs(b).max())}",
            f"their sum leaves {bits} bits at product {first + 1}",
            "drop low bits of the factors first, or add up shorter chains",
        )
    return int(sums[-1]) if sums.size else 0


def _away(
    odd: np.ndarray, inexact: np.ndarray, side: np.ndarray, negative: np.ndarray, mode: str
) -> np.ndarray:
    """Where a magnitude that was cut goes up by one: `side` is its rest against one half."""
    if mode == "TRN":
        return inexact & negative
    if mode == "TRN_ZERO":
        return np.zeros_like(inexact)
    tie = {
        "RND": ~negative, "RND_MIN_INF": negative, "RND_ZERO": np.False_, "RND_INF": np.True_,
        "RND_CONV": odd,
    }[mode]  # fmt: skip
    return (side > 0) | ((side == 0) & tie)


def _check_bits(bits: int, what: str) -> None:
    """Raise where an exact result may need more bits than 64-bit integers have to spare."""
    if bits > MOST_BITS:
        raise WorkbenchError(
            f"{what} of {bits} bits", f"exact results here have up to {MOST_BITS}",
            "use narrower types, or move their binary points closer together",
        )  # fmt: skip
