"""What the format designer is made of: checks of its state, its scheme, figures and suggestions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np

from ..costs import gates
from ..errors import WorkbenchError
from ..formats import FloatFormat
from ..formats import parse as parse_format
from ..formats.codebook import typed_codebook
from ..formats.float import TOPS as FLOAT_TOPS
from ..formats.float import usual_bias
from ..metrics.error import error
from ..quantizers.codebooks import FREE, MOST_BITS, Ends, best_codebook, lloyd_max
from ..quantizers.points import Points
from ..schemes import Scheme, parse
from ..views import style
from ..views.axis import ValueAxis
from ..views.metrics_table import metrics_table
from ..views.value_grid import axis_of, value_grid
from ..views.view import View, ViewSpec
from . import measure
from .design import designed
from .picture import Picture
from .sources import Source

KINDS = ("float", "integer", "codebook")
TOPS = ("usual", *FLOAT_TOPS)
MOST_VALUES, MOST_REFERENCES = 256, 2
MOST_LABEL = 20
SAMPLE = 1 << 20
PLACES = 501  # along the axis, at which a click is told apart
MAKERS = {"lloyd_max": lloyd_max, "best": best_codebook}
_HELD: tuple[Ends, ...] = ((-1.0, 1.0), (-1.0, None), (None, 1.0))
_UNITS = ("absmean", "std")  # ranges whose scale does not follow the codebook's end
_TRUTH = {"True": True, "False": False, "true": True, "false": False, "1": True, "0": False}


def plain(name: str, value: Any) -> Any:
    """A whole number or a truth of the state from its text; anything else as it is.

    Example:
        >>> plain("width", "4"), plain("signed", "False")
        (4, False)
    """
    if not isinstance(value, str):
        return value
    if name in ("subnormals", "signed"):
        return _TRUTH.get(value, value)
    return int(value) if value.strip().lstrip("+-").isdigit() else value


def values_of(values: Any) -> list[float]:
    """The values of a codebook, ascending, from numbers or from their text.

    Example:
        >>> values_of("1, -1, 0.5"), values_of([0, 1])
        ([-1.0, 0.5, 1.0], [0.0, 1.0])
    """
    parts = values.replace(",", " ").split() if isinstance(values, str) else values
    try:
        numbers = sorted(float(part) + 0.0 for part in parts)
    except (TypeError, ValueError):
        raise WorkbenchError(
            f"values {values!r}", "a codebook is a list of numbers", "write -1, -0.5, 0, 0.5, 1"
        ) from None
    odd = [number for number in numbers if not np.isfinite(number)]
    if odd:
        raise WorkbenchError(
            f"{odd[0]:g} among the values", "those of a codebook are finite numbers",
            "leave it out, or write a number",
        )  # fmt: skip
    if not 2 <= len(numbers) <= MOST_VALUES:
        raise WorkbenchError(
            f"{len(numbers)} values", f"a codebook drawn here has 2 to {MOST_VALUES}",
            "write -1, -0.5, 0, 0.5, 1",
        )  # fmt: skip
    twice = [a for a, b in pairwise(numbers) if a == b]
    if twice:
        raise WorkbenchError(
            f"{twice[0]:g} twice", "each code has a value of its own", "leave one out"
        )
    return list(typed_codebook(",".join(map(repr, numbers))).table)


def references(texts: Any) -> list[str]:
    """Canonical texts of up to two schemes beside the design; empty ones are left out.

    Example:
        >>> references(["", "mxfp4"])
        ['mxfp4']
    """
    if not isinstance(texts, list | tuple):
        raise WorkbenchError(f"schemes {texts!r}", "it is a list of texts", "write ['nf4/g32']")
    schemes = [parse(text) for text in texts if str(text).strip()]
    for scheme in schemes:
        if scheme.parts:
            raise WorkbenchError(
                str(scheme), "a strip shows one grid, and here each group has its own",
                f"write {scheme.parts[0]}",
            )  # fmt: skip
    if len(schemes) > MOST_REFERENCES:
        raise WorkbenchError(
            f"{len(schemes)} schemes", f"up to {MOST_REFERENCES} stand beside the design",
            "leave one out",
        )  # fmt: skip
    return [scheme.name for scheme in schemes]


def element_of(state: Mapping[str, Any]) -> str:
    """The name of the designed format.

    Example:
        >>> element_of({"kind": "integer", "width": 5, "signed": False})
        'uint5'
    """
    if state["kind"] == "integer":
        return f"{'' if state['signed'] else 'u'}int{state['width']}"
    if state["kind"] == "codebook":
        return typed_codebook(",".join(map(repr, state["values"]))).name
    exponent, mantissa, shift = state["exponent"], state["mantissa"], state["bias_shift"]
    if state["top"] == "usual":
        return designed(exponent, mantissa, shift, state["signed"], state["subnormals"])
    return FloatFormat(
        exponent, mantissa, bias=usual_bias(exponent, state["top"]) + shift, top=state["top"],
        sign=state["signed"], subnormals=state["subnormals"] or not exponent,
    ).name  # fmt: skip


def scheme_of(state: Mapping[str, Any]) -> Scheme:
    """The designed scheme: the format at its granularity."""
    shared = state["granularity"]
    return parse(f"{element_of(state)}/{shared}" if shared else element_of(state))


def suggested(name: str, source: Source, scheme: Scheme, granularity: str) -> list[float]:
    """The values of a codebook made for a tensor, at the bits and granularity of a design."""
    if name not in MAKERS:
        raise WorkbenchError(f"{name!r}", "there are two suggestions", "write lloyd_max or best")
    bits = scheme.format.bits
    if bits > MOST_BITS:
        raise WorkbenchError(
            f"{bits} bits", f"codebooks are made with 1 to {MOST_BITS} bits",
            f"choose a design of {MOST_BITS} bits or fewer",
        )  # fmt: skip
    shared = granularity or "tensor"
    probe, power = _probe(shared)
    free = power or probe.scale.range.kind in _UNITS
    points = units(source, probe, np.inf if free else 1.0)
    ends = (FREE, *(_HELD if power else ())) if free else _HELD
    made = [MAKERS[name](points, bits, ends=each) for each in ends]
    if not power:
        return list(min(made, key=lambda codebook: points.error(codebook.values)).table)
    sample = measure.sample(source.array, SAMPLE)
    errors = [error(sample, parse(f"{codebook}/{shared}")).mse for codebook in made]
    return list(made[int(np.argmin(errors))].table)


def _probe(shared: str) -> tuple[Scheme, bool]:
    """A scheme whose scales a codebook that reaches to one has, and whether they are powers."""
    probe = parse(f"codebook(-1,1)/{shared}")
    if probe.scale.range.kind not in _UNITS:  # a search would search for the probe
        probe = parse(f"codebook(-1,1)/{shared.partition('@')[0]}")
    return probe, probe.scale.levels[0].is_power


def units(source: Source, scheme: Scheme, limit: float) -> Points:
    """The values of a tensor over their scales, each with the square of its scale as weight.

    One scale for the tensor is read off the sketch; others are taken from at most `SAMPLE` values.

    Args:
        source: the tensor.
        scheme: whose scales are taken.
        limit: the largest magnitude of a value over its scale; larger ones are cut to it.
    """
    if str(scheme.scale) == "/tensor":
        points = Points.of(source.sketch)
        return Points.of(points.at / (source.sketch.amax or 1.0), points.weight)
    scales = measure.Scales.of(scheme, measure.sample(source.array, SAMPLE), 0.0)
    found = []
    for values, each, _ in scales.chunks(measure.sample(source.array, SAMPLE)):
        kept = np.isfinite(values) & (each > 0)
        scale = each[kept].astype(np.float64)
        found.append((np.clip(values[kept] / scale, -limit, limit), scale**2))
    at, weight = map(np.concatenate, zip(*found, strict=True))
    return Points.of(at, weight)


def rows(picture: Picture) -> list[dict[str, Any]]:
    """The figures of each scheme of a picture, one dict each."""
    pairs = zip(picture.figures, picture.grids_over(None), picture.schemes, strict=True)
    return [
        {
            "scheme": figures.label,
            "SQNR (dB)": None if np.isnan(figures.sqnr) else round(figures.sqnr, 3),
            "provenance": figures.mark,
            "bits a value": round(figures.bits_per_value, 4),
            "gates": _gates(scheme),
            "gates from": "estimate: gate model",
            "values": int(grid.values.size),
            "unused": _unused(grid, picture),
        }
        for figures, grid, scheme in pairs
    ]


def _unused(grid: Any, picture: Picture) -> int | None:
    """How many values of a grid no datum rounds to; None where it is not known."""
    counts = grid.occupancy(picture.histogram)
    return None if np.isnan(counts).any() else grid.unused(picture.histogram)


def _gates(scheme: Scheme) -> int | None:
    try:
        return round(gates(parse_format(scheme.format)).total)
    except WorkbenchError:
        return None


def label_of(scheme: Scheme, own: bool = False) -> str:
    """What a picture calls a scheme: its text, or a short word where that is long.

    Example:
        >>> label_of(parse("e2m1/g32"), own=True), label_of(parse("codebook(-1,-.5,0,.5,1)/g32"))
        ('yours: e2m1/g32', 'codebook of 5/g32')
    """
    text = scheme.name
    if len(text) > MOST_LABEL and scheme.format.family == "codebook":
        text = f"codebook of {scheme.format.values.size}{scheme.scale or ''}"
    return f"yours: {text}" if own else text


def views(picture: Picture, spec: ViewSpec) -> dict[str, View]:
    """The value grid and the figures of a picture, its first scheme being the design."""
    labels = [label_of(scheme, own=not i) for i, scheme in enumerate(picture.schemes)]
    grids = [
        replace(grid, label=label)
        for grid, label in zip(picture.grids_over(None), labels, strict=True)
    ]
    figures = [
        replace(one, label=label) for one, label in zip(picture.figures, labels, strict=True)
    ]
    grid, table = value_grid(grids, picture.histogram, spec), metrics_table(figures, spec)
    shown = axis_over(picture, spec).layout(grid.plot["layout"]["xaxis"]["title"]["text"], most=13)
    layout = {**grid.plot["layout"], "xaxis": {**grid.plot["layout"]["xaxis"], **shown}}
    named = [
        {**row, "scheme": label} for row, label in zip(rows(picture), labels, strict=True)
    ]  # a codebook's text would push the figures out of sight
    return {
        "value_grid": replace(grid, plot={**grid.plot, "layout": layout}),
        "metrics_table": replace(table, table=lambda: named),
    }


def axis_over(picture: Picture, spec: ViewSpec) -> ValueAxis:
    """The axis of the value grid: over the data, but not far beyond the grids themselves."""
    grids = picture.grids_over(None)
    axis = axis_of(grids, picture.histogram, spec)
    reach = 1.25 * max(max(abs(grid.min), abs(grid.max)) for grid in grids)
    return replace(axis, low=max(axis.low, -reach), high=min(axis.high, reach))


def clickable(view: View, axis: ValueAxis) -> View:
    """A value grid that can be clicked between its ticks too, in the strip of the design.

    Example:
        >>> from workbench.explorers import FormatDesigner
        >>> view = clickable(FormatDesigner().figures()["value_grid"], ValueAxis(-1.0, 1.0))
        >>> view.plot["data"][-1]["name"], view.plot["layout"]["dragmode"]
        ('places to click', False)
    """
    strip = len(view.plot["layout"]["yaxis2"]["tickvals"]) - 1
    places = style.trace(
        "scatter", x=axis.places(PLACES), y=[strip] * PLACES, yaxis="y2", mode="markers",
        marker={"opacity": 0, "size": 6}, hoverinfo="none", name="places to click",
    )  # fmt: skip
    layout = {**view.plot["layout"], "dragmode": False}
    return replace(view, plot={"data": [*view.plot["data"], places], "layout": layout})


def code_of(state: Mapping[str, Any], defaults: Mapping[str, Any], shape: Sequence[int]) -> str:
    """Python that opens the same designer and prints its figures."""
    given = {k: v for k, v in state.items() if v != defaults[k] or k == "source"}
    kind, _, name = state["source"].partition(":")
    first, opening = [], "FormatDesigner("
    if kind == "array":
        given.pop("source")
        first = [f"# {name} is the array of shape {tuple(shape)} that this designer was opened on"]
        opening = f"FormatDesigner.of({name}, "
    arguments = ", ".join(f"{key}={value!r}" for key, value in given.items())
    lines = [
        "import workbench as wb",
        "from workbench.explorers.format_designer import FormatDesigner",
        "",
        *first,
        f"designer = {opening}{arguments})".replace(", )", ")"),
        "scheme = wb.scheme(designer.spec_text)",
        "for row in designer.rows():",
        "    print(row)",
    ]
    return "\n".join(lines)
