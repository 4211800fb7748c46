"""A product of two thin matrices, trained to give back what the layer's outputs lack."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ...costs import Added
from ...errors import WorkbenchError
from ...kernels.threads import one_blas_thread
from ..solvers.adam import Adam
from .base import Remainder, Residual
from .low_rank import LowRank, Thin, thin

RATE = 0.1  # a step, over the root mean square of the factor's entries


@dataclass(frozen=True)
class LearnedLowRank(Residual):
    """A matrix of low rank, in 16 bits, trained for the outputs on the calibration's rows.

    It starts from the best approximation of the weight's error, and is kept only where the outputs
    are nearer than with that. Inputs that the layer rounds are rounded for the quantized product;
    the thin one takes them as they are. Source: the error correction of INT2.1 (Chai et al., 2023),
    which trains all layers together on the model's own predictions; here each is trained by itself.

    Args:
        rank: of the correction, at most the smaller side of the weight.
        steps: of Adam.

    A rank that cannot be, or a layer without known inputs, raises `WorkbenchError`.

    Example:
        >>> from workbench.quantizers import Calibration, Layer, Recipe
        >>> random = np.random.default_rng(0)
        >>> w, x = random.standard_normal((8, 16)), random.standard_normal((256, 4))
        >>> x = x @ random.standard_normal((4, 16))  # all inputs lie in four dimensions
        >>> layer, known = Layer.of(w), Calibration.of(x)
        >>> plain, learned = (Recipe.parse(f"w=int2/channel {part}(rank=4)").apply(layer, known)
        ...                   for part in ("low_rank", "learned_low_rank"))
        >>> learned.error(layer, known) < 0.01 * plain.error(layer, known)
        True
    """

    rank: int = 16
    steps: int = 600
    name: ClassVar[str] = "learned_low_rank"

    def __post_init__(self):
        if self.rank < 1 or self.steps < 1:
            raise WorkbenchError(
                str(self), "it has a rank, and is trained for some steps",
                "write learned_low_rank(rank=16, steps=600)",
            )  # fmt: skip

    def added(self, outputs: int, features: int) -> Added:
        """Both factors in 16 bits, and two thin products."""
        return thin(self.rank, outputs, features)

    def fit(self, remainder: Remainder) -> Thin:
        """The two matrices."""
        remainder.known(self.name)
        start = LowRank(self.rank).fit(remainder)
        with one_blas_thread():
            square, wanted = _products(remainder)
            learned = self._trained(start, square, wanted)
            return min(start, learned, key=lambda thin: _error(thin, square, wanted))

    def _trained(self, start: Thin, square: np.ndarray, wanted: np.ndarray) -> Thin:
        """Both factors after all steps of ever smaller size; their product, transposed, is M."""
        first, second = (part.astype(np.float32) for part in (start.first, start.second))
        square, wanted = square.astype(np.float32), wanted.T.astype(np.float32)
        rates = [RATE * float(np.sqrt((part**2).mean())) for part in (first, second)]
        adams = [Adam(rate) for rate in rates]
        for number in range(self.steps):
            for adam, rate in zip(adams, rates, strict=True):
                adam.rate = rate * (1 + np.cos(np.pi * number / self.steps)) / 2
            reach = square @ first
            toward = reach @ (second @ second.T) - wanted @ second.T
            gradient = (first.T @ reach) @ second - first.T @ wanted
            first, second = adams[0].moved(first, toward), adams[1].moved(second, gradient)
        return Thin(first.astype(np.float16), second.astype(np.float16))


def _products(remainder: Remainder) -> tuple[np.ndarray, np.ndarray]:
    """C and T, float64, with which the squared error of M is tr(M C M^T) - 2 tr(M T^T) and more.

    C is E x x^T and T is E e x^T for what outputs lack, e. Exact inputs count with all rows that
    were seen, rounded ones with the sample; all of it is over the mean square of the inputs.
    """
    known, weight = remainder.calibration, remainder.weight.astype(np.float64)
    quantized, rows = remainder.quantized.astype(np.float64), known.rows
    square = known.gram
    wanted = (weight - quantized) @ square
    given = remainder.rounded(rows)
    if not np.array_equal(given, rows):
        rows, given = rows.astype(np.float64), given.astype(np.float64)
        square = rows.T @ rows / len(rows)
        wanted = weight @ square - quantized @ (given.T @ rows / len(rows))
    size = max(float(np.trace(square)) / len(square), 1e-30)
    return square / size, wanted / size


def _error(thin: Thin, square: np.ndarray, wanted: np.ndarray) -> float:
    """The squared error of a correction, but for what no correction changes."""
    matrix = thin.weight().astype(np.float64)
    return float(((matrix @ square - 2 * wanted) * matrix).sum())
