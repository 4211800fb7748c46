"""Activations of the reference model: what every linear layer reads when the model reads text.

Captured layer by layer through forward hooks, as NumPy arrays of tokens x features, for the
explorer and for the sketches in the package.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from workbench.errors import unknown
from workbench.models.reference import ReferenceModel


def linear_names(model: nn.Module) -> list[str]:
    """Names of all linear layers in the order of the forward pass, the head last.

    >>> linear_names(ReferenceModel())[0]
    'layers.0.self_attn.q_proj'
    """
    return [name for name, module in model.named_modules() if isinstance(module, nn.Linear)]


@torch.inference_mode()
def capture_inputs(
    model: ReferenceModel, text: bytes, names: Sequence[str] | None = None, tokens: int = 4096
) -> dict[str, np.ndarray]:
    """Inputs of linear layers over the first `tokens` bytes, float32 `(tokens, features)`.

    Windows of the context do not overlap; a last one that is shorter stays. Layers that read the
    same tensor (query, key and value; gate and up) share one array. `names` defaults to all.
    An unknown name is a `WorkbenchError`.

    >>> from workbench import models
    >>> model = models.load("reference")
    >>> name = "layers.0.mlp.down_proj"
    >>> capture_inputs(model, models.held_out_text(), [name], tokens=300)[name].shape
    (300, 512)
    """
    linears = {name: model.get_submodule(name) for name in linear_names(model)}
    names = list(linears) if names is None else list(names)
    for name in names:
        if name not in linears:
            raise unknown("linear layer", name, linears)
    seen: dict[str, list[Tensor]] = {name: [] for name in names}

    def listen(name: str):
        return lambda module, inputs: seen[name].append(inputs[0].flatten(0, -2))

    handles = [linears[name].register_forward_pre_hook(listen(name)) for name in names]
    try:
        data = torch.from_numpy(np.frombuffer(text[:tokens], np.uint8).astype(np.int64))
        for window in data.split(model.config.context):
            model(window[None])
    finally:
        for handle in handles:
            handle.remove()
    return _joined(seen)


def _joined(seen: dict[str, list[Tensor]]) -> dict[str, np.ndarray]:
    """One array a layer; layers that saw the very same tensors get the very same array."""
    arrays: dict[tuple[int, ...], np.ndarray] = {}
    joined = {}
    for name, parts in seen.items():
        key = tuple(part.data_ptr() for part in parts)
        if key not in arrays:
            arrays[key] = torch.cat(parts).numpy()
        joined[name] = arrays[key]
    return joined
