"""Explorers: state, controls and views over one selection; no host code."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .format_explorer import FormatExplorer

__all__ = ["FormatExplorer", "explore"]

# Hosts live above this floor, so they are named here and only loaded when one is asked for.
HOSTS = {"notebook": ("workbench.widgets", "FormatExplorerWidget")}


def explore(x: Any = None, schemes: Any = None, host: str = "auto", **state: Any) -> Any:
    """Open the format explorer on a tensor.

    Args:
        x: an array or tensor of floats; or the text of a source, such as
            "weight:layers.0.mlp.down_proj.weight" or "synthetic:student_t3,65536,0"; or None for
            a weight of the reference model. Integers and complex numbers raise `WorkbenchError`.
        schemes: one to four scheme texts, or one alone; None takes four that differ.
        host: "notebook" gives a widget, "none" the bare `FormatExplorer`, "auto" the widget in a
            notebook and the explorer elsewhere.
        state: the rest of the explorer's state, such as `shift=0.5` or `theme="dark"`.

    Example:
        >>> import numpy as np
        >>> explorer = explore(np.linspace(-1, 1, 1000), "int4", host="none")
        >>> explorer.figures()["metrics_table"].data()[0]["scheme"]
        'int4/tensor'
    """
    from ..errors import unknown
    from .format_explorer import FormatExplorer
    from .sources import keep

    if host not in ("auto", "none", *HOSTS):
        raise unknown("host", host, ("auto", "none", *HOSTS))
    if x is not None:
        state["source"] = x if isinstance(x, str) else keep(x)
    if schemes is not None:
        state["schemes"] = [str(schemes)] if not isinstance(schemes, list | tuple) else schemes
    explorer = FormatExplorer(**state)
    chosen = ("notebook" if _in_notebook() else "none") if host == "auto" else host
    if chosen == "none":
        return explorer
    import importlib

    module, name = HOSTS[chosen]
    return getattr(importlib.import_module(module), name)(explorer)


def _in_notebook() -> bool:
    """Whether this runs in a Jupyter kernel."""
    import sys

    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return hasattr(shell, "kernel")


def __getattr__(name: str) -> Any:
    if name == "FormatExplorer":
        from .format_explorer import FormatExplorer

        return FormatExplorer
    raise AttributeError(f"module 'workbench.explorers' has no attribute {name!r}")
