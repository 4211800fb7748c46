"""The format explorer as one HTML file: linked and interactive with no server and no network.

plotly.js is inlined once, from the plotly package; the linking is `data/report.js`. A policy in the
file itself forbids every request.
"""

from __future__ import annotations

import html
import json
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np

from .._files import replacing
from ..errors import WorkbenchError
from ..explorers.format_explorer import FormatExplorer
from ..views.channel_fan import fan_axis
from ..views.error_field import ErrorField
from ..views.style import CONFIG, theme
from ..views.view import View

POLICY = (
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data: blob:"
)


def write_report(
    path: str | Path,
    source: Any = None,
    schemes: Sequence[str] | None = None,
    theme: str = "light",
    exact: bool = True,
    **state: Any,
) -> Path:
    """Write the format explorer of a tensor to one self-contained HTML file of about 5 MB.

    Args:
        path: where; written under a temporary name first, then renamed.
        source: the text of a source, an array or tensor, a `FormatExplorer`, or None for a weight
            of the reference model.
        schemes: one to four scheme texts, or None for the usual four.
        theme: "light" or "dark".
        exact: compute the exact numbers first; False takes the sketch's.
        state: the rest of the explorer's state, such as `rounding` or `shift`.

    Returns:
        The path. A folder that does not exist or cannot be written raises `WorkbenchError`.
    """
    path = Path(path)
    if not path.parent.is_dir():
        raise WorkbenchError(str(path), "its folder does not exist", f"mkdir {path.parent}")
    explorer = source
    if not isinstance(source, FormatExplorer):
        explorer = FormatExplorer.of(source, schemes, theme=theme, **state)
    if exact:
        explorer.refine(lambda: None, delay=0)
        explorer.wait(600)
    text = report_html(explorer)
    with replacing(path) as spare:
        spare.write_text(text, "utf-8")
    return path


def report_html(explorer: FormatExplorer) -> str:
    """The report of an explorer's present state as HTML text."""
    from plotly.offline import get_plotlyjs

    views = explorer.figures()
    look = theme(explorer.theme)
    colours = {"paper": look.paper, "text": look.text, "quiet": look.quiet, "line": look.grid}
    variables = "".join(f"--{name}:{value};" for name, value in colours.items())
    style = f":root{{{variables}}}{_asset('report.css')}"
    sections = "".join(_section(name, view) for name, view in views.items())
    scripts = (
        get_plotlyjs(),
        f"const REPORT = {_json(_data(explorer, views))};",
        _asset("report.js"),
    )
    title = f"Format explorer: {explorer.tensor.label}"
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{html.escape(title)}</title><style>{style}</style></head><body>"
        f"{_head(explorer)}<main>{sections}</main>{_foot(explorer)}"
        + "".join(f"<script>{text}</script>" for text in scripts)
        + "</body></html>"
    )


def _head(explorer: FormatExplorer) -> str:
    """Heading and the controls that a file can have: schemes on and off, and the chosen range."""
    tensor = explorer.tensor
    shape = " × ".join(f"{n:,}" for n in tensor.shape) or "one value"
    boxes = "".join(
        f'<label><input type="checkbox" checked value="{html.escape(scheme)}"> '
        f"{html.escape(scheme)}</label>"
        for scheme in explorer.schemes
    )
    return (
        f"<header><h1>{html.escape(tensor.label)}</h1><p>{shape} · rounding "
        f"{html.escape(explorer.rounding)}</p><form id=controls aria-label=Controls>"
        f"<fieldset><legend>Schemes</legend>{boxes}</fieldset><fieldset><legend>Values</legend>"
        "<label>from <input id=low size=9 inputmode=decimal></label> <label>to <input id=high "
        "size=9 inputmode=decimal></label> <button type=button id=clear>All values</button> "
        "<span id=range role=status></span></fieldset></form></header>"
    )


def _section(name: str, view: View) -> str:
    height = view.plot["layout"]["height"]
    mark = "●" if view.provenance == "exact" else "○"
    return (
        f'<section id="{name}"><h2>{html.escape(view.title)} <small>{mark} '
        f"{html.escape(view.provenance)}</small></h2>"
        f'<div class="plot" style="height:{height}px" role="img" '
        f'aria-label="{html.escape(view.describe())}"></div>'
        f'<p class="caption">{html.escape(view.caption)}</p>'
        f"<details{' open' if name == 'metrics_table' else ''}><summary>Table</summary>"
        f'<div class="scroll" tabindex="0">{view.table_html()}</div></details></section>'
    )


def _foot(explorer: FormatExplorer) -> str:
    from .. import __version__

    return (
        f"<footer><h2>To redo this</h2><pre>{html.escape(explorer.code())}</pre>"
        f"<p>Link of the served page: <code>/format_explorer{html.escape(explorer.link())}</code>"
        f" · lowbit-workbench {__version__}</p></footer>"
    )


def _data(explorer: FormatExplorer, views: dict[str, View]) -> dict[str, Any]:
    """Figures and what linking needs: the value axis, and the error fields."""
    axis = explorer.value_axis()
    picture = explorer.compute()
    fan = fan_axis(picture.fan, explorer.spec)
    return {
        "config": CONFIG,
        "figures": {name: json.loads(view.figure.to_json()) for name, view in views.items()},
        "axis": {"kind": axis.kind, "linear": axis.linear},
        "fanAxis": {"kind": fan.kind, "linear": fan.linear},
        "fields": [_sparse(field) for field in picture.fields],
        "text": theme(explorer.theme).text,
    }


def _sparse(field: ErrorField) -> dict[str, Any]:
    """An error field with only the cells that hold values, to five digits."""
    flat = field.counts.ravel()
    at = np.flatnonzero(flat)
    return {
        "scheme": field.label,
        "edges": [float(f"{v:.9g}") for v in field.edges],
        "at": at.tolist(),
        "counts": [float(f"{v:.5g}") for v in flat[at]],
        "squares": [[float(f"{v:.5g}") for v in row] for row in field.squares],
        "budget": field.budget(),
    }


def _json(data: Any) -> str:
    """JSON that cannot end the script it stands in."""
    return json.dumps(data, separators=(",", ":")).replace("</", "<\\/")


def _asset(name: str) -> str:
    return (files(__package__) / "data" / name).read_text("utf-8")
