"""Where an explorer is shown: `wb.explore` opens it in the notebook at hand, or bare."""

from __future__ import annotations

import importlib
from typing import Any

from ._jupyter import running_kernel
from .errors import unknown

# Loaded when one is asked for: a script without a notebook needs no ipywidgets.
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
    from .explorers import FormatExplorer

    if host not in ("auto", "none", *HOSTS):
        raise unknown("host", host, ("auto", "none", *HOSTS))
    explorer = FormatExplorer.of(x, schemes, **state)
    chosen = ("notebook" if running_kernel() else "none") if host == "auto" else host
    if chosen == "none":
        return explorer
    module, name = HOSTS[chosen]
    return getattr(importlib.import_module(module), name)(explorer)
