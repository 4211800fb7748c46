"""Canonical correlations: how much of what one representation says another one says too."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import WorkbenchError
from ..kernels.threads import one_blas_thread
from .covariances import matrix_of_rows

NOTHING = 1e-9  # share of the largest singular value under which a direction carries nothing


def canonical_correlations(x: Any, y: Any) -> np.ndarray:
    """The correlations of the best matched directions of two sets of channels, largest first.

    They stay the same under any invertible linear map of either, and under shifts. Directions that
    carry nothing are left out, so there are as many as the smaller rank.

    Args:
        x: floats (rows, channels), all axes before the last being rows.
        y: floats (rows, others), of the same rows. With hardly more rows than channels the
            correlations of anything come near 1: give several times as many.

    Returns:
        float64, each from 0 to 1.

    Different rows, values that are not finite, channels that are all constant, and fewer rows than
    the ranks together need, raise `WorkbenchError`.

    Source: Hotelling, 1936, computed as by Björck and Golub, 1973.

    Example:
        >>> x = np.random.default_rng(0).standard_normal((100, 3))
        >>> canonical_correlations(x, x @ [[1.0, 2.0], [0.0, 1.0], [0.0, 0.0]]).round(6).tolist()
        [1.0, 1.0]
    """
    first, second = matrix_of_rows(x), matrix_of_rows(y)
    if len(first) != len(second):
        raise WorkbenchError(
            f"{len(first)} and {len(second)} rows", "they are compared row by row",
            "give both representations of the same tokens",
        )  # fmt: skip
    with one_blas_thread():
        bases = [_basis(rows) for rows in (first, second)]
        ranks = [basis.shape[1] for basis in bases]
        if sum(ranks) >= len(first):
            raise WorkbenchError(
                f"{len(first)} rows of {ranks[0]} and {ranks[1]} directions",
                "so few are matched perfectly by chance", f"give {4 * sum(ranks)} rows or more",
            )  # fmt: skip
        found = np.linalg.svd(bases[0].T @ bases[1], compute_uv=False)
    return np.clip(found, 0.0, 1.0)


def mean_correlation(x: Any, y: Any) -> float:
    """The mean of the canonical correlations: 1 where one is a linear map of the other.

    Two independent sets of as many channels give about 0.85 sqrt(channels / rows), not 0.

    Args:
        x: floats (rows, channels), as of `canonical_correlations`.
        y: floats (rows, others).

    Example:
        >>> x = np.random.default_rng(0).standard_normal((100, 2))
        >>> round(mean_correlation(x, x @ [[1.0, 2.0], [3.0, 4.0]] + 5), 6)
        1.0
    """
    return float(canonical_correlations(x, y).mean())


def _basis(rows: np.ndarray) -> np.ndarray:
    """Orthonormal columns that span the centred channels, float64 (rows, rank)."""
    centred = rows - rows.mean(axis=0, dtype=np.float64)
    size = np.sqrt((centred**2).sum(axis=0))
    used = size > NOTHING * max(1.0, float(np.abs(rows).max()))
    if not used.any():
        raise WorkbenchError(
            f"{rows.shape[1]} channels that are constant", "they correlate with nothing",
            "give rows that differ",
        )  # fmt: skip
    left, sizes, _ = np.linalg.svd(centred[:, used] / size[used], full_matrices=False)
    return left[:, sizes > NOTHING * sizes[0]]
