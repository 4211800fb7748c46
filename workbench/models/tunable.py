"""A quantized layer whose free numbers have gradients, and the quantized layer that they make.

Forward it gives what the quantized layer gives. Backward every rounding passes gradients straight
through, and a rewrite of the inputs or a correction of the outputs counts as the matrix that it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor, nn

from workbench.models.tunable_rounding import ends, given, rounded
from workbench.models.tunable_weight import has_scales, weight_of
from workbench.quantizers.activations import Activations
from workbench.quantizers.layer import QuantizedLayer
from workbench.quantizers.residuals.base import Correction
from workbench.quantizers.residuals.bias import Constant
from workbench.quantizers.residuals.low_rank import Thin
from workbench.quantizers.rewrites import Rewrite, Scaling
from workbench.quantizers.solvers.moved_scales import stored
from workbench.schemes.apply import Chosen
from workbench.schemes.fitted import Fitted


class TunableLinear(nn.Module):
    """A quantized layer in training.

    Args:
        layer: where it starts.
        trained: words of `Distill.train`; what the layer lacks is not trained.
        floats: float32 (outputs, features), what its codes stand for; None where none are chosen
            anew.
        channels: logarithms of the channels' factors, (features,), which layers that read the same
            inputs share; or None.

    Attributes:
        exact: whether nothing is rounded for now: what the float layer gives.

    Example:
        >>> from workbench.quantizers import Recipe
        >>> layer = Recipe.parse("w=int4/g4").apply(np.eye(4, dtype=np.float32))
        >>> tunable = TunableLinear(layer, ("scales", "biases"))
        >>> list(tunable.free()), torch.equal(tunable(torch.eye(4)), layer(torch.eye(4)))
        (['scales', 'biases'], True)
    """

    def __init__(
        self,
        layer: QuantizedLayer,
        trained: Sequence[str],
        floats: np.ndarray | None = None,
        channels: nn.Parameter | None = None,
    ) -> None:
        super().__init__()
        self.layer, self.floats, self.channels, self.exact = layer, floats, channels, False
        self.weight = weight_of(layer, floats, tuple(trained))
        self.inputs = Inputs(layer.activations, "ranges" in trained)
        self.bias = None if layer.bias is None else torch.from_numpy(layer.bias)
        if "biases" in trained:
            start = torch.zeros(len(layer.matrix)) if self.bias is None else self.bias.clone()
            self.bias = nn.Parameter(start)
        self.corrections = nn.ModuleList(
            Factors(one) if isinstance(one, Thin) else Still(one) for one in layer.corrections
        )
        self.back = _matrix_of(layer.rewrite, layer.matrix.shape[1])

    def free(self) -> dict[str, list[nn.Parameter]]:
        """What could be trained here, by the words of `Distill.train`."""
        found = {
            self.weight.word: list(self.weight.parameters()),
            "channels": [] if self.channels is None else [self.channels],
            "ranges": list(self.inputs.parameters()),
            "biases": [self.bias] if isinstance(self.bias, nn.Parameter) else [],
            "low_rank": list(self.corrections.parameters()),
        }
        return {word: parameters for word, parameters in found.items() if parameters}

    def forward(self, x: Tensor) -> Tensor:
        """Outputs (..., outputs) of inputs (..., features), every sequence rounded by itself."""
        factors = None if self.channels is None else self.channels.exp()
        matrix = self._float_matrix(factors) if self.exact else self.weight(factors)
        if x.ndim < 3 or len(x) == 1:
            return self._outputs(x, matrix, factors)
        return torch.stack([self._outputs(one, matrix, factors) for one in x])

    def _float_matrix(self, factors: Tensor | None) -> Tensor:
        matrix = torch.from_numpy(self.layer.matrix if self.floats is None else self.floats)
        return matrix if factors is None else matrix * factors

    def _outputs(self, x: Tensor, matrix: Tensor, factors: Tensor | None) -> Tensor:
        rows, extra = self._rewritten(x.reshape(-1, x.shape[-1])), []
        if factors is not None:
            rows = rows / factors
        if not self.exact:
            for correction in self.corrections:
                rows, more = correction(rows)
                extra.append(more)
            rows = self.inputs(rows)
        result = rows @ matrix.T
        for more in extra:
            result = result + more
        if self.bias is not None:
            result = result + self.bias
        if self.layer.cache is not None and not self.exact:
            result = given(result, self.layer.cache.round(result.detach().numpy()))
        return result.view(*x.shape[:-1], -1)

    def _rewritten(self, rows: Tensor) -> Tensor:
        if self.back is None:
            return rows
        values = self.layer.rewrite.inputs(np.ascontiguousarray(rows.detach().numpy()))
        return given(rows, values, self.back)

    @torch.no_grad()
    def made(self) -> QuantizedLayer:
        """The quantized layer that the numbers by now make."""
        factors = None if self.channels is None else self.channels.exp()
        layer = self.weight.made(factors)
        if factors is not None:
            layer = replace(layer, rewrite=layer.rewrite.then(Scaling(factors.numpy().copy())))
        corrections = tuple(one.made() for one in self.corrections)
        bias = None if self.bias is None else self.bias.detach().numpy().copy()
        activations = self.inputs.made()
        return replace(layer, activations=activations, corrections=corrections, bias=bias)


class Inputs(nn.Module):
    """How inputs are rounded, with gradients to what is rounded, and to static ranges.

    Args:
        activations: the rounding, or None.
        ranges: whether static ranges are learned.
    """

    def __init__(self, activations: Activations | None, ranges: bool) -> None:
        super().__init__()
        self.activations, self.shares, self.shifts = activations, None, None
        self.fixed = None if activations is None else activations.fixed
        if self.fixed is None or self.fixed.scheme.parts or self.fixed.scheme.scale.has_whole:
            self.fixed = None
            return
        chosen = Chosen(self.fixed.scales, self.fixed.zeros, 1.0)
        self.fitted = Fitted(self.fixed.scheme, chosen.scales.shape, -1, chosen)
        self.scales, self.zeros = (
            None if each is None else torch.from_numpy(np.array(each, np.float32))
            for each in chosen[:2]
        )
        if ranges:
            self.shares = nn.Parameter(torch.zeros_like(self.scales))
            self.shifts = None if self.zeros is None else nn.Parameter(torch.zeros_like(self.zeros))

    def _range(self) -> tuple[Tensor, Tensor | None]:
        """Scales, and zero points or means, by now; a shift of one is the length of the range."""
        scheme, scales, zeros = self.fixed.scheme, self.scales, self.zeros
        if self.shares is not None:
            scales = scales * self.shares.exp()
            scales = given(scales, stored(self.fitted, scales.detach().numpy()))
        if self.shifts is not None:
            low, high = ends(scheme)
            step = self.scales if scheme.scale.mean else 1.0
            zeros = zeros + (high - low) * step * self.shifts
            if not scheme.scale.mean:
                zeros = given(zeros, zeros.detach().numpy().round().clip(low, high))
        return scales, zeros

    def forward(self, rows: Tensor) -> Tensor:
        """The rows as they are multiplied."""
        if self.fixed is not None:
            return rounded(rows, *self._range(), self.fixed.scheme)
        if self.activations is None:
            return rows
        return given(rows, self.activations.round(np.ascontiguousarray(rows.detach().numpy())))

    def made(self) -> Activations | None:
        """The rounding that the numbers by now make."""
        if self.shares is None:
            return self.activations
        scales, zeros = (None if each is None else each.numpy() for each in self._range())
        return replace(self.activations, fixed=replace(self.fixed, scales=scales, zeros=zeros))


class Factors(nn.Module):
    """The two matrices of a low-rank correction in training, stored in 16 bits.

    Args:
        start: the correction that training starts from.
    """

    def __init__(self, start: Thin) -> None:
        super().__init__()
        parts = (start.first, start.second)
        self.first, self.second = (nn.Parameter(torch.from_numpy(p).float()) for p in parts)

    def forward(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """All rows, and the thin product of them."""
        first, second = (given(p, p.detach().half().numpy()) for p in (self.first, self.second))
        return rows, rows @ first @ second

    def made(self) -> Correction:
        """The correction that the numbers by now make."""
        return Thin(self.first.half().numpy(), self.second.half().numpy())


class Still(nn.Module):
    """A correction that is not trained, with a gradient past it.

    What it takes from the quantized product it multiplies with nearly the same weight, so the
    gradient goes through that product; what it adds to it counts as the matrix that it is.

    Args:
        correction: the correction.
    """

    def __init__(self, correction: Correction) -> None:
        super().__init__()
        self.correction, self.matrix = correction, None
        matrix = correction.weight()
        if isinstance(matrix, np.ndarray):
            self.matrix = torch.from_numpy(np.ascontiguousarray(matrix.T, np.float32))

    def forward(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """The rows that are left, and what is added."""
        rest, more = self.correction.split(np.ascontiguousarray(rows.detach().numpy()))
        added = torch.as_tensor(more, dtype=torch.float32)
        if self.matrix is not None:
            added = given(rows, added.numpy(), self.matrix)
        return given(rows, rest), added

    def made(self) -> Correction:
        """The correction."""
        return self.correction


def _matrix_of(rewrite: Rewrite, features: int) -> Tensor | None:
    """The matrix that a rewrite multiplies inputs with, whatever it shifts them by."""
    if not rewrite.steps:
        return None
    still = rewrite.inputs(np.zeros((1, features), np.float32))
    return torch.from_numpy(rewrite.inputs(np.eye(features, dtype=np.float32)) - still)


def takes_channels(layer: QuantizedLayer) -> bool:
    """Whether a layer can meet other channel factors than it was quantized with.

    Corrections were fitted to the inputs as they are, all but constants.

    Example:
        >>> from workbench.quantizers import Recipe
        >>> weight = np.eye(4, dtype=np.float32)
        >>> [takes_channels(Recipe.parse(t).apply(weight)) for t in ("w=int4/g4", "w=e4m3fn")]
        [True, False]
    """
    if not all(isinstance(correction, Constant) for correction in layer.corrections):
        return False
    return layer.activations is not None if layer.weight is None else has_scales(layer.weight)
