"""Norms of a network: which modules they are, and batch statistics found again on new inputs."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from workbench.errors import WorkbenchError


def norms_of(network: nn.Module) -> dict[str, nn.Module]:
    """The norms with gains in a network, by name.

    Those of torch, and modules whose class is called so, as models bring their own.

    Example:
        >>> list(norms_of(nn.Sequential(nn.Linear(2, 2), nn.LayerNorm(2))))
        ['1']
    """
    return {
        name: module
        for name, module in network.named_modules()
        if type(module).__name__.rstrip("123d").endswith("Norm")
        and isinstance(getattr(module, "weight", None), nn.Parameter)
    }


@torch.no_grad()
def reestimate_norms(network: nn.Module, batches: Iterable[Tensor]) -> int:
    """Have every batch norm know the means and variances of what it is given now, in place.

    A quantized network gives its norms other values than the float one did. Norms are done in the
    order in which they are met, each on what those before it then give, so that in the end every
    norm's statistics are exactly those of its inputs in the network as it is. The variance is over
    one less than the count, as torch keeps it.

    Args:
        network: in eval mode, so that its norms use the statistics they keep.
        batches: inputs of the network, read once for every norm.

    Returns:
        How many norms there are; a network without any, in training mode, or no batches raise
        `WorkbenchError`.

    Source: Hubara et al., 2021, section 3.4.

    Example:
        >>> norm = nn.BatchNorm1d(1).eval()
        >>> reestimate_norms(norm, [torch.tensor([[1.0], [2.0]]), torch.tensor([[6.0]])])
        1
        >>> norm.running_mean.item(), norm.running_var.item()
        (3.0, 7.0)
    """
    batches = list(batches)
    norms = _in_order(network, batches)
    for norm in norms:
        _reestimate(network, norm, batches)
    return len(norms)


def _in_order(network: nn.Module, batches: list[Tensor]) -> list[_BatchNorm]:
    """The batch norms that keep statistics, as a batch meets them."""
    found = [
        m for m in network.modules() if isinstance(m, _BatchNorm) and m.running_mean is not None
    ]
    if not found or not batches:
        raise WorkbenchError(
            f"{len(found)} batch norms and {len(batches)} batches",
            "statistics are kept by batch norms and found on inputs",
            "pass a network with nn.BatchNorm layers, and inputs",
        )  # fmt: skip
    if network.training:
        raise WorkbenchError(
            "a network in training mode", "its norms use what is in a batch, not what they keep",
            "write network.eval()",
        )  # fmt: skip
    met: dict[_BatchNorm, None] = {}
    handles = [
        m.register_forward_pre_hook(lambda m, x: (met.setdefault(m), None)[1]) for m in found
    ]
    try:
        network(batches[0])
    finally:
        for handle in handles:
            handle.remove()
    return list(met)


def _reestimate(network: nn.Module, norm: _BatchNorm, batches: list[Tensor]) -> None:
    """Put the statistics of one norm's inputs into it, added up batch by batch in float64."""
    count, mean, squares = 0, torch.zeros(()), torch.zeros(())

    def add(module: nn.Module, inputs: tuple[Tensor]) -> None:
        nonlocal count, mean, squares
        rows = _rows(inputs[0])
        here = rows.mean(0)
        gap, count = here - mean, count + len(rows)
        squares = squares + ((rows - here) ** 2).sum(0)
        squares = squares + gap**2 * (len(rows) * (count - len(rows)) / count)
        mean = mean + gap * (len(rows) / count)

    handle = norm.register_forward_pre_hook(add)
    try:
        for batch in batches:
            network(batch)
    finally:
        handle.remove()
    norm.running_mean.copy_(mean)
    norm.running_var.copy_(squares / max(count - 1, 1))


def _rows(x: Tensor) -> Tensor:
    """Values by channel, float64 (rows, channels), of (batch, channels, ...)."""
    return x.double().transpose(1, -1).reshape(-1, x.shape[1])
