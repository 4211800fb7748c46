"""What helps a layer: recipes side by side, the error of its outputs and what the model loses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from . import style
from .axis import number
from .view import View, ViewSpec

ROW = 34  # pixels a recipe
PANELS = (0, 0.4), (0.44, 0.68), (0.72, 1)  # from where to where each lies


@dataclass(frozen=True)
class Variant:
    """One recipe on one layer.

    Args:
        label: a few words.
        recipe: its text.
        sqnr: of the layer's outputs in dB; NaN where it was refused.
        bits: stored bits a weight, all counted.
        filled: share of its range that a channel of the rewritten inputs fills; None if unknown.
        cost: what the model loses with this layer alone so, its low and high end; None while it is
            not measured.
        refused: why it cannot be, or "".
        chosen: whether it is the one that is looked at.
    """

    label: str
    recipe: str
    sqnr: float
    bits: float
    filled: float | None = None
    cost: tuple[float, float, float] | None = None
    refused: str = ""
    chosen: bool = False


def what_helps(
    variants: Sequence[Variant],
    layer: str,
    figure: str = "KL to float",
    unit: str = "nats a token",
    provenance: str = "exact",
    spec: ViewSpec | Mapping[str, Any] | None = None,
) -> View:
    """Draw a mark a recipe: SQNR of the layer's outputs, utilisation of its inputs, model's loss.

    Args:
        variants: the first is what the others are compared with.
        layer: its name.
        figure: what the costs are.
        unit: of them.
        provenance: what the numbers were measured on.
        spec: the theme; see `ViewSpec`. A click gives the label.

    Example:
        >>> two = [Variant("as it is", "w=int4", 12.0, 4.0), Variant("smooth", "smooth w=int4",
        ...        15.5, 4.0, chosen=True)]
        >>> what_helps(two, "layers.3.mlp.down_proj").caption
        'smooth gives layers.3.mlp.down_proj 15.5 dB, 3.5 dB more than as it is.'
    """
    spec = ViewSpec.of(spec)
    return View(
        name="what_helps",
        title=f"What helps {layer}" if layer else "What helps a layer",
        plot={
            "data": [
                _errors(variants, spec),
                _shares(variants, spec),
                _costs(variants, figure, unit, spec),
            ],
            "layout": _layout(variants, figure, unit, spec),
        },
        caption=_caption(variants, layer, unit),
        provenance=provenance,
        table=lambda: [_row(one, figure, unit) for one in variants],
        description="One mark a recipe on this layer alone: left the signal to noise ratio of its "
        "outputs in dB, in the middle the share of its range that an input channel fills, right "
        f"{figure} of the whole model with a 95 % interval.",
        spec=spec,
    )


def _marks(variants: Sequence[Variant], spec: ViewSpec, **more: Any) -> dict[str, Any]:
    """What the marks of every panel share: filled for the chosen recipe, hollow for the others.

    It is one trace, which keeps its axis also while nothing is known.
    """
    looks = style.identities(["float", "int"], spec.theme)
    colours = [looks[0 if one.chosen else 1].colour for one in variants]
    return style.trace(
        "scatter", y=[one.label for one in variants], showlegend=False,
        marker={"symbol": ["circle" if one.chosen else "circle-open" for one in variants],
                "size": 12, "color": colours, "line": {"width": 2, "color": colours}},
        **{"mode": "markers"} | more,
    )  # fmt: skip


def _errors(variants: Sequence[Variant], spec: ViewSpec) -> dict[str, Any]:
    known = [one.sqnr if np.isfinite(one.sqnr) else None for one in variants]
    return _marks(
        variants, spec, x=known, name="SQNR", mode="markers+text", textposition="middle right",
        text=["" if x is None else f" {number(round(x, 1))}" for x in known], cliponaxis=False,
        textfont={"color": style.theme(spec.theme).text},
        customdata=[[one.label, one.recipe, one.bits] for one in variants],
        hovertemplate="<b>%{customdata[1]}</b><br>%{x:.2f} dB, %{customdata[2]:.2f} bits a "
        "weight<extra></extra>",
    )  # fmt: skip


def _shares(variants: Sequence[Variant], spec: ViewSpec) -> dict[str, Any]:
    return _marks(
        variants, spec, x=[one.filled for one in variants], xaxis="x2", name="utilisation",
        customdata=[[one.label, one.recipe] for one in variants],
        hovertemplate="<b>%{customdata[1]}</b><br>a channel fills %{x:.3g} of its range"
        "<extra></extra>",
    )  # fmt: skip


def _costs(variants: Sequence[Variant], figure: str, unit: str, spec: ViewSpec) -> dict[str, Any]:
    known = [one.cost if one.cost and one.cost[0] > 0 else None for one in variants]
    ends = [(None, 0.0, 0.0) if c is None else (c[0], c[2] - c[0], c[0] - max(c[1], c[0] / 1e3))
            for c in known]  # fmt: skip
    return _marks(
        variants, spec, x=[end[0] for end in ends], xaxis="x3", name=figure,
        customdata=[[one.label, one.recipe, *(c[1:] if c else (0, 0))]
                    for one, c in zip(variants, known, strict=True)],
        error_x={"type": "data", "symmetric": False, "array": [end[1] for end in ends],
                 "arrayminus": [end[2] for end in ends], "color": style.theme(spec.theme).quiet},
        hovertemplate=f"<b>%{{customdata[1]}}</b><br>{figure} %{{x:.4g}} "
        f"(%{{customdata[2]:.3g}} to %{{customdata[3]:.3g}}) {unit}<extra></extra>",
    )  # fmt: skip


def _layout(variants: Sequence[Variant], figure: str, unit: str, spec: ViewSpec) -> dict[str, Any]:
    layout = style.base_layout(spec.theme, 84 + ROW * max(1, len(variants)))
    sizes = [one.sqnr for one in variants if np.isfinite(one.sqnr)] or [0.0]
    low, high = min(0.0, *sizes), max(1.0, *sizes)
    shares = [one.filled for one in variants if one.filled]
    costs = [end for one in variants if one.cost for end in one.cost if end > 0]
    layout["xaxis"] = {
        "domain": PANELS[0], "range": [low - 1, high + 0.2 * (high - low)],
        "title": {"text": "SQNR of the layer's outputs (dB)"},
    }  # fmt: skip
    layout["xaxis2"] = {
        "domain": PANELS[1], "anchor": "y", "title": {"text": "share of its range a channel fills"},
        **_log_axis(shares, 2.0),
    }  # fmt: skip
    layout["xaxis3"] = {
        "domain": PANELS[2], "anchor": "y", **_log_axis(costs, 10.0),
        "title": {"text": f"{figure} ({unit})" if unit else figure},
    }  # fmt: skip
    layout["yaxis"] = {
        "type": "category", "categoryarray": [one.label for one in variants][::-1],
        "categoryorder": "array", "range": [-0.6, len(variants) - 0.4], "ticks": "",
    }  # fmt: skip
    layout["annotations"] = [note for one in variants for note in _missing(one, spec)]
    layout["margin"] = {"l": 150, "r": 16, "t": 8, "b": 48}
    return layout


def _log_axis(values: Sequence[float], base: float) -> dict[str, Any]:
    """A log axis over some values, with ticks at powers of `base`, four or so."""
    if not values:
        return {"type": "log", "range": [-3, 0], "showticklabels": False}
    low, high = (float(np.log(f(values)) / np.log(base)) for f in (min, max))
    every = max(1, int(np.ceil((high - low) / 4)))
    powers = range(every * int(np.floor(low / every)), int(np.ceil(high)) + every + 1, every)
    ends = [min(low, powers[0]) - 0.1 * every, max(high, powers[1]) + 0.3 * every]
    texts = [style.power(e) if base == 2 else f"10{str(e).translate(style.SUPERSCRIPTS)}"
             for e in powers]  # fmt: skip
    return {
        "type": "log", "range": [float(end * np.log10(base)) for end in ends],
        "tickvals": [base**e for e in powers], "ticktext": texts,
    }  # fmt: skip


def _missing(one: Variant, spec: ViewSpec) -> list[dict[str, Any]]:
    """What stands where marks would: why not, or that they are on their way."""
    if one.refused:
        short = one.refused if len(one.refused) < 70 else one.refused[:69] + "…"
        return [_note(one, "x domain", short, spec)]
    notes = [] if one.filled else [_note(one, "x2 domain", "no volume", spec)]
    if one.cost is None or not one.cost[0] > 0:
        text = "no loss" if one.cost else "being measured"
        notes.append(_note(one, "x3 domain", text, spec))
    return notes


def _note(one: Variant, panel: str, text: str, spec: ViewSpec) -> dict[str, Any]:
    return {
        "text": text, "xref": panel, "x": 0.01, "y": one.label, "yref": "y", "xanchor": "left",
        "showarrow": False, "font": {"size": 11, "color": style.theme(spec.theme).quiet},
    }  # fmt: skip


def _caption(variants: Sequence[Variant], layer: str, unit: str) -> str:
    """The chosen recipe against the first one."""
    first = variants[0] if variants else None
    if first is None:
        return "Nothing was measured yet."
    if first.refused:
        return f"{layer} refuses the recipe: {first.refused}."
    one = next((v for v in variants if v.chosen and np.isfinite(v.sqnr)), first)
    if one is first:
        loses = f"; the model loses {number(first.cost[0], 3)} {unit}" if first.cost else ""
        return f"{layer} has {first.sqnr:.1f} dB {first.label}{loses}."
    gap = one.sqnr - first.sqnr
    more = f"{abs(gap):.1f} dB {'more' if gap >= 0 else 'less'} than {first.label}"
    text = f"{one.label} gives {layer} {one.sqnr:.1f} dB, {more}"
    if one.cost and first.cost:
        text += f"; the model loses {number(one.cost[0], 3)} {unit} for {number(first.cost[0], 3)}"
    return text.rstrip() + "."


def _row(one: Variant, figure: str, unit: str) -> dict[str, Any]:
    cost = one.cost or (None, None, None)
    name = f"{figure} ({unit})" if unit else figure
    return {
        "what": one.label,
        "recipe": one.recipe,
        "SQNR of the outputs (dB)": round(one.sqnr, 3) if np.isfinite(one.sqnr) else None,
        "share of its range a channel fills": one.filled,
        name: cost[0],
        "from": cost[1],
        "to": cost[2],
        "bits a weight": round(one.bits, 3) if np.isfinite(one.bits) else None,
        "refused": one.refused or None,
    }
