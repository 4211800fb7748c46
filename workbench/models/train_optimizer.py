"""Muon for the matrices inside the blocks, AdamW for everything else, in float32.

Source: Jordan et al. 2024, "Muon: an optimizer for hidden layers". PyTorch's own Muon runs its
iteration in bfloat16, which a CPU without bfloat16 arithmetic does ten times slower.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn


def orthogonalize(matrices: Tensor, steps: int = 5) -> Tensor:
    """Push the singular values of each matrix of a batch `(n, rows, columns)` towards one.

    Rows must not outnumber columns. A quintic Newton-Schulz iteration: values end in 0.7 to 1.2.

    >>> spread = torch.linalg.svdvals(orthogonalize(torch.diag(torch.tensor([1.0, 0.2]))[None]))
    >>> bool((0.6 < spread).all() and (spread < 1.3).all())
    True
    """
    a, b, c = 3.4445, -4.7750, 2.0315
    x = matrices / (matrices.norm(dim=(-2, -1), keepdim=True) + 1e-7)
    for _ in range(steps):
        gram = x @ x.mT
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x


class Muon(torch.optim.Optimizer):
    """Nesterov momentum whose update is orthogonalized, matrices of one shape in one batch.

    An update has root-mean-square `lr * sqrt(max(1, rows / columns) / columns)` a value.
    Weight decay is decoupled and multiplied by the learning rate.
    """

    def __init__(self, matrices: list[nn.Parameter], lr: float, weight_decay: float) -> None:
        super().__init__(matrices, {"lr": lr, "momentum": 0.95, "weight_decay": weight_decay})
        self.pool = ThreadPoolExecutor(2)

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:
        """Update every matrix from its gradient; there is no closure to evaluate."""
        for group in self.param_groups:
            by_shape: dict[tuple[int, ...], list[nn.Parameter]] = {}
            for matrix in group["params"]:
                by_shape.setdefault(tuple(matrix.shape), []).append(matrix)
            update = partial(self._update, group=group)
            list(self.pool.map(update, by_shape.values()))

    @torch.no_grad()
    def _update(self, matrices: list[nn.Parameter], group: dict) -> None:
        directions = [self._momentum(matrix, group["momentum"]) for matrix in matrices]
        rows, columns = matrices[0].shape
        batch = torch.stack(directions)
        flipped = batch.mT.contiguous() if rows > columns else batch
        update = orthogonalize(flipped)
        update = update.mT if rows > columns else update
        scale = max(1.0, rows / columns) ** 0.5
        for matrix, direction in zip(matrices, update, strict=True):
            matrix.mul_(1 - group["lr"] * group["weight_decay"])
            matrix.add_(direction, alpha=-group["lr"] * scale)

    def _momentum(self, matrix: nn.Parameter, momentum: float) -> Tensor:
        state, gradient = self.state[matrix], matrix.grad
        assert gradient is not None
        if "buffer" not in state:
            state["buffer"] = torch.zeros_like(matrix)
        state["buffer"].lerp_(gradient, 1 - momentum)
        return gradient.lerp(state["buffer"], momentum)


def build(model: nn.Module, muon_rate: float, adam_rate: float) -> list[torch.optim.Optimizer]:
    """Muon over the block matrices and AdamW over embedding, head and gains of `model`."""
    matrices: list[nn.Parameter] = []
    rest: list[nn.Parameter] = []
    for name, parameter in model.named_parameters():
        inside = name.startswith("layers.") and parameter.ndim == 2
        (matrices if inside else rest).append(parameter)
    adam = torch.optim.AdamW(rest, lr=adam_rate, betas=(0.9, 0.95), weight_decay=0.0)
    optimizers = [Muon(matrices, muon_rate, weight_decay=0.05), adam]
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["peak"] = group["lr"]
    return optimizers
