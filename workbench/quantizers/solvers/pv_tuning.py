"""PV-Tuning: a codebook and its codes, tuned in turns for what the layer gives out.

Source: Malinovskii et al., 2024. P steps move the continuous parameters (here the codebook and the
rows' scales) with the codes held, V steps move codes with those held. The error of a layer's
outputs is a quadratic, so here a P step is exact least squares and a V step exact coordinate
descent, each vector given what the others of its row are. The published V step, which only knows
the gradient, is `gradient_step`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ...errors import WorkbenchError
from ...kernels.threads import one_blas_thread
from ...schemes import Scheme
from ...schemes.vectors import MOST_BITS, VectorFitted, fit_vectors
from .base import Problem, Solved, Solver, by_rows
from .goal import Goal
from .vector_codes import VectorCodes, gathered

ROWS, BLOCK = 256, 128  # rows, and columns of them, whose codes are chosen together
SETTLED = 1e-3  # share of the error that a round still takes off, below which there is no other
CONJUGATE = 15  # steps of conjugate gradients at most
EXACT = 1e-3  # where they end: what is left of the gradient

Coded = tuple[VectorFitted, np.ndarray]


@dataclass(frozen=True)
class PVTuning(Solver):
    """Vectors of neighbours as codes, codebook and codes tuned in turns on the layer's outputs.

    Begins with k-means weighted by the inputs' mean squares. The scheme of the recipe is what the
    codebook's values are stored under, as in `w=f16 pv_tuning`. The error on the calibration never
    rises from one step to the next.

    Args:
        bits: of a code, 1 to 16.
        size: weights of a vector.
        rounds: of a step of codes and one of the codebook, at most.
        scales: whether each row has a scale, tuned too.

    A layer without known inputs, a row that is not made of whole vectors, or fewer vectors than
    codes, raises `WorkbenchError`.

    Example:
        >>> from workbench.quantizers import Calibration
        >>> from workbench.schemes import parse
        >>> random = np.random.default_rng(0)
        >>> x = random.standard_normal((512, 16)) @ random.standard_normal((16, 16))
        >>> problem = Problem(np.float32(random.standard_normal((64, 16))), parse("f16"),
        ...                   Calibration.of(x))
        >>> error = problem.weight - PVTuning(bits=5, size=2).solve(problem).values
        >>> plain = problem.weight - VectorCodes(bits=5, size=2).solve(problem).values
        >>> bool(((x @ error.T) ** 2).sum() < 0.5 * ((x @ plain.T) ** 2).sum())
        True
    """

    bits: int = 8
    size: int = 4
    rounds: int = 15
    scales: bool = False
    name: ClassVar[str] = "pv_tuning"
    lookup: ClassVar[bool] = True

    def __post_init__(self):
        if not (1 <= self.bits <= MOST_BITS and self.size >= 1 and self.rounds >= 1):
            raise WorkbenchError(
                str(self), f"codes have 1 to {MOST_BITS} bits, vectors a weight or more",
                "write pv_tuning(bits=8, size=4)",
            )  # fmt: skip

    def stored(self, scheme: Scheme, outputs: int, features: int) -> float:
        """Bytes of the codes, of the codebook and of the rows' scales."""
        return self._codes.stored(scheme, outputs, features)

    @property
    def _codes(self) -> VectorCodes:
        """The codes that it starts from."""
        return VectorCodes(self.bits, self.size, scales=self.scales, weighted=True)

    def solve(self, problem: Problem) -> Solved:
        """The tuned values."""
        with one_blas_thread():
            goal = Goal.of(problem, "", self.name)
            *_, (fitted, codes) = tuned(self._codes.start(problem), goal, self.rounds)
        return Solved(fitted.values(codes), fitted)


def tuned(start: Coded, goal: Goal, rounds: int) -> Iterator[Coded]:
    """A codebook and codes after every step: at first as they are, then V and P in turns.

    Args:
        start: a codebook with codes, int64 (rows, vectors of a row).
        goal: of the layer.
        rounds: of both steps at most; a round that hardly helps is the last.
    """
    fitted, codes = start
    yield start
    least = _error(*start, goal)
    for _ in range(rounds):
        codes = code_step(fitted, codes, goal)
        yield fitted, codes
        fitted = codebook_step(fitted, codes, goal)
        yield fitted, codes
        error = _error(fitted, codes, goal)
        if error > (1 - SETTLED) * least:
            return
        least = error


