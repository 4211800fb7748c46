"""Integers and fixed point: the multiples of one step between two ends.

Fixed point is an integer with a binary point, so both are one record. What lies beyond the ends
saturates; there is no -0, no infinity and no NaN.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ..errors import WorkbenchError
from .base import Format


@dataclass(frozen=True)
class IntegerFormat(Format):
    """An integer of `width` bits, two's complement where signed, with `fraction` fractional bits.

    Args:
        width: 1 to 16 bits.
        sign: signed or unsigned.
        narrow: leave out the most negative code, so that the range is symmetric.
        fraction: bits right of the binary point; 0 is an integer.

    Example:
        >>> IntegerFormat(4).values[[0, -1]], IntegerFormat(8, fraction=4).max
        (array([-8.,  7.]), 7.9375)
    """

    width: int
    sign: bool = True
    narrow: bool = False
    fraction: int = 0

    def __post_init__(self):
        what = f"{'' if self.sign else 'u'}int{self.width}"
        if not 1 <= self.width <= 16:
            raise WorkbenchError(what, "integers here have 1 to 16 bits", "write int8")
        if self.narrow and (not self.sign or self.width < 2):
            raise WorkbenchError(
                f"{what} narrow", "narrow drops the most negative of several codes", f"write {what}"
            )
        if not -126 <= self.fraction <= 126:
            raise WorkbenchError(
                f"{self.fraction} fractional bits", "the step leaves float32", "use -126 to 126"
            )

    @property
    def family(self) -> str:  # type: ignore[override]
        """`integer`, or `fixed` with a binary point."""
        return "fixed" if self.fraction else "integer"

    @property
    def bits(self) -> int:
        """Bits of a code."""
        return self.width

    @property
    def name(self) -> str:
        """`int8`, `uint4`, `int8n` (narrow), `q3.4` (fixed point: integer and fraction bits)."""
        if self.fraction:
            whole = self.width - self.fraction - int(self.sign)
            return f"{'' if self.sign else 'u'}q{whole}.{self.fraction}{'n' if self.narrow else ''}"
        return f"{'' if self.sign else 'u'}int{self.width}{'n' if self.narrow else ''}"

    @property
    def step(self) -> float:
        """The distance between neighbours."""
        return 2.0**-self.fraction

    @property
    def low_code(self) -> int:
        """The smallest integer, before the binary point is placed."""
        return -(1 << (self.width - 1)) + int(self.narrow) if self.sign else 0

    @property
    def high_code(self) -> int:
        """The largest integer, before the binary point is placed."""
        return (1 << (self.width - int(self.sign))) - 1

    @cached_property
    def code_values(self) -> np.ndarray:
        """Two's complement integers times the step; the code left out by `narrow` is NaN."""
        codes = np.arange(1 << self.width, dtype=np.int64)
        signed = np.where(self.sign & (codes > self.high_code), codes - (1 << self.width), codes)
        values = signed * self.step
        return np.where(signed < self.low_code, np.nan, values)

    @cached_property
    def has_nan(self) -> bool:
        """Never: the code that `narrow` leaves out is unused, not NaN."""
        return False

    @cached_property
    def rounder(self):
        """The grid kernel."""
        from ..kernels.casts import GridRounder
        from ..kernels.steps import Grid

        ends = np.float64(self.low_code), np.float64(self.high_code)
        return GridRounder(Grid(np.float64(self.step), *ends))

    def codes_of(self, rounded: np.ndarray, out: np.ndarray) -> None:
        """Write the codes of already rounded, flat values to `out`."""
        whole = np.rint(rounded * (1 / self.step)).astype(np.int64)
        np.copyto(out, (whole & ((1 << self.width) - 1)).astype(out.dtype))

    def precision(self, x) -> np.ndarray:
        """The step, at every x."""
        return np.full(np.shape(x), self.step)
