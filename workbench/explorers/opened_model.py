"""A model that has been opened to be looked at: calibrated, its outliers found, its losses at hand.

Opening takes a moment for the shipped models and longer for real ones; whoever asks for the same
one again, in whatever session, gets what is there.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import Any

import numpy as np

from ..errors import WorkbenchError
from ..quantizers.calibration import Calibration
from ..quantizers.layer import Layer
from ..sketches import ChannelHistogram, Pyramid
from ..views.channel_fan import Fan
from .reading import fan_of

TOKENS, WINDOW = 2048, 128
SCORED = 512  # tokens on which losses are measured
KEPT = 2  # models
RUNNING = threading.RLock()  # one forward pass at a time: hooks belong to a whole model
_opening: dict[str, threading.Lock] = {}


@dataclass(frozen=True, eq=False)
class Opened:
    """A model with what has been read of it.

    Args:
        name: by which it was opened.
        model: the float model.
        known: calibration of every linear layer, on the first `TOKENS` tokens of the text.
        ids: those tokens, int64.
        damage: of models that differ from it, on other tokens.
        outliers: channels that `find_outliers` found.
    """

    name: str
    model: Any = field(repr=False)
    known: Any = field(repr=False)
    ids: Any = field(repr=False)
    damage: Any = field(repr=False)
    outliers: list[Any] = field(repr=False)

    @cached_property
    def layers(self) -> list[str]:
        """Names of the linear layers in the order of the forward pass."""
        return list(self.model.linears())

    @property
    def largest_layer(self) -> str:
        """The layer with the largest input of all outliers found; the first where none was."""
        inputs = [one for one in self.outliers if one.place == "input"]
        largest = max(inputs, key=lambda one: one.largest, default=None)
        return largest.name if largest else self.layers[0]

    def layer(self, name: str) -> Layer:
        """A linear layer in float."""
        return Layer.of(self.model.linears()[name], name)

    def calibration(self, name: str) -> Calibration:
        """What is known of a layer's inputs; its rows are all of them, in the order of the text."""
        return self.known[name]

    @property
    def about(self) -> str:
        """What was read, in words."""
        return self.known.about

    @property
    def scored_about(self) -> str:
        """What losses are measured on, in words."""
        scored = self.damage.scored
        if isinstance(scored, list):
            return f"{len(scored)} lines"
        return f"{len(scored) - 1:,} other tokens in windows of {self.damage.window}"

    def token(self, row: int) -> tuple[int, str]:
        """The position in its window of the token of a row, and its text."""
        return row % min(WINDOW, self.model.context), self.model.decode(self.ids[row : row + 1])


@lru_cache(maxsize=64)
def pyramid(opened: Opened, layer: str, what: str) -> Pyramid:
    """The largest magnitudes of a layer's inputs, tokens by channels, or of its weights."""
    return Pyramid.of(matrix(opened, layer, what))


def matrix(opened: Opened, layer: str, what: str) -> np.ndarray:
    """The inputs of a layer (tokens, channels), or its weights (outputs, channels), float32."""
    if what == "weights":
        return opened.layer(layer).weight
    return opened.calibration(layer).rows


def fan(rows: np.ndarray) -> Fan:
    """The quantiles of the columns of a matrix."""
    return fan_of(ChannelHistogram.of(rows, -1))


def opened(name: str, report: Callable[[str], object] = lambda line: None) -> Opened:
    """Open a model, or give the one that is open already.

    Args:
        name: of a model, or the path of one that runs.
        report: is told what is being done.

    A model that cannot run is a `WorkbenchError`; its tensors can still be looked at.

    Example:
        >>> opened("reference").layers[0]
        'layers.0.self_attn.q_proj'
    """
    with _opening.setdefault(name, threading.Lock()):
        return _open(name, _Report(report))


@dataclass(frozen=True)
class _Report:
    """Who is told; not part of what a model is kept under."""

    say: Callable[[str], object]

    def __eq__(self, other: object) -> bool:
        return True

    def __hash__(self) -> int:
        return 0


@lru_cache(maxsize=KEPT)
def _open(name: str, report: _Report) -> Opened:
    from .. import models
    from ..models.calibrate import calibrate
    from ..models.layer_costs import Damage
    from ..models.outliers import find_outliers

    report.say(f"opening {name}")
    model, text = models.open_model(name), models.held_out_text()
    half, window = len(text) // 2, min(WINDOW, model.context)
    ids = model.encode(text[:half])[:TOKENS]
    with RUNNING:
        known = calibrate(
            model, ids, tokens=TOKENS, window=window,
            progress=lambda done, total: report.say(f"reading window {done} of {total}"),
        )  # fmt: skip
        report.say("looking for outliers")
        outliers = find_outliers(model, text[:half], tokens=TOKENS // 2, window=window)
        damage = Damage(model, _scored(model, text[half:]), window)
    return Opened(name, model, known, ids, damage, outliers)


def _scored(model: Any, text: bytes) -> Any:
    """What losses are measured on: tokens of a language model, lines for an encoder."""
    from ..models.language import Encoder

    if isinstance(model, Encoder):
        lines = [line.strip() for line in text.decode("utf-8", "replace").splitlines()]
        return [line for line in lines if len(line) > 40][:64]
    return model.encode(text)[: SCORED + 1]


def check_name(name: str) -> None:
    """Refuse a model that nobody here knows, without opening it."""
    from pathlib import Path

    from .. import models

    known = {row["name"]: row for row in models.available()}
    if name in known and known[name]["state"].startswith("not"):
        raise WorkbenchError(name, "it is not fetched yet", known[name]["command"])
    if name not in known and not Path(name).expanduser().exists():
        models.open_model(name)  # which says what it is instead