def code_step(fitted: VectorFitted, codes: np.ndarray, goal: Goal) -> np.ndarray:
    """The V step: vector after vector of each row gets the best code, given all others by then.

    Rows whose error does not fall keep their codes.
    """
    found, size = np.empty_like(codes), fitted.table.shape[1]
    width = max(1, BLOCK // size) * size

    def solve(rows: slice) -> None:
        moved, scales = codes[rows].copy(), fitted.each_scale[rows]
        before = fitted.table[moved].reshape(len(moved), -1) * scales
        values, slope = before.copy(), goal.slope(before, rows)
        for start in range(0, values.shape[1], width):
            block, after = slice(start, start + width), slice(start + width, None)
            within = goal.square[block, block]
            part = moved[:, start // size : (start + width) // size]
            _best_codes(fitted.table, scales, within, part, values[:, block], slope[:, block])
            change = values[:, block] - before[:, block]
            slope[:, after] += change @ goal.square[block, after]
        better = goal.errors(values, rows) < goal.errors(before, rows)
        found[rows] = np.where(better[:, None], moved, codes[rows])

    by_rows(solve, len(codes), ROWS)
    return found


def _best_codes(table, scales, square, codes, values, slope) -> None:
    """Choose the codes of some rows anew, one place after the other.

    A vector s c in the place of v adds 2 (s c - v) slope + (s c - v) H (s c - v); what depends on c
    is s times s c H c + 2 c (slope - H v). Codes and values change in place, and so does the slope
    of the places that are still to come.
    """
    size = table.shape[1]
    for place in range(codes.shape[1]):
        here = slice(place * size, (place + 1) * size)
        own, after = square[here, here], slice((place + 1) * size, None)
        pull = slope[:, here] - values[:, here] @ own
        sizes = ((table @ own) * table).sum(axis=1)
        scores = (2 * pull) @ table.T
        scores += scales * sizes
        codes[:, place] = scores.argmin(axis=1)
        change = table[codes[:, place]] * scales - values[:, here]
        values[:, here] += change
        slope[:, after] += change @ square[here, after]


def gradient_step(
    fitted: VectorFitted, codes: np.ndarray, goal: Goal, count: int, alone: bool = False
) -> np.ndarray:
    """The published V step: a few vectors go down their gradient, then to their nearest codes.

    Those of largest change are taken. The step is 1 over the largest curvature of all that move
    together, so the error cannot rise; the more of them there are, the shorter it is, until it
    reaches no other code.

    Args:
        fitted: the codebook.
        codes: int64 (rows, vectors of a row).
        goal: of the layer.
        count: of vectors that may move.
        alone: take each vector's own curvature, as though it moved alone; the error may rise then.
    """
    values = fitted.values(codes)
    gradient = 2 * goal.slope(values).reshape(*codes.shape, -1)
    largest = np.linalg.eigvalsh(blocks_of(goal.square, gradient.shape[2]))[:, -1]
    single = np.maximum(2 * largest, 1e-12).astype(np.float32)
    change = np.linalg.norm(gradient, axis=2) / single
    moving = np.zeros(codes.shape, bool)
    moving.flat[np.argsort(-change.reshape(-1), kind="stable")[:count]] = True
    moved = gradient / (single[:, None] if alone else _curvature(moving, goal.square))
    target = values - moved.reshape(values.shape)
    return np.where(moving, fitted.codes(target), codes)


def _curvature(moving: np.ndarray, square: np.ndarray) -> float:
    """The largest curvature of the error in any row, where only some of its vectors move."""
    size = len(square) // moving.shape[1]
    most = 1e-12
    for row in np.unique(moving[moving.any(axis=1)], axis=0):
        columns = np.repeat(row, size)
        most = max(most, 2 * float(np.linalg.eigvalsh(square[columns][:, columns])[-1]))
    return most


def codebook_step(fitted: VectorFitted, codes: np.ndarray, goal: Goal) -> VectorFitted:
    """The P step: the codebook of least error for these codes, then the rows' scales likewise.

    What its scheme makes of either is not taken where the error would rise.
    """
    best, least = fitted, _error(fitted, codes, goal)
    for step in (_least_squares, _least_scales)[: 1 if fitted.row_scales is None else 2]:
        tried = step(best, codes, goal)
        error = _error(tried, codes, goal)
        if error < least:
            best, least = tried, error
    return best


def _error(fitted: VectorFitted, codes: np.ndarray, goal: Goal) -> float:
    return float(goal.errors(fitted.values(codes)).sum(dtype=np.float64))


def _least_scales(fitted: VectorFitted, codes: np.ndarray, goal: Goal) -> VectorFitted:
    """The scale of least error for each row; a row for which it is not positive keeps its own."""
    unit = fitted.table[codes].reshape(fitted.shape).astype(np.float64)
    pushed = unit @ goal.square
    # (s u - w) H u + pull u = 0
    wanted = ((goal.weight @ goal.square - goal.pull) * unit).sum(axis=1)
    size = (pushed * unit).sum(axis=1)
    scales = wanted / np.where(size > 0, size, 1)
    kept = np.where((size > 0) & (scales > 0), scales, fitted.row_scales)
    return fit_vectors(fitted.scheme, fitted.shape, fitted.table, kept)


def _least_squares(fitted: VectorFitted, codes: np.ndarray, goal: Goal) -> VectorFitted:
    """The codebook of least error, by conjugate gradients with each code's own block divided out.

    The rows of a codebook meet in the outputs, so that none can be found by itself; a step costs
    one product of the weight's shape with the inputs' products.
    """
    flat, (count, size) = codes.reshape(-1), fitted.table.shape

    def summed(gradient: np.ndarray) -> np.ndarray:
        return gathered(flat, (gradient * fitted.each_scale).reshape(-1, size), count)

    def pushed(step: np.ndarray) -> np.ndarray:
        values = step.astype(np.float32)[codes].reshape(fitted.shape) * fitted.each_scale
        return summed(values @ goal.square)

    inverse = np.linalg.inv(_own_blocks(fitted, codes, goal))
    table, left = fitted.table.astype(np.float64), -summed(goal.slope(fitted.values(codes)))
    spread = np.einsum("kij,kj->ki", inverse, left)
    step, size_now = spread, float((left * spread).sum())
    first = size_now
    for _ in range(CONJUGATE):
        if size_now <= EXACT**2 * first:
            break
        push = pushed(step)
        length = size_now / float((step * push).sum())
        table, left = table + length * step, left - length * push
        spread = np.einsum("kij,kj->ki", inverse, left)
        size_before, size_now = size_now, float((left * spread).sum())
        step = spread + size_now / size_before * step
    return fit_vectors(fitted.scheme, fitted.shape, table, fitted.row_scales)


def _own_blocks(fitted: VectorFitted, codes: np.ndarray, goal: Goal) -> np.ndarray:
    """The products of inputs that each code's own vectors meet, float64 (codes, size, size)."""
    count, size = fitted.table.shape
    blocks = blocks_of(goal.square, size).reshape(-1, size * size)
    counted = (fitted.each_scale**2)[:, :, None] * blocks  # rows x places x products
    sums = gathered(codes.reshape(-1), counted.reshape(-1, size * size), count)
    sums = sums.reshape(-1, size, size)
    level = max(float(np.einsum("kii->", sums)) / sums[:, 0].size, 1e-30)
    return sums + 1e-6 * level * np.eye(size)


def blocks_of(square: np.ndarray, size: int) -> np.ndarray:
    """The blocks on the diagonal of a matrix, (blocks, size, size).

    Example:
        >>> blocks_of(np.arange(16).reshape(4, 4), 2).tolist()
        [[[0, 1], [4, 5]], [[10, 11], [14, 15]]]
    """
    places = np.arange(len(square)).reshape(-1, size)
    return square[places[:, :, None], places[:, None, :]]
