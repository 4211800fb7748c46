"""The weight of a quantized layer as a tensor with gradients, and packed again afterwards.

Three kinds: one that stays, one whose codes stay while its scales move, and one that is rounded
anew from the float weight as channel factors and clips move.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from workbench.models.tunable_rounding import ends, given, rounded, spread
from workbench.quantizers.layer import QuantizedLayer
from workbench.quantizers.residuals.base import Correction
from workbench.quantizers.residuals.bias import Constant
from workbench.quantizers.residuals.low_rank import Thin
from workbench.quantizers.solvers.moved_scales import stored
from workbench.quantizers.tunings.distill import ANEW
from workbench.schemes import QuantizedTensor
from workbench.schemes.apply import Chosen
from workbench.schemes.fitted import Fitted


class StayingWeight(nn.Module):
    """A weight that stays as it is; one in float meets the channels' factors.

    Args:
        layer: whose weight it is.
    """

    word = ""

    def __init__(self, layer: QuantizedLayer) -> None:
        super().__init__()
        self.layer = layer
        self.matrix = torch.from_numpy(layer.matrix)

    def forward(self, factors: Tensor | None = None) -> Tensor:
        """The matrix that rounded inputs are multiplied with, float32 (outputs, features)."""
        return self.matrix if factors is None else self.matrix * factors

    def made(self, factors: Tensor | None = None) -> QuantizedLayer:
        """The layer with this weight."""
        if factors is None:
            return self.layer
        return replace(self.layer, kept=self(factors).numpy())


class ScaledWeight(nn.Module):
    """A weight whose codes stay while its scales, and means, are learned.

    Args:
        layer: whose weight has scales; no mixture.
    """

    word = "scales"

    def __init__(self, layer: QuantizedLayer) -> None:
        super().__init__()
        weight = layer.weight
        self.layer, self.scheme, self.layout = layer, weight.scheme, weight.layout
        self.fitted = _fitted(weight)
        codes = self.layout.to_rows(weight.scheme.format.decode(weight.codes).astype(np.float32))
        if weight.zero_points is not None:
            codes = codes - self.fitted.zeros
        self.codes, self.start = torch.from_numpy(codes), torch.from_numpy(weight.scales.copy())
        self.shares = nn.Parameter(torch.zeros(self.layout.scale_shape))
        self.shifts = None if weight.means is None else nn.Parameter(torch.zeros_like(self.shares))

    def _scales(self) -> Tensor:
        scales = self.start * self.shares.exp()
        return given(scales, stored(self.fitted, scales.detach().numpy()))

    def _means(self) -> Tensor | None:
        """The means by now; a shift of one is the length of a block's range."""
        if self.shifts is None:
            return None
        low, high = ends(self.scheme)
        start = torch.from_numpy(self.fitted.chosen.zeros)
        return start + self.start * (high - low) * self.shifts

    def forward(self, factors: Tensor | None = None) -> Tensor:
        """The matrix that rounded inputs are multiplied with, float32 (outputs, features)."""
        rows, means = self.codes * spread(self.layout, self._scales()), self._means()
        if means is not None:
            rows = rows + spread(self.layout, means)
        return rows.view(self.layout.shape)

    def made(self, factors: Tensor | None = None) -> QuantizedLayer:
        """The layer with this weight, its codes as they were."""
        means, chosen = self._means(), self.fitted.chosen._replace(scales=self._scales().numpy())
        if means is not None:
            chosen = chosen._replace(zeros=means.numpy())
        fitted = replace(self.fitted, chosen=chosen)
        return replace(self.layer, weight=fitted.quantize(self().numpy()))


