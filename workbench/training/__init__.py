"""Quantized training: gradients past roundings, layers, optimizers, and small networks to try them.

What needs torch is imported when it is first used.
"""

from __future__ import annotations

import importlib
from typing import Any

from .noise import rounded_normal, with_noise
from .sharpness import logit_sharpness

# public name -> the module it lives in; these import torch
_TORCH = {
    "Adapter": "adapters",
    "Adam8bit": "optimizers",
    "FrozenBase": "frozen_base",
    "LearnedBits": "noisy_weights",
    "LearnedPoint": "fixed_point",
    "QuantizedLinear": "linear",
    "Quantizers": "linear",
    "Rounding": "straight_through",
    "StraightThrough": "straight_through",
    "rounded_gradient": "straight_through",
}

_MODULES = ("diffusion", "papers", "stream", "zipf")  # these too

__all__ = ["logit_sharpness", "rounded_normal", "with_noise", *_TORCH, *_MODULES]


def __getattr__(name: str) -> Any:
    if name not in _TORCH and name not in _MODULES:
        raise AttributeError(f"module 'workbench.training' has no attribute {name!r}")
    from ..models.extras import need

    need("torch", f"training.{name}")
    module = importlib.import_module(f".{_TORCH.get(name, name)}", __name__)
    return module if name in _MODULES else getattr(module, name)


def __dir__() -> list[str]:
    return sorted(__all__)
