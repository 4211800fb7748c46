"""A product of two thin matrices beside the quantized one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ...costs import Added
from ...errors import WorkbenchError
from ...kernels.threads import one_blas_thread
from .base import Correction, Remainder, Residual


@dataclass(frozen=True, eq=False)
class Thin(Correction):
    """x -> (x A) B added to the outputs; both are stored in 16 bits.

    Attributes:
        first: float16 (features, rank).
        second: float16 (rank, outputs).
    """

    first: np.ndarray
    second: np.ndarray

    @property
    def nbytes(self) -> int:
        """Bytes of both matrices."""
        return self.first.nbytes + self.second.nbytes

    def split(self, x):
        """All inputs, and the thin product of them."""
        return x, (x @ self.first.astype(np.float32)) @ self.second.astype(np.float32)

    def weight(self):
        """(outputs, features) float32."""
        return (self.first.astype(np.float32) @ self.second.astype(np.float32)).T


def thin(rank: int, outputs: int, features: int) -> Added:
    """What two factors of a rank store and compute.

    Example:
        >>> thin(8, 64, 32).bytes, thin(8, 64, 32).operations
        (1536, 1536)
    """
    return Added(2 * rank * (outputs + features), 2 * rank * (outputs + features))


@dataclass(frozen=True)
class LowRank(Residual):
    """The best approximation of the weight's error by a matrix of low rank, in 16 bits.

    Best in squared error of the weight: a singular value decomposition, as in LoRC (Yao et al.,
    2023).

    Args:
        rank: of the correction, at most the smaller side of the weight.

    Example:
        >>> w = np.float32(np.random.default_rng(0).standard_normal((6, 8)))
        >>> whole = LowRank(6).fit(Remainder(w, np.zeros_like(w), None, lambda x: x))
        >>> bool(np.allclose(whole.weight(), w, atol=5e-3)), whole.nbytes
        (True, 168)
    """

    rank: int = 8
    name: ClassVar[str] = "low_rank"

    def added(self, outputs: int, features: int) -> Added:
        """Both factors in 16 bits, and two thin products."""
        return thin(self.rank, outputs, features)

    def fit(self, remainder: Remainder) -> Thin:
        """The two matrices; a rank that cannot be is a `WorkbenchError`."""
        from scipy.linalg import svd

        error = remainder.weight.astype(np.float64) - remainder.quantized
        if not 1 <= self.rank <= min(error.shape):
            raise WorkbenchError(
                str(self), f"the weight is {error.shape[0]} x {error.shape[1]}",
                f"write low_rank(rank={min(8, *error.shape)})",
            )  # fmt: skip
        with one_blas_thread():
            left, sizes, right = svd(error, full_matrices=False)
        root = np.sqrt(sizes[: self.rank])
        first = (right[: self.rank].T * root).astype(np.float16)
        return Thin(first, (left[:, : self.rank] * root).T.astype(np.float16))
