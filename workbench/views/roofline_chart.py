"""The roofline: what bounds every part of a step on a device, and where a recipe moves it.

Both axes are logarithmic, operations a byte against operations a second. Hollow marks are
predictions and filled ones measurements; the larger a mark, the larger its share of the time.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..costs import Hardware, Point, Step, grouped
from . import style
from .axis import number
from .view import View, ViewSpec

HEIGHT, LEAST, MOST = 470, 7, 30  # pixels of the picture, and of the smallest and largest mark
NAMED = 6  # parts that take longest have their names beside them
CLOSE = 0.8  # octaves within which marks share one label
PREFIXES = {-3: "m", 0: "", 3: "k", 6: "M", 9: "G", 12: "T", 15: "P", 18: "E"}
LOOKS = {"linear": "float", "attention": "mx", "head": "int"}
REST = "reference"


@dataclass(frozen=True)
class Part:
    """The same operation of all blocks, added up.

    Attributes:
        name: such as "mlp.up_proj".
        kind: of the operation.
        operations, bytes, seconds: of all blocks.
        bound: what takes longest.
        unit: the arithmetic.
        explained: the formula of one of them, filled in.
    """

    name: str
    kind: str
    operations: float
    bytes: float
    seconds: float
    bound: str
    unit: str
    explained: str

    @property
    def intensity(self) -> float:
        """Operations a byte."""
        return self.operations / self.bytes

    @property
    def attained(self) -> float:
        """Operations a second."""
        return self.operations / self.seconds


@dataclass(frozen=True)
class Measured:
    """A measured operation.

    Attributes:
        name: what ran.
        intensity: operations a byte.
        attained: operations a second, the median.
        low, high: its noise.
        where: on what.
    """

    name: str
    intensity: float
    attained: float
    low: float
    high: float
    where: str


def parts_of(step: Step) -> list[Part]:
    """The parts of a step that compute something, those that take longest first.

    Example:
        >>> from workbench.costs import Workload, architecture, hardware, roofline
        >>> step = roofline(architecture("llama-2-7b"), Workload("decode"), hardware("a100-sxm"))
        >>> parts_of(step)[0].name
        'mlp.gate_proj'
    """
    found = [_summed(name, points) for name, points in grouped(step.points).items()]
    return sorted((one for one in found if one.operations and one.bytes), key=lambda p: -p.seconds)


def _summed(name: str, points: Sequence[Point]) -> Part:
    longest = max(points, key=lambda point: point.time)
    return Part(
        name, longest.operation.kind, sum(p.operations for p in points),
        sum(p.traffic.total for p in points), sum(p.time for p in points), longest.bound,
        longest.unit.name, longest.explain(),
    )  # fmt: skip


def roofline_chart(
    step: Step,
    before: Step | None = None,
    trail: Sequence[tuple[str, Step]] = (),
    measured: Sequence[Measured] = (),
    recipe: str = "",
    spec: ViewSpec | Mapping[str, Any] | None = None,
    chosen: str = "",
) -> View:
    """Draw the parts of a step under the roofs of its device.

    Args:
        step: what is looked at.
        before: the same step in plain formats, from which thin lines lead to it; or None.
        trail: the same step at other batches or contexts, with their names, in order.
        measured: operations that ran.
        recipe: what `step` is under, in words.
        spec: the theme; see `ViewSpec`. A click gives the name of a part.
        chosen: the part that is looked at, or "".

    Example:
        >>> from workbench.costs import Operands, Workload, architecture, hardware, roofline
        >>> llama, card = architecture("llama-2-7b"), hardware("rtx-a6000")
        >>> wide, narrow = (roofline(llama, Workload("decode"), card, Operands(scheme))
        ...                 for scheme in ("", "int4/g128"))
        >>> print(roofline_chart(narrow, wide, recipe="w=int4/g128").caption)
        A step takes 6.23 ms under w=int4/g128, 160 tokens a second, 2.99 times as fast as in \
