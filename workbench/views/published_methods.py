"""Published methods side by side on one layer or model: what each loses, and its bits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..studies.crossing import Cell
from . import style
from .axis import number
from .view import View, ViewSpec

ROW = 24  # pixels a method
PANELS = (0, 0.7), (0.74, 1)


def published_methods(
    methods: Sequence[tuple[str, Cell]],
    figure: str,
    unit: str = "",
    provenance: str = "exact",
    spec: ViewSpec | Mapping[str, Any] | None = None,
    chosen: str = "",
) -> View:
    """Draw a mark a method, the best on top: its figure with an interval, and bits a weight.

    Args:
        methods: names, each with what was measured of its recipe.
        figure: what was measured; less is better.
        unit: of it.
        provenance: what it was measured on.
        spec: the theme; see `ViewSpec`. A click gives the name.
        chosen: the recipe that is looked at; its mark is filled.

    Example:
        >>> one = Cell("", "gptq", "w=int4 gptq", 0.01, 0.009, 0.011, 4.1)
        >>> two = Cell("", "nearest", "w=int8", 0.001, 0.001, 0.001, 8.1)
        >>> published_methods([("GPTQ", one), ("nearest", two)], "error").caption
        'Of 2 methods nearest has the least error, 0.001 at 8.1 bits a weight; below 5 bits GPTQ...
    """
    spec = ViewSpec.of(spec)
    known = sorted((one for one in methods if one[1].value is not None), key=lambda m: m[1].value)
    refused = [one for one in methods if one[1].value is None]
    return View(
        name="published_methods",
        title=f"Published methods: {figure}",
        plot={
            "data": [_values(known, figure, unit, spec, chosen), _bits(known, spec, chosen)],
            "layout": _layout(known, refused, f"{figure} ({unit})" if unit else figure, spec),
        },
        caption=_caption(known, refused, figure),
        provenance=provenance,
        table=lambda: [{"method": name, **cell.record()} for name, cell in [*known, *refused]],
        description=f"A mark a method with its published kind of recipe: left {figure} with a 95 % "
        "interval, right stored bits a weight, all counted.",
        spec=spec,
    )


def _marks(known: Sequence[tuple[str, Cell]], spec: ViewSpec, chosen: str, **more: Any) -> dict:
    looks = style.identities(["float", "int"], spec.theme)
    mine = [cell.recipe == chosen for _, cell in known]
    colours = [looks[0 if one else 1].colour for one in mine]
    return style.trace(
        "scatter", y=[name for name, _ in known], mode="markers", showlegend=False,
        marker={"symbol": ["circle" if one else "circle-open" for one in mine], "size": 10,
                "color": colours, "line": {"width": 2, "color": colours}}, **more,
    )  # fmt: skip


def _values(known, figure: str, unit: str, spec: ViewSpec, chosen: str) -> dict[str, Any]:
    cells = [cell for _, cell in known]
    return _marks(
        known, spec, chosen, x=[cell.value or None for cell in cells], name=figure,
        error_x={"type": "data", "symmetric": False, "thickness": 1.2,
                 "array": [cell.high - cell.value for cell in cells],
                 "arrayminus": [min(cell.value - cell.low, 0.99 * cell.value) for cell in cells],
                 "color": style.theme(spec.theme).quiet},
        customdata=[[name, cell.recipe, number(cell.low), number(cell.high), cell.seconds]
                    for name, cell in known],
        hovertemplate=f"<b>%{{customdata[0]}}</b><br>%{{customdata[1]}}<br>{figure} %{{x:.4g}} "
        f"(%{{customdata[2]}} to %{{customdata[3]}}) {unit}<br>%{{customdata[4]:.2g}} s"
        "<extra></extra>",
    )  # fmt: skip


def _bits(known, spec: ViewSpec, chosen: str) -> dict[str, Any]:
    return _marks(
        known, spec, chosen, x=[cell.bits for _, cell in known], xaxis="x2", name="bits a weight",
        customdata=[[name] for name, _ in known],
        hovertemplate="<b>%{customdata[0]}</b><br>%{x:.2f} bits a weight<extra></extra>",
    )  # fmt: skip


def _layout(known, refused, title: str, spec: ViewSpec) -> dict[str, Any]:
    names = [name for name, _ in [*known, *refused]]
    layout = style.base_layout(spec.theme, 70 + ROW * max(1, len(names)))
    layout["margin"] = {"l": 190, "r": 16, "t": 8, "b": 46}
    layout["xaxis"] = {
        "domain": PANELS[0], "type": "log", "title": {"text": title}, "dtick": 1,
        "exponentformat": "power", **({} if known else {"range": [-3, 0]}),
    }  # fmt: skip
    layout["xaxis2"] = {
        "domain": PANELS[1], "anchor": "y", "title": {"text": "bits a weight"}, "dtick": 2,
        "range": [0, max([9.0, *(cell.bits + 1 for _, cell in known)])],
    }  # fmt: skip
    layout["yaxis"] = {
        "type": "category", "categoryarray": names, "range": [len(names) - 0.4, -0.6], "ticks": "",
    }  # fmt: skip
    layout["annotations"] = [
        {"text": _short(cell.refused), "xref": "x domain", "x": 0.01, "y": name, "yref": "y",
         "xanchor": "left", "showarrow": False,
         "font": {"size": 10, "color": style.theme(spec.theme).quiet}}
        for name, cell in refused
    ]  # fmt: skip
    return layout


def _short(text: str, most: int = 96) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"


def _caption(known, refused, figure: str) -> str:
    """The least error of all, the least of those with few bits, and how many cannot be."""
    if not known:
        return "Nothing was measured yet."
    name, cell = known[0]
    text = f"Of {len(known)} methods {name} has the least {figure}, {number(cell.value, 3)} "
    text += f"at {number(cell.bits, 2)} bits a weight"
    few = next(((n, c) for n, c in known if c.bits < 5), None)
    if few is not None and few[0] != name:
        text += f"; below 5 bits {few[0]} has, {number(few[1].value, 3)}"
    return text + (f"; {len(refused)} cannot be done here." if refused else ".")
