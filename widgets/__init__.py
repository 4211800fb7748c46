"""Notebook hosts of the explorers: ipywidgets for controls, plotly's own widget for pictures."""

from .format_explorer import FormatExplorerWidget

__all__ = ["FormatExplorerWidget"]
