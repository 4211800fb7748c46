"""Notebook hosts of the explorers: ipywidgets for controls, small widgets of our own to draw."""

from .bit_editor import BitEditorWidget
from .format_designer import FormatDesignerWidget
from .format_explorer import FormatExplorerWidget

__all__ = ["BitEditorWidget", "FormatDesignerWidget", "FormatExplorerWidget"]
