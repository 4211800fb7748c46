"""A quantized tensor as it would be stored: packed codes, scales, zero points, and their bytes."""

from __future__ import annotations

import json
import math
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from .._files import replacing
from ..errors import WorkbenchError
from .layout import Layout

if TYPE_CHECKING:
    from .fitted import Fitted
    from .scheme import Scheme


@dataclass(frozen=True, eq=False)
class QuantizedTensor:
    """Bit-packed codes, stored scales and zero points under a scheme; decodes exactly.

    Attributes:
        scheme, shape, axis: what was quantized, and how.
        packed: uint8 codes without gaps, in row order with `axis` moved to the end.
        stored_scales: block scales as they are stored: float32, or codes of the scale format
            (of pow2: the exponent as int8); None for a plain cast.
        whole: the tensor's own float32 scale of two levels, or float32 (rows, 1) those of rows that
            blocks are tied to; else 1.
        packed_zeros: packed zero points (codes of the format), the bytes of float32 means, of a
            mixture which of its parts each block chose; or None.

    Example:
        >>> import workbench as wb
        >>> q = wb.scheme("mxfp4").quantize([[1.0, 5.0, 7.0]])
        >>> q.nbytes, q.dequantize()
        (3, array([[1., 4., 6.]], dtype=float32))
    """

    scheme: Scheme
    shape: tuple[int, ...]
    axis: int
    packed: np.ndarray
    stored_scales: np.ndarray | None = None
    whole: float | np.ndarray = 1.0
    packed_zeros: np.ndarray | None = None

    @property
    def layout(self) -> Layout | None:
        """Where the blocks lie; None for a plain cast."""
        scale = self.scheme.scale
        return None if scale is None else Layout.of(self.shape, self.axis, scale)

    @property
    def size(self) -> int:
        """How many values there are."""
        return int(np.prod(self.shape))

    @property
    def codes(self) -> np.ndarray:
        """The codes, unpacked, in the tensor's shape."""
        from ..kernels.packing import unpack

        flat = unpack(self.packed, self.scheme.format.bits, self.size)
        layout = self.layout
        if layout is None:
            return flat.reshape(self.shape)
        return layout.from_rows(flat.reshape(layout.rows, layout.cols))

    @property
    def scales(self) -> np.ndarray | None:
        """The float32 scale of every block, (stacks of rows, blocks in a row), both levels."""
        if self.stored_scales is None:
            return None
        level = self.scheme.scale.levels[0]
        if level.name == "f32":
            return self.stored_scales
        if level.name == "pow2":
            return np.ldexp(np.float32(self.whole), self.stored_scales.astype(np.int32))
        decoded = level.format.decode(self.stored_scales).astype(np.float32)
        return decoded * np.float32(self.whole)

    @property
    def choice(self) -> np.ndarray | None:
        """Of a mixture, the number of the part that every block chose; else None."""
        from ..kernels.packing import unpack

        if not self.scheme.parts:
            return None
        shape = self.layout.scale_shape
        return unpack(self.packed_zeros, self.scheme.extra_bits, int(np.prod(shape))).reshape(shape)

    @property
    def zero_points(self) -> np.ndarray | None:
        """The integer zero point of every block, as int32; None where there are none."""
        from ..kernels.packing import unpack

        if self.packed_zeros is None or self.scheme.parts or self.scheme.scale.mean:
            return None
        count = int(np.prod(self.layout.scale_shape))
        codes = unpack(self.packed_zeros, self.scheme.format.bits, count)
        values = self.scheme.format.decode(codes).astype(np.int32)
        return values.reshape(self.layout.scale_shape)

    @property
    def means(self) -> np.ndarray | None:
        """The float32 mean that was taken off every block; None where none was."""
        if self.scheme.scale is None or not self.scheme.scale.mean:
            return None
        return self.packed_zeros.view(np.float32).reshape(self.layout.scale_shape)

    @property
    def nbytes(self) -> int:
        """Stored bytes: codes, scales, zero points, and the scales above those of blocks."""
        scales = 0 if self.stored_scales is None else self.stored_scales.size
        width = self.scheme.scale.levels[0].bits if scales else 0
        zeros = 0 if self.packed_zeros is None else self.packed_zeros.size
        above = self.scheme.scale is not None and self.scheme.scale.has_whole
        whole = 4 * np.size(self.whole) if above else 0
        return self.packed.size + (scales * width + 7) // 8 + zeros + whole

    @property
    def bits_per_value(self) -> float:
        """Stored bits a value, everything counted."""
        return 8 * self.nbytes / self.size if self.size else 0.0

    def dequantize(self) -> np.ndarray:
        """The values, float32, in the tensor's shape: the bits that `scheme.round` gives."""
        from .apply import restore

        layout = self.layout
        if self.scheme.parts:
            return layout.from_rows(self._of_parts() * layout.spread(self.scales))
        values = self.scheme.format.decode(self.codes).astype(np.float32)
        if layout is None:
            return values
        zeros = self.zero_points if self.means is None else self.means
        spread = None if zeros is None else layout.spread(zeros.astype(np.float32))
        rows, scales = layout.to_rows(values), layout.spread(self.scales)
        return layout.from_rows(restore(self.scheme, rows, scales, spread))

    def _of_parts(self) -> np.ndarray:
        """The unscaled values of a mixture, (rows, cols)."""
        codes = self.layout.to_rows(self.codes)
        choice = np.broadcast_to(self.layout.spread(self.choice), codes.shape)
        values = np.empty(codes.shape, np.float32)
        for number, part in enumerate(self.scheme.parts):
            mine = choice == number
            values[mine] = part.format.decode(codes[mine])
        return values

    def save(self, path: str | os.PathLike) -> None:
        """Write a safetensors file, under a temporary name first, so that none is half-written."""
        from safetensors.numpy import save_file

        parts = {"packed": self.packed}
        if self.stored_scales is not None:
            parts["scales"] = np.ascontiguousarray(self.stored_scales)
        if self.packed_zeros is not None:
            parts["zeros"] = self.packed_zeros
        whole = self.whole
        if isinstance(whole, np.ndarray):
            parts["whole"], whole = whole, 1.0
        about = {"scheme": str(self.scheme), "shape": self.shape, "axis": self.axis}
        metadata = {"workbench": json.dumps(about | {"whole": float(whole).hex()})}
        with replacing(path) as spare:
            save_file(parts, spare, metadata)

    @staticmethod
    def load(path: str | os.PathLike) -> QuantizedTensor:
        """Read what `save` wrote; any other file raises `WorkbenchError`."""
        from safetensors import SafetensorError, safe_open

        from .grammar import parse

        try:
            with safe_open(str(path), framework="numpy") as file:
                about = json.loads((file.metadata() or {})["workbench"])
                parts = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            found = QuantizedTensor(
                parse(about["scheme"]),
                tuple(map(int, about["shape"])),
                int(about["axis"]),
                parts["packed"],
                parts.get("scales"),
                parts.get("whole", float.fromhex(about["whole"])),
                parts.get("zeros"),
            )
            _check_parts(found)
        except FileNotFoundError as error:
            raise WorkbenchError(str(path), "there is no such file", "check the path") from error
        except (SafetensorError, KeyError, TypeError, ValueError, OSError) as error:
            why = f"it is not a quantized tensor of the workbench ({error})"
            raise WorkbenchError(str(path), why, "pass a file that .save(path) wrote") from error
        return found


