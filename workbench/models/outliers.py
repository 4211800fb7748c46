"""Find the channels that make activations hard to quantize, by one forward pass over a text.

Looked at are the inputs of every linear layer and the outputs of every block, the residual stream.
A channel is an outlier if its largest magnitude is far above the median channel's. Massive
activations (Sun et al. 2024, "Massive activations in large language models") sit at few positions,
often the first; others stay large over most tokens.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from workbench.errors import WorkbenchError
from workbench.models.language import TextModel

THRESHOLD = 20.0
MOST_POSITIONS = 8


@dataclass(frozen=True)
class Outlier:
    """One channel of one activation that is far above the others.

    Args:
        place: `"input"` of a linear layer, or `"residual"`, the output of a block.
        name: of the linear layer, or of the first block whose output it is in.
        layer: index of the block.
        channel: index of the channel.
        ratio: its largest magnitude over the median of those of all channels.
        largest: that magnitude.
        positions: where in a window its largest magnitude lies, most frequent first, at most 8.
        always: the share of windows in which it lies at the first of them, 0 to 1.
        share: of all tokens, those at which it is above threshold times the median, 0 to 1.
        windows: how many windows were read.
        carried: over how many following blocks a residual channel stays an outlier.
        readers: the other linear layers that read the same input.
    """

    place: str
    name: str
    layer: int
    channel: int
    ratio: float
    largest: float
    positions: tuple[int, ...]
    always: float
    share: float
    windows: int = 1
    carried: int = 0
    readers: tuple[str, ...] = ()

    @property
    def where(self) -> str:
        """At which tokens it is large, in words.

        >>> Outlier("input", "mlp", 0, 7, 900.0, 30.0, (0,), 1.0, 0.004, windows=8).where
        'always position 0'
        """
        if self.share >= 0.5:
            return f"most tokens ({self.share:.0%})"
        if self.always == 1:
            return f"{'always ' if self.windows > 1 else ''}position {self.positions[0]}"
        if self.always >= 0.5:
            return f"mostly position {self.positions[0]}"
        return f"{self.share:.1%} of the tokens, at no fixed position"

    def __str__(self) -> str:
        carried = f", carried over {self.carried} more blocks" if self.carried else ""
        return (
            f"{self.name}, {self.place} channel {self.channel}: {self.ratio:,.0f} times the median "
            f"channel, {self.where}{carried}"
        )


@dataclass
class _Seen:
    """What is kept of one activation: a row a window, and sums over tokens."""

    name: str
    layer: int
    readers: list[str] = field(default_factory=list)
    largest: list[np.ndarray] = field(default_factory=list)
    at: list[np.ndarray] = field(default_factory=list)
    above: np.ndarray | None = None
    tokens: int = 0

    def add(self, values: Tensor, threshold: float) -> None:
        """Take in one window, `(T, channels)`."""
        sizes = values.detach().float().abs()
        largest, at = sizes.max(dim=0)
        if not torch.isfinite(largest).all():
            raise WorkbenchError(
                self.name,
                "its activations hold NaN or infinities",
                "look at the weights with: workbench models scan",
            )
        kept = largest.cpu().numpy()
        above = (sizes > threshold * _median(kept)).sum(dim=0).cpu().numpy()
        self.largest.append(kept)
        self.at.append(at.cpu().numpy())
        self.above = above if self.above is None else self.above + above
        self.tokens += len(sizes)

    def outliers(self, place: str, threshold: float) -> list[Outlier]:
        """Its channels above the threshold, by index."""
        largest = np.max(self.largest, axis=0)
        median = _median(largest)
        return [
            self._outlier(place, int(channel), largest, median)
            for channel in np.flatnonzero(largest >= threshold * median)
        ]

    def _outlier(self, place: str, channel: int, largest: np.ndarray, median: float) -> Outlier:
        found = Counter(int(at[channel]) for at in self.at).most_common(MOST_POSITIONS)
        return Outlier(
            place,
            self.name,
            self.layer,
            channel,
            ratio=float(largest[channel]) / median,
            largest=float(largest[channel]),
            positions=tuple(position for position, _ in found),
            always=found[0][1] / len(self.at),
            share=float(self.above[channel]) / self.tokens,
            windows=len(self.at),
            readers=tuple(self.readers),
        )


def _median(largest: np.ndarray) -> float:
    """The median channel's largest magnitude; channels that are always zero do not count."""
    filled = largest[largest > 0]
    return float(np.median(filled)) if filled.size else np.inf


