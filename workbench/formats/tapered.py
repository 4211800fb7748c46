"""Formats whose steps are not those of a float: posits and logarithmic numbers.

Posits follow the Posit Standard (2022), generalised to any number of exponent bits; the logarithmic
system keeps log2 |x| as a fixed-point number (Swartzlander and Alexopoulos, 1975).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import numpy as np

from ..errors import WorkbenchError
from .base import Format

MOST_BITS = 16
WIDEST = 126  # the largest exponent of two: what float32 holds, and its inverse too


def needs(condition: bool, name: str, why: str, instead: str) -> None:
    """Raise `WorkbenchError` about a format called `name` where the condition does not hold.

    Example:
        >>> needs(True, "posit8", "it has too many bits", "write posit8")
    """
    if not condition:
        raise WorkbenchError(name, why, instead)


class Tabled(Format):
    """A format rounded by its table of values and of the places where rounding turns."""

    @property
    def _limits(self) -> tuple[float, float] | None:
        """What becomes NaN: nothing, or whatever reaches one of two ends."""
        return None

    @cached_property
    def rounder(self):
        """The table kernel."""
        from ..kernels.casts import table_rounder

        return table_rounder(self.values, self.code_of_value % 2, self._limits, self.middles)


@dataclass(frozen=True)
class PositFormat(Tabled):
    """A posit: sign, a run of equal regime bits, exponent bits and what is left for the fraction.

    Nearest rounding is of the bit string, as the standard has it: where exponent bits are cut off
    it is not to the nearest value. Nothing but zero becomes zero, and finite values saturate.

    Args:
        width: bits, 2 to 16.
        es: exponent bits; the largest value is 2^((width - 2) 2^es), at most 2^126.
        overflow: what infinities become: "nan" is the standard's NaR, or "saturate".

    Example:
        >>> PositFormat(8, 2).max, PositFormat(8, 0).values[-3:]
        (16777216.0, array([24., 32., 64.]))
    """

    family: ClassVar[str] = "posit"
    width: int
    es: int = 2
    overflow: str = "nan"

    def __post_init__(self):
        most = (self.width - 2) * 2**self.es if 0 <= self.es <= MOST_BITS else 2**self.es
        needs(self.overflow in ("nan", "saturate"), f"overflow {self.overflow!r}",
               "infinities become NaN or saturate", "write nan or saturate")  # fmt: skip
        needs(2 <= self.width <= MOST_BITS, self.name, "posits here have 2 to 16 bits",
               "write posit8 or posit16")  # fmt: skip
        needs(self.es >= 0 and most <= WIDEST, self.name,
               f"its largest value would be 2^{most}, beyond 2^{WIDEST}",
               f"write posit{self.width}(es=2) or fewer exponent bits")  # fmt: skip

    @property
    def name(self) -> str:
        """`posit8`, or `posit8(es=1)` where it is not the standard's two exponent bits."""
        parts = [f"es={self.es}"] * (self.es != 2) + [self.overflow] * (self.overflow != "nan")
        return f"posit{self.width}" + (f"({','.join(parts)})" if parts else "")

    @property
    def _limits(self) -> tuple[float, float] | None:
        return None if self.overflow == "saturate" else (-np.inf, np.inf)

    @property
    def reach(self) -> float:
        """2^(2^es), where the first regime ends: each further one costs a bit of precision."""
        return min(2.0**2**self.es, self.max)

    @property
    def bits(self) -> int:
        """Bits of a code."""
        return self.width

    @cached_property
    def code_values(self) -> np.ndarray:
        """Zero, the positive values, NaR, then the negative ones from the largest magnitude on."""
        positive = posit_values(np.arange(1, 1 << (self.width - 1)), self.width, self.es)
        return np.concatenate([[0.0], positive, [np.nan], -positive[::-1]])

    @cached_property
    def middles(self) -> np.ndarray:
        """The posits of one bit more between neighbours; zero keeps itself alone."""
        odd = np.arange(3, (1 << self.width) - 1, 2)
        above = posit_values(odd, self.width + 1, self.es)
        return np.concatenate([-above[::-1], [0.0, 0.0], above])


