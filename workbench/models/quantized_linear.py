"""A quantized layer where a model has its linear one."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from workbench.quantizers.layer import QuantizedLayer


class QuantizedLinear(nn.Module):
    """A linear layer that a recipe made, in the place of `torch.nn.Linear`.

    Every sequence of a batch is rounded by itself, so ranges found as inputs come do not depend on
    what else is in the batch. Runs on the CPU.

    Args:
        layer: the quantized layer.

    >>> from workbench.quantizers import Recipe
    >>> linear = QuantizedLinear(Recipe.parse("w=int8/channel").apply(torch.ones(2, 4)))
    >>> linear(torch.ones(1, 3, 4)).shape, linear.in_features
    (torch.Size([1, 3, 2]), 4)
    """

    def __init__(self, layer: QuantizedLayer) -> None:
        super().__init__()
        self.layer = layer
        self.out_features, self.in_features = layer.matrix.shape

    @property
    def weight(self) -> Tensor:
        """The weight that rounded, rewritten inputs are multiplied with."""
        return torch.from_numpy(self.layer.matrix)

    @property
    def bias(self) -> Tensor | None:
        """The bias, or None."""
        return None if self.layer.bias is None else torch.from_numpy(self.layer.bias)

    @torch.no_grad()
    def forward(self, x: Tensor) -> Tensor:
        """Outputs `(..., out_features)` for `(..., in_features)`."""
        if x.ndim < 3 or len(x) == 1:
            return self.layer(x, _product)
        return torch.stack([self.layer(one, _product) for one in x])

    def extra_repr(self) -> str:
        """What is printed inside the brackets."""
        scheme = "float" if self.layer.weight is None else self.layer.weight.scheme
        return f"in_features={self.in_features}, out_features={self.out_features}, {scheme}"


def _product(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """A product on torch's threads, so that two libraries do not wait for each other's."""
    return (torch.from_numpy(a) @ torch.from_numpy(b)).numpy()
