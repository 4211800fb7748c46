"""One value of a layer, where the way from the model ends: what a recipe makes of it."""

from __future__ import annotations

import struct
from dataclasses import dataclass

import numpy as np

from ..errors import WorkbenchError
from ..quantizers import Recipe
from .bit_editor import BitEditor
from .layer_variants import tried
from .opened_model import Opened, matrix


@dataclass(frozen=True)
class LayerValue:
    """A value at a place.

    Args:
        row: a token's number in the text that was read, or an output.
        channel: its input channel.
        where: the row in words.
        value: float32.
        rounded: what the recipe makes of it, as it is multiplied; the value itself where the
            recipe leaves these in float.
        scheme: what rounds it, or "".
        times: its magnitude over the median channel's largest one.
    """

    row: int
    channel: int
    where: str
    value: float
    rounded: float
    scheme: str
    times: float

    @property
    def error(self) -> float:
        """Relative error; 0 for a zero that stays."""
        gap = self.rounded - self.value
        return gap / abs(self.value) if self.value else float(np.sign(gap) * np.inf) if gap else 0.0

    @property
    def link(self) -> str:
        """The state of the bit-field editor that shows it."""
        code = struct.unpack("<I", struct.pack("<f", self.value))[0]
        return BitEditor(format="f32", code=code, compare=["f32", "bf16", "f16", "e4m3fn"]).link()

    def describe(self) -> str:
        """It in a sentence.

        Example:
            >>> LayerValue(0, 7, "token 0", 2.0, 1.5, "int4/token", 40.0).describe()
            'token 0, channel 7: 2, 40 times the median channel; under int4/token 1.5 (−25 %).'
        """
        from ..views.axis import number

        text = f"{self.where}, channel {self.channel}: {number(self.value, 6)}"
        text += f", {number(self.times, 3)} times the median channel"
        if not self.scheme:
            return f"{text}; the recipe leaves it in float."
        change = f"{number(100 * self.error, 2)} %" if np.isfinite(self.error) else "from zero"
        return f"{text}; under {self.scheme} {number(self.rounded, 6)} ({change})."


def value_at(
    opened: Opened, layer: str, what: str, place: tuple[int, ...], text: str
) -> LayerValue:
    """The value of a layer's inputs or weights at a row and a channel, under a recipe.

    A place outside of them is a `WorkbenchError`.
    """
    check_place(opened, layer, what, place)
    values, recipe = matrix(opened, layer, what), Recipe.parse(text)
    row, channel = place
    made, inputs = tried(opened, layer, text).layer, what == "inputs"
    scheme = recipe.activations if inputs else recipe.weights
    rounded = made.rounded(values) if inputs else made.matrix
    largest = np.abs(values).max(axis=0)
    usual = float(np.median(largest[largest > 0])) if largest.any() else np.inf
    where = f"output {row}"
    if inputs:
        position, token = opened.token(row)
        where = f"token {row} ({token!r}, position {position} of its window)"
    value = float(values[row, channel])
    return LayerValue(
        row, channel, where, value, float(rounded[row, channel]), scheme, abs(value) / usual
    )


def check_place(opened: Opened, layer: str, what: str, place: tuple[int, ...]) -> None:
    """Refuse a place outside of a layer's inputs or weights."""
    rows, channels = matrix(opened, layer, what).shape
    if place[0] >= rows or place[1] >= channels:
        raise WorkbenchError(
            f"place {place}", f"the {what} of {layer} are {rows} x {channels}",
            f"write at most ({rows - 1}, {channels - 1})",
        )  # fmt: skip
