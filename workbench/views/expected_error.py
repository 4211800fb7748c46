"""Expected error against the weight of the tails: which layout of equal bits suits which density.

Every format stands at its best range, after van Baalen et al. 2023 ("FP8 versus INT8 for efficient
deep learning inference"): integers win without tails, more exponent bits with heavier ones.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import numpy as np

from ..metrics.densities import Density, Gaussian, StudentT, Uniform
from ..metrics.expected import EIGHT_BITS, best_ranges
from . import style
from .view import View, ViewSpec

_NUS = (3, 4, 5, 6, 7, 8, 10, 14, 20, 30, 50, 100)
DENSITIES = (*(StudentT(float(nu), limit=100.0) for nu in _NUS), Gaussian(), Uniform())
_APART, _TICK_APART = 0.8, 0.3  # octaves of nu between densities that have none, and between ticks


@dataclass(frozen=True)
class ExpectedCurve:
    """One format at its best range on each density of a series.

    Args:
        label: the format's name.
        family: what views colour by, "int" or "float".
        sqnr: expected SQNR in dB, one a density.
        range: the best range, in the unit of the density.
    """

    label: str
    family: str
    sqnr: tuple[float, ...]
    range: tuple[float, ...]


@dataclass(frozen=True)
class ExpectedErrors:
    """The curves of several formats over one series of densities, heavier tails first.

    Args:
        names: of the densities.
        nus: their degrees of freedom, None for those that are no Student's t.
        curves: one a format.

    Example:
        >>> few = ExpectedErrors.of([Gaussian(), Uniform()], {"INT4": (0, 3), "E2M1": (2, 1)})
        >>> few.winners
        ('E2M1', 'INT4')
    """

    names: tuple[str, ...]
    nus: tuple[float | None, ...]
    curves: tuple[ExpectedCurve, ...]

    @classmethod
    def of(
        cls,
        densities: Sequence[Density] = DENSITIES,
        layouts: Mapping[str, tuple[int, int]] = EIGHT_BITS,
    ) -> ExpectedErrors:
        """The best range of every layout on every density, as `metrics.best_ranges` finds it."""
        rows = best_ranges(densities, layouts)
        curves = [
            ExpectedCurve(
                label,
                "float" if exponent else "int",
                tuple(row[label].error.sqnr for row in rows),
                tuple(row[label].range for row in rows),
            )
            for label, (exponent, _) in layouts.items()
        ]
        nus = [one.nu if isinstance(one, StudentT) else None for one in densities]
        return cls(tuple(one.name for one in densities), tuple(nus), tuple(curves))

    @property
    def winners(self) -> tuple[str, ...]:
        """The format with the least expected error on each density; none without curves."""
        columns = zip(*(curve.sqnr for curve in self.curves), strict=True)
        return tuple(self.curves[int(np.argmax(column))].label for column in columns)

    @property
    def runs(self) -> list[tuple[str, int, int]]:
        """Each stretch of densities with one winner: its name, the first and the last place."""
        found = []
        for name, group in groupby(enumerate(self.winners), key=lambda item: item[1]):
            places = [place for place, _ in group]
            found.append((name, places[0], places[-1]))
        return found

    @property
    def places(self) -> list[float]:
        """Where each density stands: log2 of nu, the others in even steps behind the one before."""
        places: list[float] = []
        for nu in self.nus:
            behind = places[-1] + _APART if places else 0.0
            places.append(behind if nu is None else float(np.log2(nu)))
        return places


def expected_error(
    errors: ExpectedErrors, spec: ViewSpec | Mapping[str, Any] | None = None
) -> View:
    """Draw expected SQNR at the best range over the degrees of freedom, the winners ringed.

    Args:
        errors: the curves, best over densities from heavy tails to light ones.
        spec: the theme; see `ViewSpec`.

    Example:
        >>> few = ExpectedErrors.of([Gaussian(), Uniform()], {"INT4": (0, 3), "E2M1": (2, 1)})
        >>> expected_error(few).caption
        'With lighter tails the least expected error passes from E2M1 (gaussian) to INT4 (uniform).'
    """
    spec = ViewSpec.of(spec)
    looks = style.identities([curve.family for curve in errors.curves], spec.theme)
    traces = [_line(errors, curve, look) for curve, look in zip(errors.curves, looks, strict=True)]
    return View(
        name="expected_error",
        title="Expected error and tails",
        plot={"data": [*traces, _rings(errors, spec)], "layout": _layout(errors, spec)},
        caption=_caption(errors),
        provenance="closed form",
        table=lambda: _rows(errors),
        description="Expected signal to quantization noise at each format's best range over the "
        "degrees of freedom of Student's t, densities without tails at the right; one line a "
        "format, a ring around the best one.",
        spec=spec,
    )


def _line(errors: ExpectedErrors, curve: ExpectedCurve, look: style.Identity) -> dict[str, Any]:
    """One format: a line over the degrees of freedom, single marks behind it."""
    x: list[float | None] = []
    y: list[float | None] = []
    about: list[list[Any]] = []
    for i, place in enumerate(errors.places):
        if i and errors.nus[i] is None:  # a gap: nothing lies between two such densities
            x, y, about = [*x, None], [*y, None], [*about, ["", None]]
        x, y = [*x, place], [*y, curve.sqnr[i]]
        about.append([errors.names[i], curve.range[i]])
    return style.trace(
        "scatter", x=x, y=y, mode="lines+markers", name=curve.label, customdata=about,
        line={"color": look.colour, "width": 1.6, "dash": look.dash},
        marker={"symbol": look.marker, "size": 8, "color": look.colour},
        meta={"scheme": curve.label},
        hovertemplate=f"<b>{curve.label}</b> on %{{customdata[0]}}<br>%{{y:.2f}} dB at a range of "
        "±%{customdata[1]:.4g}<extra></extra>",
    )  # fmt: skip


def _rings(errors: ExpectedErrors, spec: ViewSpec) -> dict[str, Any]:
    """A ring around the best format of each density."""
    best = [max(column) for column in zip(*(c.sqnr for c in errors.curves), strict=True)]
    return style.trace(
        "scatter", x=errors.places[: len(best)], y=best, mode="markers", name="least error",
        hoverinfo="skip", meta={"winners": list(errors.winners)},
        marker={
            "symbol": "circle-open", "size": 16,
            "color": style.theme(spec.theme).text, "line": {"width": 1.5},
        },
    )  # fmt: skip


def _layout(errors: ExpectedErrors, spec: ViewSpec) -> dict[str, Any]:
    look = style.theme(spec.theme)
    layout = style.base_layout(spec.theme, 360)
    places, ticks = errors.places, _ticks(errors)
    low, high = (min(places), max(places)) if places else (0.0, 1.0)
    layout["xaxis"] = {
        "range": [low - 0.25, high + 0.35], "zeroline": False,
        "tickvals": [place for place, _ in ticks], "ticktext": [text for _, text in ticks],
        "title": {"text": "degrees of freedom of Student's t (heavy tails left), then others"},
    }  # fmt: skip
    layout["yaxis"] = {"title": {"text": "expected SQNR at the best range (dB)"}}
    layout["annotations"] = [
        {
            "x": 0.5 * (places[first] + places[last]), "y": 1, "xref": "x", "yref": "paper",
            "yanchor": "bottom", "showarrow": False, "text": f"<b>{name}</b>",
            "font": {"size": 11, "color": look.text},
        }
        for name, first, last in errors.runs
    ]  # fmt: skip
    layout["shapes"] = [_border(places[first - 1], places[first], look)
                        for _, first, _ in errors.runs if first]  # fmt: skip
    layout["legend"] = {"x": 0, "y": -0.2, "yanchor": "top"}
    layout["margin"] = {"l": 60, "r": 16, "t": 28, "b": 84}
    return layout


def _border(before: float, after: float, look: style.Theme) -> dict[str, Any]:
    """A dotted line half-way between two densities with different winners."""
    x = 0.5 * (before + after)
    return {
        "type": "line", "xref": "x", "yref": "paper", "x0": x, "x1": x, "y0": 0, "y1": 1,
        "line": {"width": 1, "color": look.quiet, "dash": "dot"},
    }  # fmt: skip


def _ticks(errors: ExpectedErrors) -> list[tuple[float, str]]:
    """Places and texts of the ticks, left out where they would touch."""
    ticks: list[tuple[float, str]] = []
    for name, nu, place in zip(errors.names, errors.nus, errors.places, strict=True):
        if not ticks or place - ticks[-1][0] >= _TICK_APART:
            ticks.append((place, name if nu is None else f"{nu:g}"))
    return ticks


def _caption(errors: ExpectedErrors) -> str:
    """Who wins where, and who never does."""
    if not errors.winners:
        return "No format is chosen."
    parts = []
    for name, first, last in errors.runs:
        ends = errors.names[first], errors.names[last]
        parts.append(f"{name} ({'…'.join(dict.fromkeys(ends))})")
    rest = [curve.label for curve in errors.curves if curve.label not in errors.winners]
    never = f"; {' and '.join(rest)} never {'has' if len(rest) == 1 else 'have'} it" if rest else ""
    if len(parts) == 1:
        return f"{errors.winners[0]} has the least expected error on every density{never}."
    return f"With lighter tails the least expected error passes from {' to '.join(parts)}{never}."


def _rows(errors: ExpectedErrors) -> list[dict[str, Any]]:
    """One row a density and format."""
    return [
        {
            "density": name,
            "format": curve.label,
            "expected SQNR (dB)": round(curve.sqnr[i], 3),
            "best range": curve.range[i],
            "least error": curve.label == errors.winners[i],
        }
        for i, name in enumerate(errors.names)
        for curve in errors.curves
    ]
