"""Minifloats and integers of 3 to 8 bits on one layer: quality over bits, and over gates.

After Aggarwal et al., 2023 ("Shedding the Bits"): floats win by bits what they lose by hardware, so
both axes stand side by side and integers are always among the curves.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..errors import WorkbenchError, unknown
from ..studies.design_space import Design, cheapest
from . import style
from .axis import number
from .view import View, ViewSpec

PANELS = {"bits": (0.0, 0.46), "gates": (0.54, 1.0)}
AXES = {"bits": "x", "gates": "x2"}
MOST_OWN = 4  # exponent bits up to which floats have a curve of their own
APART = 0.15, 0.06  # shares of both axes between two labels
TICKS = (100, 200, 500, 1000, 2000, 5000, 10000)


def design_space(
    designs: Sequence[Design],
    solver: str = "",
    provenance: str = "measured",
    spec: ViewSpec | Mapping[str, Any] | None = None,
) -> View:
    """Draw SQNR of a layer's outputs over bits and over gates, the best designs of each ringed.

    Args:
        designs: of `studies.design_space.design_space`, integers among them, or it is a
            `WorkbenchError`.
        solver: whose designs are drawn; "" for the first. The table holds all.
        provenance: what the errors were measured on.
        spec: the theme; see `ViewSpec`.

    Example:
        >>> two = [Design("INT4", "int4", "int", 4, 0, "nearest", 0.012, 236),
        ...        Design("E2M1", "e2m1", "float", 4, 2, "nearest", 0.010, 261)]
        >>> design_space(two).caption
        'Of as many bits E2 is best at 1 of 1 widths (E2M1, 0.79 dB over INT4); of as many...
    """
    spec = ViewSpec.of(spec)
    solvers = list(dict.fromkeys(one.solver for one in designs))
    if solver and solver not in solvers:
        raise unknown("solver of these designs", solver, solvers)
    shown = [one for one in designs if one.solver == (solver or solvers[0])] if solvers else []
    if shown and not any(one.family == "int" for one in shown):
        raise WorkbenchError(
            f"{len(shown)} floats", "without integers nothing tells whether they are worth it",
            "measure integers of the same bits too",
        )  # fmt: skip
    traces = [_line(name, group, axis, look)
              for axis in AXES for name, group, look in _curves(shown, spec)]  # fmt: skip
    return View(
        name="design_space",
        title="Minifloats and integers",
        plot={
            "data": [*traces, *(_rings(shown, axis, spec) for axis in AXES)],
            "layout": _layout(shown, spec),
        },
        caption=_caption(shown),
        provenance=provenance,
        table=lambda: _rows(designs),
        description="Signal to quantization noise of a layer's outputs over bits a value, left, "
        "and over the gates of one multiply-accumulate, right; one line for integers and one for "
        "the floats of each number of exponent bits, a ring around those that nothing beats.",
        spec=spec,
    )


def _curves(
    shown: Sequence[Design], spec: ViewSpec
) -> list[tuple[str, list[Design], style.Identity]]:
    """Integers, then floats by exponent bits: name, designs from few bits to many, look."""
    groups: dict[str, list[Design]] = {}
    for one in sorted(shown, key=lambda d: (min(d.exponent, MOST_OWN + 1), d.bits)):
        most = one.exponent > MOST_OWN
        name = f"E{MOST_OWN + 1}…" if most else f"E{one.exponent}" if one.exponent else "INT"
        groups.setdefault(name, []).append(one)
    families = ["float" if one[0].exponent else "int" for one in groups.values()]
    looks = style.identities(families, spec.theme)
    quiet = style.Identity(style.theme(spec.theme).quiet, "circle-dot", "")
    return [
        (name, group, quiet if group[0].exponent > MOST_OWN else look)
        for (name, group), look in zip(groups.items(), looks, strict=True)
    ]


def _line(name: str, group: list[Design], axis: str, look: style.Identity) -> dict[str, Any]:
    """The designs of one curve; those with exponents of several widths are marks alone."""
    return style.trace(
        "scatter", x=[getattr(one, axis) for one in group], y=_heights(group), name=name,
        mode="lines+markers" if look.dash else "markers", xaxis=AXES[axis], legendgroup=name,
        showlegend=axis == "bits", meta={"curve": name, "axis": axis},
        line={"color": look.colour, "width": 1.6, "dash": look.dash or "solid"},
        marker={"symbol": look.marker, "size": 8, "color": look.colour},
        customdata=[[one.label, one.bits, one.gates, one.solver] for one in group],
        hovertemplate="<b>%{customdata[0]}</b>, %{customdata[3]}<br>%{y:.2f} dB<br>"
        "%{customdata[1]} bits, %{customdata[2]:,} gates<extra></extra>",
    )  # fmt: skip


def _heights(designs: Sequence[Design]) -> list[float | None]:
    """SQNR; none where there is no error at all, which no axis shows."""
    return [one.sqnr if np.isfinite(one.sqnr) else None for one in designs]


def _rings(shown: Sequence[Design], axis: str, spec: ViewSpec) -> dict[str, Any]:
    """A ring, and a name, around each design that none beats at this cost or a smaller one."""
    best, text = cheapest(shown, axis), style.theme(spec.theme).text
    return style.trace(
        "scatter", x=[getattr(one, axis) for one in best], y=_heights(best), xaxis=AXES[axis],
        mode="markers+text", text=_names(best, shown, axis), textposition="top left",
        textfont={"size": 10, "color": text}, name="least error so far", hoverinfo="skip",
        showlegend=axis == "bits", legendgroup="best", cliponaxis=False,
        meta={"best": [one.label for one in best], "axis": axis},
        marker={"symbol": "circle-open", "size": 15, "color": text, "line": {"width": 1.3}},
    )  # fmt: skip


def _names(best: Sequence[Design], shown: Sequence[Design], axis: str) -> list[str]:
    """The label of each ring, left out where it would lie on one before."""
    if not best:
        return []
    spots = {one: (np.log2(getattr(one, axis)), min(one.sqnr, 400.0)) for one in shown}
    sizes = np.ptp(np.array(list(spots.values())), axis=0) + 1e-9
    kept: list[Design] = []
    for one in best:
        gaps = (np.abs(np.subtract(spots[one], spots[other])) / sizes for other in kept)
        if all(gap[0] > APART[0] or gap[1] > APART[1] for gap in gaps):
            kept.append(one)
    return [one.label if one in kept else "" for one in best]


def _layout(shown: Sequence[Design], spec: ViewSpec) -> dict[str, Any]:
    layout = style.base_layout(spec.theme, 420)
    bits = [one.bits for one in shown] or [3, 8]
    costs = [one.gates for one in shown] or [100, 1000]
    heights = [height for height in _heights(shown) if height is not None] or [0.0, 1.0]
    layout["xaxis"] = {
        "domain": PANELS["bits"], "range": [min(bits) - 0.6, max(bits) + 0.4], "dtick": 1,
        "title": {"text": "bits of a value"}, "zeroline": False,
    }  # fmt: skip
    layout["xaxis2"] = {
        "domain": PANELS["gates"], "anchor": "y", "type": "log", "tickvals": list(TICKS),
        "ticktext": [f"{tick:,}" for tick in TICKS],
        "range": [float(np.log10(min(costs) / 1.3)), float(np.log10(max(costs) * 1.15))],
        "title": {"text": "gates of a multiply-accumulate (model)"},
    }  # fmt: skip
    room = 0.1 * (max(heights) - min(heights) or 1.0)
    layout["yaxis"] = {
        "title": {"text": "SQNR of the layer's outputs (dB)"}, "zeroline": False,
        "range": [min(heights) - room, max(heights) + 1.5 * room],
    }  # fmt: skip
    layout["legend"] = {"x": 0, "y": -0.2, "yanchor": "top"}
    layout["margin"] = {"l": 60, "r": 16, "t": 12, "b": 92}
    return layout


def _caption(shown: Sequence[Design]) -> str:
    """Who is best at equal bits, and who holds the front once gates are counted."""
    if not shown:
        return "No design was measured."
    leads: dict[str, list[tuple[float, Design, Design]]] = {}
    widths = sorted({one.bits for one in shown})
    for width in widths:
        best = min((one for one in shown if one.bits == width), key=lambda one: one.error)
        integer = next((d for d in shown if d.bits == width and d.family == "int"), None)
        if integer is not None:
            gap = best.sqnr - integer.sqnr
            leads.setdefault(_curve(best), []).append((gap, best, integer))
    name, wins = max(leads.items(), key=lambda item: len(item[1]))
    gap, best, integer = max(wins, key=lambda win: win[0])
    over = "" if best is integer else f" ({best.label}, {number(gap, 2)} dB over {integer.label})"
    front = cheapest(shown)
    even = [one for one in front if one.exponent <= 1]
    return (
        f"Of as many bits {name} is best at {len(wins)} of {len(widths)} widths{over}; of as many "
        f"gates {len(even)} of the {len(front)} best have even steps (INT, or E1 which is an "
        "integer in sign and magnitude)."
    )


def _curve(one: Design) -> str:
    return f"E{one.exponent}" if one.exponent else "INT"


def _rows(designs: Sequence[Design]) -> list[dict[str, Any]]:
    """One row a design, of every solver."""
    best = {axis: cheapest(designs, axis) for axis in AXES}
    return [
        {
            "format": one.format,
            "name": one.label,
            "bits": one.bits,
            "solver": one.solver,
            "SQNR of the outputs (dB)": round(one.sqnr, 3) if np.isfinite(one.sqnr) else None,
            "relative error": one.error,
            "gates (model)": one.gates,
            "least error at these bits or fewer": one in best["bits"],
            "least error at these gates or fewer": one in best["gates"],
        }
        for one in designs
    ]
