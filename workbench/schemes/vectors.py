"""Vectors of neighbouring values stored as codes of a codebook, which every matrix has of its own.

A row is cut into vectors of one length; each is a code of a few bits, the codebook lies beside the
codes under a scheme of its own, and a row may have a scale. Source: the layout of AQLM (Egiazarian
et al., 2024) with a single codebook.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from .._files import replacing
from ..errors import WorkbenchError
from ..kernels.packing import pack, packed_size, unpack
from ..kernels.threads import one_blas_thread
from .fitted import Fitted, Region
from .quantized import QuantizedTensor

if TYPE_CHECKING:
    from .scheme import Scheme

AT_ONCE, FEWEST = 1 << 16, 64  # scores held together, which a cache takes; and vectors of them
MOST_BITS = 16


def nearest_codes(
    vectors: np.ndarray, codebook: np.ndarray, weights: np.ndarray | None = None
) -> np.ndarray:
    """The code of the nearest row of a codebook for each vector, the first of equals.

    Args:
        vectors: (count, size); distances are computed in its dtype, in float64 exactly enough that
            a row of a codebook of 16-bit values finds itself.
        codebook: (codes, size).
        weights: of the squared differences, (count, size); None for all alike.

    Example:
        >>> nearest_codes(np.array([[0.0, 0.9], [2.0, 2.0]]), np.array([[0.0, 1.0], [1.0, 2.0]]))
        array([0, 1])
    """
    table, kind = codebook.T.astype(vectors.dtype), vectors.dtype
    if weights is None:  # |c|^2 - 2 x c as one product
        rows = np.concatenate([vectors, np.ones((len(vectors), 1), kind)], axis=1)
        table = np.concatenate([-2 * table, (table**2).sum(axis=0)[None]])
    else:
        rows = np.concatenate([weights * vectors, weights], axis=1, dtype=kind)
        table = np.concatenate([-2 * table, table**2])
    found = np.empty(len(vectors), np.int64)
    step = max(FEWEST, AT_ONCE // len(codebook))
    with one_blas_thread():
        for start in range(0, len(rows), step):
            part = slice(start, start + step)
            (rows[part] @ table).argmin(axis=1, out=found[part])
    return found


@dataclass(frozen=True, eq=False)
class VectorFitted(Fitted):
    """A codebook of vectors for matrices of one shape.

    Attributes:
        codebook: stored, (2^bits, size).
        row_scales: float32 (rows,), positive, or None.
    """

    codebook: QuantizedTensor
    row_scales: np.ndarray | None

    @cached_property
    def table(self) -> np.ndarray:
        """The vectors of the codebook, float32 (2^bits, size)."""
        return self.codebook.dequantize()

    @cached_property
    def each_scale(self) -> np.ndarray:
        """The scale of every row, float32 (rows, 1); ones where rows have none."""
        if self.row_scales is None:
            return np.ones((self.shape[0], 1), np.float32)
        return self.row_scales[:, None]

    def values(self, codes: np.ndarray) -> np.ndarray:
        """The matrix that codes (rows, vectors) stand for, float32."""
        values = self.table[codes].reshape(self.shape)
        return values if self.row_scales is None else values * self.each_scale

    def codes(self, x: np.ndarray) -> np.ndarray:
        """The codes of the nearest vectors, int64 (rows, vectors of a row)."""
        exact = x.astype(np.float64) / self.each_scale
        return nearest_codes(exact.reshape(-1, self.table.shape[1]), self.table).reshape(len(x), -1)

    def round(self, x: np.ndarray, rounding: str = "nearest_even", seed: int = 0) -> np.ndarray:
        """The nearest vectors of an array of the same shape; there is no other rounding of them."""
        _refuse_roundings(rounding)
        return self.values(self.codes(x))

    def region(self, rows: slice, columns: slice) -> Region:
        """Refused: a single value has no grid of its own."""
        raise WorkbenchError(
            f"vectors of {self.table.shape[1]} values", "a value is not rounded by itself",
            "use a solver for vectors, such as pv_tuning",
        )  # fmt: skip

    def quantize(self, x: np.ndarray, rounding: str = "nearest_even", seed: int = 0) -> Any:
        """Bit-packed codes of the nearest vectors, with the codebook: a `VectorTensor`."""
        _refuse_roundings(rounding)
        bits = (len(self.table) - 1).bit_length()
        codes = self.codes(x).astype(np.uint8 if bits <= 8 else np.uint16)
        return VectorTensor(self.shape, pack(codes, bits), self.codebook, self.row_scales)


def fit_vectors(
    scheme: Scheme,
    shape: tuple[int, ...],
    codebook: np.ndarray,
    row_scales: np.ndarray | None = None,
) -> VectorFitted:
    """A codebook for a matrix, its values stored under a scheme.

    Args:
        scheme: of the codebook's values, such as f16.
        shape: of the matrix; its rows hold whole vectors.
        codebook: (2^bits, size), 1 to 16 bits.
        row_scales: (rows,), positive; None for none.

    What does not fit raises `WorkbenchError`.

    Example:
        >>> import workbench as wb
        >>> table = np.float32([[0, 0], [1, 2], [-1, 0], [3, 3]])
        >>> fitted = fit_vectors(wb.scheme("f16"), (1, 4), table)
        >>> x = np.float32([[0.8, 1.7, 2.0, 4.0]])
        >>> fitted.round(x), fitted.quantize(x).nbytes
        (array([[1., 2., 3., 3.]], dtype=float32), 17)
    """
    count, size = codebook.shape
    if len(shape) != 2 or shape[1] % size:
        raise WorkbenchError(
            f"vectors of {size} for a shape {shape}", "a row of a matrix holds whole vectors",
            f"write size={np.gcd(size, shape[-1])}",
        )  # fmt: skip
    bits = (count - 1).bit_length()
    if not 1 <= bits <= MOST_BITS or count != 1 << bits:
        raise WorkbenchError(
            f"a codebook of {count} vectors", "codes of 1 to 16 bits stand for all of them",
            f"give {1 << min(max(bits, 1), MOST_BITS)}",
        )  # fmt: skip
    if row_scales is not None:
        row_scales = np.asarray(row_scales, np.float32)
        if row_scales.shape != shape[:1] or not (row_scales > 0).all():
            raise WorkbenchError(
                f"scales of a shape {row_scales.shape}, from {row_scales.min(initial=np.inf):g}",
                "each row has one, and it is positive", f"give {shape[0]}",
            )  # fmt: skip
    stored = scheme.quantize(np.asarray(codebook, np.float32))
    return VectorFitted(scheme, tuple(shape), -1, None, stored, row_scales)


@dataclass(frozen=True, eq=False)
class VectorTensor:
    """A matrix quantized by vectors; decodes exactly.

    Attributes:
        shape: (rows, columns).
        packed: uint8, the codes without gaps, row by row.
        codebook: stored, (2^bits, size).
        row_scales: float32 (rows,), or None.

    Example:
        >>> import workbench as wb
        >>> table = np.random.default_rng(0).standard_normal((16, 4))
        >>> q = fit_vectors(wb.scheme("f16"), (64, 64), table).quantize(np.ones((64, 64)))
        >>> q.codes.shape, q.nbytes, q.bits_per_value
        ((64, 16), 640, 1.25)
    """

    shape: tuple[int, ...]
    packed: np.ndarray
    codebook: QuantizedTensor
    row_scales: np.ndarray | None = None

    @property
    def scheme(self) -> Scheme:
        """The scheme of the codebook's values."""
        return self.codebook.scheme

    @property
    def bits(self) -> int:
        """Bits of a code."""
        return (self.codebook.shape[0] - 1).bit_length()

    @property
    def codes(self) -> np.ndarray:
        """The codes, (rows, vectors of a row), uint8 up to 8 bits, else uint16."""
        across = self.shape[1] // self.codebook.shape[1]
        return unpack(self.packed, self.bits, self.shape[0] * across).reshape(-1, across)

    @property
    def nbytes(self) -> int:
        """Stored bytes: codes, the codebook, and the rows' scales."""
        scales = 0 if self.row_scales is None else self.row_scales.nbytes
        return self.packed.size + self.codebook.nbytes + scales

    @property
    def bits_per_value(self) -> float:
        """Stored bits a value, everything counted."""
        return 8 * self.nbytes / (self.shape[0] * self.shape[1])

    def dequantize(self) -> np.ndarray:
        """The values, float32 (rows, columns)."""
        fitted = VectorFitted(self.scheme, self.shape, -1, None, self.codebook, self.row_scales)
        return fitted.values(self.codes)

    def save(self, path: str | os.PathLike) -> None:
        """Write a safetensors file, whole or not at all."""
        from safetensors.numpy import save_file

        book = self.codebook
        parts = {
            "packed": self.packed, "codebook": book.packed, "rows": self.row_scales,
            "scales": book.stored_scales, "zeros": book.packed_zeros,
        }  # fmt: skip
        about = {
            "scheme": str(book.scheme), "shape": self.shape, "of": book.shape,
            "whole": float(book.whole).hex(),
        }  # fmt: skip
        there = {name: part for name, part in parts.items() if part is not None}
        with replacing(path) as spare:
            save_file(there, spare, {"workbench vectors": json.dumps(about)})

    @staticmethod
    def load(path: str | os.PathLike) -> VectorTensor:
        """Read what `save` wrote; any other file raises `WorkbenchError`."""
        from safetensors import SafetensorError, safe_open

        try:
            with safe_open(str(path), framework="numpy") as file:
                about = json.loads((file.metadata() or {})["workbench vectors"])
                parts = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            return _of_parts(about, parts)
        except (SafetensorError, KeyError, TypeError, ValueError, OSError) as error:
            why = f"it holds no vectors of the workbench ({error})"
            raise WorkbenchError(str(path), why, "pass a file that .save(path) wrote") from error


def _of_parts(about: dict[str, Any], parts: dict[str, np.ndarray]) -> VectorTensor:
    """The tensor of what a file holds; parts that do not belong together raise ValueError."""
    from .grammar import parse

    book = QuantizedTensor(
        parse(about["scheme"]), tuple(about["of"]), -1, parts["codebook"], parts.get("scales"),
        float.fromhex(about["whole"]), parts.get("zeros"),
    )  # fmt: skip
    found = VectorTensor(tuple(about["shape"]), parts["packed"], book, parts.get("rows"))
    fit_vectors(found.scheme, found.shape, book.dequantize(), found.row_scales)
    count = found.shape[0] * found.shape[1] // book.shape[1]
    if found.packed.shape != (packed_size(count, found.bits),):
        raise ValueError(f"{found.packed.size} bytes for {count} codes of {found.bits} bits")
    return found


def _refuse_roundings(rounding: str) -> None:
    if rounding != "nearest_even":
        raise WorkbenchError(
            f"rounding={rounding!r} of vectors", "they only have a nearest one",
            "leave rounding out",
        )  # fmt: skip
