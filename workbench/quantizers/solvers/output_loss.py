"""What a layer's outputs lose, where it is not their squared error: of directions, of softmaxes.

Either depends on all outputs of a token together, so on the rows of a weight together.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.special import log_softmax

from ..calibration import Calibration
from .goal import EVERY

LOSSES = ("cosine", "kl")
TOKENS = 1024  # of the sample that are looked at
TINY = 1e-12


@dataclass(frozen=True, eq=False)
class OutputLoss:
    """The mean loss of the tokens of a sample, with the interface of a `Goal`.

    Attributes:
        kind: "cosine", 1 less the cosine of the outputs with exact ones, or "kl", the divergence
            of their softmax from that of exact ones, in nats.
        weight: float32 (outputs, features), as the layer would have it; no bias is added.
        rows: float32 (tokens, features).

    Example:
        >>> known = Calibration.of(np.eye(2, dtype=np.float32))
        >>> loss = OutputLoss.of("cosine", np.float32([[1, 0], [0, 1]]), known)
        >>> loss.errors(np.float32([[1, 1], [0, 1]])).sum().round(4)  # one token is turned by 45°
        np.float32(0.1464)
    """

    kind: str
    weight: np.ndarray
    rows: np.ndarray

    @classmethod
    def of(cls, kind: str, weight: np.ndarray, known: Calibration) -> OutputLoss:
        """The loss of a weight on evenly spread rows of a calibration's sample."""
        return cls(kind, weight, known.rows[:: -(-len(known.rows) // TOKENS)])

    @cached_property
    def exact(self) -> np.ndarray:
        """The exact outputs, float64 (tokens, outputs)."""
        return self.rows.astype(np.float64) @ self.weight.astype(np.float64).T

    def errors(self, values: np.ndarray, rows: slice = EVERY) -> np.ndarray:
        """The loss at these values of all rows, shared out evenly, float32 (outputs,)."""
        outputs = self.rows.astype(np.float64) @ values.astype(np.float64).T
        each = _cosine(outputs, self.exact) if self.kind == "cosine" else _kl(outputs, self.exact)
        return np.full(len(values), each[0].mean() / len(values), np.float32)

    def slope(self, values: np.ndarray, rows: slice = EVERY) -> np.ndarray:
        """Half the gradient of the loss at these values of all rows, float32."""
        outputs, exact = self.rows @ values.T, self.exact.astype(np.float32)
        each = _cosine(outputs, exact) if self.kind == "cosine" else _kl(outputs, exact)
        return each[1].T @ self.rows / np.float32(2 * len(self.rows))


def _cosine(outputs: np.ndarray, exact: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """1 less the cosine of each token's outputs, and its gradient; tokens of zeros have none."""
    sizes = np.linalg.norm(outputs, axis=1) * np.linalg.norm(exact, axis=1)
    sizes = np.maximum(sizes, TINY)[:, None]
    cosines = (outputs * exact).sum(axis=1, keepdims=True) / sizes
    square = np.maximum((outputs**2).sum(axis=1, keepdims=True), TINY)
    return 1 - cosines[:, 0], outputs * (cosines / square) - exact / sizes


def _kl(outputs: np.ndarray, exact: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The divergence of each token's softmax from the exact one, and its gradient."""
    found, wanted = log_softmax(outputs, axis=1), log_softmax(exact, axis=1)
    share = np.exp(wanted)
    return (share * (wanted - found)).sum(axis=1), np.exp(found) - share
