"""Gradients past what NumPy computes: to rounded values, and to the ranges they are rounded under.

Straight through to values (Bengio et al., 2013) and, as in learned step size quantization (Esser et
al., 2020; with offsets Bhalgat et al., 2020), to scales, zero points and means.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from workbench.schemes import Scheme, apply
from workbench.schemes.fitted import Region
from workbench.schemes.layout import Layout


class _Given(torch.autograd.Function):
    """Values computed elsewhere; backward the gradient times a matrix, or as it is."""

    @staticmethod
    def forward(ctx, x: Tensor, values: Tensor, matrix: Tensor | None):
        ctx.matrix = matrix
        return values.view_as(values)

    @staticmethod
    def backward(ctx, gradient: Tensor):
        return gradient if ctx.matrix is None else gradient @ ctx.matrix.mT, None, None


def given(x: Tensor, values: np.ndarray, matrix: Tensor | None = None) -> Tensor:
    """Values that were computed from `x` elsewhere, with a gradient to `x`.

    Args:
        x: float32 of any shape.
        values: of the shape of `x`, or of `x @ matrix`.
        matrix: what the gradient supposes that `x` was multiplied with; None for one.

    Example:
        >>> x = torch.tensor([0.4, 1.2], requires_grad=True)
        >>> y = given(x, np.float32([0.0, 1.0]))
        >>> y.sum().backward()
        >>> y.tolist(), x.grad.tolist()
        ([0.0, 1.0], [1.0, 1.0])
    """
    return _Given.apply(x, torch.from_numpy(np.asarray(values, np.float32)), matrix)


class _Rounded(torch.autograd.Function):
    """Values rounded under ranges; see `rounded`."""

    @staticmethod
    def forward(ctx, x: Tensor, scales: Tensor, zeros: Tensor | None, scheme: Scheme):
        arrays = [None if part is None else part.detach().numpy() for part in (x, scales, zeros)]
        values = torch.from_numpy(Region(scheme, *arrays[1:]).round(arrays[0]))
        inside = _inside(scheme, *arrays)
        middle = zeros if zeros is not None and scheme.scale.mean else 0.0
        to_scale = (values - middle - inside * (x - middle)) / scales
        to_zero = None
        if zeros is not None:
            to_zero = (1 - inside) * (1.0 if scheme.scale.mean else -scales)
        ctx.save_for_backward(inside, to_scale, to_zero)
        ctx.shapes = scales.shape, None if zeros is None else zeros.shape
        return values

    @staticmethod
    def backward(ctx, gradient: Tensor):
        inside, to_scale, to_zero = ctx.saved_tensors
        scales, zeros = ctx.shapes
        for_zeros = None if to_zero is None else (gradient * to_zero).sum_to_size(zeros)
        return gradient * inside, (gradient * to_scale).sum_to_size(scales), for_zeros, None


def rounded(x: Tensor, scales: Tensor, zeros: Tensor | None, scheme: Scheme) -> Tensor:
    """Rows rounded under given ranges, with gradients to all of them.

    Inside the range a value's gradient passes and a scale's is its rounding error in steps; beyond
    it the end of the range moves with scale and zero point, and the value counts for nothing.

    Args:
        x: float32 (rows, columns).
        scales: float32, broadcastable to it.
        zeros: zero points, in whole numbers, or means, likewise; None where there are none.
        scheme: with a scale, no mixture.

    Example:
        >>> from workbench.schemes import parse
        >>> x = torch.tensor([[1.4, 9.0]], requires_grad=True)
        >>> scale = torch.ones(1, 1, requires_grad=True)
        >>> y = rounded(x, scale, None, parse("int4/tensor"))
        >>> y.sum().backward()
        >>> y.tolist(), x.grad.tolist(), round(scale.grad.item(), 4)
        ([[1.0, 7.0]], [[1.0, 0.0]], 6.6)
    """
    return _Rounded.apply(x, scales, zeros, scheme)


def _inside(scheme: Scheme, x: np.ndarray, scales: np.ndarray, zeros: np.ndarray | None) -> Tensor:
    """One where a value lies within the range, else zero."""
    low, high = ends(scheme)
    place = x / scales + apply.offsets(scheme, scales, zeros)
    return torch.from_numpy(((place >= low) & (place <= high)).astype(np.float32))


def ends(scheme: Scheme) -> tuple[float, float]:
    """The smallest and the largest value of a scheme's elements, in steps.

    Example:
        >>> from workbench.schemes import parse
        >>> ends(parse("int8/tensor"))
        (-128.0, 127.0)
    """
    values = scheme.element.values
    return float(values[0]), float(values[-1])


def spread(layout: Layout, per_scale: Tensor) -> Tensor:
    """Numbers of `layout.scale_shape` as a tensor that broadcasts to (rows, columns).

    Example:
        >>> from workbench.schemes import parse
        >>> layout = parse("int4/g2").fit(np.ones((1, 3))).layout
        >>> spread(layout, torch.tensor([[1.0, 2.0]])).tolist()
        [[1.0, 1.0, 2.0]]
    """
    if layout.stack > 1:
        heights = torch.from_numpy(np.diff([*layout.bands, layout.rows]))
        per_scale = per_scale.repeat_interleave(heights, 0)
    if layout.across == 1:
        return per_scale
    return per_scale.repeat_interleave(layout.size, 1)[:, : layout.cols]
