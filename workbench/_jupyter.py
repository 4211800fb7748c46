"""The Jupyter kernel that runs this code, if one does; nothing of Jupyter is imported to ask."""

from __future__ import annotations

import sys
from typing import Any


def running_kernel() -> Any:
    """The kernel of this process; None in a script, a server or a plain IPython shell.

    Example:
        >>> running_kernel() is None
        True
    """
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return getattr(shell, "kernel", None)
