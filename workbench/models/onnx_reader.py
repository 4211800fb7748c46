"""ONNX files as checkpoints: the initializers of the graph, decoded one by one when asked for.

The package `onnx` parses the file; weights in external files are read from there on access, so a
model whose weights lie beside it opens at once. Format: the ONNX intermediate representation.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np

from workbench.errors import WorkbenchError
from workbench.models import extras
from workbench.models.checkpoint import Checkpoint, Entry, TensorInfo

SHORT = {"FLOAT": "f32", "DOUBLE": "f64", "FLOAT16": "f16", "BFLOAT16": "bf16", "BOOL": "bool"}
SHORT |= {"FLOAT8E4M3FN": "f8_e4m3", "FLOAT8E5M2": "f8_e5m2", "FLOAT8E8M0": "f8_e8m0"}
SHORT |= {"FLOAT8E4M3FNUZ": "f8_e4m3fnuz", "FLOAT8E5M2FNUZ": "f8_e5m2fnuz"}
SHORT |= {"FLOAT4E2M1": "f4_e2m1", "COMPLEX64": "c64"}
SHORT |= {f"INT{bits}": f"i{bits}" for bits in (2, 4, 8, 16, 32, 64)}
SHORT |= {f"UINT{bits}": f"u{bits}" for bits in (2, 4, 8, 16, 32, 64)}


def open_onnx(path: str | Path) -> Checkpoint:
    """Open the initializers of an ONNX graph; matrices keep the orientation of the graph.

    A file that is not ONNX, is truncated, or whose external weights are missing or too short, and a
    missing `onnx` package, are `WorkbenchError`s.
    """
    path = Path(path)
    onnx = extras.need("onnx", "an ONNX file")
    from google.protobuf.message import DecodeError

    try:
        graph = onnx.load(str(path), load_external_data=False).graph
    except (DecodeError, ValueError) as error:
        raise _broken(path, f"it is truncated or no ONNX file ({error})") from None
    found = [tensor for tensor in graph.initializer if tensor.data_type != onnx.TensorProto.STRING]
    if not found:
        raise _broken(path, "its graph holds no initializer")
    return Checkpoint(path, [_entry(onnx, path, tensor) for tensor in found])


def _entry(onnx: Any, path: Path, tensor: Any) -> Entry:
    kind = onnx.TensorProto.DataType.Name(tensor.data_type)
    file, nbytes = _place(onnx, path, tensor, kind)
    info = TensorInfo(tensor.name, tuple(tensor.dims), SHORT.get(kind, kind.lower()), nbytes, file)

    def read() -> np.ndarray:
        try:
            array = onnx.numpy_helper.to_array(tensor, str(path.parent))
        except (ValueError, TypeError, OSError, onnx.checker.ValidationError) as error:
            raise _broken(path, f"{tensor.name!r} cannot be read ({error})") from None
        return _widened(array)

    return Entry(info, read)


def _place(onnx: Any, path: Path, tensor: Any, kind: str) -> tuple[str, int]:
    """The file that holds an initializer and the bytes it takes there, checked to be there."""
    bits = _bits(onnx, tensor, kind)
    nbytes = -(-math.prod(tensor.dims) * bits // 8)
    if not onnx.external_data_helper.uses_external_data(tensor):
        if tensor.HasField("raw_data") and len(tensor.raw_data) < nbytes:
            raise _broken(path, f"{tensor.name!r} has {len(tensor.raw_data)} of {nbytes} bytes")
        return path.name, nbytes
    where = {each.key: each.value for each in tensor.external_data}
    file = path.parent / where.get("location", "")
    if not file.is_file():
        raise WorkbenchError(
            str(path), f"its weights lie in {file.name}, which is missing", "fetch that file too"
        )
    end = int(where.get("offset", 0)) + int(where.get("length", nbytes))
    if end > file.stat().st_size:
        raise _broken(file, f"it is truncated: {tensor.name!r} ends at byte {end:,}")
    return file.name, nbytes


def _bits(onnx: Any, tensor: Any, kind: str) -> int:
    digits = SHORT.get(kind, "")
    if digits.startswith(("i", "u")):
        return int(digits[1:])
    if kind.startswith(("FLOAT4", "FLOAT6")):
        return int(kind[5])
    return onnx.helper.tensor_dtype_to_np_dtype(tensor.data_type).itemsize * 8


def _widened(array: np.ndarray) -> np.ndarray:
    """What NumPy has itself stays; narrower floats become float32, narrower integers 8 bits."""
    if array.dtype.kind in "biuc" or array.dtype in (np.float32, np.float64):
        return array
    if "int" in array.dtype.name:
        return array.astype(np.uint8 if array.dtype.name.startswith("uint") else np.int8)
    return array.astype(np.float32)


def _broken(path: Path, why: str) -> WorkbenchError:
    return WorkbenchError(str(path), why, "fetch the file again or export it anew")
