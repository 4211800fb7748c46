"""A page over a model that takes a while to open: it opens behind the page, and says how far it is.

A model that does not run has its tensors offered one by one.
"""

from __future__ import annotations

import html
import threading
from typing import Any
from urllib.parse import quote

import panel as pn

from .. import models
from ..errors import WorkbenchError
from ..explorers.background import step_back
from ..explorers.opened_model import Opened
from .page_parts import later, text

MOST_TENSORS = 40


class OpenedPage:
    """The page of one session whose explorer has a model to open.

    Args:
        explorer: with `model`, `open`, `cancel` and `problem`.
        pictures: what is hidden until the model is open.
    """

    def __init__(self, explorer: Any, pictures: Any):
        self.explorer, self.pictures, self.headline = explorer, pictures, text()
        self._document = pn.state.curdoc
        if self._document is not None:  # elsewhere, whoever wants it opened calls `start`
            pn.state.onload(self.start)

    def ready(self, opened: Opened) -> None:
        """Draw what there is to draw of a model that is open now."""
        raise NotImplementedError

    def start(self) -> None:
        """Open the model in the background, and draw when it is open."""
        self.explorer.cancel()
        self.pictures.visible = False
        self.say(f"Opening {self.explorer.model} …")
        name = self.explorer.model
        threading.Thread(target=self._open, args=(name,), daemon=True).start()

    def _open(self, name: str) -> None:
        """Open a model, telling how far it is; what refuses to run has its tensors offered."""
        step_back()
        try:
            opened = self.explorer.open(
                lambda line: later(
                    self._document, lambda: self.say(f"{line[0].upper()}{line[1:]} …")
                )
            )
        except WorkbenchError as refusal:
            words = str(refusal)
            later(self._document, lambda: self.say(words, "problem", _tensor_links(name)))
            return
        except Exception as failure:
            words = f"{name} could not be opened: {type(failure).__name__}: {failure}"
            later(self._document, lambda: self.say(words, "problem"))
            raise
        if self.explorer.model == name:
            later(self._document, lambda: self.ready(opened))

    def say(self, words: str, kind: str = "quiet", more: str = "") -> None:
        """Put a line where the heading is."""
        role = ' role="alert"' if kind == "problem" else ' role="status"'
        self.headline.object = f'<p class="{kind}"{role}>{html.escape(words)}</p>{more}'

    def stop(self) -> None:
        """Drop the background work of a session that has ended."""
        self.explorer.cancel()


def _tensor_links(name: str) -> str:
    """Links to the tensors of a checkpoint that does not run, in the format explorer."""
    try:
        infos = [one for one in models.tensors(name).infos if len(one.shape) > 1]
    except WorkbenchError:
        return ""
    rows = "".join(
        f'<li><a href="format_explorer?source={quote(f"file:{name}#{one.name}")}">'
        f"{html.escape(one.name)}</a> {' × '.join(map(str, one.shape))}</li>"
        for one in infos[:MOST_TENSORS]
    )
    more = f"<p>and {len(infos) - MOST_TENSORS} more</p>" if len(infos) > MOST_TENSORS else ""
    return f"<p>Its tensors can be looked at one by one:</p><ul>{rows}</ul>{more}" if rows else ""
