"""STREAM64: a classification task without an end of fresh data, and a small network that learns it.

64 normal features, one of them six times as wide, are labelled by a fixed random network. Every
step draws new rows, so that nothing can be learned by heart: on a finite set rounding acts as a
regulariser, and the order of quantizers turns round. Several seeds are trained side by side.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from functools import cache

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .linear import PLAIN, QuantizedLinear, Quantizers
from .loop import Score, score, train

FEATURES, CLASSES, HIDDEN = 64, 10, 128
WIDE, TIMES = 5, 6.0  # the feature that is wider than the others, and how much
STEPS, BATCH, RATE = 800, 256, 3e-3
DRAWN, HELD_OUT = 6000, 2000
CHUNK = 50  # steps whose data are drawn at once
SEEDS = (0, 1, 2)


@cache
def _task() -> tuple[Tensor, Tensor, Tensor]:
    """The two weights of the labelling network, and the held-out inputs."""
    generator = torch.Generator().manual_seed(0)
    drawn = torch.randn(DRAWN, FEATURES, generator=generator)
    first = torch.randn(FEATURES, FEATURES, generator=generator) * (1.5 / 8)
    second = torch.randn(FEATURES, CLASSES, generator=generator) / 4
    drawn[:, WIDE] *= TIMES
    return first, second, drawn[-HELD_OUT:]


def labels(x: Tensor) -> Tensor:
    """The classes (n,) of inputs (n, 64), int64.

    Example:
        >>> labels(torch.zeros(2, 64)).tolist()
        [0, 0]
    """
    first, second, _ = _task()
    return ((x @ first).tanh_() @ second).argmax(-1)


def held_out() -> tuple[Tensor, Tensor]:
    """The 2000 rows that no run trains on, and their classes.

    Example:
        >>> x, y = held_out()
        >>> tuple(x.shape), bool(4 < x[:, 5].std() / x[:, 6].std() < 8)
        ((2000, 64), True)
    """
    x = _task()[2]
    return x, labels(x)


def batches(
    seeds: Sequence[int] = SEEDS, steps: int = STEPS, batch: int = BATCH
) -> Iterator[tuple[Tensor, Tensor]]:
    """Inputs (seeds, batch, 64) and classes (seeds, batch) of every step.

    Example:
        >>> [tuple(x.shape) for x, y in batches((0, 1), steps=2)]
        [(2, 256, 64), (2, 256, 64)]
    """
    generators = [torch.Generator().manual_seed(1000 + seed) for seed in seeds]
    for start in range(0, steps, CHUNK):
        rows = min(CHUNK, steps - start) * batch
        x = torch.stack([torch.randn(rows, FEATURES, generator=g) for g in generators])
        x[..., WIDE] *= TIMES
        yield from zip(x.split(batch, dim=1), labels(x).split(batch, dim=1), strict=True)


class Network(nn.Module):
    """64-128-128-10 without biases: ReLU and a layer norm without gains after the hidden layers.

    Args:
        quantizers: of the two hidden layers; the last one is never rounded.
        seeds: of the weights, one for each network that stands side by side.

    Example:
        >>> Network(seeds=(0, 1))(torch.zeros(2, 3, 64)).shape
        torch.Size([2, 3, 10])
    """

    def __init__(self, quantizers: Quantizers = PLAIN, seeds: Sequence[int] = SEEDS) -> None:
        super().__init__()
        generators = [torch.Generator().manual_seed(seed) for seed in seeds]

        def layer(inputs: int, outputs: int, rounded: Quantizers) -> QuantizedLinear:
            made = QuantizedLinear(inputs, outputs, rounded, bias=False, replicas=len(generators))
            for weight, generator in zip(made.weight.data, generators, strict=True):
                weight.uniform_(-(inputs**-0.5), inputs**-0.5, generator=generator)
            return made

        with torch.random.fork_rng(devices=[]):  # a new layer draws from the caller's numbers
            self.first = layer(FEATURES, HIDDEN, quantizers)
            self.second = layer(HIDDEN, HIDDEN, quantizers)
            self.last = layer(HIDDEN, CLASSES, PLAIN)

    def forward(self, x: Tensor) -> Tensor:
        """Logits (seeds, n, 10) of inputs (seeds, n, 64), or of (n, 64) that all networks read."""
        x = x.expand(len(self.last.weight), -1, -1) if x.ndim == 2 else x
        for layer in (self.first, self.second):
            x = F.layer_norm(F.relu(layer(x)), (HIDDEN,))
        return self.last(x)


def run(
    quantizers: Quantizers = PLAIN, seeds: Sequence[int] = SEEDS, steps: int = STEPS
) -> tuple[Network, list[Score]]:
    """Networks trained on STREAM64 from their seeds by AdamW, and each one's held-out score.

    Example:
        >>> [score.loss < 3 for score in run(seeds=(0, 1), steps=3)[1]]
        [True, True]
    """
    model = Network(quantizers, seeds)
    train(model, batches(seeds, steps), steps, RATE, replicas=len(seeds), seed=seeds[0])
    return model, score(model, *held_out())


def mean_loss(scores: Sequence[Score]) -> float:
    """The mean held-out loss over seeds; NaN where one of them diverged.

    Example:
        >>> mean_loss([Score(1.0, 0.5), Score(2.0, 0.5)])
        1.5
    """
    return math.fsum(s.loss for s in scores) / len(scores)