def posit_values(codes: np.ndarray, width: int, es: int) -> np.ndarray:
    """The float64 values of positive posit codes of this width.

    Example:
        >>> posit_values(np.array([1, 64, 96, 127]), 8, 0).tolist()
        [0.015625, 1.0, 2.0, 64.0]
    """
    codes = np.asarray(codes, np.int64)
    body = width - 1
    first = (codes >> (body - 1)) & 1
    other = np.where(first == 1, ~codes & ((1 << body) - 1), codes)  # the run as leading zeros
    run = body - np.frexp(other.astype(np.float64))[1]
    regime = np.where(first == 1, run - 1, -run)
    left = np.maximum(body - run - 1, 0)  # bits after the terminator
    tail = codes & ((np.int64(1) << left) - 1)
    field = (tail << es) >> left  # missing exponent bits are zeros on the right
    taken = np.minimum(left, es)
    fraction = np.ldexp((tail & ((np.int64(1) << (left - taken)) - 1)).astype(float), taken - left)
    return np.ldexp(1 + fraction, regime * 2**es + field)


@dataclass(frozen=True)
class LogFormat(Tabled):
    """Sign and log2 of the magnitude as a fixed-point number; the smallest logarithm means zero.

    Nearest rounding is of the logarithm, so products are sums and never rounded, and the largest
    relative error is 2^(2^-(fraction + 1)) - 1 everywhere. Values saturate; what lies below half a
    step under the smallest magnitude is zero.

    Args:
        whole: bits of the logarithm left of the point, its sign included; 1 to 8.
        fraction: bits right of it; with the sign of the number 16 bits in all.

    Example:
        >>> LogFormat(2, 1).values.round(3)[-6:]
        array([0.5  , 0.707, 1.   , 1.414, 2.   , 2.828])
    """

    family: ClassVar[str] = "logarithmic"
    whole: int
    fraction: int

    def __post_init__(self):
        needs(1 <= self.whole <= 8, self.name, "logarithms have 1 to 8 bits left of the point",
               "write lns4.3")  # fmt: skip
        needs(self.fraction >= 0 and self.bits <= MOST_BITS, self.name,
               f"it would have {self.bits} bits, and formats have at most {MOST_BITS}",
               f"write lns{self.whole}.{MOST_BITS - 1 - self.whole}")  # fmt: skip

    @property
    def name(self) -> str:
        """`lns4.3`: bits left and right of the logarithm's point."""
        return f"lns{self.whole}.{self.fraction}"

    @property
    def bits(self) -> int:
        """The sign, and the logarithm."""
        return 1 + self.whole + self.fraction

    @cached_property
    def logarithms(self) -> np.ndarray:
        """The logarithms of the positive values as whole numbers of steps, ascending."""
        most = 1 << (self.whole + self.fraction - 1)
        return np.arange(1 - most, most)

    def power(self, steps: np.ndarray) -> np.ndarray:
        """The magnitudes of logarithms in steps of 2^-fraction; halves of a step are allowed.

        Example:
            >>> LogFormat(3, 1).power(np.array([0, 1, 2])).round(4)
            array([1.    , 1.4142, 2.    ])
        """
        return np.exp2(np.asarray(steps) / 2.0**self.fraction)

    @cached_property
    def code_values(self) -> np.ndarray:
        """Logarithms in two's complement under the sign bit; the code of -0 decodes as 0."""
        positive = self.power(self.logarithms)
        half = positive.size // 2
        upper = np.concatenate([positive[half:], [0.0], positive[:half]])
        return np.concatenate([upper, -upper]) + 0.0

    @cached_property
    def middles(self) -> np.ndarray:
        """The geometric means of neighbours, and half a step under the smallest magnitude."""
        between = self.power(self.logarithms - 0.5)
        return np.concatenate([-between[::-1], between])
