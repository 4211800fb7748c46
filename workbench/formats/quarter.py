"""The complex format {1, i, -1, -i}: two bits, and products without multiplication.

iFairy (Wang et al., 2025) keeps the weights of a complex network so, with one scale for the weights
on the real axis and one for those on the imaginary axis.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from ..errors import WorkbenchError

UNITS = np.array([1, 1j, -1, -1j])
LEAST_SCALE = 1e-5


class QuarterTurns(NamedTuple):
    """Complex weights as quarter turns and two scales.

    `codes` are 0 to 3 (uint8, how many quarter turns from 1), `real` and `imaginary` the scales of
    the codes on either axis.
    """

    codes: np.ndarray
    real: float
    imaginary: float

    @property
    def values(self) -> np.ndarray:
        """The weights that the codes stand for, complex64."""
        scales = np.where(self.codes % 2 == 0, self.real, self.imaginary)
        return (UNITS[self.codes] * scales).astype(np.complex64)


@dataclass(frozen=True)
class QuarterFormat:
    """Complex numbers by the quarter of the plane that they lie in.

    A number whose phase is in [-45, 45) degrees is 1, in [45, 135) i, in [-135, -45) -i, and else
    -1; zero is 1. Real arrays are refused: they have no phase.

    Example:
        >>> QuarterFormat().round(np.array([3 + 1j, -2j, -1 + 0.5j]))
        array([ 1.+0.j, -0.-1.j, -1.+0.j])
    """

    name: str = "quarter"
    bits: int = 2

    def encode(self, z: Any) -> np.ndarray:
        """How many quarter turns each complex number is from 1, uint8.

        Example:
            >>> QuarterFormat().encode(np.array([1j, 1 + 1j, 1 - 1j]))
            array([1, 1, 0], dtype=uint8)
        """
        z = _complex(z)
        x, y = z.real, z.imag
        sectors = [(-x <= y) & (y < x) | (z == 0), (-y < x) & (x <= y), (y <= x) & (y < -x)]
        return np.select(sectors, [0, 1, 3], 2).astype(np.uint8)

    def decode(self, codes: Any) -> np.ndarray:
        """1, i, -1 or -i for each code, complex128."""
        codes = np.asarray(codes)
        if codes.size and not (codes.min() >= 0 and codes.max() <= 3):
            raise WorkbenchError(
                f"codes from {codes.min()} to {codes.max()}", "quarter turns are 0 to 3",
                "pass what encode returned",
            )  # fmt: skip
        return UNITS[codes]

    def round(self, z: Any) -> np.ndarray:
        """Each complex number as 1, i, -1 or -i, complex128."""
        return self.decode(self.encode(z))

    def quantize(self, z: Any) -> QuarterTurns:
        """Complex weights of any shape as codes with two scales, the means of the parts kept.

        The scale of an axis is the mean of |real part| (or |imaginary part|) over the weights whose
        code lies on it, and at least 1e-5.

        Example:
            >>> q = QuarterFormat().quantize(np.array([2 + 1j, -4 + 0j, 3j]))
            >>> q.codes, q.real, q.imaginary
            (array([0, 2, 1], dtype=uint8), 3.0, 3.0)
        """
        z = _complex(z)
        codes = self.encode(z)
        on_real = codes % 2 == 0
        scales = (
            float(np.abs(part).mean()) if part.size else 0.0
            for part in (z.real[on_real], z.imag[~on_real])
        )  # fmt: skip
        return QuarterTurns(codes, *(max(scale, LEAST_SCALE) for scale in scales))


def product(x: Any, weights: QuarterTurns) -> np.ndarray:
    """conj(x) times the transposed weights, by additions and two scalings, complex128.

    Args:
        x: complex activations (tokens, features).
        weights: quantized weights (outputs, features).

    Example:
        >>> w = QuarterFormat().quantize(np.array([[2 + 0j, 2j]]))
        >>> product(np.array([[1 + 1j, 1 + 0j]]), w)
        array([[2.+0.j]])
    """
    x = _complex(x)
    turns = [(weights.codes == k).astype(np.float64) for k in range(4)]
    real, imaginary = turns[0] - turns[2], turns[1] - turns[3]  # entries -1, 0, 1: masked sums
    a, b = weights.real * real, weights.imaginary * imaginary
    out = np.empty((x.shape[0], weights.codes.shape[0]), np.complex128)
    out.real = x.real @ a.T + x.imag @ b.T
    out.imag = x.real @ b.T - x.imag @ a.T
    return out


def _complex(z: Any) -> np.ndarray:
    """A complex array; real ones have no phase and are refused."""
    z = np.asarray(z)
    if z.dtype.kind != "c":
        raise WorkbenchError(
            f"an array of {z.dtype}", "the format quarter is for complex numbers",
            "pass x + 1j * y, or use binary or ternary for real ones",
        )  # fmt: skip
    return z
