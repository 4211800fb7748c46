"""decoupleQ: codes with fixed scales, then scales and offsets with fixed codes, in turn.

Source: Guo et al., 2024. A weight is s K + z with whole K; here K may be the values of any grid.
The codes are GPTQ's (Frantar et al., 2023) in the order of the inputs' size; the paper's relaxation
of them by gradients before they are rounded, and its tuning of whole blocks, are not here.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from ...errors import WorkbenchError
from ...schemes.apply import Chosen
from ...schemes.fitted import Fitted
from .base import Problem, Solved, Solver
from .best_scales import best_scales, codes_of, values_of
from .gptq import inverse_factor, rounded_in_order
from .moved_scales import bands, check_scaled, in_parts, stored

ROWS = 256  # solved together, where rows have scales of their own
SHARES = 1 - np.arange(32) / 40  # of the full range, that the start is chosen from
FEW = 1e-3  # share of the rows that get better, below which it is done


@dataclass(frozen=True)
class Decoupled(Solver):
    """Codes and scales in turn, each the best it can for the other, for the layer's outputs.

    The objective is the squared error of the outputs with damped products of the inputs. Offsets
    are solved for where the scheme stores a mean, and rounded to codes where it has zero points;
    elsewhere the scales are solved for alone. Rows keep the best they had, so it never rises.

    Args:
        rounds: at most; it ends where next to no row gets better.
        damp: what is added to the diagonal of the inputs' products, as a share of its mean.

    A layer without known inputs, a cast without scales or a mixture of grids is a `WorkbenchError`.

    Example:
        >>> from workbench.quantizers import Calibration
        >>> from workbench.schemes import parse
        >>> random = np.random.default_rng(0)
        >>> x = random.standard_normal((512, 16)) @ random.standard_normal((16, 16))
        >>> problem = Problem(np.float32(random.standard_normal((4, 16))),
        ...                   parse("int2/channel+mean"), Calibration.of(x))
        >>> errors = [error for error, _ in Decoupled().progress(problem)]
        >>> errors == sorted(errors, reverse=True), errors[-1] < 0.9 * errors[0]
        (True, True)
    """

    rounds: int = 20
    damp: float = 0.01
    name: ClassVar[str] = "decoupled"

    def __post_init__(self):
        if self.rounds < 1 or not self.damp >= 0:
            raise WorkbenchError(
                str(self), "it takes a round or more, and a share that is not negative",
                "write decoupled(rounds=20, damp=0.01)",
            )  # fmt: skip

    def solve(self, problem: Problem) -> Solved:
        """The best values that were found, and their scales."""
        *_, (_, solved) = self.progress(problem)
        return solved

    def progress(self, problem: Problem) -> Iterator[tuple[float, Solved]]:
        """The objective and what gives it: at the start, and after every half of a round."""
        check_scaled(self.name, problem.scheme)
        gram = problem.gram(self.name)
        state = _State(problem.weight, gram, self.damp)
        values, fitted = state.started(problem.fitted)
        yield state.objective, Solved(values, fitted)
        for _ in range(self.rounds):
            before = state.errors.copy()
            for half in (state.rounded, state.rescaled):
                values, fitted = half(values, fitted)
                yield state.objective, Solved(values, fitted)
            if (state.errors < before).mean() < FEW:
                return


class _State:
    """A weight, the products its error is measured by, and the error of every row so far."""

    def __init__(self, weight: np.ndarray, gram: np.ndarray, damp: float):
        size = max(float(np.trace(gram)) / len(gram), 1e-30)
        self.weight, self.wide = weight, weight.astype(np.float64)
        self.square = gram / size + damp * np.eye(len(gram))
        self.order = np.argsort(-np.diag(gram), kind="stable")
        self.factor = inverse_factor(gram[np.ix_(self.order, self.order)], damp, "decoupled")
        self.errors = np.full(len(weight), np.inf)

    @property
    def objective(self) -> float:
        """The error of all rows, over the mean square of the inputs."""
        return float(self.errors.sum())

    def started(self, fitted: Fitted) -> tuple[np.ndarray, Fitted]:
        """The best of nearest values under the scheme's own scales, and under narrower ranges."""

        def solve(rows: slice, mine: Fitted):
            weight = self.weight[rows]
            best = mine.round(weight), mine.chosen
            self._kept(rows, mine, *best, *best)
            for chosen in _narrower(mine, weight):
                values = replace(mine, chosen=chosen).round(weight)
                best = self._kept(rows, mine, *best, values, chosen)
            return best

        return in_parts(fitted, solve, ROWS)

    def rounded(self, values: np.ndarray, fitted: Fitted) -> tuple[np.ndarray, Fitted]:
        """Codes chosen anew, column by column, under the scales as they are."""

        def solve(rows: slice, mine: Fitted):
            found = rounded_in_order(self.weight[rows], mine, self.factor, self.order)
            return self._kept(rows, mine, values[rows], mine.chosen, found, mine.chosen)

        return in_parts(fitted, solve, ROWS)

    def rescaled(self, values: np.ndarray, fitted: Fitted) -> tuple[np.ndarray, Fitted]:
        """The best scales, and offsets, for the codes as they are."""

        def solve(rows: slice, mine: Fitted):
            codes = codes_of(mine, values[rows])
            moved = best_scales(mine, codes, self.wide[rows], self.square)
            found = values_of(moved, codes)
            return self._kept(rows, mine, values[rows], mine.chosen, found, moved.chosen)

        return in_parts(fitted, solve, ROWS)

    def _kept(self, rows, fitted, values, chosen, found, tried) -> tuple[np.ndarray, Chosen]:
        """Values and scales, with those that were found in their place where they are better."""
        gap = found - self.wide[rows]
        errors, band = np.einsum("ij,ij->i", gap @ self.square, gap), bands(fitted)
        better = np.bincount(band, errors) < np.bincount(band, self.errors[rows])
        here = better[band]
        self.errors[rows] = np.where(here, errors, self.errors[rows])
        scales, zeros = (
            None if old is None else np.where(better[:, None], new, old)
            for new, old in zip(tried[:2], chosen[:2], strict=True)
        )
        return np.where(here[:, None], found, values), Chosen(scales, zeros, chosen.whole)


def _narrower(fitted: Fitted, weight: np.ndarray) -> Iterator[Chosen]:
    """Scales of shares of the full ranges: about the middle of them where blocks store a mean."""
    scheme, layout, (scales, zeros, whole) = fitted.scheme, fitted.layout, fitted.chosen
    if scheme.scale.mean:
        rows, starts = layout.to_rows(weight), np.arange(0, layout.cols, layout.size)
        low, high = (
            layout.reduce(end.reduceat(rows, starts, axis=1), end)
            for end in (np.minimum, np.maximum)
        )
        grid = np.asarray(scheme.element.values, np.float32)
        scales = np.where(high > low, (high - low) / (grid[-1] - grid[0]), scales)
        middle, code = (low + high) / 2, (grid[0] + grid[-1]) / 2
    for share in SHARES.astype(np.float32):
        narrow = stored(fitted, scales * share)
        yield Chosen(narrow, middle - narrow * code if scheme.scale.mean else zeros, whole)
