"""The failing case as a picture: a number on its format's grid, what was expected, what came.

Plain SVG in the colour of the surrounding text, so that it is right on light and dark pages; each
mark has a shape and a word of its own beside its colour.
"""

from __future__ import annotations

import html
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..formats import Format

WIDTH, HEIGHT, EDGE, LINE = 620, 138, 70, 74
BLUE, ORANGE = "#2B8CC4", "#D9701A"  # at least 3:1 on white and on #14181E
COLOURS = {"input": "currentColor", "expected": BLUE, "yours": ORANGE}


@dataclass(frozen=True)
class Mark:
    """One number of the picture.

    Args:
        role: "input", "expected" or "yours"; says shape and colour.
        text: what stands beside it.
        value: where it lies.
    """

    role: str
    text: str
    value: float


def number_line(format: Format, around: float, marks: Sequence[Mark]) -> str:
    """SVG of the values of a format next to `around`, with marks; "" where there is nothing to see.

    Args:
        format: whose values are the ticks.
        around: the number whose neighbours are shown.
        marks: at most one of each role; one far away becomes an arrow at the edge.

    Example:
        >>> from workbench.formats import parse
        >>> picture = number_line(parse("e2m1"), 2.5, [Mark("input", "x = 2.5", 2.5)])
        >>> picture.count("<svg"), "x = 2.5" in picture
        (1, True)
    """
    if not math.isfinite(around):
        return ""
    low, high = window(format.values, around)
    ticks = format.values[(format.values >= low) & (format.values <= high)]
    parts = [_line(low, high)] + [_tick(float(v), low, high) for v in ticks[:9]]
    seen = [mark for mark in marks if not math.isnan(mark.value)]
    pivot = next((_place(m.value, low, high) for m in seen if m.role == "input"), WIDTH / 2)
    parts += [_mark(mark, low, high, pivot) for mark in seen]
    said = html.escape(
        f"Values of {format.name} near {around!r}: " + ", ".join(mark.text for mark in seen)
    )
    return (
        f'<svg role="img" aria-label="{said}" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" '
        'style="max-width:100%;height:auto" font-family="system-ui, sans-serif" font-size="13" '
        f'fill="currentColor">{"".join(parts)}</svg>'
    )


def window(values: np.ndarray, around: float) -> tuple[float, float]:
    """The ends of the part of a grid that is shown: the neighbours, and a step on either side.

    Example:
        >>> window(np.array([0.0, 1.0, 2.0, 3.0, 4.0]), 1.5)
        (0.0, 3.0)
    """
    at = int(np.searchsorted(values, around, side="right"))
    first = max(min(at - 2, values.size - 3), 0)
    last = min(max(at + 1, 2), values.size - 1)
    return float(values[first]), float(values[last])


def _place(value: float, low: float, high: float) -> float:
    """Where a value lies, in pixels; 12 beyond an end for what is further out."""
    share = (value / 2 - low / 2) / (high / 2 - low / 2)  # halves, for what is near 2^127
    return EDGE + min(max(share * (WIDTH - 2 * EDGE), -36), WIDTH - 2 * EDGE + 36)


def _line(low: float, high: float) -> str:
    """The axis."""
    return (
        f'<line x1="{EDGE - 40}" x2="{WIDTH - EDGE + 40}" y1="{LINE}" y2="{LINE}" '
        'stroke="currentColor" stroke-opacity="0.55"/>'
    )


def _tick(value: float, low: float, high: float) -> str:
    """One value of the format."""
    x = _place(value, low, high)
    return (
        f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{LINE - 9}" y2="{LINE + 9}" stroke="currentColor" '
        f'stroke-width="2"/><text x="{x:.1f}" y="{LINE + 25}" text-anchor="middle">{value:.7g}'
        "</text>"
    )


def _mark(mark: Mark, low: float, high: float, pivot: float) -> str:
    """One number: its shape on its own height, and its words on the side away from `pivot`."""
    x, colour = _place(mark.value, low, high), COLOURS[mark.role]
    arrow = "" if low <= mark.value <= high else "→ " if mark.value > high else "← "
    words = html.escape(arrow + mark.text)
    if mark.role == "input":
        return (
            f'<line x1="{x:.1f}" x2="{x:.1f}" y1="20" y2="{LINE}" stroke="currentColor" '
            f'stroke-dasharray="3 3"/>{_shape(mark.role, x, LINE, colour)}'
            f'<text x="{min(max(x, EDGE), WIDTH - EDGE):.1f}" y="14" text-anchor="middle">'
            f"{words}</text>"
        )
    y = {"expected": 36, "yours": 118}[mark.role]
    room = 8 * len(words) + 12
    left = x > room and (x < pivot or x > WIDTH - room)
    side, dx = ("end", -11) if left else ("start", 11)
    return (
        f'{_shape(mark.role, x, y, colour)}<text x="{x + dx:.1f}" y="{y + 4}" '
        f'text-anchor="{side}">{words}</text>'
    )


def _shape(role: str, x: float, y: float, colour: str) -> str:
    """A diamond for the input, a disc for what is expected, a cross for what came."""
    if role == "expected":
        return f'<circle cx="{x:.1f}" cy="{y}" r="6" fill="{colour}"/>'
    if role == "yours":
        path = f"M{x - 6:.1f} {y - 6}l12 12m0 -12l-12 12"
        return f'<path d="{path}" stroke="{colour}" stroke-width="3.5" fill="none"/>'
    return f'<path d="M{x:.1f} {y - 6}l6 6l-6 6l-6 -6z" fill="{colour}"/>'
