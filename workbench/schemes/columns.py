"""A power of two for each column beside a scheme's own scales: exponents of single input channels.

A float whose channels have biases of their own moves whole octaves of a channel's scale into the
exponents of the other operand (LLM-FP4, Liu et al., 2023); there they are kept apart from the rows'
scales, a few bits for each column.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import WorkbenchError
from ..kernels.packing import pack, packed_size, unpack
from .fitted import Fitted

if TYPE_CHECKING:
    from .quantized import QuantizedTensor
    from .scheme import Scheme


@dataclass(frozen=True, eq=False)
class ColumnFitted(Fitted):
    """A scheme with chosen scales, each halved as often as the exponent of its column says.

    Attributes:
        exponents: uint8 (columns,); column j is divided by 2 to this power.
        exponent_bits: that each of them is stored in, 1 to 8.

    Example:
        >>> import workbench as wb
        >>> w = np.array([[3.0, 0.75, 0.125]])
        >>> fitted = fit_columns(wb.scheme("int3/channel"), w, np.array([0, 2, 3]), 2)
        >>> fitted.round(w), fitted.quantize(w).nbytes
        (array([[3.   , 0.75 , 0.125]]), 7)
    """

    exponents: np.ndarray
    exponent_bits: int

    @cached_property
    def scales(self) -> np.ndarray:
        """The scale of every value, float32 rows x columns of the layout."""
        each = np.broadcast_to(halves(self.exponents), self.shape)
        return super().scales * self.layout.to_rows(each)

    def quantize(self, x: np.ndarray, rounding: str = "nearest_even", seed: int = 0) -> Any:
        """Bit-packed codes, the rows' scales and the columns' exponents: a `ColumnTensor`."""
        inner = super().quantize(x, rounding, seed)
        return ColumnTensor(inner, pack(self.exponents, self.exponent_bits), self.exponent_bits)


def fit_columns(scheme: Scheme, x: np.ndarray, exponents: np.ndarray, bits: int) -> ColumnFitted:
    """Choose the scales of a matrix whose columns are brought up by powers of two first.

    Args:
        scheme: with a scale; a plain cast has none that a column could differ from.
        x: (rows, columns).
        exponents: whole numbers (columns,), 0 to 2^bits - 1.
        bits: that each of them is stored in, 1 to 8.

    Anything else raises `WorkbenchError`.

    Example:
        >>> import workbench as wb
        >>> fitted = fit_columns(wb.scheme("e2m1/channel"), np.array([[6.0, 1.5]]), [0, 2], 2)
        >>> fitted.scales.tolist()
        [[1.0, 0.25]]
    """
    whole = np.asarray(exponents)
    if scheme.scale is None:
        raise WorkbenchError(
            f"exponents of columns for {scheme}", "it has no scale that they could move",
            f"write {scheme}/channel",
        )  # fmt: skip
    if x.ndim != 2 or whole.shape != x.shape[1:] or not 1 <= bits <= 8:
        raise WorkbenchError(
            f"{whole.size} exponents of {bits} bits for a shape {x.shape}",
            "each column of a matrix has one of 1 to 8 bits", "give one for each column",
        )  # fmt: skip
    if not ((whole >= 0) & (whole < 1 << bits) & (whole == np.rint(whole))).all():
        raise WorkbenchError(
            f"exponents {whole.min()} to {whole.max()}",
            f"{bits} bits hold whole numbers from 0 to {(1 << bits) - 1}", "clip them first",
        )  # fmt: skip
    fitted = scheme.fit(x / halves(whole))
    return ColumnFitted(
        scheme, fitted.shape, fitted.axis, fitted.chosen, whole.astype(np.uint8), bits
    )


def halves(exponents: np.ndarray) -> np.ndarray:
    """2 to the power of minus each exponent, float32.

    Example:
        >>> halves(np.array([0, 3])).tolist()
        [1.0, 0.125]
    """
    return np.ldexp(np.float32(1), -np.asarray(exponents, np.int32))


@dataclass(frozen=True, eq=False)
class ColumnTensor:
    """A quantized matrix whose columns have exponents of their own; decodes exactly.

    Attributes:
        inner: codes and scales, of the matrix with its columns brought up.
        packed_exponents: uint8, one for each column without gaps.
        exponent_bits: of each.
    """

    inner: QuantizedTensor
    packed_exponents: np.ndarray
    exponent_bits: int

    @property
    def scheme(self) -> Scheme:
        """The scheme of codes and scales."""
        return self.inner.scheme

    @property
    def shape(self) -> tuple[int, ...]:
        """(rows, columns)."""
        return self.inner.shape

    @property
    def exponents(self) -> np.ndarray:
        """The exponent of every column, uint8 (columns,)."""
        return unpack(self.packed_exponents, self.exponent_bits, self.shape[1])

    @property
    def nbytes(self) -> int:
        """Stored bytes: codes, scales and exponents."""
        return self.inner.nbytes + packed_size(self.shape[1], self.exponent_bits)

    @property
    def bits_per_value(self) -> float:
        """Stored bits a value, everything counted."""
        return 8 * self.nbytes / self.inner.size if self.inner.size else 0.0

    def dequantize(self) -> np.ndarray:
        """The values, float32 (rows, columns)."""
        return self.inner.dequantize() * halves(self.exponents)
