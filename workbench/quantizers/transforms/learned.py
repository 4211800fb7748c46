"""A scaling of the channels and a rotation, learned together for the error of a layer's outputs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import ClassVar

import numpy as np

from ...errors import WorkbenchError
from ...kernels.threads import one_blas_thread, together
from ...schemes import Layout, parse
from ..rewrites import Chain, Rotation, Scaling, Step
from ..solvers.adam import Adam
from .base import Reading, Transform
from .rotate import Hadamard
from .scale import Smooth
from .threshold import planned

SCALE_RATE = 0.01  # of the logarithms of the channels' factors
JUDGED = 8  # one row in so many tells which step was best; it is not learned from
EVERY = 10  # steps from one such look to the next


@dataclass(frozen=True)
class LearnedRotation(Transform):
    """Divide each channel, then rotate all, so that rounding weights and inputs costs least.

    The rotation is the Cayley transform of skew matrices, one for each block of channels, and then
    that of the start. Adam moves these matrices and the logarithms of the channels' factors down
    the squared error of the outputs; rounding passes gradients on, see `passed_on`. The start is
    the best of nothing, `smooth`, `hadamard` and both. What is best on rows that are not learned
    from is kept, the start among it.
    Source: the transform of single layers in OSTQuant (Hu et al., 2025), which learns those of all
    layers together on logits, by Adam on the manifold of rotations.

    Args:
        steps: of Adam.
        rows: that each step looks at, drawn from the calibration's sample.
        rate: step size of the skew matrices.
        block: channels that a skew matrix turns at most; a layer of more has several.

    A recipe that rounds nothing, or a layer without known
    inputs, raises `WorkbenchError`.

    Example:
        >>> from workbench.quantizers import Calibration
        >>> from workbench.quantizers.activations import Rounding
        >>> random = np.random.default_rng(0)
        >>> x, w = random.standard_normal((64, 8)), random.standard_normal((4, 8))
        >>> reading = Reading(np.float32(w), Calibration.of(x * np.exp(w[0])),
        ...                   rounding=Rounding("int4/channel", "int4/token"))
        >>> scaling, rotation = LearnedRotation(steps=20).fit(reading).steps
        >>> bool(np.allclose(rotation.inner @ rotation.inner.T, np.eye(8), atol=1e-6))
        True
    """

    steps: int = 150
    rows: int = 512
    rate: float = 0.003
    block: int = 384
    name: ClassVar[str] = "learned_rotation"

    def __post_init__(self):
        if self.steps < 0 or self.rows < 1 or not self.rate > 0 or self.block < 2:
            raise WorkbenchError(
                str(self), "it takes steps of some size, looks at a row or more in each, and turns "
                "two channels or more", "write learned_rotation(steps=150,rows=512,rate=0.003)",
            )  # fmt: skip

    def fit(self, reading: Reading) -> Step:
        """The scaling of each channel, and the rotation after it."""
        planned(reading, self.name)
        with one_blas_thread():
            error = OutputError(reading, self.name)
            start = min(_starts(reading, self.block), key=error.judged)
            best = min(self._path(error, start, reading.seed), key=error.judged)
        rotation = Rotation(np.ones_like(best.factors), 1, best.matrix)
        return Chain((Scaling(best.factors), rotation))

    def _path(self, error: OutputError, start: Turned, seed: int) -> Iterator[Turned]:
        """The start, and what becomes of it after every few steps."""
        yield start
        random = np.random.default_rng([seed, start.factors.size])
        logs, of_logs = np.log(start.factors), Adam(SCALE_RATE)
        skews = [np.zeros_like(turn) for turn in start.turns]
        of_skews = [Adam(self.rate) for _ in skews]
        for number in range(1, self.steps + 1):
            left = 0.5 * (1 + np.cos(np.pi * number / self.steps))
            turns, inverses = zip(*_each(cayley, skews), strict=True)
            now = replace(start, factors=np.exp(logs), turns=turns)
            along_logs, along = error.slope(now, error.drawn(random, self.rows))
            of_logs.rate = SCALE_RATE * left
            logs = of_logs.moved(logs, along_logs)
            for adam in of_skews:
                adam.rate = self.rate * left
            skews = _each(_moved, of_skews, skews, inverses, along)
            if number % EVERY == 0 or number == self.steps:
                exact = [cayley(skew.astype(np.float64))[0].astype(np.float32) for skew in skews]
                yield replace(start, factors=np.exp(logs), turns=tuple(exact))


@dataclass(frozen=True, eq=False)
class Turned:
    """Factors of the channels, then orthogonal matrices for blocks of them, then a rotation.

    Attributes:
        factors: float32 (features,).
        turns: float32 square matrices whose widths add up to the features.
        after: that comes after them, or None.

    Example:
        >>> ones = np.ones(4, np.float32)
        >>> float(Turned(ones, (np.eye(4, dtype=np.float32),)).inputs(ones[None]).sum())
        4.0
    """

    factors: np.ndarray
    turns: tuple[np.ndarray, ...]
    after: Rotation | None = None

    @property
    def places(self) -> list[slice]:
        """The channels of each block."""
        ends = np.cumsum([len(turn) for turn in self.turns])
        return [slice(end - len(turn), end) for end, turn in zip(ends, self.turns, strict=True)]

    @property
    def matrix(self) -> np.ndarray:
        """All that comes after the factors, float32 (features, features)."""
        return self.turned(np.eye(len(self.factors), dtype=np.float32))

    def inputs(self, x: np.ndarray) -> np.ndarray:
        """The inputs that are rounded."""
        return self.turned(x / self.factors)

    def weights(self, w: np.ndarray) -> np.ndarray:
        """The weights that are."""
        return self.turned(w * self.factors)

    def turned(self, x: np.ndarray) -> np.ndarray:
        """Rows, after their channels' factors."""
        parts = [x[:, at] @ turn for at, turn in zip(self.places, self.turns, strict=True)]
        y = np.concatenate(parts, axis=1) if len(parts) > 1 else parts[0]
        return y if self.after is None else self.after.inputs(y)

    def undone(self, slope: np.ndarray) -> np.ndarray:
        """A gradient along what comes out, along what the rotation after the blocks is given."""
        return slope if self.after is None else self.after.undone(slope)


