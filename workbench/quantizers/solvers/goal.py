"""What a layer should give out, as a quadratic of each row of its weight.

With rounded inputs r(x) in the place of x, a row v in the place of w gives the mean squared error
E (v r(x) - w x)^2, which products of inputs say exactly.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..activations import Activations
from .base import Problem

EVERY = slice(None)


@dataclass(frozen=True, eq=False)
class Goal:
    """The squared error of a layer's outputs; all of it over the mean square of its inputs.

    Attributes:
        weight: float32 (outputs, features), as the layer would have it.
        square: float32 (features, features), mean products of the inputs that it is given.
        pull: float32 (outputs, features), half the gradient at `weight`; 0 with exact inputs.
        constant: float32 (outputs,), the error of `weight` itself.

    Example:
        >>> from workbench.quantizers import Calibration
        >>> from workbench.schemes import parse
        >>> problem = Problem(np.float32([[1, 2]]), parse("int4"), Calibration.identity(2))
        >>> Goal.of(problem, "", "example").errors(np.float32([[1, 4]])).tolist()
        [4.0]
    """

    weight: np.ndarray
    square: np.ndarray
    pull: np.ndarray
    constant: np.ndarray

    @classmethod
    def of(cls, problem: Problem, inputs: str, name: str) -> Goal:
        """The goal of a problem for the solver `name`.

        Args:
            problem: with a calibration; without one a `WorkbenchError`.
            inputs: the scheme that inputs are rounded under; the calibration's sample is. "" takes
                inputs as they are, and their products over all rows.
            name: of the solver, for the refusal.
        """
        exact = rounded = problem.gram(name)
        weight = problem.weight.astype(np.float64)
        target = weight @ exact
        if inputs:
            rows = problem.calibration.rows
            given = Activations.of(inputs).round(rows).astype(np.float64)
            rounded, outputs = given.T @ given / len(rows), rows.astype(np.float64) @ weight.T
            target, wanted = outputs.T @ given / len(rows), (outputs**2).mean(axis=0)
        else:
            wanted = (target * weight).sum(axis=1)
        pull = weight @ rounded - target
        constant = ((pull - target) * weight).sum(axis=1) + wanted
        size = max(float(np.trace(exact)) / len(exact), 1e-30)
        parts = [(part / size).astype(np.float32) for part in (rounded, pull, constant)]
        return cls(problem.weight, *parts)

    def errors(self, values: np.ndarray, rows: slice = EVERY) -> np.ndarray:
        """The error of each of some rows at these values, float32."""
        gap = values - self.weight[rows]
        both = gap @ self.square + 2 * self.pull[rows]
        return np.einsum("ij,ij->i", both, gap) + self.constant[rows]

    def slope(self, values: np.ndarray, rows: slice = EVERY) -> np.ndarray:
        """Half the gradient of some rows' errors, float32 (rows, features)."""
        return (values - self.weight[rows]) @ self.square + self.pull[rows]
