"""Clipping: a smaller range for each block where what the layer computes is nearer then."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from ...errors import WorkbenchError
from ...schemes import ranges
from .base import Problem, Solved, Solver


@dataclass(frozen=True)
class Clip(Solver):
    """The share of its range, of each block, with the least error weighted by the inputs' size.

    The error of a weight counts as much as the mean square of its input, as in AWQ's and GPTQ's
    clip searches with products between channels left out. The full range is among those tried.

    Args:
        least: the smallest share that is tried.
        steps: how many shares are tried, the full range among them.
    """

    least: float = 0.3
    steps: int = 29
    name: ClassVar[str] = "clip"

    def __post_init__(self):
        if not (0 < self.least < 1 and self.steps > 1):
            raise WorkbenchError(
                str(self), "shares lie between 0 and 1, and two or more are tried",
                "write clip(least=0.3, steps=29)",
            )  # fmt: skip

    def solve(self, problem: Problem) -> Solved:
        """The weight rounded to nearest under the best of the ranges."""
        scheme = problem.scheme
        if scheme.scale is None or scheme.parts or scheme.scale.mean:
            why = "it has no range that could be smaller"
            raise WorkbenchError(f"{self.name} for {scheme}", why, "write nearest")
        weights = np.diag(problem.gram(self.name))
        fitted = problem.fitted
        rows = fitted.layout.to_rows(problem.weight)
        each = np.broadcast_to(weights, problem.weight.shape)
        shares = np.linspace(1, self.least, self.steps).astype(np.float32)
        chosen = ranges.searched(scheme, rows, fitted.layout, shares, fitted.layout.to_rows(each))
        fitted = replace(fitted, chosen=chosen)
        return Solved(fitted.round(problem.weight), fitted)
