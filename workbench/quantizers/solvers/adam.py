"""Adam: the step of gradient descent that solvers take."""

from __future__ import annotations

import numpy as np

FIRST, SECOND, SMALL = 0.9, 0.999, 1e-8


class Adam:
    """Moments of a gradient, and the step that follows from them.

    Source: Kingma and Ba, 2015, with its usual constants.

    Args:
        rate: the step size.

    Example:
        >>> Adam(0.1).moved(np.array([1.0, 2.0]), np.array([5.0, -3.0])).round(6)
        array([0.9, 2.1])
    """

    def __init__(self, rate: float):
        self.rate, self.count = rate, 0
        self.first: np.ndarray | float = 0.0
        self.second: np.ndarray | float = 0.0

    def moved(self, values: np.ndarray, gradient: np.ndarray) -> np.ndarray:
        """The values one step down, in the dtype of the values; both have one shape."""
        self.count += 1
        self.first += (1 - FIRST) * (gradient - self.first)
        self.second += (1 - SECOND) * (gradient**2 - self.second)
        size = np.sqrt(self.second / (1 - SECOND**self.count)) + SMALL
        step = (self.rate / (1 - FIRST**self.count)) * self.first / size
        return (values - step).astype(values.dtype, copy=False)
