"""Fixed point whose binary point is learned, after QFX (2024).

A value is rounded to a whole number of steps of 2^-f and cut to a word of so many bits; f is a
parameter, rounded itself, and both roundings pass their gradients straight through.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from ..errors import WorkbenchError
from ..formats import IntegerFormat
from ..kernels import arrays
from ..kernels.threads import one_torch_thread
from .straight_through import straight_through


def fixed_point(x: Tensor, fraction: Tensor, width: int = 8) -> Tensor:
    """`x` in signed fixed point of `width` bits, `fraction` of them behind the binary point.

    Inside the range the gradient of `x` passes and that of the fraction is the change of the
    rounding error, -ln 2 * step * (rounded - x / step); outside, that of the end of the range. It
    is the gradient of learned step sizes (LSQ, Esser et al. 2020) through step = 2^-f.

    Args:
        x: tensor of any shape, float32 or float64.
        fraction: tensor of one number, which need not be whole.
        width: bits, 1 to 16.

    Example:
        >>> fixed_point(torch.tensor([0.30, 9.0]), torch.tensor(4.2), width=6)
        tensor([0.3125, 1.9375])
    """
    word = IntegerFormat(width)
    step = torch.exp2(-straight_through(fraction, torch.round))
    inside = (x / step).clamp(word.low_code, word.high_code)
    return straight_through(inside, torch.round) * step


def usual_fraction(amax: float, width: int = 8) -> int:
    """The most fractional bits with which a magnitude still fits: width - 1 - ceil(log2 amax).

    Example:
        >>> usual_fraction(3.9), usual_fraction(4.1)
        (5, 4)
    """
    return width - 1 - math.ceil(math.log2(amax)) if amax > 0 else width - 1


class LearnedPoint(nn.Module):
    """Signed fixed point with a binary point that is learned, as a quantizer of a layer.

    It begins where the largest magnitude of the first values it sees just fits, and has no binary
    point before: reading it then raises `WorkbenchError`.

    Args:
        width: bits, 1 to 16.

    Example:
        >>> point = LearnedPoint(8)
        >>> point(torch.tensor([0.3, 3.9])).tolist(), point.fraction.item()
        ([0.3125, 3.90625], 5.0)
    """

    def __init__(self, width: int = 8) -> None:
        super().__init__()
        self.width = IntegerFormat(width).width
        self._fraction = nn.Parameter(torch.tensor(math.nan))

    @property
    def fraction(self) -> Tensor:
        """The learned number of fractional bits, not yet rounded."""
        if self._fraction.isnan():
            raise WorkbenchError(
                "a binary point before any value",
                "it begins at the largest magnitude of the first values",
                "pass values through the module first",
            )
        return self._fraction

    def forward(self, x: Tensor) -> Tensor:
        """`x` in fixed point; see `fixed_point`."""
        if self._fraction.isnan():
            amax = float(x.detach().abs().max()) if x.numel() else 0.0
            self._fraction.data.fill_(float(usual_fraction(amax, self.width)))
        return fixed_point(x, self._fraction, self.width)


def fit_fraction(
    x: Any, width: int = 8, start: float | None = None, steps: int = 200, rate: float = 0.05
) -> int:
    """The binary point of least squared error that gradient descent passes from its start.

    The gradient drives the point to a boundary between two whole numbers and then to and fro, so
    the best of all that it has been at is kept.

    Args:
        x: array or tensor of any shape; at least one value, all of them finite.
        width: bits, 1 to 16.
        start: where it begins; the usual one, from the largest magnitude, where None.
        steps: of Adam.
        rate: its learning rate.

    Example:
        >>> fit_fraction(torch.linspace(-0.9, 0.9, 1001))
        7
    """
    values = torch.from_numpy(arrays.to_numpy(x)).detach()
    if not (values.numel() and values.isfinite().all()):
        raise WorkbenchError(
            f"{values.numel()} values, not all of them finite", "they have no squared error",
            "pass finite values",
        )  # fmt: skip
    first = usual_fraction(float(values.abs().max()), width) if start is None else start
    fraction = torch.tensor(float(first), requires_grad=True)
    optimizer = torch.optim.Adam([fraction], lr=rate)
    errors: dict[int, float] = {}
    with one_torch_thread():
        for _ in range(steps):
            loss = (fixed_point(values, fraction, width) - values).square().mean()
            errors[round(fraction.item())] = loss.item()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return min(errors, key=lambda f: errors[f])