def _starts(reading: Reading, block: int) -> list[Turned]:
    """Nothing, smoothed, rotated, and both."""
    count = reading.weight.shape[1]
    sizes = [len(part) for part in np.array_split(np.arange(count), -(-count // block))]
    still = tuple(np.eye(size, dtype=np.float32) for size in sizes)
    smooth, rotation = Smooth().fit(reading), Hadamard().fit(reading)
    assert isinstance(smooth, Scaling)
    assert isinstance(rotation, Rotation)
    each = np.ones(count, np.float32), smooth.factors
    return [Turned(factors, still, after) for after in (None, rotation) for factors in each]


class OutputError:
    """The squared error of a layer's outputs over their square, as a function of what is `Turned`.

    Args:
        reading: the layer, its inputs, and what both are rounded under.
        name: of the transform, for refusals.
    """

    def __init__(self, reading: Reading, name: str):
        rows, apart = reading.known(name).rows, slice(None, None, JUDGED)
        self.weight, self.rounding = reading.weight, reading.rounding
        self.kept = rows[apart]
        self.rows = np.delete(rows, apart, axis=0) if len(rows) > JUDGED else rows

    def drawn(self, random: np.random.Generator, count: int) -> np.ndarray:
        """Some of the rows to learn from, all of them where there are no more."""
        if count >= len(self.rows):
            return self.rows
        return self.rows[random.choice(len(self.rows), count, replace=False)]

    def judged(self, by: Turned) -> float:
        """The error on the rows that are not learned from."""
        inputs = self.rounding.inputs(by.inputs(self.kept))
        weight = self.rounding.weight(by.weights(self.weight))
        wanted = self.kept @ self.weight.T
        size = float((wanted**2).sum(dtype=np.float64)) or 1.0
        return float(((inputs @ weight.T - wanted) ** 2).sum(dtype=np.float64)) / size

    def slope(self, by: Turned, rows: np.ndarray) -> tuple[np.ndarray, list[np.ndarray]]:
        """The gradients along the logarithms of the factors, and along each matrix."""
        x, w = rows / by.factors, self.weight * by.factors
        turned_x, turned_w, wanted = together(
            partial(by.turned, x), partial(by.turned, w), lambda: rows @ self.weight.T
        )
        inputs, weight = self.rounding.inputs(turned_x), self.rounding.weight(turned_w)
        gap = (inputs @ weight.T - wanted) * (2 / max(float((wanted**2).sum()), 1e-30))
        schemes = self.rounding.activations, self.rounding.weights
        of_x, of_w = together(
            lambda: by.undone(passed_on(schemes[0], turned_x, inputs, gap @ weight, inputs=True)),
            lambda: by.undone(passed_on(schemes[1], turned_w, weight, gap.T @ inputs)),
        )

        def of_block(at: slice, turn: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            along_x, along_w = x[:, at].T @ of_x[:, at], w[:, at].T @ of_w[:, at]
            return ((along_w - along_x) * turn).sum(axis=1), along_x + along_w

        logs, turns = zip(*_each(of_block, by.places, by.turns), strict=True)
        return np.concatenate(logs), list(turns)


def _each(work: Callable, *values: Iterable) -> list:
    """What `work` makes of each block, on all threads."""
    return together(*(partial(work, *block) for block in zip(*values, strict=True)))


def cayley(skew: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The orthogonal (I - K) (I + K)^-1 for K = M - M^T of a square M, and (I + K)^-1.

    Example:
        >>> turn, _ = cayley(np.array([[0.0, 0.5], [-0.5, 0.0]]))
        >>> turn.tolist()
        [[0.0, -1.0], [1.0, 0.0]]
    """
    eye = np.eye(len(skew), dtype=skew.dtype)
    inverse = np.linalg.inv(eye + (skew - skew.T))
    return 2 * inverse - eye, inverse


def _moved(adam: Adam, skew: np.ndarray, inverse: np.ndarray, slope: np.ndarray) -> np.ndarray:
    """A skew matrix after its step."""
    return adam.moved(skew, turned_slope(inverse, slope))


def turned_slope(inverse: np.ndarray, slope: np.ndarray) -> np.ndarray:
    """The gradient along M, from the `slope` along its Cayley transform; see `cayley`."""
    along = -2 * inverse.T @ slope @ inverse.T
    return along - along.T


def passed_on(
    scheme: str, values: np.ndarray, rounded: np.ndarray, slope: np.ndarray, inputs: bool = False
) -> np.ndarray:
    """The gradient along values, from that along what they are rounded to.

    It passes as it is, as if rounding were nothing; and the largest magnitude of each block, or
    both ends of its range where there is a zero point, take what the scale that follows them does.

    Args:
        scheme: that they are rounded under, or "" for none.
        values: rows and columns.
        rounded: what they become.
        slope: the gradient along that.
        inputs: whether rows are those of inputs, which share the scale of a channel.

    Example:
        >>> values, rounded = np.float32([[7, 2.25, -1]]), np.float32([[7, 2, -1]])
        >>> passed_on("int4/token", values, rounded, np.float32([[0, 7, 1]]))
        array([[-0.25,  7.  ,  1.  ]], dtype=float32)
    """
    scale = parse(scheme).scale if scheme else None
    if scale is None:
        return slope
    layout = Layout.of(values.shape, 0 if inputs and scale.granularity == "channel" else -1, scale)
    x, moved = layout.to_rows(values), layout.to_rows((rounded - values) * slope)
    low, high = _of_blocks(x, layout, np.minimum), _of_blocks(x, layout, np.maximum)
    if scale.zero_point:
        low, high = np.minimum(low, 0), np.maximum(high, 0)
        reach = high - low
    else:
        reach = high = np.maximum(high, -low)
        low = -high
    pull = _of_blocks(moved, layout, np.add) / np.where(reach > 0, reach, np.inf)
    ends = (x == layout.spread(high)) * np.float32(1) - (x == layout.spread(low))
    return slope + layout.from_rows(ends * layout.spread(pull))


def _of_blocks(rows: np.ndarray, layout: Layout, ufunc: np.ufunc) -> np.ndarray:
    """A figure of every block, (stacks, blocks)."""
    starts = np.arange(0, layout.cols, layout.size)
    return layout.reduce(ufunc.reduceat(rows, starts, axis=1), ufunc)
