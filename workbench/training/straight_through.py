"""Gradients past roundings: forward the rounded values, backward as if nothing had been rounded.

The straight-through estimator of Bengio, Léonard and Courville (2013), and its clipped variant,
which stops the gradient where a condition on the value says so.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from ..errors import WorkbenchError
from ..formats.base import ROUNDINGS, rounding_number
from ..schemes import parse

Passes = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class Rounding:
    """A scheme rounded by another mode than to nearest, as a quantizer.

    Args:
        scheme: spec string of a format or scheme.
        mode: one of `formats.ROUNDINGS` that draws no random numbers.

    Example:
        >>> Rounding("e8m1", "toward_zero")(torch.tensor([1.99, -1.99]))
        tensor([ 1.5000, -1.5000])
    """

    scheme: str
    mode: str

    def __post_init__(self):
        parse(self.scheme)
        if rounding_number(self.mode) >= ROUNDINGS.index("stochastic"):
            raise WorkbenchError(
                f"rounding {self.mode!r}",
                "every call would draw the same numbers, and errors would add up over steps",
                "pass a function that rounds with a new seed each time",
            )

    def __call__(self, x: Tensor) -> Tensor:
        """`x` rounded."""
        return parse(self.scheme).round(x, rounding=self.mode)


def rounding_of(quantizer: Any) -> Callable[[Tensor], Tensor]:
    """What a quantizer does to a tensor, as a function.

    Args:
        quantizer: spec string, scheme, format, hardware type (whatever has `round`), a function
            from tensor to tensor, or None, which rounds nothing. Anything else raises.

    Example:
        >>> rounding_of("int4/tensor")(torch.tensor([7.0, 1.2]))
        tensor([7., 1.])
    """
    if quantizer is None:
        return lambda x: x
    if isinstance(quantizer, str):
        return parse(quantizer).round
    round = getattr(quantizer, "round", quantizer)
    if not callable(round):
        raise WorkbenchError(
            f"a quantizer of type {type(quantizer).__name__}", "it cannot round a tensor",
            "write a scheme such as 'int8/channel', or None",
        )  # fmt: skip
    return round


class _Rounded(torch.autograd.Function):
    """Rounded forward; backward the gradient, times what `passes` says of value and rounded."""

    @staticmethod
    def forward(ctx, x: Tensor, round: Callable[[Tensor], Tensor], passes: Passes | None):
        rounded = round(x.detach()).to(x.dtype)
        ctx.mask = None if passes is None else passes(x.detach(), rounded)
        return rounded if rounded is not x else x.clone()

    @staticmethod
    def backward(ctx, gradient: Tensor):
        return gradient if ctx.mask is None else gradient * ctx.mask, None, None


class _RoundedBackward(torch.autograd.Function):
    """The value forward; backward the rounded gradient."""

    @staticmethod
    def forward(ctx, x: Tensor, round: Callable[[Tensor], Tensor]):
        ctx.round = round
        return x.view_as(x)

    @staticmethod
    def backward(ctx, gradient: Tensor):
        return ctx.round(gradient.contiguous()).to(gradient.dtype), None


def straight_through(x: Tensor, quantizer: Any, passes: Passes | None = None) -> Tensor:
    """`x` rounded, with the gradient of `x` itself.

    Args:
        x: tensor of any shape, float32 or float64.
        quantizer: see `rounding_of`.
        passes: given `x` and the rounded values, what the gradient is multiplied by: a tensor of
            the shape of `x`, as `within` makes; without it every gradient passes.

    Example:
        >>> x = torch.tensor([0.4, 1.2], requires_grad=True)
        >>> y = straight_through(x, torch.round)
        >>> y.sum().backward()
        >>> y.tolist(), x.grad.tolist()
        ([0.0, 1.0], [1.0, 1.0])
    """
    return x if quantizer is None else _Rounded.apply(x, rounding_of(quantizer), passes)


def within(limit: float) -> Passes:
    """The clipped estimator: gradients pass where magnitudes are at most `limit`.

    Source: Hubara et al. 2016, "Binarized neural networks", with limit 1.

    Example:
        >>> x = torch.tensor([0.4, 1.2], requires_grad=True)
        >>> straight_through(x, "binary/tensor@absmean", within(1.0)).sum().backward()
        >>> x.grad.tolist()
        [1.0, 0.0]
    """
    return lambda x, rounded: (x.abs() <= limit).to(x.dtype)


def rounded_gradient(x: Tensor, quantizer: Any) -> Tensor:
    """`x` as it is, with its gradient rounded on the way back.

    Example:
        >>> x = torch.tensor([3.0, 5.0], requires_grad=True)
        >>> (rounded_gradient(x, "int2n/tensor") * torch.tensor([0.3, 1.0])).sum().backward()
        >>> x.grad.tolist()
        [0.0, 1.0]
    """
    return x if quantizer is None else _RoundedBackward.apply(x, rounding_of(quantizer))


class StraightThrough(nn.Module):
    """A quantizer without parameters of its own as a module: `straight_through` with its choices.

    Example:
        >>> StraightThrough("int4/tensor")(torch.tensor([7.0, 1.2]))
        tensor([7., 1.])
    """

    def __init__(self, quantizer: Any, passes: Passes | None = None) -> None:
        super().__init__()
        self.quantizer, self.passes = quantizer, passes
        rounding_of(quantizer)

    def forward(self, x: Tensor) -> Tensor:
        """`x` rounded; see `straight_through`."""
        return straight_through(x, self.quantizer, self.passes)

    def extra_repr(self) -> str:
        """The quantizer, for print(model)."""
        return str(self.quantizer)
