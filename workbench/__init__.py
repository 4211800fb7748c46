"""A workbench for low-precision numerics: formats, schemes, sketches and the views over them.

Everything public is here under one name; nothing heavy is imported before it is used.
"""

from __future__ import annotations

import importlib
from typing import Any

from .errors import WorkbenchError

__version__ = "0.1.0"

# public name -> (module, attribute); None is the module itself
_PUBLIC = {
    "format": ("formats", "parse"),
    "scheme": ("schemes", "parse"),
    "Scheme": ("schemes", "Scheme"),
    "QuantizedTensor": ("schemes", "QuantizedTensor"),
    "sketch": ("sketches", "sketch"),
    "Sketch": ("sketches", "Sketch"),
    "Recipe": ("quantizers", "Recipe"),
    "quantize": ("models.quantize", "quantize"),
    "explore": ("hosts", "explore"),
    "design": ("hosts", "design"),
    "formats": ("formats", None),
    "schemes": ("schemes", None),
    "kernels": ("kernels", None),
    "sketches": ("sketches", None),
    "metrics": ("metrics", None),
    "models": ("models", None),
    "views": ("views", None),
    "explorers": ("explorers", None),
    "costs": ("costs", None),
    "quantizers": ("quantizers", None),
    "teaching": ("teaching", None),
    "training": ("training", None),
    "catalogue": ("catalogue", None),
}

__all__ = ["WorkbenchError", "__version__", *_PUBLIC]


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'workbench' has no attribute {name!r}")
    module, attribute = _PUBLIC[name]
    loaded = importlib.import_module(f".{module}", __name__)
    value = loaded if attribute is None else getattr(loaded, attribute)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
