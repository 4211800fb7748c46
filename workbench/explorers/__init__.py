"""Explorers: state, controls and views over one selection; no host code."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .format_explorer import FormatExplorer

__all__ = ["FormatExplorer"]


def __getattr__(name: str) -> Any:
    if name == "FormatExplorer":
        from .format_explorer import FormatExplorer

        return FormatExplorer
    raise AttributeError(f"module 'workbench.explorers' has no attribute {name!r}")
