"""The sensitivity map: blocks by kinds of layers, the lighter the more a layer costs.

One panel a scheme; below, the same with every layer up to it quantized. A click on a cell gives
the layer's name, the scheme and the mode.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from . import style
from .axis import number
from .sensitivity import MODES, Sensitivity
from .view import View, ViewSpec

MOST_NUMBERS = 28, 24  # columns and rows up to which cells hold their numbers
GAP = 70  # pixels between the panels of two modes: axis texts and two lines of heading
MODE_TEXT = {MODES[0]: "only this layer", MODES[1]: "all layers up to it"}


def sensitivity_map(
    found: Sensitivity,
    spec: ViewSpec | Mapping[str, Any] | None = None,
    layer: str | None = None,
) -> View:
    """Draw what each layer costs under each scheme.

    Args:
        found: one to four schemes.
        spec: the theme; see `ViewSpec`.
        layer: full name of a layer that is outlined in every panel, or None.

    Example:
        >>> rows = [{"scheme": "int4", "layer": f"layers.{i}.mlp.up_proj", "isolated": -20.0 - i}
        ...         for i in range(3)]
        >>> sensitivity_map(Sensitivity.of(rows)).caption
        'up of block 0 has the worst layer error, −20 dB under int4, 1 dB worse than the median...
    """
    spec = ViewSpec.of(spec)
    return View(
        name="sensitivity_map",
        title=f"What each layer costs: {found.figure}",
        plot={"data": _traces(found, spec), "layout": _layout(found, spec, layer)},
        caption=_caption(found),
        provenance=found.provenance,
        table=lambda: _rows(found),
        description=_description(found),
        spec=spec,
    )


def _panels(found: Sensitivity) -> list[tuple[int, str, str]]:
    """Number of the scheme, mode and axis suffix of each panel, row by row."""
    pairs = [(scheme, mode) for mode in found.modes for scheme in range(len(found.schemes))]
    return [(*pair, str(i + 1) if i else "") for i, pair in enumerate(pairs)]


def _traces(found: Sensitivity, spec: ViewSpec) -> list[dict[str, Any]]:
    height, traces = _heights(found)[1], []
    for scheme, mode, axis in _panels(found):
        traces.append(_heat(found, scheme, mode, axis, height))
        traces.append(_texts(found, scheme, mode, axis, spec))
    return traces


def _heat(found: Sensitivity, scheme: int, mode: str, axis: str, height: int) -> dict[str, Any]:
    """The coloured cells of one panel; each carries its layer, scheme, mode and figures."""
    low, high = found.range
    label, damage = found.schemes[scheme], found.damage[mode][scheme]
    lines = [f"{MODE_TEXT[one]}: %{{customdata[{i + 3}]}}" for i, one in enumerate(found.modes)]
    return style.trace(
        "heatmap", x=list(found.kinds), y=list(found.blocks), xaxis=f"x{axis}", yaxis=f"y{axis}",
        z=[[round(float(v), 4) if np.isfinite(v) else None for v in line] for line in damage],
        zmin=low, zmax=high, xgap=1, ygap=1, colorscale=style.cividis_scale(), name=label,
        showscale=not axis, colorbar=_colourbar(found, height), hoverongaps=False,
        customdata=[[[name, label, mode, *_texts_of(found, scheme, row, column)]
                     for column, name in enumerate(line)]
                    for row, line in enumerate(found.names)],
        hovertemplate="<b>%{customdata[0]}</b> under %{customdata[1]}<br>" + "<br>".join(lines)
        + "<extra></extra>", meta={"scheme": label, "mode": mode},
    )  # fmt: skip


def _texts_of(found: Sensitivity, scheme: int, row: int, column: int) -> list[str]:
    """The figures of one layer as text, one a mode."""
    values = [float(found.figures(mode)[scheme, row, column]) for mode in found.modes]
    return [f"{number(v)} {found.unit}" if np.isfinite(v) else "not measured" for v in values]


def _colourbar(found: Sensitivity, height: int) -> dict[str, Any]:
    """Ticks that say true figures, in the unit of the cells, the worst where it is lightest."""
    ticks, factor = np.linspace(*found.range, 5), _factor(found)[0]
    return {
        "tickvals": ticks.tolist(),
        "ticktext": [number(found.value(float(t)) / factor, 2) for t in ticks],
        "thickness": 12, "outlinewidth": 0, "tickfont": {"size": 11}, "x": 1.01, "y": 1,
        "yanchor": "top", "lenmode": "pixels", "len": min(height, 260),
    }  # fmt: skip


def _texts(found: Sensitivity, scheme: int, mode: str, axis: str, spec: ViewSpec) -> dict[str, Any]:
    """The number in each cell, and a stroke where a layer was not measured."""
    cells = list(_cell_texts(found, scheme, mode, spec))
    return style.trace(
        "scatter", x=[cell[0] for cell in cells], y=[cell[1] for cell in cells], mode="text",
        text=[cell[2] for cell in cells], xaxis=f"x{axis}", yaxis=f"y{axis}", hoverinfo="skip",
        textfont={"size": _font(found), "color": [cell[3] for cell in cells]}, showlegend=False,
        name="numbers",
    )  # fmt: skip


def _cell_texts(
    found: Sensitivity, scheme: int, mode: str, spec: ViewSpec
) -> Iterator[tuple[str, str, str, str]]:
    """Kind, block, text and ink of each cell that has a text."""
    low, high = found.range
    values, damages = found.figures(mode)[scheme], found.damage[mode][scheme]
    small = _columns(found) <= MOST_NUMBERS[0] and len(found.blocks) <= MOST_NUMBERS[1]
    for row, column in np.argwhere(np.array(found.names, bool)):
        place, damage = (found.kinds[column], found.blocks[row]), damages[row, column]
        if not np.isfinite(damage):
            yield *place, "╱", style.theme(spec.theme).quiet
        elif small:
            ink = style.ink(style.cividis((damage - low) / (high - low)))
            text = number(values[row, column] / _factor(found)[0], 2)
            yield *place, text.removeprefix("0") if "." in text else text, ink


def _columns(found: Sensitivity) -> int:
    """Columns of cells over all panels side by side."""
    return len(found.kinds) * len(found.schemes)


def _font(found: Sensitivity) -> int:
    """The size of numbers in cells, smaller where there are many beside each other."""
    return 10 if _columns(found) <= 14 else 9


def _factor(found: Sensitivity) -> tuple[float, str]:
    """What numbers in cells are divided by, a power of a thousand, and its text."""
    if not found.ratio:
        return 1.0, ""
    worst = max(found.value(end) for end in found.range)
    power = 3 * int(np.floor(np.log10(worst) / 3)) if worst > 0 else 0
    return 10.0**power, f"10{str(power).translate(style.SUPERSCRIPTS)} " if power else ""


def _heights(found: Sensitivity) -> tuple[int, int]:
    """Pixels of one panel, and of all of them with the gaps between."""
    rows = len(found.modes)
    tall = max(9, min(26, 620 // max(1, len(found.blocks) * rows)))
    panel = tall * max(1, len(found.blocks))
    return panel, panel * rows + GAP * (rows - 1)


def _layout(found: Sensitivity, spec: ViewSpec, layer: str | None) -> dict[str, Any]:
    """Panels side by side for the schemes, below each other for the modes."""
    look, (panel, total) = style.theme(spec.theme), _heights(found)
    layout = style.base_layout(spec.theme, total + 82)
    layout |= {"annotations": [], "shapes": [], "dragmode": "zoom"}
    layout["margin"] = {"l": 64, "r": 76, "t": 44, "b": 38}
    for scheme, mode, axis in _panels(found):
        left, right = _across(scheme, len(found.schemes))
        top = 1 - MODES.index(mode) * (panel + GAP) / total
        domain = [max(0.0, top - panel / total), top]
        layout[f"xaxis{axis}"] = {
            "domain": [left, right], "anchor": f"y{axis}", "type": "category", "showgrid": False,
            "range": [-0.5, len(found.kinds) - 0.5], "categoryarray": list(found.kinds),
            "ticks": "", "tickangle": 0, "tickfont": {"size": _font(found) + 1},
        }  # fmt: skip
        layout[f"yaxis{axis}"] = {
            "domain": domain, "anchor": f"x{axis}", "type": "category", "showgrid": False,
            "range": [len(found.blocks) - 0.5, -0.5], "categoryarray": list(found.blocks),
            "showticklabels": scheme == 0, "ticks": "",
            "title": {"text": "block" if scheme == 0 else ""},
        }  # fmt: skip
        layout["annotations"] += _headings(found, scheme, mode, (left, top), look)
        layout["shapes"] += _outline(found, axis, layer, look)
    return layout


def _across(scheme: int, count: int) -> tuple[float, float]:
    """Where a panel begins and ends, 0 to 1."""
    return scheme / count + (0.008 if scheme else 0), (scheme + 1) / count - (
        0.008 if scheme < count - 1 else 0
    )


def _headings(
    found: Sensitivity, scheme: int, mode: str, place: tuple[float, float], look: style.Theme
) -> list[dict[str, Any]]:
    """The scheme over its panel; over the first panel of a row also what its numbers are."""
    base = {
        "x": place[0], "y": place[1], "xref": "paper", "yref": "paper", "xanchor": "left",
        "yanchor": "bottom", "showarrow": False, "font": {"size": 12, "color": look.text},
    }  # fmt: skip
    headings = [{**base, "text": f"<b>{found.schemes[scheme]}</b>"}]
    if scheme == 0:
        unit = f"{found.figure}, {_factor(found)[1]}{found.unit}, {MODE_TEXT[mode]} quantized"
        headings.append({**base, "text": unit, "yshift": 17})
    return headings


def _outline(
    found: Sensitivity, axis: str, layer: str | None, look: style.Theme
) -> list[dict[str, Any]]:
    """A frame around the chosen layer."""
    places = [
        (row, line.index(layer)) for row, line in enumerate(found.names) if layer and layer in line
    ]
    return [
        {
            "type": "rect", "xref": f"x{axis}", "yref": f"y{axis}", "x0": column - 0.5,
            "x1": column + 0.5, "y0": row - 0.5, "y1": row + 0.5,
            "line": {"width": 2.5, "color": style.FAMILIES["float"].colour},
        }
        for row, column in places
    ]  # fmt: skip


def _caption(found: Sensitivity) -> str:
    """The worst layer alone, how far it is from the median one, and the worst once all add up."""
    place = found.worst(MODES[0])
    if place is None:
        return "No layer was measured."
    scheme, row, column = place
    label = found.schemes[scheme]
    damage = found.damage[MODES[0]][scheme]
    gap = float(damage[row, column] - np.nanmedian(damage))
    more = f"{number(2.0**gap, 2)} times the median layer's"
    if not found.ratio:
        more = f"{number(gap, 2)} {found.unit} worse than the median layer"
    text = (
        f"{_cell(found, row, column)} has the worst {found.figure}, "
        f"{_figure(found, MODES[0], place)} under {label}, {more}"
    )
    last = found.worst(MODES[1]) if len(found.modes) > 1 else None
    if last is not None:
        text += (
            f"; with all layers up to it quantized the worst is {_cell(found, *last[1:])}, "
            f"{_figure(found, MODES[1], last)} under {found.schemes[last[0]]}"
        )
    return text + "."


def _cell(found: Sensitivity, row: int, column: int) -> str:
    return f"{found.kinds[column]} of block {found.blocks[row]}"


def _figure(found: Sensitivity, mode: str, place: tuple[int, int, int]) -> str:
    return f"{number(float(found.figures(mode)[place]), 3)} {found.unit}"


def _rows(found: Sensitivity) -> list[dict[str, Any]]:
    """One row a scheme and layer."""
    rows = []
    for scheme, label in enumerate(found.schemes):
        for row, line in enumerate(found.names):
            for column, name in enumerate(line):
                if not name:
                    continue
                entry: dict[str, Any] = {
                    "scheme": label, "layer": name, "block": found.blocks[row],
                    "kind": found.kinds[column],
                }  # fmt: skip
                for mode in found.modes:
                    value = float(found.figures(mode)[scheme, row, column])
                    key = f"{found.figure} ({found.unit}), {MODE_TEXT[mode]} quantized"
                    entry[key] = value if np.isfinite(value) else None
                rows.append(entry)
    return rows


def _description(found: Sensitivity) -> str:
    modes = " and ".join(f"{MODE_TEXT[mode]} quantized" for mode in found.modes)
    return (
        f"A heat map of {len(found.blocks)} blocks by {len(found.kinds)} kinds of layers for each "
        f"of {', '.join(found.schemes)}: {found.figure} in {found.unit} with {modes}; lighter is "
        "worse, a stroke was not measured."
    )
