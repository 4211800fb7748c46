"""The error by cause: signed error in local steps, the budget of squared error, error over value.

A scheme that only rounds fills the flat box from -1/2 to +1/2 evenly; whatever differs from it has
a cause, and each cause has its colour and pattern.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from . import style
from .axis import number
from .error_field import CAUSES, STEP_BINS, STEP_EDGES, ErrorField
from .provenance import mark_of_all
from .view import View, ViewSpec

_MIDDLES = np.linspace(-1, 1, 2 * STEP_BINS + 1)[1::2]
_WIDTH = 2 / STEP_BINS


def error_by_cause(
    fields: Sequence[ErrorField], spec: ViewSpec | Mapping[str, Any] | None = None
) -> View:
    """Draw the errors of one to four schemes, for all values or for the range of `spec`.

    Args:
        fields: one a scheme, all over the same value bins.
        spec: theme, selection and probe; see `ViewSpec`.
    """
    spec = ViewSpec.of(spec)
    looks = style.identities([f.family for f in fields], spec.theme)
    layout = _layout(fields, spec)
    traces: list[dict[str, Any]] = []
    for column, one in enumerate(fields):
        traces += _histogram(one, column, spec)
    traces += _budget(fields, spec)
    for one, look in zip(fields, looks, strict=True):
        traces.append(_over_value(one, look))
    return View(
        name="error_by_cause",
        title="Error by cause",
        plot={"data": traces, "layout": layout},
        caption=_caption(fields, spec),
        provenance=mark_of_all([(one.provenance, one.bound) for one in fields]),
        table=lambda: _rows(fields, spec),
        description=_description(fields),
        spec=spec,
    )


def _layout(fields: Sequence[ErrorField], spec: ViewSpec) -> dict[str, Any]:
    """A row of histograms; below it the budget and the error over value."""
    look = style.theme(spec.theme)
    layout = style.base_layout(spec.theme, 420)
    count = max(len(fields), 1)
    top = _ceiling(fields, spec)
    layout |= {"barmode": "relative", "annotations": [], "shapes": []}
    for column, one in enumerate(fields):
        left = column / count
        domain = [left + (0.02 if column else 0), left + 1 / count - 0.02 * (column < count - 1)]
        suffix = str(column + 3)
        layout[f"xaxis{suffix}"] = {
            "domain": domain,
            "anchor": f"y{suffix}",
            "range": [-1.02, 1.02],
            "fixedrange": True,
            "tickvals": [-1, -0.5, 0, 0.5, 1],
            "ticktext": ["−1", "−½", "0", "½", "1"],
            "title": {"text": "error ÷ local step"} if column == 0 else {"text": ""},
        }
        layout[f"yaxis{suffix}"] = {
            "domain": [0.60, 0.95],
            "anchor": f"x{suffix}",
            "range": [0, top],
            "nticks": 4,
            "fixedrange": True,
            "tickformat": ".0%",
            "showticklabels": column == 0,
            "title": {"text": "share of values" if column == 0 else ""},
        }
        layout["annotations"].append(_heading(f"<b>{one.label}</b>", domain[0], 1.0, look.text))
        layout["shapes"].append(_ideal(suffix, look))
    layout |= _lower_axes(fields, spec)
    layout["annotations"] += [
        _heading("squared error by cause, adding up to 100 %", 0, 0.42, look.quiet),
        _heading("error relative to the value it fell on", 0.56, 0.42, look.quiet),
    ]
    layout["legend"] = {"x": 0, "y": -0.11, "yanchor": "top", "traceorder": "normal"}
    layout["margin"] = {"l": 92, "r": 16, "t": 8, "b": 62}
    return layout  # fmt: skip


def _lower_axes(fields: Sequence[ErrorField], spec: ViewSpec) -> dict[str, Any]:
    """Axes of the budget (x, y) and of the error over value (x2, y2)."""
    sizes = [one.relative()[0] for one in fields]
    exponents = [np.log2(size[size > 0]) for size in sizes if (size > 0).any()]
    low, high = (
        (min(e.min() for e in exponents), max(e.max() for e in exponents)) if exponents else (-8, 0)
    )
    every = max(1, int(np.ceil((high - low) / 7)))
    ticks = [e for e in range(int(np.ceil(low)), int(np.floor(high)) + 1) if e % every == 0]
    return {
        "xaxis": {
            "domain": [0, 0.47], "range": [0, 1], "tickformat": ".0%", "fixedrange": True,
            "anchor": "y", "nticks": 6,
        },
        "yaxis": {
            "domain": [0.04, 0.37], "anchor": "x", "autorange": "reversed", "fixedrange": True,
            "ticks": "", "showgrid": False, "type": "category",
        },
        "xaxis2": {
            "domain": [0.56, 1], "anchor": "y2", "range": [low - 0.2, high + 0.2],
            "tickvals": ticks, "ticktext": [style.power(e) for e in ticks],
            "title": {"text": "magnitude of the value"}, "zeroline": False,
        },
        "yaxis2": {
            "domain": [0.04, 0.37], "anchor": "x2", "range": [-12.5, 0.6], "zeroline": False,
            "tickvals": [-12, -9, -6, -3, 0],
            "ticktext": ["0.02 %", "0.2 %", "1.6 %", "12 %", "100 %"],
        },
    }  # fmt: skip


def _heading(text: str, x: float, y: float, colour: str) -> dict[str, Any]:
    return {
        "text": text, "x": x, "y": y, "xref": "paper", "yref": "paper", "xanchor": "left",
        "yanchor": "middle", "showarrow": False, "font": {"size": 12, "color": colour},
    }  # fmt: skip


def _ideal(suffix: str, look: style.Theme) -> dict[str, Any]:
    """The flat box of an error that is only rounding."""
    return {
        "type": "rect", "xref": f"x{suffix}", "yref": f"y{suffix}", "x0": -0.5, "x1": 0.5, "y0": 0,
        "y1": _WIDTH, "line": {"width": 1.4, "color": look.mark, "dash": "dot"},
    }  # fmt: skip


def _ceiling(fields: Sequence[ErrorField], spec: ViewSpec) -> float:
    """One height for all histograms: that of the tallest bar."""
    tallest = max((one.shares(spec.selection).sum(0).max() for one in fields), default=_WIDTH)
    return float(max(1.1 * tallest, 1.3 * _WIDTH))


def _histogram(one: ErrorField, column: int, spec: ViewSpec) -> list[dict[str, Any]]:
    """Stacked bars of one scheme, a colour and pattern a cause."""
    paper = style.theme(spec.theme).paper
    traces = []
    for cause, share in zip(CAUSES, one.shares(spec.selection), strict=True):
        colour, pattern = style.CAUSES[cause]
        traces.append(
            style.trace(
                "bar", x=_MIDDLES, y=share, width=_WIDTH, xaxis=f"x{column + 3}",
                yaxis=f"y{column + 3}", name=style.CAUSE_TEXT[cause], legendgroup=cause,
                showlegend=False, marker=_fill(colour, pattern, paper),
                meta={"scheme": one.label, "cause": cause},
                hovertemplate=f"{cause}<br>error about %{{x:.2f}} steps<br>%{{y:.2%}} of the values"
                f"<extra>{one.label}</extra>",
            )
        )  # fmt: skip
    return traces


def _fill(colour: str, pattern: str, paper: str) -> dict[str, Any]:
    drawn = {
        "shape": pattern, "fillmode": "overlay", "fgcolor": paper, "size": 6, "solidity": 0.2,
    }  # fmt: skip
    return {"color": colour, "line": {"width": 0}, "pattern": drawn}


def _budget(fields: Sequence[ErrorField], spec: ViewSpec) -> list[dict[str, Any]]:
    """One bar a scheme, cut into the causes of its squared error."""
    paper = style.theme(spec.theme).paper
    budgets = [one.budget(spec.selection) for one in fields]
    traces = []
    for cause, (colour, pattern) in style.CAUSES.items():
        shares = [budget.get(cause, 0.0) for budget in budgets]
        traces.append(
            style.trace(
                "bar", orientation="h", x=shares, y=[one.label for one in fields], xaxis="x",
                yaxis="y", name=style.CAUSE_TEXT[cause], legendgroup=cause, width=0.62,
                marker=_fill(colour, pattern, paper), showlegend=True, meta={"budget": cause},
                hovertemplate=f"{cause}: %{{x:.1%}} of the squared error<extra>%{{y}}</extra>",
            )
        )  # fmt: skip
    return traces


def _over_value(one: ErrorField, look: style.Identity) -> dict[str, Any]:
    """Root of mean squared error over value, as a line over the magnitude."""
    size, relative = one.relative()
    relative = np.where(np.isfinite(relative), relative, 0.0)
    gaps = np.where(relative > 0, 0.0, np.nan)
    with np.errstate(divide="ignore"):
        x, y = np.log2(size), np.log2(np.maximum(relative, 2.0**-40))
    return style.trace(
        "scatter", x=x, y=y + gaps, mode="lines", xaxis="x2", yaxis="y2", showlegend=False,
        line={"color": look.colour, "width": 1.6, "dash": look.dash}, name=one.label,
        meta={"scheme": one.label},
        customdata=np.column_stack([size, relative]),
        hovertemplate="about ±%{customdata[0]:.4g}: error %{customdata[1]:.2%} of the value"
        f"<extra>{one.label}</extra>",
    )  # fmt: skip


def _caption(fields: Sequence[ErrorField], spec: ViewSpec) -> str:
    """The largest cause of each scheme, and the best scheme."""
    parts = []
    for one in fields:
        if one.provenance == "pending":
            parts.append(f"{one.label} is being computed")
            continue
        budget = one.budget(spec.selection)
        cause = max(budget, key=budget.__getitem__, default="rounding")
        share = budget.get(cause, 0.0)
        parts.append(f"{one.label} {share:.0%} {cause}" if share else f"{one.label} makes no error")
    where = ""
    if spec.selection is not None:
        low, high = map(number, spec.selection)
        where = f" among values from {low} to {high}"
    return f"Largest cause of the squared error{where}: {', '.join(parts)}."


def _rows(fields: Sequence[ErrorField], spec: ViewSpec) -> list[dict[str, Any]]:
    """One row a scheme, cause and step bin that holds values."""
    rows = []
    for one in fields:
        budget = one.budget(spec.selection)
        for cause, shares in zip(CAUSES, one.shares(spec.selection), strict=True):
            rows += [
                {
                    "scheme": one.label,
                    "cause": cause,
                    "error from (steps)": float(STEP_EDGES[i]),
                    "error to (steps)": float(STEP_EDGES[i + 1]),
                    "share of values": float(shares[i]),
                    "share of squared error, whole cause": budget.get(cause, 0.0),
                }
                for i in np.flatnonzero(shares)
            ]
    return rows


def _description(fields: Sequence[ErrorField]) -> str:
    names = ", ".join(one.label for one in fields)
    return (
        f"Stacked histograms of the signed error in local steps of {names}, each with the flat box "
        "of pure rounding; bars of the squared error by cause; error relative to the value."
    )
