"""Weights under rounded normal noise whose bits are learned, a number for each square block.

Gaussian weight sampling (2025): w + R max|w of the block| 2^(1 - b), cast to bfloat16, where R is
round(n / 2) of standard normal n. The noise has a slope in b, which rounding has not, so that bits
are learned with the weights, while a part of the loss asks for few.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ..errors import WorkbenchError
from .noise import block_amax, rounded_normal
from .straight_through import straight_through


def noisy(w: Tensor, bits: Tensor, block: int = 32, seed: int = 0) -> Tensor:
    """Weights plus noise as wide as rounding to `bits` bits, differentiable in both.

    The gradient of the weights passes; that of the bits is -ln 2 times the noise, summed over each
    block. The values are those of `with_noise`.

    Args:
        w: weights (outputs, inputs), float32 or float64.
        bits: tensor that broadcasts to (blocks down, blocks across).
        block: rows and columns of a block; the last ones may be smaller.
        seed: of the noise.

    Example:
        >>> import math
        >>> bits = torch.tensor([[4.0]], requires_grad=True)
        >>> noise = noisy(torch.ones(2, 2), bits) - 1
        >>> noise.sum().backward()
        >>> bool(torch.isclose(bits.grad, -math.log(2) * noise.sum()))
        True
    """
    layout, amax = block_amax(w.detach().numpy(), block)
    steps = torch.from_numpy(amax).to(w.dtype) * torch.exp2(1 - bits.expand(layout.scale_shape))
    heights = torch.tensor([*layout.bands[1:], layout.rows]) - torch.from_numpy(layout.bands)
    spread = steps.repeat_interleave(heights, 0).repeat_interleave(layout.size, 1)
    normal = torch.from_numpy(rounded_normal(tuple(w.shape), seed)).to(w.dtype)
    return w + normal * spread[:, : layout.cols]


class LearnedBits(nn.Module):
    """Noise in place of rounding while training, as a quantizer of a layer's weight.

    The bits of a block are `target + excess * (start - target)`; the excess is learned from 1, and
    `mean_excess` is what a loss adds to drive it to 0. In eval mode there is no noise. Weights are
    cast to bfloat16 either way. New noise comes from torch's random numbers at every call.

    Args:
        start, target: bits in the beginning, and those that are asked for.
        block: rows and columns of a block.

    Example:
        >>> noise = LearnedBits(start=6, target=4)
        >>> _ = noise(torch.ones(64, 40)); noise.bits
        tensor([[6., 6.],
                [6., 6.]])
    """

    def __init__(self, start: float = 6.0, target: float = 4.0, block: int = 32) -> None:
        super().__init__()
        if not start > target > 0:
            raise WorkbenchError(
                f"bits from {start} to {target}", "they are learned downwards to a positive number",
                "write LearnedBits(start=6, target=4)",
            )  # fmt: skip
        self.start, self.target, self.block = start, target, block
        self.excess: nn.Parameter | None
        self.register_parameter("excess", None)  # its shape follows from the first weight

    @property
    def bits(self) -> Tensor:
        """The bits of every block, (blocks down, blocks across)."""
        return self.target + self._known().detach() * (self.start - self.target)

    @property
    def mean_excess(self) -> Tensor:
        """The mean excess over all blocks, differentiable."""
        return self._known().mean()

    def forward(self, w: Tensor) -> Tensor:
        """Weights with noise (in eval mode without), in bfloat16 values of the dtype of `w`."""
        if self.excess is None:
            layout, _ = block_amax(w.detach().numpy(), self.block)
            self.excess = nn.Parameter(torch.ones(layout.scale_shape))
        if self.training:
            seed = int(torch.randint(2**31, ()))
            bits = self.target + self.excess * (self.start - self.target)
            w = noisy(w, bits, self.block, seed)
        return straight_through(w, "bf16")

    def _known(self) -> Tensor:
        if self.excess is None:
            raise WorkbenchError(
                "bits of blocks before any weight", "how many there are follows from its shape",
                "pass the weight through the module first",
            )  # fmt: skip
        return self.excess


def mean_excess(model: nn.Module) -> Tensor:
    """The mean over all `LearnedBits` of a model: times a factor, a loss that asks for few bits.

    Example:
        >>> noise = LearnedBits(); _ = noise(torch.ones(8, 8))
        >>> mean_excess(noise).item()
        1.0
    """
    found = [m.mean_excess for m in model.modules() if isinstance(m, LearnedBits)]
    if not found:
        raise WorkbenchError(
            "a model without LearnedBits", "it has no bits to ask for", "quantize weights with it"
        )
    return torch.stack(found).mean()