bf16; GDDR6 bounds 100 % of it, and self_attn.attention takes most, 22 %.
    """
    spec = ViewSpec.of(spec)
    parts = parts_of(step)
    marks = [*parts, *(parts_of(before) if before else ())]
    window = _window(marks, measured, step.device)
    return View(
        name="roofline",
        title=f"Roofline of {step.model.name} on {step.device.title}",
        plot={
            "data": [
                *_roofs(step, window, spec), *_ways(parts, before, trail, spec),
                _marks(parts, window, spec, chosen), *_ran(measured, spec),
            ],
            "layout": _layout(window, spec),
        },
        caption=_caption(step, before, parts, recipe),
        provenance=step.provenance,
        table=lambda: [_row(part, step) for part in parts] + [_measured_row(m) for m in measured],
        description="Operations a byte against operations a second, both in powers of two. Level "
        "lines are peaks of arithmetic, slanted ones bandwidths of memories. A mark is one part of "
        "all blocks; hollow ones are predicted, filled ones measured, and a larger one takes a "
        "larger share of the time.",
        spec=spec,
    )  # fmt: skip


Window = tuple[float, float, float, float]  # log10 of the ends of x and of y


def _window(parts: Sequence[Part], measured: Sequence[Measured], device: Hardware) -> Window:
    """What is shown: all marks, the knee, and the highest roof."""
    assert device.main.bandwidth is not None
    peak, slope = max(p.value for p in device.peaks.values()), device.main.bandwidth.value
    marks: list[Part | Measured] = [*parts, *measured]
    x = [one.intensity for one in marks] + [peak / slope]
    y = [one.attained for one in marks] + [peak]
    low, high = np.log10(min(x)) - 0.4, np.log10(max(x)) + 0.4
    return float(low), float(high), float(np.log10(min(y)) - 0.4), float(np.log10(max(y)) + 0.3)


def _roofs(step: Step, window: Window, spec: ViewSpec) -> Iterator[dict[str, Any]]:
    """A level line for each peak and a slanted one for each memory that is used."""
    device, look = step.device, style.theme(spec.theme)
    low, high = 10 ** window[0], 10 ** window[1]
    used = {point.unit.name for point in step.points}
    moved = {name for point in step.points for name in point.seconds}
    slopes = {
        memory.name: memory.bandwidth
        for memory in device.memories
        if memory.bandwidth is not None and (memory.role == "cache" or memory.name in moved)
    }
    fastest = max(figure.value for figure in slopes.values())
    for value, units in _peaks(device).items():
        ours = bool(used & set(units))
        yield _line(
            [value / fastest, high], [value] * 2, f"{', '.join(units)} peak",
            device.peaks[units[0]].provenance, look.text if ours else look.quiet,
            "solid" if ours else "dot", "top left",
        )  # fmt: skip
    for name, figure in slopes.items():
        start = max(low, 10 ** window[2] / figure.value)  # where it comes into the picture
        end = max(max(_peaks(device)) / figure.value, start)
        yield _line(
            [start, end], [start * figure.value, end * figure.value], name, figure.provenance,
            look.text, "solid", "top right",
        )  # fmt: skip


def _peaks(device: Hardware) -> dict[float, list[str]]:
    """The units of arithmetic by their peaks."""
    found: dict[float, list[str]] = {}
    for unit, figure in device.peaks.items():
        found.setdefault(figure.value, []).append(unit)
    return found


def _line(
    x: list[float], y: list[float], name: str, source: str, colour: str, dash: str, place: str
) -> dict[str, Any]:
    at = 1 if place == "top left" else 0
    said = f"{number(y[1])} op/s" if place == "top left" else f"{number(y[0] / x[0])} B/s"
    return style.trace(
        "scatter", x=x, y=y, mode="lines+text", name=name, showlegend=False,
        text=[name if i == at else "" for i in (0, 1)], textposition=place,
        textfont={"size": 10, "color": colour}, line={"color": colour, "width": 1.5, "dash": dash},
        hovertemplate=f"<b>{name}</b><br>{said}<br>{source}<extra></extra>", cliponaxis=True,
    )  # fmt: skip


def _ways(
    parts: Sequence[Part], before: Step | None, trail: Sequence[tuple[str, Step]], spec: ViewSpec
) -> Iterator[dict[str, Any]]:
    """Thin lines from where each part was, and along what was dragged."""
    quiet = style.theme(spec.theme).quiet
    if before is not None:
        were = {part.name: part for part in parts_of(before)}
        pairs = [(were[part.name], part) for part in parts if part.name in were]
        x = [v for old, new in pairs for v in (old.intensity, new.intensity, None)]
        y = [v for old, new in pairs for v in (old.attained, new.attained, None)]
        yield style.trace(
            "scatter", x=x, y=y, mode="lines+markers", hoverinfo="skip", showlegend=False,
            name="in plain formats", line={"color": quiet, "width": 1},
            marker={"size": [5, 0, 0] * len(pairs), "symbol": "circle-open", "color": quiet},
        )  # fmt: skip
    for name in ("mlp.up_proj", "self_attn.attention") if trail else ():
        steps = [(label, {p.name: p for p in parts_of(one)}.get(name)) for label, one in trail]
        known = [(label, part) for label, part in steps if part is not None]
        yield style.trace(
            "scatter", x=[p.intensity for _, p in known], y=[p.attained for _, p in known],
            mode="lines+markers", showlegend=False, name=f"trail of {name}",
            line={"color": quiet, "width": 1, "dash": "dot"},
            marker={"size": 4, "color": quiet}, customdata=[label for label, _ in known],
            hovertemplate=f"{name}, %{{customdata}}<extra></extra>",
        )  # fmt: skip


def _marks(parts: Sequence[Part], window: Window, spec: ViewSpec, chosen: str) -> dict[str, Any]:
    """A hollow mark a part, whose name lies on the side that has room for it."""
    families = [LOOKS.get(part.kind, REST) for part in parts]
    looks = {
        name: style.identities([name], spec.theme)[0] for name in dict.fromkeys([*families, REST])
    }
    total, middle = sum(part.seconds for part in parts), 10 ** (sum(window[:2]) / 2)
    shares = [part.seconds / total for part in parts]
    labels = _labels(parts, chosen)
    colours = [looks[family].colour for family in families]
    return style.trace(
        "scatter", x=[p.intensity for p in parts], y=[p.attained for p in parts],
        mode="markers+text", name="predicted", showlegend=False,
        textposition=[f"bottom {'left' if p.intensity > middle else 'right'}" for p in parts],
        text=[labels.get(part.name, "") for part in parts],
        textfont={"size": 10, "color": style.theme(spec.theme).text},
        customdata=[[p.name, p.explained, 100 * share] for p, share in zip(parts, shares,
                    strict=True)],
        marker={"symbol": [f"{looks[f].marker}-open".replace("-open-open", "-open")
                           for f in families],
                "size": [LEAST + (MOST - LEAST) * share**0.5 for share in shares],
                "color": colours,
                "line": {"width": [4 if p.name == chosen else 2 for p in parts],
                         "color": colours}},
        hovertemplate="<b>%{customdata[0]}</b>, %{customdata[2]:.3g} % of the time<br>"
        "%{customdata[1]}<extra></extra>",
    )  # fmt: skip


def _labels(parts: Sequence[Part], chosen: str) -> dict[str, str]:
    """What is written at some marks: the names of all that lie on one another, or nearly."""
    shown = [part for i, part in enumerate(parts) if i < NAMED or part.name == chosen]
    groups: list[list[Part]] = []
    for part in shown:
        near = next((group for group in groups if _apart(group[0], part) < CLOSE), None)
        if near is None:
            groups.append([part])
        else:
            near.append(part)
    return {group[0].name: ", ".join(p.name.split(".")[-1] for p in group) for group in groups}


def _apart(first: Part, second: Part) -> float:
    """How far two marks lie from each other, in octaves of the wider way."""
    ratios = first.intensity / second.intensity, first.attained / second.attained
    return float(np.abs(np.log2(ratios)).max())


def _ran(measured: Sequence[Measured], spec: ViewSpec) -> Iterator[dict[str, Any]]:
    if not measured:
        return
    look = style.identities(["codebook"], spec.theme)[0]
    yield style.trace(
        "scatter", x=[m.intensity for m in measured], y=[m.attained for m in measured],
        mode="markers", name="measured", showlegend=False,
        marker={"symbol": "circle", "size": 9, "color": look.colour},
        error_y={"type": "data", "symmetric": False, "color": look.colour,
                 "array": [m.high - m.attained for m in measured],
                 "arrayminus": [m.attained - m.low for m in measured]},
        customdata=[[m.name, m.where] for m in measured],
        hovertemplate="<b>%{customdata[0]}</b><br>%{y:.4g} op/s, measured on %{customdata[1]}"
        "<extra></extra>",
    )  # fmt: skip


def _layout(window: Window, spec: ViewSpec) -> dict[str, Any]:
    layout = style.base_layout(spec.theme, HEIGHT)
    for axis, ends, ticks, title in (
        ("xaxis", window[:2], _powers(*window[:2]), "operations a byte"),
        ("yaxis", window[2:], _decades(*window[2:]), "operations a second"),
    ):
        layout[axis] = {
            "type": "log", "range": list(ends), "title": {"text": title}, "tickvals": ticks[0],
            "ticktext": ticks[1],
        }  # fmt: skip
    layout["margin"] = {"l": 70, "r": 24, "t": 20, "b": 48}
    return layout


def _decades(low: float, high: float) -> tuple[list[float], list[str]]:
    """Powers of ten between two of them, and their texts with prefixes.

    Example:
        >>> _decades(8.5, 12.2)[1]
        ['1 G', '10 G', '100 G', '1 T']
    """
    places = range(int(np.ceil(low)), int(np.floor(high)) + 1)
    texts = [f"{10 ** (p % 3)} {PREFIXES.get(p - p % 3, f'e{p - p % 3}')}".rstrip() for p in places]
    return [10.0**p for p in places], texts


def _powers(low: float, high: float, most: int = 12) -> tuple[list[float], list[str]]:
    """Powers of two between two powers of ten, and their texts."""
    first, last = int(np.ceil(low / np.log10(2))), int(np.floor(high / np.log10(2)))
    every = max(1, -(-(last - first + 1) // most))
    exponents = [e for e in range(first, last + 1) if e % every == 0]
    return [2.0**e for e in exponents], [style.power(e) for e in exponents]


def _caption(step: Step, before: Step | None, parts: Sequence[Part], recipe: str) -> str:
    """How long it takes, how much that gains, what bounds it, and which part takes most."""
    under = f" under {recipe}" if recipe else ""
    bound, share = next(iter(step.bounds.items()))
    text = (
        f"A step takes {number(1e3 * step.time, 3)} ms{under}, "
        f"{_count(step.tokens_per_second)} tokens a second"
    )
    if before is not None:
        text += f", {number(before.time / step.time, 3)} times as fast as in bf16"
    most = parts[0]
    text += (
        f"; {bound} bounds {round(100 * share)} % of it, and {most.name} takes most, "
        f"{round(100 * most.seconds / step.time)} %"
    )
    if step.offloaded:
        text += f"; {round(100 * step.offloaded)} % of the weights come over the link"
    return text + "."


def _count(value: float) -> str:
    """Three digits of a number, or all before its point.

    Example:
        >>> _count(2.3011), _count(65340.2)
        ('2.3', '65,340')
    """
    return f"{value:,.0f}" if value >= 100 else number(value, 3)


def _row(part: Part, step: Step) -> dict[str, Any]:
    return {
        "part": part.name, "operations": part.operations, "bytes": part.bytes,
        "operations a byte": part.intensity, "operations a second": part.attained,
        "seconds": part.seconds, "share of the time": part.seconds / step.time,
        "bound": part.bound, "arithmetic": part.unit, "provenance": step.provenance,
    }  # fmt: skip


def _measured_row(one: Measured) -> dict[str, Any]:
    return {
        "part": one.name, "operations": None, "bytes": None, "operations a byte": one.intensity,
        "operations a second": one.attained, "seconds": None, "share of the time": None,
        "bound": "", "arithmetic": "", "provenance": f"measured on {one.where}",
    }  # fmt: skip
