"""How many directions representations fill: matrix nuclear norm, exact nuclear norm, entropy.

The matrix nuclear norm (Li et al. 2024, "Large Language Model Evaluation via Matrix Nuclear-Norm")
replaces singular values by column norms, which saves the decomposition. It is exact where columns
are orthogonal, and depends on the basis otherwise: so the exact figures stand beside it here.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import WorkbenchError
from .covariances import matrix_of_rows


@dataclass(frozen=True)
class Spectrum:
    """What the singular values of representations say; norms are those of `unit_rows`, a token.

    Args:
        tokens, channels: size of the representations.
        matrix_nuclear_norm: as published, from column norms.
        nuclear_norm: exact: the sum of the singular values over the tokens.
        least, most: bounds of `nuclear_norm` that need no decomposition: the Frobenius norm, and
            the smaller of that times sqrt(min(tokens, channels)) and the sum of all column norms.
        entropy: of the Gram matrix's eigenvalues as shares, in bits.
    """

    tokens: int
    channels: int
    matrix_nuclear_norm: float
    nuclear_norm: float
    least: float
    most: float
    entropy: float

    @property
    def ratio(self) -> float:
        """The published figure over the exact one; 1 where the columns are orthogonal."""
        return self.matrix_nuclear_norm / self.nuclear_norm

    @property
    def effective_rank(self) -> float:
        """Two to the entropy: how many equal directions would have this entropy."""
        return 2.0**self.entropy


def spectrum(x: Any) -> Spectrum:
    """The published and the exact figures of representations side by side.

    Args:
        x: floats `(tokens, channels)`, all axes before the last being tokens; at least 2 of them.

    NaN, infinities, and tokens that are all equal raise `WorkbenchError`.

    Example:
        >>> found = spectrum(np.repeat(np.eye(4), 8, axis=0))
        >>> round(found.effective_rank, 3), found.least <= found.nuclear_norm <= found.most
        (3.0, True)
    """
    rows = unit_rows(x)
    tokens, channels = rows.shape
    values = np.linalg.svd(rows, compute_uv=False)
    norms, size = np.sort(column_norms(rows)), math.sqrt(float((values**2).sum()))
    most = min(float(norms.sum()), math.sqrt(min(rows.shape)) * size)
    return Spectrum(
        tokens=tokens,
        channels=channels,
        matrix_nuclear_norm=float(norms[-min(rows.shape) :].sum()) / tokens,
        nuclear_norm=float(values.sum()) / tokens,
        least=size / tokens,
        most=most / tokens,
        entropy=_entropy(values**2),
    )


def matrix_nuclear_norm(x: Any) -> float:
    """The sum of the min(tokens, channels) largest column norms of `unit_rows(x)`, over the tokens.

    With at least as many tokens as channels it is never under the exact nuclear norm; a rotation
    of the channels changes it, though not what it stands for. Takes O(tokens channels) steps.

    Args:
        x: floats `(tokens, channels)`, all axes before the last being tokens; at least 2 of them.

    NaN, infinities, and tokens that are all equal raise `WorkbenchError`.

    Source: Li et al. 2024, algorithm 1.

    Example:
        >>> round(matrix_nuclear_norm([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]]), 6)
        0.707107
    """
    rows = unit_rows(x)
    norms = np.sort(column_norms(rows))
    return float(norms[-min(rows.shape) :].sum()) / rows.shape[0]


def nuclear_norm(matrix: Any) -> float:
    """The exact sum of the singular values of a matrix as it is.

    Args:
        matrix: finite floats `(rows, columns)`, at least 2 rows.

    Example:
        >>> round(nuclear_norm([[3.0, 0.0], [0.0, 4.0]]), 6)
        7.0
    """
    values = np.linalg.svd(matrix_of_rows(matrix).astype(np.float64), compute_uv=False)
    return float(values.sum())


def matrix_entropy(x: Any) -> float:
    """The entropy in bits of the eigenvalues of the Gram matrix of `unit_rows(x)`, as shares.

    It is log2(channels) where all directions are used alike, and 0 where there is but one; no
    rotation changes it.

    Args:
        x: floats `(tokens, channels)`, all axes before the last being tokens; at least 2 of them.

    Source: Wei et al. 2024, "Diff-eRank: A Novel Rank-Based Metric for Evaluating Large Language
    Models".

    Example:
        >>> matrix_entropy([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]])
        1.0
    """
    return _entropy(np.linalg.svd(unit_rows(x), compute_uv=False) ** 2)


def effective_rank(x: Any) -> float:
    """Two to the `matrix_entropy`: how many equally used directions would have this entropy.

    Args:
        x: floats `(tokens, channels)`, all axes before the last being tokens; at least 2 of them.

    Example:
        >>> effective_rank([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]])
        2.0
    """
    return 2.0 ** matrix_entropy(x)


def unit_rows(x: Any) -> np.ndarray:
    """Representations less their mean, each then of length 1, float64 `(tokens, channels)`.

    A token that equals the mean has no direction and stays zero.

    Args:
        x: floats `(tokens, channels)`, all axes before the last being tokens; at least 2 of them.

    Example:
        >>> unit_rows([[1.0, 4.0], [1.0, 0.0]]).tolist()
        [[0.0, 1.0], [0.0, -1.0]]
    """
    rows = matrix_of_rows(x)
    rows = rows - rows.mean(axis=0, dtype=np.float64)
    lengths = np.sqrt(np.einsum("ij,ij->i", rows, rows))[:, None]
    if not lengths.any():
        raise WorkbenchError(
            f"{len(rows)} tokens that are all the same",
            "none differs from their mean, so there is no direction",
            "pass representations of different tokens",
        )
    return np.divide(rows, lengths, out=rows, where=lengths > 0)


def column_norms(matrix: np.ndarray) -> np.ndarray:
    """The Euclidean length of every column, float64; their sum is at least the nuclear norm.

    Example:
        >>> column_norms(np.array([[3.0, 0.0], [4.0, 1.0]])).tolist()
        [5.0, 1.0]
    """
    return np.sqrt(np.einsum("ij,ij->j", matrix, matrix))


def _entropy(weights: np.ndarray) -> float:
    """The entropy in bits of weights as shares of their sum."""
    shares = weights / weights.sum()
    shares = shares[shares > 0]
    return max(0.0, float(-(shares * np.log2(shares)).sum()))
