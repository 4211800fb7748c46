"""What every scalar number format can do, whatever its family.

A format is a frozen record of a few primitive fields; its values, its codes and its kernels are
derived from them. The slow exact twin of everything here is `reference.py`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from ..errors import WorkbenchError, unknown

if TYPE_CHECKING:
    from ..kernels.casts import Rounder

ROUNDINGS = (
    "nearest_even",
    "nearest_away",
    "nearest_zero",
    "toward_zero",
    "up",
    "down",
    "to_odd",
    "stochastic",
    "stochastic_equal",
)


def rounding_number(rounding: str) -> int:
    """The kernel's number for a rounding name; an unknown name gets the nearest ones.

    Example:
        >>> rounding_number("toward_zero")
        3
    """
    if rounding not in ROUNDINGS:
        raise unknown("rounding", rounding, ROUNDINGS)
    return ROUNDINGS.index(rounding)


@dataclass(frozen=True)
class Format:
    """A scalar number format: a finite set of values, their codes, and how reals become them.

    Arrays may be NumPy arrays or torch tensors of float16, bfloat16, float32 or float64, of any
    shape and strides; results keep float32 or float64 (halves are widened exactly). NaN stays NaN
    in `round`; infinities and values beyond the largest follow the format's overflow rule.
    """

    family: ClassVar[str] = ""

    @property
    def name(self) -> str:
        """The canonical name, which `wb.format` reads back."""
        raise NotImplementedError

    @property
    def bits(self) -> int:
        """How many bits a code has."""
        raise NotImplementedError

    @cached_property
    def code_values(self) -> np.ndarray:
        """The float64 value of every code in order, NaN and infinities included."""
        raise NotImplementedError

    @cached_property
    def rounder(self) -> Rounder:
        """The kernel that rounds arrays to this format."""
        raise NotImplementedError

    def __str__(self) -> str:
        return self.name

    def __len__(self) -> int:
        return self.values.size

    def __bool__(self) -> bool:
        return True

    @cached_property
    def values(self) -> np.ndarray:
        """All distinct finite values, ascending, as float64 (read-only)."""
        finite = np.unique(self.code_values[np.isfinite(self.code_values)]) + 0.0
        finite.flags.writeable = False
        return finite

    @cached_property
    def middles(self) -> np.ndarray:
        """Where nearest rounding turns from each of `values` to the next one: half-way."""
        return 0.5 * self.values[:-1] + 0.5 * self.values[1:]

    @cached_property
    def code_of_value(self) -> np.ndarray:
        """For each of `values`, its code (the smallest one where two codes share a value)."""
        order = np.argsort(self.code_values, kind="stable")
        finite = order[np.isfinite(self.code_values[order])]
        return finite[np.searchsorted(self.code_values[finite] + 0.0, self.values)]

    @property
    def max(self) -> float:
        """The largest finite value."""
        return float(self.values[-1])

    @property
    def min(self) -> float:
        """The most negative finite value."""
        return float(self.values[0])

    @property
    def reach(self) -> float:
        """The value that shared scales bring the largest magnitude to: the format's own largest."""
        return self.max if self.max > 0 else -self.min

    @property
    def smallest(self) -> float:
        """The smallest positive value; NaN where there is none (int1)."""
        positive = self.values[self.values > 0]
        return float(positive[0]) if positive.size else math.nan

    @cached_property
    def has_nan(self) -> bool:
        """Whether some code means NaN."""
        return bool(np.isnan(self.code_values).any())

    @cached_property
    def has_infinity(self) -> bool:
        """Whether some code means infinity."""
        return bool(np.isinf(self.code_values).any())

    @property
    def signed(self) -> bool:
        """Whether the format has negative values."""
        return self.min < 0

    def round(self, x: Any, rounding: str = "nearest_even", seed: int = 0, out: Any = None) -> Any:
        """Every value of `x` rounded to a value of this format.

        Args:
            x: array or tensor of any shape; or a number, or a list of numbers.
            rounding: one of `ROUNDINGS`.
            seed: for the stochastic modes; the draw of a value depends on its position and the
                seed alone, so any number of threads gives the same result.
            out: where to write, of the result's shape and dtype; may be `x` itself.

        Returns:
            What `x` was (array or tensor), float32 or float64.

        Example:
            >>> import workbench as wb
            >>> wb.format("e2m1").round([0.3, 2.5, 100.0])
            array([0.5, 2. , 6. ])
        """
        from ..kernels import arrays

        mode = rounding_number(rounding)
        if arrays.on_device(x):
            from ..kernels import device

            return device.round_elements(x, self.rounder, mode, seed, out)
        values = arrays.to_numpy(x)
        result = arrays.output_for(values, out)
        arrays.write_through(values, result, lambda a, b: self.rounder.round(a, b, mode, seed))
        return out if out is not None else arrays.like(x, result)

    def encode(self, x: Any, rounding: str = "nearest_even", seed: int = 0) -> np.ndarray:
        """The code of every value of `x` after rounding, as uint8 or uint16.

        NaN in a format that has no code for it raises `WorkbenchError`.

        Example:
            >>> import workbench as wb
            >>> wb.format("e4m3fn").encode([1.0, -448.0, float("nan")])
            array([ 56, 254, 127], dtype=uint8)
        """
        from ..kernels import arrays

        values = arrays.to_numpy(x.cpu() if arrays.on_device(x) else x)
        rounded = np.ascontiguousarray(self.round(values, rounding, seed))
        if not self.has_nan and np.isnan(rounded).any():
            raise WorkbenchError(
                f"{int(np.isnan(rounded).sum())} NaN among the values",
                f"{self.name} has no code for NaN",
                "replace them first, for example with np.nan_to_num(x), or use a format with NaN",
            )
        codes = np.empty(rounded.size, np.uint8 if self.bits <= 8 else np.uint16)
        self.codes_of(rounded.reshape(-1), codes)
        return codes.reshape(rounded.shape)

    def codes_of(self, rounded: np.ndarray, out: np.ndarray) -> None:
        """Write the codes of already rounded, flat values to `out`."""
        from ..kernels.codes import codes_by_search

        nan = np.flatnonzero(np.isnan(self.code_values))
        codes_by_search(
            rounded, self.values, self.code_of_value, int(nan[0]) if nan.size else 0, out
        )

    def decode(self, codes: Any) -> np.ndarray:
        """The float64 value of every code; codes outside 0..2**bits - 1 raise `WorkbenchError`.

        Example:
            >>> import workbench as wb
            >>> wb.format("e5m2").decode([0x3C, 0x7C])
            array([ 1., inf])
        """
        codes = np.asarray(codes)
        if codes.dtype.kind not in "iu" and codes.size:
            raise WorkbenchError(
                f"codes of {codes.dtype}", "codes are integers", "pass what encode returned"
            )
        if codes.size and (codes.min() < 0 or codes.max() >= self.code_values.size):
            raise WorkbenchError(
                f"codes from {codes.min()} to {codes.max()}",
                f"{self.name} has codes 0 to {self.code_values.size - 1}",
                "pass what encode returned",
            )
        return self.code_values[codes.astype(np.int64)]

    def precision(self, x: Any) -> np.ndarray:
        """The distance between the two neighbouring values around each |x| (one ulp), float64.

        Example:
            >>> import workbench as wb
            >>> wb.format("e4m3fn").precision([1.0, 300.0])
            array([ 0.125, 32.   ])
        """
        magnitude = np.abs(np.asarray(x, np.float64))
        upper = np.searchsorted(self.values, magnitude, side="right")
        upper = np.clip(upper, 1, self.values.size - 1)
        return self.values[upper] - self.values[upper - 1]