def find_outliers(
    model: TextModel,
    text: str | bytes,
    tokens: int = 1024,
    window: int = 128,
    threshold: float = THRESHOLD,
) -> list[Outlier]:
    """Outlier channels of a model on a text, largest ratio first.

    Args:
        model: from `models.open_model`.
        text: what it reads; the first `tokens` tokens are used.
        tokens: how many, in windows that do not overlap.
        window: tokens a window, at most the model's context; of a shorter text there is one.
        threshold: ratio to the median channel from which a channel counts.

    A residual channel that stays large over several blocks is one row; linear layers that read the
    same input are one row too. An empty text, a window of no token or beyond the context, and
    activations that are NaN are `WorkbenchError`s.

    >>> from workbench import models
    >>> found = find_outliers(models.open_model("reference-twin"), models.held_out_text(), 256)
    >>> found[0].name, found[0].channel, found[0].ratio > 100
    ('layers.3.mlp.down_proj', 475, True)
    """
    if not 1 <= window <= model.context:
        raise WorkbenchError(
            f"window {window}", "a model reads 1 token to its context", f"write {model.context}"
        )
    ids = model.encode(text)[: max(1, tokens)]
    whole = len(ids) // window * window or len(ids)  # a short last window has other positions
    heard = _Listener(model, threshold)
    with heard.listening():
        for part in ids[:whole].split(window):
            model.run(part[None])
    found = [one for seen in heard.inputs.values() for one in seen.outliers("input", threshold)]
    found += _joined([seen.outliers("residual", threshold) for seen in heard.residuals.values()])
    return sorted(found, key=lambda one: (-one.ratio, one.name, one.channel))


class _Listener:
    """Hooks on inputs of linear layers and outputs of blocks, and what they have seen so far."""

    def __init__(self, model: TextModel, threshold: float) -> None:
        self.model, self.threshold = model, threshold
        self.layers = {name: at for at, name in enumerate(model.blocks())}
        self.inputs: dict[str, _Seen] = {}
        self.residuals: dict[str, _Seen] = {}
        self.last: tuple[str, Tensor | None] = ("", None)

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Listen while the context is open."""
        linears, blocks = self.model.linears(), self.model.blocks()
        handles = [
            *(m.register_forward_pre_hook(partial(self._read, n)) for n, m in linears.items()),
            *(m.register_forward_hook(partial(self._written, n)) for n, m in blocks.items()),
        ]
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()

    def _read(self, name: str, module: nn.Module, arguments: tuple[Tensor, ...]) -> None:
        """An input; a layer that is handed the very tensor of the one before joins that one."""
        values = arguments[0]
        first, before = self.last
        if values is before:
            readers = self.inputs[first].readers
            readers.extend([name] if name not in readers else [])
            return
        self.last = (name, values)
        layer = next(at for block, at in self.layers.items() if name.startswith(f"{block}."))
        self._add(self.inputs, name, layer, values)

    def _written(self, name: str, module: nn.Module, arguments: tuple, output: Any) -> None:
        values = output if isinstance(output, Tensor) else output[0]
        self._add(self.residuals, name, self.layers[name], values)

    def _add(self, seen: dict[str, _Seen], name: str, layer: int, values: Tensor) -> None:
        seen.setdefault(name, _Seen(name, layer)).add(values.flatten(0, -2), self.threshold)


def _joined(blocks: list[list[Outlier]]) -> list[Outlier]:
    """Residual outliers of following blocks as one row for each channel and unbroken run."""
    done: list[Outlier] = []
    runs: dict[int, Outlier] = {}
    for found in blocks:
        here = {one.channel: one for one in found}
        done += [runs.pop(channel) for channel in set(runs) - set(here)]
        for channel, one in here.items():
            run = runs.get(channel)
            runs[channel] = one if run is None else _longer(run, one)
    return done + list(runs.values())


def _longer(run: Outlier, one: Outlier) -> Outlier:
    """A run with one block more; ratio and positions are those of its largest block."""
    larger = one if one.ratio > run.ratio else run
    return replace(larger, name=run.name, layer=run.layer, carried=run.carried + 1)
