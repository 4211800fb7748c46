"""Means and covariances of data, and the checks every function of a covariance begins with."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import WorkbenchError
from ..kernels import arrays
from ..kernels.threads import CHUNK


def moments(x: Any) -> tuple[np.ndarray, np.ndarray]:
    """Mean and covariance of rows, in float64, with one piece of the rows widened at a time.

    Args:
        x: floats `(rows, channels)`, all axes before the last being rows; at least 2 rows.

    Returns:
        The mean `(channels,)` and the unbiased covariance `(channels, channels)`.

    NaN, infinities, fewer than 2 rows and no channels raise `WorkbenchError`.

    Example:
        >>> mean, covariance = moments([[0.0, 1.0], [2.0, 1.0]])
        >>> mean.tolist(), covariance.tolist()
        ([1.0, 1.0], [[2.0, 0.0], [0.0, 0.0]])
    """
    rows = matrix_of_rows(x)
    count, channels = rows.shape
    mean = rows.mean(axis=0, dtype=np.float64)
    total = np.zeros((channels, channels))
    step = max(1, CHUNK // channels)
    for start in range(0, count, step):
        part = rows[start : start + step] - mean
        total += part.T @ part
    return mean, total / (count - 1)


def matrix_of_rows(x: Any) -> np.ndarray:
    """`x` as a finite float matrix of at least two rows, the last axis being the channels.

    Example:
        >>> matrix_of_rows(np.zeros((2, 3, 4), np.float32)).shape
        (6, 4)
    """
    values = arrays.to_numpy(x)
    channels = values.shape[-1] if values.ndim > 1 else 0
    rows = values.size // channels if channels else 0
    if rows < 2:
        raise WorkbenchError(
            f"data of shape {values.shape}",
            "a spread needs two rows and one channel at least",
            "pass (rows, channels), such as tokens x features",
        )
    if not np.isfinite(values).all():
        raise WorkbenchError(
            f"data with {int((~np.isfinite(values)).sum())} values that are NaN or infinite",
            "they have no mean",
            "leave their rows out: x[np.isfinite(x).all(axis=1)]",
        )
    return values.reshape(rows, channels)


def checked_covariance(covariance: Any, name: str = "a covariance") -> np.ndarray:
    """A symmetric positive definite matrix as float64; any other raises `WorkbenchError`.

    Args:
        covariance: floats `(channels, channels)`.
        name: what an error calls it.

    Example:
        >>> checked_covariance([[2.0, 0.0], [0.0, 1.0]]).dtype
        dtype('float64')
    """
    matrix = checked_symmetric(covariance, name)
    if _correlation_root(matrix) is None:
        size = matrix.shape[0]
        raise WorkbenchError(
            f"{name} of {size} channels that is singular or not positive",
            "its ellipsoid has no volume",
            "pass more rows than channels, leave out channels that are constant or sums of "
            f"others, or add a ridge: c + 1e-6 * np.trace(c) / {size} * np.eye({size})",
        )
    return matrix


def checked_symmetric(matrix: Any, name: str) -> np.ndarray:
    """A square, finite, symmetric matrix as float64; any other raises `WorkbenchError`.

    Example:
        >>> checked_symmetric(np.eye(2, dtype=np.float32), "a covariance").dtype
        dtype('float64')
    """
    square = arrays.to_numpy(matrix).astype(np.float64)
    if square.ndim != 2 or square.shape[0] != square.shape[1] or not square.size:
        raise WorkbenchError(
            f"{name} of shape {square.shape}",
            "it has a row and a column for each channel",
            "pass (channels, channels); metrics.moments(x) makes one of data",
        )
    if not np.isfinite(square).all():
        raise WorkbenchError(
            f"{name} with NaN or infinite entries", "nothing can be said of them",
            "leave those rows of the data out",
        )  # fmt: skip
    if np.abs(square - square.T).max() > 1e-6 * np.abs(square).max():
        raise WorkbenchError(
            f"{name} that is not symmetric", "entries (i, j) and (j, i) are one figure",
            "pass 0.5 * (c + c.T), or the matrix that was meant",
        )  # fmt: skip
    return 0.5 * (square + square.T)


def checked_mean(mean: Any, channels: int) -> np.ndarray:
    """A mean as finite float64 `(channels,)`, zeros for None.

    Example:
        >>> checked_mean(None, 2).tolist()
        [0.0, 0.0]
    """
    if mean is None:
        return np.zeros(channels)
    vector = arrays.to_numpy(mean).astype(np.float64)
    if vector.shape != (channels,) or not np.isfinite(vector).all():
        raise WorkbenchError(
            f"a mean of shape {vector.shape}, {int(np.isfinite(vector).sum())} entries finite",
            f"the covariance has {channels} channels",
            f"pass {channels} finite numbers, or None for zero",
        )
    return vector


def log_determinant(covariance: np.ndarray) -> float:
    """Natural logarithm of the determinant of what `checked_covariance` gave.

    Example:
        >>> float(np.exp(log_determinant(np.diag([4.0, 0.5]))).round(6))
        2.0
    """
    root = _correlation_root(covariance)
    if root is None:
        return -np.inf
    variances = np.log(np.diag(covariance)).sum()
    return float(variances + 2 * np.log(np.diag(root)).sum())


def _correlation_root(covariance: np.ndarray) -> np.ndarray | None:
    """The Cholesky factor of the correlations, or None where they are singular to rounding.

    Correlations instead of covariances, so that a channel may be small without being constant.
    """
    variances = np.diag(covariance)
    if not (variances > 0).all():
        return None
    deviations = np.sqrt(variances)
    try:
        root = np.linalg.cholesky(covariance / deviations / deviations[:, None])
    except np.linalg.LinAlgError:
        return None
    least = variances.size * np.finfo(np.float64).eps
    return root if float(np.diag(root).min()) ** 2 > least else None
