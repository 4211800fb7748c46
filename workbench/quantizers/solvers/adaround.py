"""AdaRound: which of its two neighbours on the grid every weight becomes, learned.

Source: Nagel et al., 2020, on any grid instead of integers alone, and with the loss of the layer's
outputs written through the inputs' products, so that a step costs one product of matrices.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ...errors import WorkbenchError
from .adam import Adam
from .base import Problem, Solved, Solver, by_rows

ROWS = 64  # learned together
STRETCH_LOW, STRETCH_HIGH = -0.1, 1.1  # of the rectified sigmoid
WARM_UP = 0.2  # share of the steps without the term that makes decisions
STEEP, FLAT = 20.0, 2.0  # its exponent at its start and end


@dataclass(frozen=True)
class AdaRound(Solver):
    """Learn to round up or down, for the layer's outputs on the calibration's rows.

    Args:
        steps: of Adam.
        rate: its step size.
        decide: weight of the term that makes every decision come out.

    Example:
        >>> from workbench.quantizers import Calibration
        >>> from workbench.schemes import parse
        >>> random = np.random.default_rng(0)
        >>> x = random.standard_normal((512, 8)) @ random.standard_normal((8, 8))
        >>> problem = Problem(np.float32(random.standard_normal((4, 8))), parse("int3/channel"),
        ...                   Calibration.of(x))
        >>> error = problem.weight - AdaRound().solve(problem).values
        >>> plain = problem.weight - problem.fitted.round(problem.weight)
        >>> bool(((x @ error.T) ** 2).sum() < ((x @ plain.T) ** 2).sum())
        True
    """

    steps: int = 500
    rate: float = 0.03
    decide: float = 0.3
    name: ClassVar[str] = "adaround"

    def __post_init__(self):
        if self.steps < 1 or self.rate <= 0:
            raise WorkbenchError(
                str(self), "it takes steps of some size", "write adaround(steps=500, rate=0.03)"
            )

    def solve(self, problem: Problem) -> Solved:
        """The rounded weight; each row no worse on the calibration than rounded to nearest."""
        gram = problem.gram(self.name)
        gram = (gram / max(float(np.trace(gram)) / len(gram), 1e-30)).astype(np.float32)
        values = problem.fitted.round(problem.weight)

        def solve(part: slice) -> None:
            weight = problem.weight[part]
            low, high = problem.fitted.region(part, slice(None)).neighbours(weight)
            learned = self._learned(weight, low, high, gram)
            better = _loss(learned - weight, gram) < _loss(values[part] - weight, gram)
            values[part] = np.where(better[:, None], learned, values[part])

        by_rows(solve, len(values), ROWS)
        return Solved(values, problem.fitted)

    def _learned(self, weight, low, high, gram) -> np.ndarray:
        """Some rows at the neighbours that were decided for."""
        step = high - low
        inside = step > 0
        share = np.clip((weight - low) / np.where(inside, step, 1), 0.0, 1.0)
        scale = 1.0 / np.maximum(_loss(np.where(share > 0.5, high, low) - weight, gram), 1e-20)
        logits, adam = _inverse(share), Adam(self.rate)
        for number in range(1, self.steps + 1):
            up, slope = _rectified(logits)
            error = low + up * step - weight
            gradient = 2 * (error @ gram) * step * slope * scale[:, None]
            gradient += self._decision(up, slope, number)
            logits = adam.moved(logits, gradient)
        return np.where(_rectified(logits)[0] >= 0.5, high, low)

    def _decision(self, up: np.ndarray, slope: np.ndarray, number: int) -> np.ndarray | float:
        """The gradient of sum(1 - |2 up - 1|^b), b falling from steep to flat."""
        done = (number / self.steps - WARM_UP) / (1 - WARM_UP)
        if done <= 0:
            return 0.0
        power = STEEP + (FLAT - STEEP) * done
        centred = 2 * up - 1
        return -2 * self.decide * power * np.abs(centred) ** (power - 1) * np.sign(centred) * slope


def _loss(error: np.ndarray, gram: np.ndarray) -> np.ndarray:
    """The squared error of each row's outputs."""
    return np.einsum("ij,ij->i", error @ gram, error)


def _rectified(logits: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The stretched and clipped sigmoid, and its slope."""
    sigmoid = 1 / (1 + np.exp(-logits))
    width = STRETCH_HIGH - STRETCH_LOW
    stretched = sigmoid * width + STRETCH_LOW
    inside = (stretched > 0) & (stretched < 1)
    return np.clip(stretched, 0, 1), sigmoid * (1 - sigmoid) * width * inside


def _inverse(share: np.ndarray) -> np.ndarray:
    """The logits whose stretched sigmoid is `share`."""
    inner = (share - STRETCH_LOW) / (STRETCH_HIGH - STRETCH_LOW)
    return -np.log(1 / inner - 1)
