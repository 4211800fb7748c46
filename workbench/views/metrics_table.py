"""The table of what each scheme costs and loses, and its picture: quality over bits a value."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from . import style
from .axis import number
from .provenance import mark_of, mark_of_all
from .view import View, ViewSpec


@dataclass(frozen=True)
class Figures:
    """Figures of merit of one scheme on one tensor.

    Args:
        label, family: canonical text and family of the scheme.
        sqnr: signal to quantization noise in dB; infinite where there is no error.
        bound: half-width in dB of the interval around `sqnr`, 0 where exact, None where unknown.
        mse: mean squared error.
        max_error: the largest error; NaN where it is not known.
        effective_bits: bits of an ideal uniform quantizer with this SQNR.
        nbytes: bytes of codes and scales together.
        bits_per_value: those bytes in bits, shared by the values.
        provenance: "exact", "sketch" or "sample".
    """

    label: str
    family: str
    sqnr: float
    bound: float | None
    mse: float
    max_error: float
    effective_bits: float
    nbytes: int
    bits_per_value: float
    provenance: str

    @property
    def mark(self) -> str:
        """The provenance with its bound."""
        return mark_of(self.provenance, self.bound)

    def row(self) -> dict[str, Any]:
        """The figures under the names that a table shows, with units."""
        return {
            "scheme": self.label,
            "SQNR (dB)": None if np.isnan(self.sqnr) else round(self.sqnr, 3),
            "provenance": self.mark,
            "MSE": None if np.isnan(self.mse) else self.mse,
            "largest error": self.max_error if np.isfinite(self.max_error) else None,
            "effective bits": None if np.isnan(self.sqnr) else round(self.effective_bits, 3),
            "bits a value": round(self.bits_per_value, 4),
            "bytes with scales": self.nbytes,
        }


def metrics_table(
    figures: Sequence[Figures], spec: ViewSpec | Mapping[str, Any] | None = None
) -> View:
    """Draw SQNR over bits a value, one labelled mark a scheme; `.data()` is the table.

    Args:
        figures: one to four.
        spec: the theme; see `ViewSpec`.

    Example:
        >>> one = Figures("int4/tensor", "int", 20.0, 0.0, 1e-4, 0.02, 3.2, 512, 4.25, "exact")
        >>> metrics_table([one]).caption
        'int4/tensor has 20.0 dB at 4.25 bits a value.'
    """
    spec = ViewSpec.of(spec)
    looks = style.identities([one.family for one in figures], spec.theme)
    traces = [_mark(one, look) for one, look in zip(figures, looks, strict=True)]
    return View(
        name="metrics_table",
        title="Quality and size",
        plot={"data": traces, "layout": _layout(figures, spec)},
        caption=_caption(figures),
        provenance=mark_of_all([(one.provenance, one.bound) for one in figures]),
        table=lambda: [one.row() for one in figures],
        description="Signal to quantization noise over bits a value, one mark a scheme.",
        spec=spec,
    )


def _mark(one: Figures, look: style.Identity) -> dict[str, Any]:
    known = bool(one.bound) and one.provenance != "exact"
    return style.trace(
        "scatter", x=[one.bits_per_value], y=[one.sqnr if np.isfinite(one.sqnr) else None],
        mode="markers", name=one.label, showlegend=False, meta={"scheme": one.label},
        marker={
            "symbol": look.marker, "size": 11, "color": look.colour,
            "line": {"width": 2, "color": look.colour},
        },
        error_y={"array": [one.bound if known else 0], "color": look.colour, "visible": known},
        hovertemplate=f"<b>{one.label}</b><br>%{{y:.2f}} dB ({one.mark})<br>%{{x:.3g}} bits a value"
        "<extra></extra>",
    )  # fmt: skip


def _layout(figures: Sequence[Figures], spec: ViewSpec) -> dict[str, Any]:
    look = style.theme(spec.theme)
    layout = style.base_layout(spec.theme, 240)
    known = [one for one in figures if np.isfinite(one.sqnr)]
    top = max((one.bits_per_value for one in known), default=8.0)
    low, high = _span([one.sqnr for one in known])
    layout["xaxis"] = {"title": {"text": "bits a value, scales included"}, "range": [0, top * 1.32]}
    layout["yaxis"] = {"title": {"text": "SQNR (dB)"}, "range": [low, high]}
    layout["annotations"] = [_label(one, known, look, high - low) for one in known]
    layout["annotations"].append(_six_db(look))
    layout["margin"] = {"l": 56, "r": 16, "t": 12, "b": 44}
    return layout


def _span(values: Sequence[float]) -> tuple[float, float]:
    """The range of the SQNR axis: all marks, with room above and below."""
    if not values:
        return 0.0, 50.0
    low, high = min(0.0, *values) if min(values) < 0 else 0.0, max(values)
    return float(low), float(max(high * 1.15, low + 6))


def _label(
    one: Figures, known: Sequence[Figures], look: style.Theme, height: float
) -> dict[str, Any]:
    """The name beside its mark, moved up or down where a neighbour's is in the way."""
    near = [
        other
        for other in known
        if abs(other.sqnr - one.sqnr) < 0.08 * height
        and abs(other.bits_per_value - one.bits_per_value) < 2.5
    ]
    ranks = sorted(near, key=lambda other: (-other.sqnr, other.label))
    shift = 14 * (ranks.index(one) - (len(ranks) - 1) / 2)
    return {
        "x": one.bits_per_value, "y": one.sqnr, "text": one.label, "showarrow": False,
        "xanchor": "left", "xshift": 10, "yshift": -shift, "font": {"size": 11, "color": look.text},
    }  # fmt: skip


def _six_db(look: style.Theme) -> dict[str, Any]:
    return {
        "xref": "paper", "yref": "paper", "x": 1, "y": 0, "xanchor": "right", "yanchor": "bottom",
        "text": "up and to the left is better", "showarrow": False,
        "font": {"size": 11, "color": look.quiet},
    }  # fmt: skip


def _caption(figures: Sequence[Figures]) -> str:
    """The best scheme, and what one more bit brings."""
    if not figures:
        return "No scheme is chosen."
    figures = [one for one in figures if not np.isnan(one.sqnr)]
    if not figures:
        return "The figures are being computed from the values."
    best = max(figures, key=lambda one: one.sqnr)
    text = f"{best.label} has {number(best.sqnr, 3)} dB at {best.bits_per_value:.3g} bits a value"
    if np.isfinite(best.sqnr):
        text = f"{best.label} has {best.sqnr:.1f} dB at {best.bits_per_value:.3g} bits a value"
    cheap = min(figures, key=lambda one: (one.bits_per_value, -one.sqnr))
    if cheap is best:
        return text + "."
    return (
        f"{text}; the smallest, {cheap.label}, {cheap.sqnr:.1f} dB at {cheap.bits_per_value:.3g}."
    )
