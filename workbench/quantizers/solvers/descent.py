"""Gradient descent with momentum, in steps of a size that is said."""

from __future__ import annotations

import numpy as np

KEPT = 0.9  # of the step before


class Descent:
    """Steps along a running mean of gradients, over the root mean square of the first ones.

    A step then has the same unit as that of `Adam`, and stays proportional to the gradient.

    Args:
        rate: the size of the first step, where a gradient is as large as most.

    Example:
        >>> Descent(0.1).moved(np.array([1.0, 2.0]), np.array([3.0, -3.0])).round(6)
        array([0.99, 2.01])
    """

    def __init__(self, rate: float):
        self.rate = rate
        self.mean: np.ndarray | float = 0.0
        self.size: np.ndarray | float = 0.0

    def moved(self, values: np.ndarray, gradient: np.ndarray) -> np.ndarray:
        """The values one step down, in the dtype of the values; both have one shape."""
        if isinstance(self.mean, float):
            self.size = np.sqrt((gradient**2).mean(axis=-1, keepdims=True)) + 1e-30
        self.mean += (1 - KEPT) * (gradient - self.mean)
        return (values - self.rate * self.mean / self.size).astype(values.dtype, copy=False)
