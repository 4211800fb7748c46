"""Libraries against formats: how many corner cases each rounds differently, and as what.

A cell says the number of inputs that differ from the format here and a sign: `=` none does, `≡` all
are those of another convention here, `≠` of none, `!` the library did not run.
"""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from typing import Any

from . import style
from .view import View, ViewSpec

SIGNS = {
    "=": "as the format here", "≡": "as another convention here", "≠": "as no convention here",
    "!": "did not run",
}  # fmt: skip
ROW_HEIGHT = 26  # pixels


def conformance(
    records: Mapping[str, Any], spec: ViewSpec | Mapping[str, Any] | None = None
) -> View:
    """Draw formats over libraries, one cell a pair, coloured by the share of inputs that differ.

    Args:
        records: what `studies.conformance.records` gives, also when read back from JSON.
        spec: the theme; see `ViewSpec`.

    Example:
        >>> row = dict(format="f16", peer="numpy", version="2", inputs=9, differing=0, remaining=0,
        ...            convention="f16", sign="=", differences=(), refused=(), reason="")
        >>> conformance({"rows": [row], "versions": {"numpy": "2"}, "workbench": "1"}).caption
        'Of 1 pair of a library and a format, 1 agrees with the format here on every input...
    """
    spec, rows = ViewSpec.of(spec), list(records["rows"])
    versions = {"workbench": records["workbench"], **records["versions"]}
    return View(
        name="conformance",
        title="Who rounds differently",
        plot={"data": _traces(rows), "layout": _layout(rows, spec)},
        caption=_caption(rows),
        provenance="exact, with " + ", ".join(f"{name} {v}" for name, v in versions.items()),
        table=lambda: [_entry(row) for row in rows],
        description=_description(rows),
        spec=spec,
    )


def _all(rows: Sequence[Mapping[str, Any]], key: str) -> list[str]:
    """The libraries ("peer") or the formats, in the order they first come."""
    return list(dict.fromkeys(row[key] for row in rows))


def _share(row: Mapping[str, Any]) -> float:
    """Which part of the inputs differs, 0 to 1."""
    return row["differing"] / row["inputs"] if row["inputs"] else 0.0


def _level(row: Mapping[str, Any]) -> float:
    """Where the colour of a cell lies, 0 to 1: the square root, so that few inputs are seen too."""
    return _share(row) ** 0.5


