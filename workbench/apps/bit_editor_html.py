"""The bit-field editor as one HTML file that needs no server and no network.

The state is the fragment of its address, `#f=e4m3fn&c=0x44`, kept up to date with every edit. A
policy in the file itself forbids every request.
"""

from __future__ import annotations

import html
import json
from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

from .._files import replacing
from ..errors import WorkbenchError
from ..explorers.bit_blocks import NAMED
from ..explorers.bit_codes import bits_of, canonical, offered
from ..explorers.bit_descriptors import script, style_sheet
from ..explorers.bit_editor import BitEditor
from .bit_editor_page import TITLE

POLICY = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'"
WIDE = ("bf16", "f16")
STYLE = (
    "body{margin:0;padding:14px 22px 40px;background:#fff;color:#1c2530}"
    "[data-theme=dark] body{background:#14181e;color:#e8ecf1}"
    "h1{font:600 20px/1.3 system-ui,sans-serif;margin:0 0 8px}"
    "main,h1{max-width:1240px;margin-left:auto;margin-right:auto}"
)


def write_bit_editor(
    path: str | Path,
    state: BitEditor | Mapping[str, Any] | None = None,
    formats: Sequence[str] | None = None,
) -> Path:
    """Write the bit-field editor to one self-contained HTML file of about 1 MB.

    Args:
        path: where; written under a temporary name first, then renamed.
        state: a `BitEditor`, or its state as a mapping, or None for 3.14159 in f32.
        formats: what the file can show beside the state's; None takes every common format of at
            most 8 bits, bf16 and f16. Each one of 16 bits takes 350 kB.

    Returns:
        The path. A folder that does not exist or cannot be written raises `WorkbenchError`.

    Example:
        >>> from tempfile import mkdtemp
        >>> path = Path(mkdtemp()) / "bits.html"
        >>> write_bit_editor(path, {"format": "e4m3fn"}, ["e2m1"]) == path
        True
    """
    path = Path(path)
    if not path.parent.is_dir():
        raise WorkbenchError(str(path), "its folder does not exist", f"mkdir {path.parent}")
    editor = state if isinstance(state, BitEditor) else BitEditor(**(state or {}))
    text = bit_editor_html(editor, formats)
    with replacing(path) as spare:
        spare.write_text(text, "utf-8")
    return path


def bit_editor_html(editor: BitEditor, formats: Sequence[str] | None = None) -> str:
    """The file of an editor's present state as HTML text; `formats` as in `write_bit_editor`.

    Example:
        >>> "bitEditor(" in bit_editor_html(BitEditor(compare=["e2m1"]), ["e2m1"])
        True
    """
    common = [name for name in offered() if bits_of(name) <= 8 or name in WIDE]
    chosen = common if formats is None else [canonical(name) for name in formats]
    defaults = [BitEditor().format, *BitEditor().compare]  # what a fragment leaves unsaid
    supplies = editor.supplies([*defaults, *chosen], NAMED)
    supplies |= {"names": list(supplies["formats"]), "start": editor.state}
    supplies["blockNames"] = list(supplies["blocks"])
    data = json.dumps(supplies, separators=(",", ":")).replace("</", "<\\/")
    host = (files(__package__) / "data" / "bit_editor_file.js").read_text("utf-8")
    return (
        f'<!doctype html><html lang="en" data-theme="{editor.theme}"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{html.escape(TITLE)}</title><style>{STYLE}{style_sheet()}</style></head>"
        f"<body><h1>{html.escape(TITLE)}</h1><main></main>"
        f"<script>const SUPPLIES = {data};{script()}{host}</script></body></html>"
    )
