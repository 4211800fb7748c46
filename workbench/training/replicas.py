"""Several seeds of one network trained side by side: each slice of a stack is rounded by itself.

A stack (replicas, rows, features) costs little more calls than one matrix, which is what small
networks wait for.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from ..formats import Format
from ..schemes import Scheme, parse
from .straight_through import Rounding, StraightThrough, rounding_of


def by_slice(quantizer: Any) -> Callable[[Tensor], Tensor]:
    """What a quantizer does to every slice of a stack (replicas, rows, features) by itself.

    Args:
        quantizer: see `rounding_of`.

    Example:
        >>> by_slice("int4/tensor")(torch.tensor([[[7.0, 1.2]], [[70.0, 1.2]]])).tolist()
        [[[7.0, 1.0]], [[70.0, 0.0]]]
    """
    scheme, mode = _scheme_of(quantizer)
    whole = None if scheme is None else _of_stack(scheme)
    if whole is not None:
        return lambda x: whole(x, mode)
    round = rounding_of(quantizer)
    return lambda x: torch.stack([round(part) for part in x])


def _scheme_of(quantizer: Any) -> tuple[Scheme | None, str]:
    """The scheme and the rounding mode of a quantizer that has them."""
    if isinstance(quantizer, Rounding):
        return parse(quantizer.scheme), quantizer.mode
    if isinstance(quantizer, Format):
        return Scheme(quantizer, None), "nearest_even"
    known = isinstance(quantizer, str | Scheme)
    return (parse(quantizer) if known else None), "nearest_even"


def _of_stack(scheme: Scheme) -> Callable[[Tensor, str], Tensor] | None:
    """A scheme on a whole stack in one call, where its scales can be told to stay in a slice."""
    scale = scheme.scale
    if scale is not None and scale.two_level:
        return None  # a scale of the tensor over those of its blocks
    if scale is not None and scale.granularity == "tensor":
        each = Scheme(scheme.format, replace(scale, granularity="channel"))
        return lambda x, mode: each.round(x, rounding=mode)
    if scale is not None and scale.granularity == "channel":
        return lambda x, mode: scheme.round(x.flatten(0, 1), rounding=mode).view_as(x)
    return lambda x, mode: scheme.round(x, rounding=mode)


class SideBySide(nn.Module):
    """A module of its own parameters for each slice of a stack.

    Example:
        >>> SideBySide(nn.Linear(2, 1), 3)(torch.zeros(3, 5, 2)).shape
        torch.Size([3, 5, 1])
    """

    def __init__(self, module: nn.Module, replicas: int) -> None:
        super().__init__()
        self.copies = nn.ModuleList(copy.deepcopy(module) for _ in range(replicas))

    def forward(self, x: Tensor) -> Tensor:
        """Every slice of `x` by its own copy."""
        return torch.stack([f(part) for f, part in zip(self.copies, x, strict=True)])


def quantizer_module(quantizer: Any, replicas: int | None = None) -> nn.Module:
    """A quantizer as a module of one layer, or of several side by side.

    Args:
        quantizer: a module, which is copied, so that each layer learns its own; or what
            `rounding_of` takes, whose gradient passes straight through.
        replicas: how many slices, each rounded by itself; None for a layer alone.

    Example:
        >>> quantizer_module(None)
        Identity()
    """
    if quantizer is None:
        return nn.Identity()
    if isinstance(quantizer, nn.Module):
        return copy.deepcopy(quantizer) if replicas is None else SideBySide(quantizer, replicas)
    return StraightThrough(quantizer if replicas is None else by_slice(quantizer))
