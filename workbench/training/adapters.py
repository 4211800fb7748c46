"""Small trained layers inside a frozen network, with weights of one or a few bits.

Jie et al., "Revisiting the parameter efficiency of adapters from the perspective of precision
redundancy" (2023): a bottleneck beside the frozen path, its two matrices rounded to the medians of
the normal density's cells and trained through the rounding.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .linear import QuantizedLinear, Quantizers

BINARY = "median1/tensor+mean@std"
SPREAD = 1e-3  # of the weights that lead up; the adapter then begins close to nothing


class Adapter(nn.Module):
    """`x + up(GELU(down(x)))` through a narrow middle, without biases.

    Args:
        width: features of `x`.
        hidden: features in the middle.
        weight: what rounds both matrices: a scheme, or None for float32.

    Example:
        >>> Adapter(16, 4)(torch.zeros(3, 16)).shape
        torch.Size([3, 16])
    """

    def __init__(self, width: int, hidden: int, weight: Any = BINARY) -> None:
        super().__init__()
        quantizers = Quantizers(weight=weight)
        self.down = QuantizedLinear(width, hidden, quantizers, bias=False)
        self.up = QuantizedLinear(hidden, width, quantizers, bias=False)
        nn.init.trunc_normal_(self.up.weight, std=SPREAD, a=-2 * SPREAD, b=2 * SPREAD)

    def forward(self, x: Tensor) -> Tensor:
        """Features (..., width) of features (..., width)."""
        return x + self.up(F.gelu(self.down(x)))


class AdaptedFeatures(nn.Module):
    """Frozen random features of an input, an adapter on them, and a linear layer that reads it.

    Features are ReLU of fixed random projections under a layer norm; the rest is trained.

    Args:
        inputs: features of the input.
        width: how many random features.
        classes: how many classes.
        hidden: of the adapter; 0 leaves it out.
        weight: what rounds the adapter's matrices.
        seed: of what is trained; the frozen projection is always the same.

    Example:
        >>> AdaptedFeatures(64, 32, 10, hidden=4)(torch.zeros(3, 64)).shape
        torch.Size([3, 10])
    """

    frozen: Tensor

    def __init__(
        self,
        inputs: int,
        width: int,
        classes: int,
        hidden: int,
        weight: Any = BINARY,
        seed: int = 0,
    ) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        projection = torch.randn(width, inputs, generator=generator) * inputs**-0.5
        self.register_buffer("frozen", projection)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.adapter = Adapter(width, hidden, weight) if hidden else nn.Identity()
            self.reader = nn.Linear(width, classes)

    def forward(self, x: Tensor) -> Tensor:
        """Logits (..., classes) of inputs (..., inputs)."""
        features = F.relu(F.linear(x, self.frozen))
        return self.reader(self.adapter(F.layer_norm(features, features.shape[-1:])))
