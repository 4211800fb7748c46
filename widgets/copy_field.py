"""A text with a button that copies it, which ipywidgets do not have."""

from __future__ import annotations

from pathlib import Path

import anywidget
import traitlets

from workbench.views.browser import copy_script

_HERE = Path(__file__).parent


class CopyField(anywidget.AnyWidget):
    """A text that is read and copied, not written.

    Args:
        label: what stands above it.

    Example:
        >>> field = CopyField(label="Spec string")
        >>> field.text = "e2m1/g32"
        >>> field.close()
    """

    _esm = copy_script() + (_HERE / "copy_field.js").read_text("utf-8")
    _css = (_HERE / "copy_field.css").read_text("utf-8")
    label = traitlets.Unicode("").tag(sync=True)
    text = traitlets.Unicode("").tag(sync=True)
