"""A linear layer whose three products take rounded operands, whatever rounds them.

A layer multiplies three times: input by weight forward, and backward the output's gradient by the
weight and by the input. Its three tensors are each rounded once and serve in both of their
products, as where each is stored once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from .replicas import by_slice, quantizer_module
from .straight_through import rounded_gradient, rounding_of


@dataclass(frozen=True)
class Quantizers:
    """What rounds the input, the weight and the output's gradient of a linear layer.

    Args:
        input, weight: spec string, scheme, format or function, whose gradient passes straight
            through; or a module, which has a gradient of its own and of which each layer takes a
            copy, so that its parameters are learned layer by layer; or None.
        gradient: spec string, scheme, format or function; or None.

    Example:
        >>> Quantizers(weight="ternary/tensor@absmean")
        Quantizers(input=None, weight='ternary/tensor@absmean', gradient=None)
    """

    input: Any = None
    weight: Any = None
    gradient: Any = None

    @classmethod
    def all(cls, quantizer: Any) -> Quantizers:
        """One quantizer for all three.

        Example:
            >>> Quantizers.all("dfp16").gradient
            'dfp16'
        """
        return cls(quantizer, quantizer, quantizer)


PLAIN = Quantizers()


class QuantizedLinear(nn.Module):
    """`y = x W^T + b` with rounded operands in the product and in both products of its gradient.

    Args:
        inputs, outputs: features. Weights begin as those of `torch.nn.Linear`.
        quantizers: of input, weight and gradient. The weight that is learned is not rounded.
        bias: whether there is one; it is never rounded.
        replicas: how many independent layers are held side by side, each rounded by itself; the
            weight then is (replicas, outputs, inputs) and inputs are (replicas, rows, inputs).

    Example:
        >>> layer = QuantizedLinear(2, 1, Quantizers(weight="int2n/tensor"), bias=False)
        >>> _ = layer.weight.data.copy_(torch.tensor([[0.5, 0.1]]))
        >>> layer(torch.tensor([[1.0, 1.0]])).item()
        0.5
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        quantizers: Quantizers = PLAIN,
        bias: bool = True,
        replicas: int | None = None,
    ) -> None:
        super().__init__()
        stack = () if replicas is None else (replicas,)
        reach = inputs**-0.5
        self.weight = nn.Parameter(torch.empty(*stack, outputs, inputs).uniform_(-reach, reach))
        shape = (*stack, *[1] * len(stack), outputs)
        self.bias = nn.Parameter(torch.empty(shape).uniform_(-reach, reach)) if bias else None
        self.quantize_input = quantizer_module(quantizers.input, replicas)
        self.quantize_weight = quantizer_module(quantizers.weight, replicas)
        self.gradient = _gradient_rounding(quantizers.gradient, replicas)

    def forward(self, x: Tensor) -> Tensor:
        """Outputs (..., outputs) of inputs (..., inputs)."""
        product = self.quantize_input(x) @ self.quantize_weight(self.weight).mT
        product = rounded_gradient(product, self.gradient)
        return product if self.bias is None else product + self.bias


def _gradient_rounding(quantizer: Any, replicas: int | None):
    """The function that rounds gradients; None where they are left alone."""
    if quantizer is None:
        return None
    return rounding_of(quantizer) if replicas is None else by_slice(quantizer)