class RoundedWeight(nn.Module):
    """A weight that is rounded to nearest under ranges that are learned, or that channels move.

    Where the recipe had other scales than the scheme chooses, their ratio is kept.

    Args:
        layer: whose weight has scales; no mixture.
        floats: float32 (outputs, features), what its codes stand for.
        clips: whether the share of each block's range is learned.
    """

    word = "clips"

    def __init__(self, layer: QuantizedLayer, floats: np.ndarray, clips: bool) -> None:
        super().__init__()
        self.layer, self.scheme = layer, layer.weight.scheme
        self.floats = torch.from_numpy(np.ascontiguousarray(floats))
        self.own = self.scheme.fit(floats)
        self.layout = self.own.layout
        before, scales = layer.weight.scales, self.own.chosen.scales
        self.ratio = np.divide(before, scales, out=np.ones_like(scales), where=scales > 0)
        self.shares = nn.Parameter(torch.zeros(self.layout.scale_shape)) if clips else None

    def _ranged(self, weight: Tensor, factors: Tensor | None) -> tuple[Tensor, Chosen]:
        """The scales of a weight with their gradients; and all that it is rounded under."""
        chosen = self.own.chosen
        if factors is not None:
            chosen = self.scheme.fit(weight.detach().numpy()).chosen
        scales = torch.from_numpy(chosen.scales * self.ratio)
        if factors is not None:
            scales = scales * self._growth(weight)
        if self.shares is not None:
            scales = scales * self.shares.exp()
        fitted = replace(self.own, chosen=chosen)
        scales = given(scales, stored(fitted, scales.detach().numpy()))
        return scales, chosen._replace(scales=scales.detach().numpy())

    def _growth(self, weight: Tensor) -> Tensor:
        """One for each block, with the gradient of its largest magnitude's logarithm."""
        rows = weight.view(self.layout.rows, self.layout.cols)
        count = int(np.prod(self.layout.scale_shape))
        places = spread(self.layout, torch.arange(count).view(self.layout.scale_shape))
        places = places.expand_as(rows).flatten()
        reach = torch.zeros(count).scatter_reduce(0, places, rows.abs().flatten(), "amax")
        reach = reach.clamp(min=1e-30).view(self.layout.scale_shape)
        return reach / reach.detach()

    def forward(self, factors: Tensor | None = None) -> Tensor:
        """The matrix that rounded inputs are multiplied with, float32 (outputs, features)."""
        weight = self.floats if factors is None else self.floats * factors
        scales, chosen = self._ranged(weight, factors)
        zeros = None if chosen.zeros is None else torch.from_numpy(chosen.zeros)
        rows = weight.view(self.layout.rows, self.layout.cols)
        zeros = None if zeros is None else spread(self.layout, zeros)
        values = rounded(rows, spread(self.layout, scales), zeros, self.scheme)
        return values.view(self.layout.shape)

    def made(self, factors: Tensor | None = None) -> QuantizedLayer:
        """The layer with this weight."""
        weight = self.floats if factors is None else self.floats * factors
        _, chosen = self._ranged(weight, factors)
        return replace(self.layer, weight=replace(self.own, chosen=chosen).quantize(weight.numpy()))


Weight = StayingWeight | ScaledWeight | RoundedWeight


def weight_of(layer: QuantizedLayer, floats: np.ndarray | None, trained: tuple[str, ...]) -> Weight:
    """The weight of a layer with gradients to what is trained of it.

    Args:
        layer: the quantized layer.
        floats: what its codes stand for; only what is rounded anew needs it.
        trained: words of `Distill.train`.

    Example:
        >>> from workbench.quantizers import Recipe
        >>> layer = Recipe.parse("w=int4/g4").apply(np.eye(4, dtype=np.float32))
        >>> type(weight_of(layer, None, ("scales",))).__name__
        'ScaledWeight'
    """
    if has_scales(layer.weight) and all(map(_apart, layer.corrections)):
        if "scales" in trained:
            return ScaledWeight(layer)
        if set(ANEW) & set(trained):
            return RoundedWeight(layer, floats, "clips" in trained)
    return StayingWeight(layer)


def has_scales(weight: Any) -> bool:
    """Whether a packed weight has one grid of values and scales that could be others."""
    scaled = isinstance(weight, QuantizedTensor) and weight.layout is not None
    return scaled and not weight.scheme.parts


def _apart(correction: Correction) -> bool:
    """Whether a correction holds nothing of the weight, so that this may move."""
    return isinstance(correction, Thin | Constant)


def _fitted(weight: QuantizedTensor) -> Fitted:
    """The scales of a packed weight, to store others in their place."""
    zeros = weight.means if weight.zero_points is None else weight.zero_points.astype(np.float32)
    chosen = Chosen(weight.scales, zeros, weight.whole)
    return Fitted(weight.scheme, weight.shape, weight.axis, chosen)
