"""What a tuning compares: last hidden states, or predictions, with those of the float network."""

from __future__ import annotations

from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from workbench.errors import unknown
from workbench.quantizers.tunings.distill import LOSSES

HEAD = "lm_head"


def outputs(network: nn.Module, batch: Any, hidden: bool = False) -> Tensor:
    """What a network gives for a batch, as one tensor.

    Args:
        network: gives a tensor, or what models give: logits or last hidden states.
        batch: what it is called with.
        hidden: whether it is what its head reads, where it has a head called `lm_head`.

    Example:
        >>> import torch
        >>> outputs(nn.Identity(), torch.ones(2)).tolist()
        [1.0, 1.0]
    """
    head = getattr(network, HEAD, None) if hidden else None
    if head is None:
        return _tensor(network(batch))
    caught: list[Tensor] = []
    handle = head.register_forward_pre_hook(lambda module, inputs: caught.extend(inputs))
    try:
        network(batch)
    finally:
        handle.remove()
    return caught[-1]


def _tensor(output: Any) -> Tensor:
    if isinstance(output, Tensor):
        return output
    return output.logits if "logits" in output else output.last_hidden_state


def distance(loss: str, exact: Tensor, given: Tensor, top: int = 1000) -> Tensor:
    """How far what a network gives is from what the float network gives, with a gradient.

    Args:
        loss: "mse", squared error over the square of what is exact; "kl", the mean divergence of
            predictions in nats; "kl_top", over the `top` tokens that are likeliest by the float
            network, both predictions renormalised over them (Hu et al., 2025).
        exact: hidden states or logits (..., n) of the float network.
        given: of the other one.
        top: tokens that count; where there are fewer, all do.

    Example:
        >>> import torch
        >>> exact, given = torch.tensor([[2.0, 1.0, -9.0]]), torch.tensor([[2.0, 1.0, 9.0]])
        >>> distance("kl_top", exact, given, top=2).item()
        0.0
    """
    if loss == "mse":
        return (given - exact).square().mean() / exact.square().mean().clamp(min=1e-30)
    if loss not in LOSSES:
        raise unknown("loss", loss, LOSSES)
    if loss == "kl_top" and top < exact.shape[-1]:
        likeliest = exact.topk(top, dim=-1).indices
        exact, given = exact.gather(-1, likeliest), given.gather(-1, likeliest)
    rows = (logits.reshape(-1, logits.shape[-1]) for logits in (exact, given))
    p, q = (F.log_softmax(logits, dim=-1) for logits in rows)
    return F.kl_div(q, p, reduction="batchmean", log_target=True)
