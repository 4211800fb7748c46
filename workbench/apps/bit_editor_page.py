"""The bit-field editor as a Panel page; its address is the editor's link.

Every edit is drawn by the page itself; the server keeps the state, checks what the page cannot
know, and supplies the formats that are asked for.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import panel as pn
import param

from ..explorers.bit_descriptors import script, style_sheet
from ..explorers.bit_editor import BitEditor
from .page_parts import frame, later, link_of_page, show_link
from .panel_speed import quicken

TITLE = "Bit-field editor"
AFTERWARDS = 100  # milliseconds; browsers refuse an address that changes with every frame
DATA = Path(__file__).parent / "data"


class BitPane(pn.custom.JSComponent):
    """The editor's script, with the state synced both ways."""

    supplies = param.Dict(default={}, doc="formats, blocks and names that the state needs")
    state = param.Dict(default={}, doc="the editor's state as plain values")
    problem = param.String(default="", doc="why the last change was refused")

    _esm = script() + (DATA / "bit_editor_pane.js").read_text("utf-8")
    _stylesheets: ClassVar[list[str]] = [style_sheet()]


class BitPage:
    """The page of one session: an editor, its pane, and the address that follows it."""

    def __init__(self, link: str = ""):
        self.editor = BitEditor()
        self._document, self._asked = pn.state.curdoc, False
        if link:
            self.editor.follow(link)
        self.pane = BitPane(
            supplies=self.editor.supplies(), state=self.editor.state,
            problem=self.editor.problem, sizing_mode="stretch_width", margin=0,
        )  # fmt: skip
        self.editor.param.watch(self._follow, [*BitEditor.STATE, "problem"])
        self.pane.param.watch(self._edited, "state")

    def _edited(self, event: Any) -> None:
        """Take over what the page made of the state; a refused one is put back."""
        if event.new != self.editor.state:
            self.editor.set(**event.new)
            self._follow()

    def _follow(self, *events: Any) -> None:
        """Show the editor's state, after what is needed to show it, and put it in the address."""
        supplies = self.editor.supplies()
        if supplies["formats"].keys() != self.pane.supplies["formats"].keys():
            self.pane.supplies = supplies
        self.pane.param.update(problem=self.editor.problem, state=self.editor.state)
        if not self._asked:
            self._asked = True
            later(self._document, self._address, AFTERWARDS)

    def _address(self) -> None:
        """Put the newest state into the address."""
        self._asked = False
        show_link(self.editor)


def build() -> Any:
    """The page of a new session, from the address it was opened with."""
    quicken()
    page = BitPage(link_of_page())
    return frame(TITLE, page.editor.theme, page.pane)
