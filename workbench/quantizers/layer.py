"""A linear layer before and after: what a recipe is applied to, and what it gives."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from ..errors import WorkbenchError
from ..kernels import arrays
from ..schemes import QuantizedTensor
from .activations import Activations
from .calibration import Calibration
from .residuals.base import Correction
from .rewrites import Rewrite

Product = Callable[[np.ndarray, np.ndarray], np.ndarray]


@dataclass(frozen=True, eq=False)
class Layer:
    """A linear layer: y = x W^T + b.

    Attributes:
        weight: float32 (outputs, features), finite.
        bias: float32 (outputs,), or None.
        name: what messages and tables call it.
        producer: float32 (features, more): the weight of the linear layer that writes the inputs
            with nothing but a homogeneous function in between, or None.
    """

    weight: np.ndarray
    bias: np.ndarray | None = None
    name: str = "layer"
    producer: np.ndarray | None = None

    @classmethod
    def of(cls, layer: Any, name: str = "layer") -> Layer:
        """The layer of a `Layer`, a torch linear module, or a matrix.

        Anything else, or a weight that is not finite, raises `WorkbenchError`.
        """
        if isinstance(layer, Layer):
            return layer
        weight, bias = getattr(layer, "weight", layer), getattr(layer, "bias", None)
        values = _matrix(weight, name)
        return cls(values, None if bias is None else _plain(bias), name)


def _plain(x: Any) -> np.ndarray:
    return arrays.to_numpy(x.detach() if hasattr(x, "detach") else x).astype(np.float32)


def _matrix(x: Any, name: str) -> np.ndarray:
    try:
        values = np.ascontiguousarray(_plain(x))
    except (TypeError, ValueError):
        raise WorkbenchError(
            f"{name}: {type(x).__name__}", "it has no weight", "pass a linear layer or a matrix"
        ) from None
    if values.ndim != 2 or not values.size:
        raise WorkbenchError(
            f"{name}: a weight of shape {values.shape}", "a linear layer's is outputs x features",
            "pass a matrix",
        )  # fmt: skip
    if not np.isfinite(values).all():
        raise WorkbenchError(
            f"{name}: {int((~np.isfinite(values)).sum())} weights are not finite",
            "they cannot be quantized with the others", "repair the checkpoint",
        )  # fmt: skip
    return values


@dataclass(frozen=True, eq=False)
class QuantizedLayer:
    """A linear layer whose weights, and inputs where asked, are quantized.

    Attributes:
        name: of the layer.
        weight: the packed weight, of the rewritten layer; None where it stays float.
        kept: float32, the rewritten weight where it stays float; else None.
        bias: float32 (outputs,), or None.
        rewrite: what is done to the inputs first; none where neighbours do it.
        activations: how inputs are rounded, or None.
        corrections: what is added to the outputs.
        cache: how outputs are rounded, or None: those of keys and values, before positions.
        note: what the solver has to say, such as that its search ended at an end; or "".

    Example:
        >>> from workbench.quantizers import Recipe
        >>> w = np.float32(np.random.default_rng(0).standard_normal((4, 64)))
        >>> layer = Recipe.parse("w=int4/g32").apply(w)
        >>> layer(np.ones((2, 64), np.float32)).shape, layer.bits_per_weight
        ((2, 4), 5.0)
    """

    name: str
    weight: QuantizedTensor | None
    kept: np.ndarray | None
    bias: np.ndarray | None
    rewrite: Rewrite
    activations: Activations | None
    corrections: tuple[Correction, ...] = ()
    cache: Activations | None = None
    note: str = ""

    @cached_property
    def matrix(self) -> np.ndarray:
        """The weight that rounded inputs are multiplied with, float32 (outputs, features)."""
        return self.kept if self.weight is None else self.weight.dequantize()

    @property
    def effective(self) -> np.ndarray:
        """The matrix with the residuals that are matrices."""
        return self.matrix + sum(correction.weight() for correction in self.corrections)

    def __call__(self, x: Any, product: Product = np.matmul) -> Any:
        """The layer's outputs for (..., features) inputs, as what the inputs were."""
        values = arrays.to_numpy(x.detach() if hasattr(x, "detach") else x)
        rows = np.ascontiguousarray(values.reshape(-1, values.shape[-1]), np.float32)
        outputs = self.outputs(rows, product)
        return arrays.like(x, outputs.reshape(*values.shape[:-1], outputs.shape[-1]))

    def outputs(self, rows: np.ndarray, product: Product = np.matmul) -> np.ndarray:
        """Outputs for float32 (rows, features); `product` multiplies two matrices."""
        rows, extra = self.rewrite.inputs(rows), []
        for correction in self.corrections:
            rows, more = correction.split(rows)
            extra.append(more)
        result = product(self.rounded(rows), self.matrix.T)
        for more in extra:
            result += more
        if self.bias is not None:
            result += self.bias
        return result if self.cache is None else self.cache.round(result)

    def rounded(self, rows: np.ndarray) -> np.ndarray:
        """Rewritten inputs as they are multiplied."""
        return rows if self.activations is None else self.activations.round(rows)

    @property
    def nbytes(self) -> int:
        """Bytes of the stored weight with its scales, of the residuals and of the bias."""
        weight = self.kept.nbytes if self.weight is None else self.weight.nbytes
        bias = 0 if self.bias is None else self.bias.nbytes
        return weight + bias + sum(correction.nbytes for correction in self.corrections)

    @property
    def bits_per_weight(self) -> float:
        """Stored bits a weight, scales and residuals counted, the bias not."""
        bias = 0 if self.bias is None else self.bias.nbytes
        return 8 * (self.nbytes - bias) / self.matrix.size

    def row_errors(self, layer: Layer, calibration: Calibration) -> tuple[np.ndarray, np.ndarray]:
        """The squared error of each sampled row's outputs, and their square; float64 (rows,)."""
        calibration.must_match(layer.name, layer.weight.shape[1])
        rows = calibration.rows
        exact = rows @ layer.weight.T
        bias = 0.0 if layer.bias is None else layer.bias
        difference = replace(self, cache=None).outputs(rows) - exact - bias
        errors, sizes = ((part.astype(np.float64) ** 2).sum(axis=1) for part in (difference, exact))
        return errors, sizes

    def error(self, layer: Layer, calibration: Calibration) -> float:
        """The squared error of the outputs over their square, on the calibration's sample."""
        errors, sizes = self.row_errors(layer, calibration)
        size = float(sizes.sum())
        return float(errors.sum()) / size if size else 0.0
