"""The training loop of small classifiers, alone or several side by side, and their score.

What a run gives depends on its seed alone: one thread, and random numbers of its own.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import chain
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..errors import WorkbenchError
from ..kernels.threads import one_torch_thread
from .replicas import SideBySide

LARGEST_NORM = 1.0

MakeOptimizer = Callable[[Any, float], torch.optim.Optimizer]


@dataclass(frozen=True)
class Score:
    """Of a network on rows it was not trained on: mean cross entropy in nats, share right.

    A network that diverged has the loss NaN.
    """

    loss: float
    accuracy: float


def adamw(parameters: Any, rate: float) -> torch.optim.Optimizer:
    """AdamW in one fused kernel, with its usual decay for matrices and none for anything else.

    Example:
        >>> [g["weight_decay"] for g in adamw(nn.Linear(2, 2).parameters(), 3e-3).param_groups]
        [0.01, 0.0]
    """
    found = list(parameters)
    groups: list[dict[str, Any]] = [
        {"params": [p for p in found if p.ndim >= 2]},
        {"params": [p for p in found if p.ndim < 2], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW([g for g in groups if g["params"]], lr=rate, fused=True)


def train(
    model: nn.Module,
    data: Iterable[tuple[Tensor, Tensor]],
    steps: int,
    rate: float,
    optimizer: MakeOptimizer = adamw,
    penalty: Callable[[nn.Module], Tensor] | None = None,
    replicas: int | None = None,
    seed: int = 0,
) -> list[Any]:
    """Train a classifier in place; the loss of every step, up to the one where it diverged.

    The rate falls from `rate` to zero as half a cosine and gradients are clipped to norm 1. Torch
    runs on one thread and its random numbers start from `seed`, so that a run gives the same bits
    again; the caller's random state stays as it was. The first batch goes through the model once
    before the optimizer is made, so that quantizers can start from it.

    Args:
        model: from inputs to logits.
        data: inputs and classes of every step; none at all raises `WorkbenchError`.
        steps: how many there are.
        rate: learning rate at the start.
        optimizer: makes one, given parameters and rate.
        penalty: given the model, a loss to add in every step.
        replicas: how many networks stand side by side: their stacked parameters are clipped
            network by network (those of quantizers, which are not stacked, not at all), and a step
            has a list of losses, one a network.
        seed: of what the model draws from torch's own random numbers.

    Example:
        >>> data = [(torch.eye(2), torch.tensor([0, 1]))] * 20
        >>> losses = train(nn.Linear(2, 2), data, 20, 0.1)
        >>> losses[-1] < losses[0]
        True
    """
    with one_torch_thread(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        batches = iter(data)
        first = next(batches, None)
        if first is None:
            raise WorkbenchError(
                "no batches", "there is nothing to learn from", "pass inputs and classes of a step"
            )
        with torch.no_grad():
            model(first[0])
        step = _Step(model, optimizer(model.parameters(), rate), penalty, replicas)
        losses: list[Any] = []
        for index, (x, y) in enumerate(chain([first], batches)):
            losses.append(step(x, y, 0.5 * (1 + math.cos(math.pi * index / steps))))
            if not _any_finite(losses[-1]):
                break
    return losses


class _Step:
    """One update of a model from a batch."""

    def __init__(self, model, optimizer, penalty, replicas):
        self.model, self.optimizer, self.penalty = model, optimizer, penalty
        self.peaks = [group["lr"] for group in optimizer.param_groups]
        self.stacked = replicas is not None
        copies = [m for m in model.modules() if isinstance(m, SideBySide)]
        own = {id(p) for m in copies for p in m.parameters()}
        self.clipped = [p for p in model.parameters() if id(p) not in own]

    def __call__(self, x: Tensor, y: Tensor, share: float) -> Any:
        for group, peak in zip(self.optimizer.param_groups, self.peaks, strict=True):
            group["lr"] = peak * share
        loss = losses_of(self.model(x), y)
        values = loss.tolist()
        if not _any_finite(values):
            return values
        total = loss.sum() if self.penalty is None else loss.sum() + self.penalty(self.model)
        self.optimizer.zero_grad()
        total.backward()
        self._clip()
        self.optimizer.step()
        return values

    @torch.no_grad()
    def _clip(self) -> None:
        """Scale gradients down to norm 1, those of each network by itself."""
        found = [p.grad for p in self.clipped if p.grad is not None]
        gradients = found if self.stacked else [g[None] for g in found]
        parts = [torch.linalg.vector_norm(g.reshape(len(g), -1), dim=1) for g in gradients]
        norm = torch.linalg.vector_norm(torch.stack(parts), dim=0)
        share = (LARGEST_NORM / (norm + 1e-6)).clamp(max=1)
        for gradient in gradients:
            gradient.mul_(share.view(-1, *[1] * (gradient.ndim - 1)))


def losses_of(logits: Tensor, y: Tensor) -> Tensor:
    """Mean cross entropies (...) in nats of logits (..., n, classes) for classes (..., n).

    Example:
        >>> losses_of(torch.zeros(2, 3, 4), torch.zeros(2, 3, dtype=torch.int64)).exp()
        tensor([4., 4.])
    """
    each = F.cross_entropy(logits.flatten(0, -2), y.flatten(), reduction="none")
    return each.view(y.shape).mean(-1)


@torch.no_grad()
def score(model: nn.Module, x: Tensor, y: Tensor) -> Any:
    """The score of a classifier in eval mode; a list of them where networks stand side by side.

    Args:
        model: from inputs to logits (n, classes) or (replicas, n, classes).
        x: inputs.
        y: their classes (n,).

    Example:
        >>> score(nn.Identity(), 9 * torch.eye(3), torch.tensor([0, 1, 1])).accuracy
        0.6666666865348816
    """
    was = model.training
    with one_torch_thread():
        logits = model.eval()(x)
    model.train(was)
    scores = [_score(part, y) for part in (logits if logits.ndim == 3 else logits[None])]
    return scores if logits.ndim == 3 else scores[0]


def _score(logits: Tensor, y: Tensor) -> Score:
    loss = losses_of(logits, y).item()
    right = (logits.argmax(1) == y).float().mean().item()
    return Score(loss if math.isfinite(loss) else math.nan, right)


def _any_finite(losses: Any) -> bool:
    """Whether at least one network has not diverged."""
    return any(map(math.isfinite, losses if isinstance(losses, list) else [losses]))
