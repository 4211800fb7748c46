"""Where an explorer is shown: `wb.explore` and `wb.design` open it in the notebook, or bare."""

from __future__ import annotations

import importlib
from typing import Any

from ._jupyter import running_kernel
from .errors import unknown

HOSTS = ("auto", "none", "notebook")


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

    _check(host)
    return _shown(FormatExplorer.of(x, schemes, **state), host, "FormatExplorerWidget")


def design(x: Any = None, host: str = "auto", **state: Any) -> Any:
    """Open the format designer on a tensor.

    Args:
        x: an array or tensor of floats; or the text of a source; or None for a weight of the
            reference model. Integers and complex numbers raise `WorkbenchError`.
        host: "notebook" gives a widget, "none" the bare `FormatDesigner`, "auto" the widget in a
            notebook and the designer elsewhere.
        state: the rest of the designer's state, such as `exponent=4` or `granularity="g16"`.

    Example:
        >>> import numpy as np
        >>> designer = design(np.linspace(-1, 1, 1000), host="none", kind="integer", width=3)
        >>> designer.spec_text, designer.rows()[0]["values"]
        ('int3/g32', 8)
    """
    from .explorers import FormatDesigner

    _check(host)
    return _shown(FormatDesigner.of(x, **state), host, "FormatDesignerWidget")


def _check(host: str) -> None:
    if host not in HOSTS:
        raise unknown("host", host, HOSTS)


def _shown(explorer: Any, host: str, widget: str) -> Any:
    """The explorer in its widget, or bare; a script without a notebook needs no ipywidgets."""
    if host == "none" or (host == "auto" and not running_kernel()):
        return explorer
    return getattr(importlib.import_module("workbench.widgets"), widget)(explorer)