def _traces(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The coloured cells with their hover, and the texts over them."""
    peers, formats = _all(rows, "peer"), _all(rows, "format")
    cells = {(row["format"], row["peer"]): row for row in rows}
    grid = [[cells.get((format, peer)) for peer in peers] for format in formats]
    colours = style.trace(
        "heatmap", x=peers, y=formats, zmin=0, zmax=1, xgap=1, ygap=1,
        colorscale=style.cividis_scale(),
        z=[[_level(cell) if cell and not cell["reason"] else None for cell in line]
           for line in grid],
        text=[[_hover(cell) if cell else "" for cell in line] for line in grid],
        hovertemplate="%{text}<extra></extra>", hoverongaps=False, showscale=False,
        name="inputs that differ",
    )  # fmt: skip
    texts = style.trace(
        "scatter", x=[row["peer"] for row in rows], y=[row["format"] for row in rows], mode="text",
        text=[_text(row) for row in rows], name="signs", showlegend=False,
        textfont={"size": 11, "color": [_ink(row) for row in rows]},
        hovertext=[_hover(row) if row["reason"] else "" for row in rows],
        hoverinfo="text" if any(row["reason"] for row in rows) else "skip",
    )  # fmt: skip
    return [colours, texts]


def _text(row: Mapping[str, Any]) -> str:
    """The count, shortened, and the sign."""
    if row["reason"]:
        return "!"
    count = row["differing"]
    return f"{count if count < 1000 else f'{count / 1000:.0f}k'} {row['sign']}"


def _ink(row: Mapping[str, Any]) -> str:
    """Black or white, whichever is read better on the colour of the cell."""
    if row["reason"]:
        return "#808890"  # lies on the bare ground of either theme
    return style.ink(style.cividis(_level(row)))


def _hover(row: Mapping[str, Any]) -> str:
    """Who, how many, as what, and one input of each kind."""
    lines = [f"<b>{row['peer']} {row['version']}</b> in {row['format']}"]
    if row["reason"]:
        return "<br>".join([*lines, "did not run: " + html.escape(row["reason"])])
    lines.append(f"{row['differing']:,} of {row['inputs']:,} inputs differ")
    lines.append(_equals(row))
    lines += [f"{d['kind']}: {d['count']:,}, such as {_example(d)}" for d in row["differences"]]
    lines += [f"raises on {kind}" for kind in row["refused"]]
    return "<br>".join(lines)


def _example(difference: Mapping[str, Any]) -> str:
    return "{input} → {theirs}, here {ours}".format(**difference)


def _equals(row: Mapping[str, Any]) -> str:
    """Which convention the library follows, in words."""
    if not row["remaining"]:
        return f"equals {row['convention']}"
    left = f"{row['remaining']:,} inputs remain"
    return f"equals no convention here; with {row['convention']}, the nearest, {left}"


def _layout(rows: Sequence[Mapping[str, Any]], spec: ViewSpec) -> dict[str, Any]:
    look = style.theme(spec.theme)
    formats = _all(rows, "format")
    layout = style.base_layout(spec.theme, 90 + ROW_HEIGHT * max(len(formats), 1))
    layout["xaxis"] = {"type": "category", "side": "top", "showgrid": False, "tickangle": -30}
    layout["yaxis"] = {"type": "category", "autorange": "reversed", "showgrid": False}
    layout["margin"] = {"l": 130, "r": 16, "t": 64, "b": 30}
    key = " · ".join(f"{sign} {means}" for sign, means in SIGNS.items())
    layout["annotations"] = [{
        "text": f"inputs that differ; {key}", "x": 0, "y": 0, "yshift": -18, "showarrow": False,
        "xref": "paper", "yref": "paper", "xanchor": "left", "yanchor": "middle",
        "font": {"size": 11, "color": look.quiet},
    }]  # fmt: skip
    return layout


def _caption(rows: Sequence[Mapping[str, Any]]) -> str:
    """How many pairs agree, who agrees everywhere, and who differs most."""
    ran = [row for row in rows if not row["reason"]]
    if not ran:
        return "No library was compared."
    count = {sign: sum(row["sign"] == sign for row in ran) for sign in SIGNS}
    pairs = f"Of {len(ran)} pair{'s' * (len(ran) > 1)} of a library and a format"
    agree = f"{count['=']} agree{'s' * (count['='] == 1)} with the format here on every input"
    parts = [f"{pairs}, {agree}, {count['≡']} with another convention here, {count['≠']} with none"]
    own = {peer: [row for row in ran if row["peer"] == peer] for peer in _all(ran, "peer")}
    always = [peer for peer, part in own.items() if all(row["sign"] == "=" for row in part)]
    if always:
        parts.append(f"{_listed(always)} agree{'s' * (len(always) == 1)} wherever compared")
    mean = {peer: sum(map(_share, part)) / len(part) for peer, part in own.items()}
    worst = max(mean, key=lambda peer: mean[peer])
    if mean[worst]:
        parts.append(
            f"{worst} differs most, on {100 * mean[worst]:.2g} % of a format's inputs on average"
        )
    return "; ".join(parts) + "."


def _listed(names: Sequence[str]) -> str:
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))


def _description(rows: Sequence[Mapping[str, Any]]) -> str:
    peers, formats = len(_all(rows, "peer")), len(_all(rows, "format"))
    return (
        f"A table of {formats} formats by {peers} libraries; a cell is the lighter the "
        "more inputs the library rounds differently, and holds their number and a sign."
    )


def _entry(row: Mapping[str, Any]) -> dict[str, Any]:
    """One row of the table twin."""
    where = [f"{d['kind']} {d['count']:,}: {_example(d)}" for d in row["differences"]]
    where += [f"raises on {kind}" for kind in row["refused"]]
    return {
        "format": row["format"],
        "library": row["peer"],
        "version": row["version"],
        "inputs": row["inputs"],
        "differ": row["differing"],
        "sign": row["sign"],
        "nearest convention here": row["convention"],
        "differ from it": row["remaining"],
        "where": "; ".join(where),
        "did not run": row["reason"],
    }
