"""A frozen quantized weight under trained thin factors: no float copy of it outlives a product.

Chai et al., "INT2.1: towards fine-tunable quantized large language models with error correction
through low-rank adaptation" (2023): each layer is dequantized where it is needed, forward and
backward, so that training holds one float matrix at a time whatever the depth of the network.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from ..errors import WorkbenchError
from ..schemes import QuantizedTensor


class _FrozenProduct(torch.autograd.Function):
    """x W^T for a packed W, which is unpacked once for the outputs and once for the gradient."""

    @staticmethod
    def forward(ctx, x: Tensor, weight: QuantizedTensor):
        ctx.weight = weight  # packed: the only thing that the backward pass needs
        return F.linear(x, _unpacked(weight, x))

    @staticmethod
    @once_differentiable
    def backward(ctx, gradient: Tensor):
        return gradient @ _unpacked(ctx.weight, gradient), None


def _unpacked(weight: QuantizedTensor, like: Tensor) -> Tensor:
    """The float matrix, in the dtype of a tensor and where that lies."""
    return torch.from_numpy(weight.dequantize()).to(like)


def frozen_product(x: Tensor, weight: QuantizedTensor) -> Tensor:
    """`x W^T` with the gradient of `x`; the packed weight has none.

    Between the two passes nothing is kept but the packed weight. Second derivatives raise.

    Args:
        x: floats (..., features).
        weight: packed (outputs, features).

    Example:
        >>> import workbench as wb
        >>> weight = wb.scheme("int4/channel").quantize([[7.0, 1.0]])
        >>> x = torch.ones(3, 2, requires_grad=True)
        >>> frozen_product(x, weight).sum().backward()
        >>> x.grad[0].tolist()
        [7.0, 1.0]
    """
    return _FrozenProduct.apply(x, weight)


class FrozenBase(nn.Module):
    """A linear layer: a packed weight that stays, and two thin matrices that are trained.

    Outputs are those of the packed weight until the factors are trained, as the second is zero.
    A state dict holds the factors and the bias; `weight.save(path)` writes the packed weight.

    Args:
        weight: packed (outputs, features); anything else, or a rank it has no room for, raises.
        rank: of the thin matrices.
        bias: (outputs,) or None; it stays too.
        seed: of the first factor.

    Example:
        >>> import workbench as wb
        >>> layer = FrozenBase(wb.scheme("int2/channel").quantize(torch.ones(8, 16)), rank=2)
        >>> layer(torch.ones(3, 16)).shape, [tuple(p.shape) for p in layer.parameters()]
        (torch.Size([3, 8]), [(2, 16), (8, 2)])
    """

    bias: Tensor | None

    def __init__(
        self, weight: QuantizedTensor, rank: int, bias: Tensor | None = None, seed: int = 0
    ) -> None:
        super().__init__()
        shape = tuple(getattr(weight, "shape", ()))
        if not isinstance(weight, QuantizedTensor) or len(shape) != 2:
            raise WorkbenchError(
                f"a base of type {type(weight).__name__}", "it has to be a packed matrix",
                "pass wb.scheme('int4/channel').quantize(weight)",
            )  # fmt: skip
        if not 1 <= rank <= min(shape):
            raise WorkbenchError(
                f"rank {rank}", f"the weight is {shape[0]} x {shape[1]}",
                f"write rank={min(8, *shape)}",
            )  # fmt: skip
        self.weight = weight
        generator = torch.Generator().manual_seed(seed)
        first = torch.randn(rank, shape[1], generator=generator) * shape[1] ** -0.5
        self.first, self.second = nn.Parameter(first), nn.Parameter(torch.zeros(shape[0], rank))
        self.register_buffer("bias", bias)

    def forward(self, x: Tensor) -> Tensor:
        """Outputs (..., outputs) of inputs (..., features)."""
        learned = F.linear(F.linear(x, self.first), self.second, self.bias)
        return frozen_product(x, self.weight) + learned

    def extra_repr(self) -> str:
        """What is printed inside the brackets."""
        outputs, features = self.weight.shape
        return f"{features} -> {outputs}, {self.weight.scheme}, rank={len(self.first)}"
