"""Rotations: a randomized Hadamard matrix of any order, and random orthogonal ones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ...errors import WorkbenchError
from ...kernels.threads import one_blas_thread
from ..rewrites import Rotation, Step
from .base import Reading, Transform


@dataclass(frozen=True)
class Hadamard(Transform):
    """Random signs, then a Hadamard matrix: spreads an outlier over all channels of its block.

    An order n = 2^k m with m odd takes a Hadamard matrix of 2^k crossed with a random orthogonal
    one of m. Source: QuaRot (Ashkboos et al., 2024).

    Args:
        block: channels of a block, each rotated by itself; 0 for all together.

    Example:
        >>> step = Hadamard().fit(Reading(np.zeros((1, 12), np.float32), None))
        >>> y = step.inputs(np.eye(12, dtype=np.float32))
        >>> bool(np.allclose(y @ y.T, np.eye(12), atol=1e-6)), float(np.abs(y).max()) < 1
        (True, True)
    """

    block: int = 0
    name: ClassVar[str] = "hadamard"

    def fit(self, reading: Reading) -> Step:
        """The rotation for as many channels as there are."""
        count = reading.weight.shape[1]
        block = self.block or count
        if block < 1 or count % block:
            raise WorkbenchError(
                f"hadamard(block={block})", f"it does not divide {count} channels",
                f"write hadamard(block={count & -count})",
            )  # fmt: skip
        random = np.random.default_rng([reading.seed, count])
        signs = random.choice(np.array([-1, 1], np.float32), count)
        power = block & -block
        return Rotation(signs, power, random_orthogonal(block // power, random))


@dataclass(frozen=True)
class Orthogonal(Transform):
    """A random orthogonal matrix, uniform over the rotations."""

    name: ClassVar[str] = "orthogonal"

    def fit(self, reading: Reading) -> Step:
        """The rotation for as many channels as there are."""
        count = reading.weight.shape[1]
        random = np.random.default_rng([reading.seed, count])
        return Rotation(np.ones(count, np.float32), 1, random_orthogonal(count, random))


def random_orthogonal(order: int, random: np.random.Generator) -> np.ndarray:
    """A random orthogonal matrix, float32, uniform: of QR with its signs made positive."""
    if order == 1:
        return np.ones((1, 1), np.float32)
    from scipy.stats import ortho_group

    with one_blas_thread():
        return ortho_group.rvs(order, random_state=random).astype(np.float32)
