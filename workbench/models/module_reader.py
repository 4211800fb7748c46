"""Torch modules as checkpoints: the weights of whatever a notebook holds, read when asked for."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from workbench.errors import WorkbenchError
from workbench.models.checkpoint import Checkpoint, Entry, TensorInfo

SHORT = {
    torch.float64: "f64",
    torch.float32: "f32",
    torch.float16: "f16",
    torch.bfloat16: "bf16",
    torch.float8_e4m3fn: "f8_e4m3",
    torch.float8_e5m2: "f8_e5m2",
    torch.complex64: "c64",
    torch.bool: "bool",
}
SHORT |= {getattr(torch, f"int{bits}"): f"i{bits}" for bits in (8, 16, 32, 64)}
SHORT |= {getattr(torch, f"uint{bits}"): f"u{bits}" for bits in (8, 16, 32, 64)}
KEPT = {torch.float64, torch.complex64}


def open_module(module: nn.Module, name: str) -> Checkpoint:
    """The parameters and persistent buffers of a module; see `workbench.models.from_module`."""
    if not isinstance(module, nn.Module):
        kind = type(module).__name__
        way_out = "pass a torch.nn.Module, or arrays to models.checkpoint.from_arrays"
        raise WorkbenchError(f"a {kind}", "only a torch module has named weights", way_out)
    named: dict[tuple, list[str]] = {}
    tensors = {
        key: value
        for key, value in module.state_dict(keep_vars=True).items()
        if isinstance(value, Tensor)
    }
    for key, tensor in tensors.items():
        named.setdefault(_identity(key, tensor), []).append(key)
    return Checkpoint(name, [_entry(tensors[keys[0]], keys, name) for keys in named.values()])


def _identity(key: str, tensor: Tensor) -> tuple:
    """What two names of one weight have in common; a tensor without memory is like no other."""
    if tensor.device.type == "meta" or not tensor.numel() or type(tensor) not in PLAIN:
        return (key,)
    shape, stride = tuple(tensor.shape), tensor.stride()
    return (tensor.device, tensor.data_ptr(), tensor.dtype, shape, stride)


PLAIN = (Tensor, nn.Parameter)


def _entry(tensor: Tensor, keys: list[str], file: str) -> Entry:
    dtype = SHORT.get(tensor.dtype, str(tensor.dtype).removeprefix("torch."))
    nbytes = tensor.numel() * tensor.element_size()
    info = TensorInfo(keys[0], tuple(tensor.shape), dtype, nbytes, file, tuple(keys[1:]))
    return Entry(info, lambda: _values(tensor, keys[0]))


def _values(tensor: Tensor, name: str) -> np.ndarray:
    """The values now, as float32 where they are stored narrower; read-only."""
    try:
        plain = tensor.detach().cpu()
        if plain.is_floating_point() and plain.dtype not in KEPT:
            plain = plain.float()
        array = plain.numpy()
    except (TypeError, RuntimeError, NotImplementedError, AttributeError) as error:
        kind = "has no values yet" if tensor.device.type == "meta" else "is not a plain tensor"
        why = f"it {kind} ({str(error).splitlines()[0]})"
        raise WorkbenchError(repr(name), why, "load or dequantize the module first") from None
    array = array[...]
    array.flags.writeable = False
    return array
