"""The data that reproductions share: seeded random tensors and the error relative to them."""

from __future__ import annotations

import numpy as np

from ..schemes import Scheme, parse


def gaussian(rows: int, cols: int, seed: int = 0) -> np.ndarray:
    """Standard normal float32 values.

    Example:
        >>> gaussian(2, 3).shape
        (2, 3)
    """
    return np.random.default_rng(seed).standard_normal((rows, cols)).astype(np.float32)


def student(rows: int, cols: int, nu: float = 3.0, seed: int = 0) -> np.ndarray:
    """Student-t float32 values, whose tails are heavy.

    Example:
        >>> student(2, 3).dtype
        dtype('float32')
    """
    return np.random.default_rng(seed).standard_t(nu, (rows, cols)).astype(np.float32)


def relative_error(x: np.ndarray, scheme: str | Scheme) -> float:
    """The mean squared error of a scheme over the mean square of `x`.

    Example:
        >>> relative_error(np.float32([[1, 2]]), "int8/channel") < 1e-4
        True
    """
    exact = x.astype(np.float64)
    rounded = parse(scheme).round(x).astype(np.float64)
    return float(((rounded - exact) ** 2).mean() / (exact**2).mean())
