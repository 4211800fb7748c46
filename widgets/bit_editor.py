"""The bit-field editor in a notebook cell: one script of our own, the state synced both ways."""

from __future__ import annotations

import html
from pathlib import Path
from typing import Any

import anywidget
import traitlets

from workbench.explorers.bit_descriptors import script, style_sheet
from workbench.explorers.bit_editor import BitEditor


class BitEditorWidget(anywidget.AnyWidget):
    """The bits of a `BitEditor`, edited in the page; changes from code are drawn.

    Args:
        editor: the state; also reached as `.editor`. None begins with 3.14159 in f32.
        state: the parts of a new editor's state, where none is given.

    Example:
        >>> widget = BitEditorWidget(format="e4m3fn", code=0x44)
        >>> widget.state = {**widget.state, "code": 0x45}
        >>> widget.editor.value
        3.25
        >>> widget.close()
    """

    _esm = script() + (Path(__file__).parent / "bit_host.js").read_text("utf-8")
    _css = style_sheet()
    supplies = traitlets.Dict().tag(sync=True)
    state = traitlets.Dict().tag(sync=True)
    problem = traitlets.Unicode("").tag(sync=True)

    def __init__(self, editor: BitEditor | None = None, **state: Any):
        self.editor = BitEditor(**state) if editor is None else editor
        super().__init__(supplies=self.editor.supplies(), state=self.editor.state)
        self.editor.param.watch(self._follow, [*BitEditor.STATE, "problem"])
        self.observe(self._edited, "state")

    def _edited(self, change: dict[str, Any]) -> None:
        """Take over what the page made of the state; a refused one is put back."""
        if change["new"] != self.editor.state:
            self.editor.set(**change["new"])
            self._follow()

    def _follow(self, *events: Any) -> None:
        """Show the editor's state, after what is needed to show it."""
        supplies = self.editor.supplies()
        if supplies["formats"].keys() != self.supplies["formats"].keys():
            self.supplies = supplies
        self.problem = self.editor.problem
        self.state = self.editor.state

    def _repr_mimebundle_(self, **options: Any) -> Any:
        """The widget, and for readers without a kernel its state in words."""
        bundle = super()._repr_mimebundle_(**options)
        data = bundle[0] if isinstance(bundle, tuple) else bundle
        if isinstance(data, dict):
            data["text/html"] = f"<p>{html.escape(self.editor.describe())}</p>"
        return bundle