def _check_parts(q: QuantizedTensor) -> None:
    """Raise ValueError where codes, scales and zero points are not those of one tensor."""
    from ..kernels.packing import packed_size

    def size(count: int, width: int) -> int:
        return 4 * count if width == 32 else packed_size(count, width)

    layout = q.layout
    blocks = 0 if layout is None else math.prod(layout.scale_shape)
    extra = q.scheme.extra_bits
    if q.packed.shape != (packed_size(q.size, q.scheme.format.bits),):
        raise ValueError(f"{q.packed.size} bytes of codes for shape {q.shape}")
    if (q.stored_scales is None) != (layout is None) or (
        layout is not None and q.stored_scales.shape != layout.scale_shape
    ):
        raise ValueError(f"{blocks} scales are missing")
    rows = (layout.rows, 1) if layout is not None and q.scheme.scale.row_ratios else ()
    if np.shape(q.whole) != rows:
        raise ValueError(f"{math.prod(rows)} scales of rows are missing")
    if (q.packed_zeros is None) == bool(extra) or (
        extra and q.packed_zeros.size != size(blocks, extra)
    ):
        raise ValueError(f"{blocks} zero points, means or choices are missing")


def quantize(scheme: Scheme, x: Any, axis: int, rounding: str, seed: int) -> QuantizedTensor:
    """Quantize an array or tensor under a scheme; see `Scheme.quantize`."""
    from ..kernels import arrays
    from .fitted import fit

    values = arrays.to_numpy(x.cpu() if arrays.on_device(x) else x)
    return packed(fit(scheme, values, axis), values, rounding, seed)


