"""Function-preserving rewrites of what a linear layer reads: x W^T = rewritten x, rewritten W^T.

Each step changes the inputs and undoes it in the weights' columns; a rewrite is a chain of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ..errors import WorkbenchError
from .calibration import Calibration

PROOF_ROWS = 64
MOST_DIFFERENCE = 2e-5  # of float32 products, relative to |inputs| |weights|


class Step:
    """One rewrite of (rows, features) inputs and (outputs, features) weights, float32 both."""

    diagonal = False  # whether each channel changes by itself, so that ranges stay known

    def inputs(self, x: np.ndarray) -> np.ndarray:
        """The inputs as the rewritten layer wants them."""
        raise NotImplementedError

    def weights(self, w: np.ndarray) -> np.ndarray:
        """The weights that take them."""
        raise NotImplementedError

    def bias(self, w: np.ndarray) -> np.ndarray | float:
        """What the outputs lack then: (outputs,), of the weights before."""
        return 0.0

    def calibration(self, before: Calibration) -> Calibration:
        """The statistics of the rewritten inputs."""
        raise NotImplementedError


@dataclass(frozen=True, eq=False)
class Scaling(Step):
    """Each channel divided by a positive factor, float32 (features,)."""

    factors: np.ndarray
    diagonal = True

    def inputs(self, x):
        """The rewritten inputs."""
        return x / self.factors

    def weights(self, w):
        """The weights that take them."""
        return w * self.factors

    def calibration(self, before):
        """The statistics of the rewritten inputs."""
        zero = np.zeros(before.features)
        return before.mapped(self.inputs(before.rows), 1.0 / self.factors.astype(np.float64), zero)


@dataclass(frozen=True, eq=False)
class Shift(Step):
    """A constant taken off each channel, float32 (features,); the bias gives it back."""

    offsets: np.ndarray
    diagonal = True

    def inputs(self, x):
        """The rewritten inputs."""
        return x - self.offsets

    def weights(self, w):
        """The weights that take them."""
        return w

    def bias(self, w):
        """What the outputs lack then."""
        return (w.astype(np.float64) @ self.offsets.astype(np.float64)).astype(np.float32)

    def calibration(self, before):
        """The statistics of the rewritten inputs."""
        ones = np.ones(before.features)
        return before.mapped(self.inputs(before.rows), ones, self.offsets.astype(np.float64))


@dataclass(frozen=True, eq=False)
class Permutation(Step):
    """Channels in another order, int64 (features,): the first is channel `order[0]`."""

    order: np.ndarray
    diagonal = True

    def inputs(self, x):
        """The rewritten inputs."""
        return np.ascontiguousarray(x[:, self.order])

    def weights(self, w):
        """The weights that take them."""
        return np.ascontiguousarray(w[:, self.order])

    def calibration(self, before):
        """The statistics of the rewritten inputs."""
        from dataclasses import replace

        order = self.order
        return replace(
            before, low=before.low[order], high=before.high[order], sums=before.sums[order],
            second=before.second[np.ix_(order, order)], rows=self.inputs(before.rows),
        )  # fmt: skip


@dataclass(frozen=True, eq=False)
class Rotation(Step):
    """An orthogonal matrix: signs, then a Hadamard matrix of 2^k crossed with a smaller one.

    Attributes:
        signs: float32 (features,), +1 or -1.
        power: order of the Hadamard matrix, a power of two; 1 for none.
        inner: float32, orthogonal; its order times `power` times the number of blocks is the
            number of features.
    """

    signs: np.ndarray
    power: int
    inner: np.ndarray

    @cached_property
    def _factors(self) -> tuple[np.ndarray, np.ndarray]:
        """The matrix as the Kronecker product of two of about the same order, which takes less."""
        from scipy.linalg import hadamard

        orders = [1 << k for k in range(self.power.bit_length())]
        first = min(orders, key=lambda order: order + self.power // order * len(self.inner))
        large, small = (
            (hadamard(order) / order**0.5).astype(np.float32)
            for order in (first, self.power // first)
        )
        return large, np.kron(small, self.inner)

    def inputs(self, x):
        """The rewritten inputs."""
        large, small = self._factors
        y = np.matmul(large, (x * self.signs).reshape(-1, len(large), len(small)))
        y = y.reshape(-1, len(small)) @ small
        return np.ascontiguousarray(y.reshape(x.shape), np.float32)

    def undone(self, y):
        """What these inputs were before, or a gradient along them along what they were."""
        large, small = self._factors
        x = (y.reshape(-1, len(small)) @ small.T).reshape(-1, len(large), len(small))
        x = np.matmul(large, x)
        return x.reshape(y.shape) * self.signs

    def weights(self, w):
        """The weights that take them."""
        return self.inputs(w)

    def calibration(self, before):
        """The statistics of the rewritten inputs."""
        eye = np.eye(before.features, dtype=np.float32)
        matrix = self.inputs(eye).astype(np.float64)
        return before.mapped(self.inputs(before.rows), matrix, np.zeros(before.features))


@dataclass(frozen=True, eq=False)
class Chain(Step):
    """Steps one after another that were chosen together.

    Example:
        >>> chain = Chain((Shift(np.float32([1, 0])), Scaling(np.float32([2, 1]))))
        >>> w = np.float32([[3, 1]])
        >>> chain.inputs(np.float32([[5, 7]])), chain.weights(w), chain.bias(w)
        (array([[2., 7.]], dtype=float32), array([[6., 1.]], dtype=float32), array([3.]...))
    """

    steps: tuple[Step, ...]

    def inputs(self, x):
        """The rewritten inputs."""
        for step in self.steps:
            x = step.inputs(x)
        return x

    def weights(self, w):
        """The weights that take them."""
        for step in self.steps:
            w = step.weights(w)
        return w

    def bias(self, w):
        """What the outputs lack then."""
        total: np.ndarray | float = 0.0
        for step in self.steps:
            total, w = total + step.bias(w), step.weights(w)
        return total

    def calibration(self, before):
        """The statistics of the rewritten inputs."""
        for step in self.steps:
            before = step.calibration(before)
        return before


@dataclass(frozen=True)
class Rewrite:
    """A chain of steps; none is the layer as it is.

    Example:
        >>> rewrite = Rewrite((Scaling(np.array([2.0, 4.0], np.float32)),))
        >>> rewrite.inputs(np.array([[2.0, 2.0]], np.float32))
        array([[1. , 0.5]], dtype=float32)
    """

    steps: tuple[Step, ...] = ()

    def inputs(self, x: np.ndarray) -> np.ndarray:
        """Rewritten inputs, float32 (rows, features)."""
        for step in self.steps:
            x = step.inputs(x)
        return x

    def then(self, step: Step) -> Rewrite:
        """The chain with one more step, or with those of a chain."""
        more = step.steps if isinstance(step, Chain) else (step,)
        return Rewrite((*self.steps, *more))


def prove(step: Step, weight: np.ndarray, rows: np.ndarray, name: str) -> None:
    """Raise `WorkbenchError` unless the rewritten layer gives the same outputs on these rows."""
    rows = rows[:PROOF_ROWS].astype(np.float64)
    before = rows @ weight.astype(np.float64).T
    after = step.inputs(rows.astype(np.float32)).astype(np.float64)
    after = after @ step.weights(weight).astype(np.float64).T + step.bias(weight)
    sizes = (np.sqrt((part**2).sum(axis=1).mean()) for part in (rows, weight.astype(np.float64)))
    size = float(np.prod(list(sizes))) or 1.0
    difference = float(np.abs(after - before).max()) / size
    if not difference <= MOST_DIFFERENCE:
        raise WorkbenchError(
            name, f"it changes what the layer computes, by {difference:.2g} of its terms' size",
            "leave it out, or give inputs of ordinary size",
        )  # fmt: skip
