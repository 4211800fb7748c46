"""The last stage of a recipe: what the layers' codes leave free, trained end to end.

Every quantized layer of a copy is opened, its free numbers are trained until the network gives what
the float one gives, and it is closed again: packed codes, scales, corrections and fixed ranges. The
result is kept only where it is nearer than the start on the batches it was tuned with.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from workbench.errors import WorkbenchError
from workbench.kernels.threads import one_blas_thread, one_torch_thread
from workbench.models.distances import distance, outputs
from workbench.models.language import LanguageModel, TextModel
from workbench.models.quantized_linear import QuantizedLinear
from workbench.models.tunable_network import TunableNetwork, Weights
from workbench.quantizers.solvers.adam import Adam
from workbench.quantizers.tunings import Distill
from workbench.quantizers.tunings.distill import ANEW

Progress = Callable[[int, int], object]
SPEEDS = {"channels": 5.0, "clips": 10.0}  # times the rate; one for all else


@dataclass(frozen=True)
class Tuned:
    """What a tuning gained.

    Attributes:
        part: what was trained, and how.
        before: the loss of the start on the tuning batches.
        after: of what training gave.
    """

    part: Distill
    before: float
    after: float

    @property
    def kept(self) -> bool:
        """Whether training brought the network nearer; else it is the start."""
        return self.after < self.before


def tune(
    network: nn.Module,
    teacher: nn.Module,
    batches: Sequence[Tensor],
    part: Distill,
    seed: int = 0,
    weights: Weights | None = None,
    progress: Progress = lambda done, total: None,
) -> nn.Module:
    """Train what is free in a quantized network until it gives what the float one gives.

    Args:
        network: with `QuantizedLinear` modules; it stays as it is.
        teacher: the float network.
        batches: what both are called with, one a step.
        part: what is trained, and how.
        seed: of the order of the batches.
        weights: by layer, the float weights that the codes stand for; None takes the teacher's,
            which is right where no rewrite was folded into a neighbour. Read by channels and clips.
        progress: is told how many steps of how many are done.

    Returns:
        Another network of the same kind in eval mode, a copy of the start where training brought it
        no nearer; its `tuning` says what was gained. The same bytes for any number of threads.

    What the network lacks to be trained raises `WorkbenchError`.

    Example:
        >>> from workbench.models.plain import quantize_module
        >>> _ = torch.manual_seed(0)
        >>> exact = nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 4))
        >>> x = [torch.randn(32, 8) for _ in range(4)]
        >>> made = tune(quantize_module(exact, "w=int3/channel"), exact, x, Distill("biases"))
        >>> made.tuning.kept, type(made[0]).__name__
        (True, 'QuantizedLinear')
    """
    with one_torch_thread(), one_blas_thread():
        work = _Work(network, teacher, batches, part, weights)
        before = work.loss_of(work.start)
        for done in work.train(seed):
            progress(done, part.steps)
        made: Any = work.opened.closed()
        found = Tuned(part, before, work.loss_of(made))
    made = made if found.kept else copy.deepcopy(work.start)
    made.tuning = found
    return made


def tune_model(
    model: TextModel,
    teacher: TextModel,
    windows: Sequence[Tensor],
    part: Distill,
    seed: int = 0,
    weights: Weights | None = None,
    progress: Progress = lambda done, total: None,
) -> TextModel:
    """`tune` for a model that reads text.

    Args:
        model: quantized.
        teacher: the same model in float.
        windows: token numbers, int64 (T,), one window a step.
        part: see `tune`; an encoder gives no predictions, so its loss is "mse".
        seed: see `tune`.
        weights: see `tune`.
        progress: see `tune`.

    Returns:
        The model with another module, whose `tuning` says what it gained.
    """
    if part.loss != "mse" and not isinstance(teacher, LanguageModel):
        raise WorkbenchError(
            f"loss={part.loss} for {teacher.name}", "it predicts no tokens", "write loss=mse"
        )
    batches = [torch.as_tensor(one).reshape(1, -1) for one in windows]
    module = tune(model.module, teacher.module, batches, part, seed, weights, progress)
    return replace(model, module=module)


class _Work:
    """A network on its way towards its teacher."""

    def __init__(
        self,
        network: nn.Module,
        teacher: nn.Module,
        batches: Sequence[Tensor],
        part: Distill,
        weights: Weights | None,
    ) -> None:
        layers = sum(isinstance(module, QuantizedLinear) for module in network.modules())
        if not layers or not batches:
            raise WorkbenchError(
                f"{layers} quantized layers and {len(batches)} batches",
                "quantized layers are tuned on what a network is called with",
                "quantize the network first, and pass inputs",
            )  # fmt: skip
        self.start, self.teacher = _still(network), _still(teacher)
        self.batches, self.part = list(batches), part
        self.opened = TunableNetwork(self.start, self.teacher, self.batches[0], part, weights)
        if set(ANEW) & set(part.trained):
            self._check_floats()

    @torch.no_grad()
    def _check_floats(self) -> None:
        """Raise unless the weights that codes are chosen for are nearer the teacher than these."""
        with self.opened.exact() as network:
            floats, codes = (self._loss(one, self.batches[0]) for one in (network, self.start))
        if not floats <= codes:
            raise WorkbenchError(
                f"{self.part} without the weights that the codes stand for",
                "others came with it, or a rewrite went into layers beside them",
                "pass weights= as they were when codes were chosen; train channels and clips once",
            )  # fmt: skip

    def _loss(self, network: nn.Module, batch: Tensor) -> Tensor:
        hidden = self.part.loss == "mse"
        with torch.no_grad():
            exact = outputs(self.teacher, batch, hidden)
        return distance(self.part.loss, exact, outputs(network, batch, hidden), self.part.top)

    @torch.no_grad()
    def loss_of(self, network: nn.Module) -> float:
        """The mean loss of a network on all batches."""
        return float(np.mean([self._loss(network, batch).item() for batch in self.batches]))

    def train(self, seed: int) -> Iterator[int]:
        """Take the steps, and say after each how many are done; a loss that is lost ends them."""
        part, random = self.part, np.random.default_rng(seed)
        free = [
            (parameter, Adam(0.0), part.rate * SPEEDS.get(word, 1.0))
            for word, parameters in self.opened.free.items()
            for parameter in parameters
        ]
        order: list[int] = []
        for step in range(part.steps):
            order = order or random.permutation(len(self.batches)).tolist()
            loss = self._loss(self.opened.network, self.batches[order.pop()])
            if not torch.isfinite(loss):
                return
            slopes = torch.autograd.grad(loss, [one[0] for one in free], allow_unused=True)
            share = 0.5 * (1 + math.cos(math.pi * step / part.steps))
            for (parameter, adam, rate), slope in zip(free, slopes, strict=True):
                if slope is not None:  # a layer that this batch does not reach has none
                    adam.rate = rate * share
                    moved = adam.moved(parameter.detach().numpy(), slope.numpy())
                    parameter.data = torch.from_numpy(moved)
            yield step + 1


def _still(network: nn.Module) -> nn.Module:
    """A network in eval mode, so that to call it changes nothing; a copy where it was not."""
    return copy.deepcopy(network).eval() if network.training else network
