"""Codes of whole vectors: a codebook of the layer by k-means, each vector its nearest code."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ...errors import WorkbenchError
from ...schemes import Scheme
from ...schemes.vectors import MOST_BITS, VectorFitted, fit_vectors, nearest_codes
from .base import Problem, Solved, Solver


@dataclass(frozen=True)
class VectorCodes(Solver):
    """Neighbours along a row become one code of a codebook that k-means finds for the layer.

    The scheme of the recipe is what the codebook's values are stored under, as in
    `w=f16 vector_codes`: 8 bits for 4 weights are 2 bits a weight, and the codebook. Source: Lloyd,
    1982, from the start of Arthur and Vassilvitskii, 2007, its draws by the recipe's seed.

    Args:
        bits: of a code, 1 to 16.
        size: weights of a vector.
        steps: of k-means at most.
        scales: whether a row has a scale, its root mean square; vectors are alike in size then.
        weighted: whether the error of a weight counts as much as the mean square of its input.

    A row that is not made of whole vectors, or fewer vectors than codes, raises `WorkbenchError`.

    Example:
        >>> from workbench.schemes import parse
        >>> w = np.float32(np.random.default_rng(0).standard_normal((64, 64)))
        >>> solved = VectorCodes(bits=4, size=2).solve(Problem(w, parse("f16")))
        >>> print(f"{((solved.values - w) ** 2).mean() / (w**2).mean():.2f}")
        0.10
    """

    bits: int = 8
    size: int = 4
    steps: int = 25
    scales: bool = False
    weighted: bool = False
    name: ClassVar[str] = "vector_codes"
    lookup: ClassVar[bool] = True
    needs_inputs: ClassVar[bool] = False

    def __post_init__(self):
        if not (1 <= self.bits <= MOST_BITS and self.size >= 1 and self.steps >= 1):
            raise WorkbenchError(
                str(self), f"codes have 1 to {MOST_BITS} bits, vectors a weight or more",
                "write vector_codes(bits=8, size=4)",
            )  # fmt: skip

    def stored(self, scheme: Scheme, outputs: int, features: int) -> float:
        """Bytes of the codes, of the codebook and of the rows' scales."""
        codes = -(-outputs * features // self.size * self.bits // 8)
        table = (1 << self.bits) * self.size * scheme.format.bits / 8
        return codes + table + (4 * outputs if self.scales else 0)

    def solve(self, problem: Problem) -> Solved:
        """The weight at its nearest codes."""
        fitted, codes = self.start(problem)
        return Solved(fitted.values(codes), fitted)

    def start(self, problem: Problem) -> tuple[VectorFitted, np.ndarray]:
        """The codebook and the codes, int64 (outputs, vectors of a row)."""
        weight, scales, counts = problem.weight, None, None
        if weight.shape[1] % self.size or weight.size // self.size < 1 << self.bits:
            raise WorkbenchError(
                f"{self} for a weight of shape {weight.shape}",
                f"its rows are not {1 << self.bits} or more whole vectors together",
                f"write size={np.gcd(self.size, weight.shape[1])}, or fewer bits",
            )  # fmt: skip
        if self.weighted:
            counts = np.tile(np.diag(problem.gram(self.name)).astype(np.float32), (len(weight), 1))
        if self.scales:
            scales = row_sizes(weight)
            counts = scales[:, None] ** 2 * (np.float32(1) if counts is None else counts)
            weight = weight / scales[:, None]
        vectors = weight.reshape(-1, self.size)
        if counts is not None:
            counts = np.broadcast_to(counts, weight.shape).reshape(-1, self.size)
        random = np.random.default_rng(problem.seed)
        codebook = k_means(vectors, 1 << self.bits, self.steps, random, counts)
        fitted = fit_vectors(problem.scheme, weight.shape, codebook, scales)
        return fitted, nearest_codes(vectors, fitted.table, counts).reshape(len(weight), -1)


def k_means(
    vectors: np.ndarray,
    count: int,
    steps: int,
    random: np.random.Generator,
    weights: np.ndarray | None = None,
) -> np.ndarray:
    """The vectors that alternating nearest cells and their means comes to, float32 (count, size).

    Args:
        vectors: float32 (some, size), at least `count` of them.
        count: of the vectors wanted.
        steps: at most.
        random: draws the first vectors, by their distance to those that are drawn already.
        weights: of the squared differences, float32 like the vectors; None for all alike.

    Example:
        >>> x = np.float32([[0, 0], [0, 1], [9, 9], [9, 8]])
        >>> sorted(k_means(x, 2, 5, np.random.default_rng(0)).tolist())
        [[0.0, 0.5], [9.0, 8.5]]
    """
    each = np.ones_like(vectors) if weights is None else weights
    codebook, before = _drawn(vectors, count, random, each), None
    for _ in range(steps):
        codes = nearest_codes(vectors, codebook, weights)
        if before is not None and np.array_equal(codes, before):
            break
        total = gathered(codes, each, count)
        means = gathered(codes, each * vectors, count) / np.where(total > 0, total, 1)
        empty = np.flatnonzero(np.bincount(codes, minlength=count) == 0)
        means = np.where(total > 0, means, codebook)
        if empty.size:  # they go where vectors are farthest from theirs
            lost = (each * (vectors - codebook[codes]) ** 2).sum(axis=1)
            means[empty] = vectors[np.argsort(-lost, kind="stable")[: empty.size]]
        codebook, before = means.astype(np.float32), codes
    return codebook


def gathered(codes: np.ndarray, parts: np.ndarray, count: int) -> np.ndarray:
    """The sums of the rows of each code, float64 (count, columns).

    Example:
        >>> gathered(np.array([1, 1]), np.array([[1.0, 2.0], [3.0, 4.0]]), 2).tolist()
        [[0.0, 0.0], [4.0, 6.0]]
    """
    return np.stack([np.bincount(codes, part, count) for part in parts.T], axis=1)


def row_sizes(weight: np.ndarray) -> np.ndarray:
    """The root mean square of every row, float32 (rows,); 1 for a row of zeros.

    Example:
        >>> row_sizes(np.float32([[3, -3], [0, 0]])).tolist()
        [3.0, 1.0]
    """
    sizes = np.sqrt((weight.astype(np.float64) ** 2).mean(axis=1))
    return np.where(sizes > 0, sizes, 1).astype(np.float32)


def _drawn(vectors, count: int, random: np.random.Generator, weights) -> np.ndarray:
    """The first vectors of k-means: each is drawn by its error under those before it."""
    across, counts = np.ascontiguousarray(vectors.T), np.ascontiguousarray(weights.T)
    found = np.empty((count, len(across)), np.float32)
    found[0] = vectors[random.integers(len(vectors))]
    least = np.full(len(vectors), np.inf, np.float32)
    for place in range(1, count):
        apart = across - found[place - 1, :, None]
        np.minimum(least, (counts * apart**2).sum(axis=0), out=least)
        sums = np.cumsum(least, dtype=np.float64)
        drawn = np.searchsorted(sums, random.random() * sums[-1], side="right")
        found[place] = vectors[min(drawn, len(vectors) - 1)]
    return found
