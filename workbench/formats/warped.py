"""Formats whose grid is another one bent by a power or moved by a fraction of an octave.

Power exponents are those of PowerQuant (Yvinec et al., 2023) and NUPES (2023); floats with a
real-valued exponent bias are those of LLM-FP4 (Liu et al., 2023).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import numpy as np

from .float import FloatFormat, usual_bias
from .tapered import Tabled, needs


@dataclass(frozen=True)
class PowerFormat(Tabled):
    """Integers of |x|^power: values sign(k) (|k| / L)^(1 / power) with L = 2^(width - 1) - 1.

    Nearest rounding is of |x|^power, so a product of two values is an integer product. The largest
    value is 1; the code below -L means NaN. With power 1 it is the symmetric integer grid.

    Args:
        width: bits, 2 to 16.
        power: the exponent a, 0.05 to 8; below 1 it puts the values closer to zero.

    Example:
        >>> PowerFormat(3, 0.5).values.round(3)
        array([-1.   , -0.444, -0.111,  0.   ,  0.111,  0.444,  1.   ])
    """

    family: ClassVar[str] = "power"
    width: int
    power: float = 0.5

    def __post_init__(self):
        object.__setattr__(self, "power", float(self.power))
        needs(2 <= self.width <= 16, self.name, "power formats have 2 to 16 bits",
              "write pow4(a=0.5)")  # fmt: skip
        needs(0.05 <= self.power <= 8, self.name, "the exponent lies in 0.05 to 8",
              "write pow4(a=0.5)")  # fmt: skip

    @property
    def name(self) -> str:
        """`pow4(a=0.5)`."""
        return f"pow{self.width}(a={self.power!r})"

    @property
    def bits(self) -> int:
        """Bits of a code."""
        return self.width

    @property
    def largest_code(self) -> int:
        """The integer whose value is 1."""
        return (1 << (self.width - 1)) - 1

    def bent(self, steps: np.ndarray) -> np.ndarray:
        """The values of integers from 0 on; halves of a step are allowed.

        Example:
            >>> PowerFormat(4, 0.5).bent(np.array([0, 3.5, 7]))
            array([0.  , 0.25, 1.  ])
        """
        return (np.asarray(steps, np.float64) / self.largest_code) ** (1 / self.power)

    @cached_property
    def code_values(self) -> np.ndarray:
        """Integers in two's complement, bent; the most negative one is NaN."""
        positive = self.bent(np.arange(self.largest_code + 1))
        return np.concatenate([positive, [np.nan], -positive[:0:-1]])

    @cached_property
    def middles(self) -> np.ndarray:
        """Half a step between the integers."""
        between = self.bent(np.arange(self.largest_code) + 0.5)
        return np.concatenate([-between[::-1], between])


@dataclass(frozen=True)
class BiasedFormat(Tabled):
    """A float without special codes whose exponent bias is any real number.

    A bias that is larger by one halves all values; the largest is
    (2 - 2^-mantissa) 2^(2^exponent - 1 - bias).

    Args:
        exponent: bits of the exponent field, 1 or more.
        mantissa: bits of the mantissa field.
        bias: any finite number.

    Example:
        >>> round(BiasedFormat(2, 1, 1.5).max, 4)
        4.2426
    """

    family: ClassVar[str] = "biased"
    exponent: int
    mantissa: int
    bias: float

    def __post_init__(self):
        object.__setattr__(self, "bias", float(self.bias))
        needs(self.exponent >= 1, self.name, "without exponent bits a bias has nothing to move",
              "write e1m2(bias=0.5)")  # fmt: skip
        needs(math.isfinite(self.bias) and abs(self.bias) <= 500, self.name,
              "the bias lies in -500 to 500", "write e2m1(bias=1.3)")  # fmt: skip
        self.whole  # noqa: B018 - refuses impossible widths

    @cached_property
    def whole(self) -> FloatFormat:
        """The same float with its usual bias."""
        return FloatFormat(self.exponent, self.mantissa, top="finite")

    @property
    def name(self) -> str:
        """`e2m1(bias=1.3)`."""
        return f"e{self.exponent}m{self.mantissa}(bias={self.bias!r})"

    @property
    def bits(self) -> int:
        """Bits of a code: sign, exponent and mantissa."""
        return 1 + self.exponent + self.mantissa

    @cached_property
    def code_values(self) -> np.ndarray:
        """The codes of the float with its usual bias, moved."""
        return self.whole.code_values * 2.0 ** (usual_bias(self.exponent, "finite") - self.bias)


def bias_for(exponent: int, mantissa: int, largest: float) -> float:
    """The real bias that makes `largest` the largest value of a float without special codes.

    Example:
        >>> bias_for(2, 1, 6.0)
        1.0
    """
    needs(largest > 0 and math.isfinite(largest), f"a largest value of {largest}",
          "it is a positive finite number", "write 6.0")  # fmt: skip
    return 2**exponent - math.log2(largest) + math.log2(2 - 2.0**-mantissa) - 1
