"""What the engine takes and gives back: NumPy arrays and torch tensors, widened exactly.

torch is never imported here: a tensor is recognised only when its library is already loaded.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import numpy as np

from ..errors import WorkbenchError


def is_tensor(x: Any) -> bool:
    """Whether `x` is a torch tensor, without importing torch.

    Example:
        >>> is_tensor(np.zeros(2))
        False
    """
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(x, torch.Tensor)


def on_device(x: Any) -> bool:
    """Whether `x` is a torch tensor outside the processor's memory (a GPU's).

    Example:
        >>> on_device(np.zeros(2))
        False
    """
    return is_tensor(x) and x.device.type != "cpu"


def to_numpy(x: Any) -> np.ndarray:
    """`x` as a float32 or float64 array: zero copies where it already is one.

    float16 and bfloat16 are widened to float32 exactly; Python numbers and lists become float64.
    Integer, boolean, complex and object arrays raise `WorkbenchError`, since their scale is not
    the workbench's to guess.

    Example:
        >>> to_numpy(np.array([0.5], dtype=np.float16)).dtype
        dtype('float32')
    """
    if is_tensor(x):
        return _tensor_to_numpy(x)
    if not isinstance(x, np.ndarray | np.generic):
        x = np.asarray(x)
        x = x.astype(np.float64) if x.dtype.kind in "iu" else x
    if isinstance(x, np.ma.MaskedArray) and np.ma.is_masked(x):
        raise WorkbenchError(
            "a masked array", "masked values have no code", "pass x.filled(0) or x.compressed()"
        )
    x = np.asarray(x)
    native = x.dtype.newbyteorder("=")
    if native in (np.float32, np.float64):
        return x.astype(native, copy=False)
    if native == np.float16 or native.name in _HALF_NAMES:
        return x.astype(np.float32)
    raise _wrong_dtype(f"an array of {x.dtype}", "np.float32", x.dtype.kind == "c")


_HALF_NAMES = {"bfloat16", "float8_e4m3fn", "float8_e5m2", "float8_e4m3fnuz", "float8_e5m2fnuz"}


def _tensor_to_numpy(x: Any) -> np.ndarray:
    torch = sys.modules["torch"]
    if not x.is_floating_point():
        raise _wrong_dtype(f"a tensor of {x.dtype}", "torch.float32", x.is_complex())
    if x.layout != torch.strided:
        raise WorkbenchError(
            f"a tensor of layout {x.layout}", "values must lie in memory", "pass x.to_dense()"
        )
    if x.dtype not in (torch.float32, torch.float64):
        x = x.to(torch.float32)
    return x.detach().cpu().numpy()


def _wrong_dtype(passed: str, target: str, is_complex: bool) -> WorkbenchError:
    convert = f"pass x.astype({target})" if target.startswith("np") else f"pass x.to({target})"
    return WorkbenchError(
        passed,
        "the workbench rounds float16, bfloat16, float32 and float64 values",
        "pass x.real and x.imag, one after the other" if is_complex else convert,
    )


def like(x: Any, y: np.ndarray) -> Any:
    """The array `y` as what `x` was: a torch tensor for a tensor, else the array itself.

    Example:
        >>> like(np.zeros(1), np.ones(1))
        array([1.])
    """
    return sys.modules["torch"].from_numpy(y) if is_tensor(x) else y


def output_for(x: np.ndarray, out: Any) -> np.ndarray:
    """The array that results for `x` are written to: `out`, checked, or a new one.

    Raises `WorkbenchError` where `out` has another shape or dtype, or cannot be written.

    Example:
        >>> output_for(np.zeros(3, np.float32), None).shape
        (3,)
    """
    if out is None:
        return np.empty(x.shape, x.dtype)
    target = out.detach().numpy() if is_tensor(out) else out
    if target.shape != x.shape or target.dtype != x.dtype:
        raise WorkbenchError(
            f"out of shape {target.shape} and {target.dtype}",
            f"the result has shape {x.shape} and {x.dtype}",
            "pass out=np.empty_like(x) or leave it away",
        )
    if not target.flags.writeable:
        raise WorkbenchError("a read-only out", "results are written into it", "pass a copy")
    return target


def same_memory(x: np.ndarray, out: np.ndarray) -> bool:
    """Whether two arrays of one shape are the same values in memory, so that work is in place.

    Example:
        >>> x = np.zeros((2, 2)); same_memory(x, x[:]), same_memory(x, x.T)
        (True, False)
    """
    if x is out or not np.may_share_memory(x, out):
        return x is out
    return x.ctypes.data == out.ctypes.data and x.strides == out.strides


def write_through(x: np.ndarray, out: np.ndarray, work: Callable[[Any, Any], None]) -> None:
    """Run `work(flat_x, flat_out)` on contiguous 1-D arrays, copying only where strides force it.

    `out` may be `x` itself (in place) or overlap it.

    Example:
        >>> x = np.ones((2, 3), np.float32)[:, ::2]; y = np.empty_like(x)
        >>> write_through(x, y, lambda a, b: np.copyto(b, 2 * a)); y
        array([[2., 2.],
               [2., 2.]], dtype=float32)
    """
    same = same_memory(x, out)
    if not same and np.may_share_memory(x, out):
        x = x.copy()
    if out.flags.c_contiguous:
        flat = out.reshape(-1)
        work(flat if same else np.ascontiguousarray(x).reshape(-1), flat)
        return
    flat = np.empty(out.size, out.dtype)
    work(np.ascontiguousarray(x).reshape(-1), flat)
    out[...] = flat.reshape(out.shape)