def packed(fitted: Fitted, values: np.ndarray, rounding: str, seed: int) -> QuantizedTensor:
    """Values of the fitted array's shape as packed codes under its scales."""
    from ..kernels.packing import pack
    from . import apply

    scheme, bits, shape, axis = fitted.scheme, fitted.scheme.format.bits, fitted.shape, fitted.axis
    if fitted.chosen is None:
        codes = scheme.format.encode(values, rounding, seed)
        return QuantizedTensor(scheme, shape, axis, pack(codes, bits))
    rows, (scales, zeros, whole) = fitted.layout.to_rows(values), fitted.chosen
    if np.isnan(scales).any() or (not scheme.element.has_nan and np.isnan(rows).any()):
        _check_special(scheme, rows, scales)
    rounded = apply.scaled_values(scheme, rows, fitted.scales, fitted.zeros, rounding, seed)
    rounded = np.nan_to_num(rounded, nan=0.0) if np.isnan(scales).any() else rounded
    codes = pack(_codes(scheme, rounded, fitted.zeros), bits)
    extra = None if zeros is None else _extra(scheme, zeros)
    return QuantizedTensor(scheme, shape, axis, codes, _stored(scheme, scales, whole), whole, extra)


def _codes(scheme: Scheme, rounded: np.ndarray, choice: np.ndarray | None) -> np.ndarray:
    """The code of every rounded value; of a mixture, in the part that its block chose."""
    if not scheme.parts:
        return np.ascontiguousarray(scheme.element.encode(rounded))
    codes = np.zeros(rounded.shape, np.uint8 if scheme.format.bits <= 8 else np.uint16)
    choice = np.broadcast_to(choice, rounded.shape)
    for number, part in enumerate(scheme.parts):
        mine = choice == number
        codes[mine] = part.element.encode(rounded[mine])
    return codes


def _extra(scheme: Scheme, zeros: np.ndarray) -> np.ndarray:
    """What every block stores beside its scale, packed."""
    from ..kernels.packing import pack

    if scheme.scale.mean:
        return np.ascontiguousarray(zeros, np.float32).view(np.uint8).reshape(-1)
    codes = zeros.astype(np.uint8) if scheme.parts else scheme.format.encode(zeros)
    return pack(codes, scheme.extra_bits)


def _check_special(scheme: Scheme, rows: np.ndarray, scales: np.ndarray) -> None:
    """Raise where NaN values have neither a code nor a block scale that says NaN."""
    if not np.isnan(scales).any():
        raise WorkbenchError(
            f"{int(np.isnan(rows).sum())} NaN among the values",
            f"{scheme} has no code for NaN",
            "replace them first, for example with np.nan_to_num(x)",
        )


def _stored(scheme: Scheme, scales: np.ndarray, whole: Any) -> np.ndarray:
    """Float32 scales as they are stored."""
    level = scheme.scale.levels[0]
    if level.name == "f32":
        return scales
    if level.name == "pow2":
        mantissa, exponent = np.frexp(scales / whole if level.of_row else scales)
        if level.of_row and (mantissa != 0.5).any():
            raise WorkbenchError(
                f"scales of {scheme} found for one group after another",
                "they are not powers of two times that of their row",
                "pass whole=, the scales of the rows, where a part of them is fitted",
            )
        return (exponent - 1).astype(np.int8)
    return level.format.encode(scales / np.float32(whole))
