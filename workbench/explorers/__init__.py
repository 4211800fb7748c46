"""Explorers: state, controls and views over one selection; no host code."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .bit_editor import BitEditor
    from .format_designer import FormatDesigner
    from .format_explorer import FormatExplorer
    from .method_matrix import MethodMatrix
    from .model_explorer import ModelExplorer

__all__ = ["BitEditor", "FormatDesigner", "FormatExplorer", "MethodMatrix", "ModelExplorer"]
_HOMES = {
    "BitEditor": "bit_editor",
    "FormatDesigner": "format_designer",
    "FormatExplorer": "format_explorer",
    "MethodMatrix": "method_matrix",
    "ModelExplorer": "model_explorer",
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(f".{_HOMES[name]}", __name__), name)
    raise AttributeError(f"module 'workbench.explorers' has no attribute {name!r}")
