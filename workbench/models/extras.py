"""What to say where an optional package is missing."""

from __future__ import annotations

import importlib
from types import ModuleType

from workbench.errors import WorkbenchError


def need(package: str, what: str) -> ModuleType:
    """Import an optional package, or say that `what` needs it and how to get it.

    >>> need("json", "reading a recipe").__name__
    'json'
    """
    try:
        return importlib.import_module(package)
    except ImportError:
        raise WorkbenchError(
            what,
            f"the package {package} is not installed",
            "run: pip install 'lowbit-workbench[models]'",
        ) from None
