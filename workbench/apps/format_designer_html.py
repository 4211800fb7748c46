"""The format designer as one HTML file that needs no server and no network.

It is live: the page computes grids, errors, bits and gates itself, from the tensor's values in
cells. The state is the fragment of its address, the same query as the link of the served page. A
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
from ..explorers import bit_descriptors
from ..explorers.designer_supplies import BITS, supplies
from ..explorers.designer_words import HEADLINE_STYLE, SHARED, SPEC
from ..explorers.format_designer import FormatDesigner
from ..views import browser
from ..views.style import CONFIG, THEMES

TITLE = "Format designer"
POLICY = (
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data: blob:"
)
PARTS = ("text", "formats", "cells", "schemes", "state", "axis", "picture", "grid", "quality")


def write_format_designer(
    path: str | Path,
    state: FormatDesigner | Mapping[str, Any] | None = None,
    granularities: Sequence[str] = SHARED,
    bits: Sequence[int] = BITS,
) -> Path:
    """Write the format designer of one tensor to a self-contained HTML file of about 7 MB.

    Args:
        path: where; written under a temporary name first, then renamed.
        state: a `FormatDesigner`, or its state as a mapping, or None for the default one.
        granularities: ways of sharing scales that the file can show, beside those of the state.
        bits: of the codebooks that are made for the tensor now, 1 to 6 each; for all granularities
            of a tensor, one more width takes some seconds.

    Returns:
        The path. A folder that does not exist or cannot be written, a tensor without values, or a
        granularity that no file can hold, raises `WorkbenchError`.

    Example:
        >>> from tempfile import mkdtemp
        >>> path = Path(mkdtemp()) / "designer.html"
        >>> state = {"source": "synthetic:gaussian,4096,0", "granularity": "tensor"}
        >>> write_format_designer(path, state, ["tensor"], bits=[2]) == path
        True
    """
    path = Path(path)
    if not path.parent.is_dir():
        raise WorkbenchError(str(path), "its folder does not exist", f"mkdir {path.parent}")
    designer = state if isinstance(state, FormatDesigner) else FormatDesigner(**(state or {}))
    with replacing(path) as spare:  # before the work, so that what cannot be written fails at once
        spare.write_text(format_designer_html(designer, granularities, bits), "utf-8")
    return path


def format_designer_html(
    designer: FormatDesigner, granularities: Sequence[str] = SHARED, bits: Sequence[int] = BITS
) -> str:
    """The file of a designer's present state as HTML text; arguments as `write_format_designer`."""
    from plotly.offline import get_plotlyjs

    data = supplies(designer, granularities, bits) | {"config": CONFIG}
    text = json.dumps(data, separators=(",", ":")).replace("<", "\\u003c")  # ends no script
    parts = [_asset(f"designer_{name}.js") for name in PARTS]
    scripts = (
        get_plotlyjs(),
        f"const SUPPLIES = {text};",
        bit_descriptors.script("formats"),
        browser.script() + browser.copy_script(),
        "".join(parts) + _asset("format_designer_file.js"),
    )
    title = html.escape(f"{TITLE}: {designer.tensor.label}")
    return (
        f'<!doctype html><html lang="en" data-theme="{designer.theme}"><head>'
        f'<meta charset="utf-8"><meta http-equiv="Content-Security-Policy" content="{POLICY}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{title}</title><style>{_style()}</style></head><body>{_body(designer)}"
        + "".join(f"<script>{script}</script>" for script in scripts)
        + "</body></html>"
    )


def _style() -> str:
    """The colours of both themes, then the rules."""
    colours = [
        f"[data-theme={name}]{{color-scheme:{name};--paper:{look.paper};--text:{look.text};"
        f"--quiet:{look.quiet};--line:{look.grid}}}"
        for name, look in THEMES.items()
    ]
    rules = [HEADLINE_STYLE, browser.style_sheet(), _asset("format_designer_file.css")]
    return "".join([*colours, *rules])


def _body(designer: FormatDesigner) -> str:
    """What stands on the page before its script fills it."""
    from .. import __version__

    tensor = designer.tensor
    shape = " × ".join(f"{n:,}" for n in tensor.shape) or "one value"
    return (
        f'<div class="page"><h1>{TITLE}</h1><form id="controls" aria-label="Controls">'
        '<p id="problem" role="alert" hidden></p></form><div class="head">'
        f'<div class="tensor">{html.escape(tensor.label)}'
        f'<div class="quiet">{shape} · {tensor.count:,} values</div></div>'
        '<div id="figures" class="figures" role="status"></div>'
        f'<p class="spec"><label for="spec">{SPEC}</label><input id="spec" readonly>'
        '<button id="copy" type="button" aria-live="polite">Copy</button></p>'
        '</div><main><section><div id="grid"></div><details id="twin"><summary>Table</summary>'
        '<div id="values-table" class="scroll" tabindex="0" role="region" aria-label="Table of '
        'values"></div></details></section><section><div id="quality"></div><div id="rows" '
        'class="scroll" tabindex="0" role="region" aria-label="Table of figures"></div></section>'
        "<details><summary>Code and link that redo this</summary><pre id=code></pre>"
        "<p>Link of the served page: <code id=link></code></p></details></main>"
        f"<footer>{_origins(__version__)}</footer></div>"
    )


def _origins(version: str) -> str:
    """Where the numbers come from."""
    return (
        "This page computes grids, errors, bits and gates itself. Errors come from a sketch of the "
        "tensor: every value counted in narrow cells with the sum and the sum of squares of each, "
        "so they carry a bound. Codebooks were made for the tensor by lowbit-workbench "
        f"{version} when this file was written. Gates are an estimate, not an area."
    )


def _asset(name: str) -> str:
    return (files(__package__) / "data" / name).read_text("utf-8")
