"""Ranges of blocks by what the layer gives out, with its inputs rounded as they will be.

Source: the search of LLM-FP4 (Liu et al., 2023) for the real-valued exponent bias of each output
channel. A scale is such a bias: multiples of the bias, not of the range, are tried, so steps are
even in octaves. Formats without an exponent have the bias -log2(scale).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np

from ...errors import WorkbenchError
from ...kernels.packing import packed_size
from ...kernels.threads import one_blas_thread
from ...schemes import Scheme, apply, parse, ranges
from ...schemes.apply import Chosen
from ...schemes.columns import ColumnFitted, fit_columns, halves
from ...schemes.fitted import Fitted, Region
from .base import Problem, Solved, Solver, by_rows
from .goal import Goal

ROWS = 64  # solved together, where rows have scales of their own
FARTHEST = 60.0  # octaves that a range is moved by


@dataclass(frozen=True)
class RangeSearch(Solver):
    """The range of each block with the least squared error of the layer's outputs.

    The blocks of a row follow one another, each given what those before it have become, so the
    error never rises above that of the scheme's own ranges; with one scale a row the result is the
    best of all that are tried, the scheme's own among them.

    Args:
        inputs: the scheme that inputs are rounded under, or "" for inputs as they are.
        least: the smallest multiple of the exponent bias.
        most: the largest.
        steps: how many are tried from one to the other.
        columns: bits of a power of two for each column, by which columns of small norm are brought
            up where that helps the full ranges; 0 for none.

    A scheme without ranges, or a layer without known inputs, raises `WorkbenchError`.

    Example:
        >>> from workbench.quantizers import Calibration
        >>> random = np.random.default_rng(0)
        >>> x = random.standard_normal((512, 8)) @ random.standard_normal((8, 8))
        >>> problem = Problem(np.float32(random.standard_normal((4, 8))), parse("e2m1/channel"),
        ...                   Calibration.of(x))
        >>> error = problem.weight - RangeSearch().solve(problem).values
        >>> plain = problem.weight - problem.fitted.round(problem.weight)
        >>> bool(((x @ error.T) ** 2).sum() < ((x @ plain.T) ** 2).sum())
        True
    """

    inputs: str = ""
    least: float = 0.01
    most: float = 1.2
    steps: int = 101
    columns: int = 0
    name: ClassVar[str] = "range_search"

    def __post_init__(self):
        if not (0 < self.least < self.most and self.steps > 1 and 0 <= self.columns <= 8):
            raise WorkbenchError(
                str(self), "two multiples of a bias or more are tried, exponents have 0 to 8 bits",
                "write range_search(least=0.01, most=1.2, steps=101)",
            )  # fmt: skip
        if "," in self.inputs:
            raise WorkbenchError(
                f"range_search(inputs={self.inputs})", "a comma ends a parameter of a part",
                "name a format without one, such as range_search(inputs=e2m1(bias=1.3))",
            )  # fmt: skip
        if self.inputs:
            object.__setattr__(self, "inputs", parse(self.inputs).name)

    @property
    def multiples(self) -> np.ndarray:
        """The multiples of the bias that are tried beside 1, float64."""
        return np.linspace(self.least, self.most, self.steps)

    def stored(self, scheme: Scheme, outputs: int, features: int) -> float:
        """Bytes of the weight and, at most, of its columns' exponents."""
        exponents = packed_size(features, self.columns) if self.columns else 0
        return super().stored(scheme, outputs, features) + exponents

    def solve(self, problem: Problem) -> Solved:
        """The weight rounded to nearest under the best of the ranges."""
        self._check(problem)
        with one_blas_thread():
            return self.towards(Goal.of(problem, self.inputs, self.name), problem)

    def towards(self, goal: Goal, problem: Problem) -> Solved:
        """The same for a goal that is known already."""
        self._check(problem)
        scheme, weight, starts = problem.scheme, problem.weight, [problem.fitted]
        if self.columns:
            starts.append(fit_columns(scheme, weight, self._octaves(weight), self.columns))
        start = min(starts, key=lambda fitted: float(goal.errors(fitted.round(weight)).sum()))
        return _Search(start, goal).best(self.multiples)

    def _check(self, problem: Problem) -> None:
        scheme = problem.scheme
        if scheme.scale is None or scheme.parts or scheme.scale.mean:
            why = "it has no range that could be smaller"
            raise WorkbenchError(f"{self.name} for {scheme}", why, "write nearest")

    def _octaves(self, weight: np.ndarray) -> np.ndarray:
        """How far each column is brought up so that their norms are alike, uint8 (columns,)."""
        norms = np.linalg.norm(weight.astype(np.float64), axis=0)
        most = norms.max(initial=0)
        octaves = np.log2(most / np.where(norms > 0, norms, most or 1))
        return np.clip(np.rint(octaves), 0, (1 << self.columns) - 1).astype(np.uint8)


class _Search:
    """A weight at its nearest values, whose blocks are moved to better ranges in place."""

    def __init__(self, fitted: Fitted, goal: Goal):
        self.fitted, self.goal, self.first = fitted, goal, fitted.chosen
        layout, (rows, columns) = fitted.layout, goal.weight.shape
        joined = layout.rows != rows  # one scale for the tensor, whose layout is a single row
        self.across = 1 if joined else layout.across
        self.size = columns if joined else layout.size
        bands = np.zeros(1, int) if joined else layout.bands
        self.band = np.repeat(np.arange(bands.size), np.diff([*bands, rows]))
        self.chunk = ROWS if bands.size == rows else rows
        nothing = np.zeros(columns, np.uint8)
        self.halves = halves(fitted.exponents if isinstance(fitted, ColumnFitted) else nothing)
        self.lifted = layout.to_rows(goal.weight / self.halves)
        self.values = fitted.round(goal.weight)
        self.at_end = np.zeros((bands.size, self.across), bool)

    def best(self, multiples: np.ndarray) -> Solved:
        """The values and scales of the best ranges, where those of these multiples are tried."""
        tried = [self._narrowed(multiple) for multiple in multiples]
        scales, zeros, whole = self.first
        chosen = Chosen(scales.copy(), None if zeros is None else zeros.copy(), whole)

        def solve(rows: slice) -> None:
            slope = self.goal.slope(self.values[rows], rows)
            for block in range(self.across):
                self._move(rows, block, tried, chosen, slope)

        by_rows(solve, len(self.values), self.chunk)
        fitted, count = replace(self.fitted, chosen=chosen), int(self.at_end.sum())
        note = f"{count} of {self.at_end.size} ranges are best at an end of what was tried"
        return Solved(self.values, fitted, note=note if count else "")

    def _narrowed(self, multiple: float) -> Chosen:
        """Scales, and zero points, for this multiple of every block's exponent bias."""
        scheme, (scales, zeros, whole) = self.fitted.scheme, self.first
        bias = getattr(scheme.element, "bias", 0) - np.log2(scales.astype(np.float64))
        octaves = np.clip(bias * (1 - multiple), -FARTHEST, FARTHEST)
        share: Any = np.exp2(octaves).astype(np.float32)  # one for each block
        if zeros is not None:
            low, high = ((end - zeros) * scales * share for end in scheme.code_range)
            return Chosen(*ranges.affine(scheme, low, high, whole), whole)
        found = apply.block_scales(scheme, self.lifted, self.fitted.layout, whole, share)
        return Chosen(found, None, whole)

    def _move(self, rows: slice, block: int, tried: list[Chosen], kept: Chosen, slope) -> None:
        """Take the range of least error for a block of some rows; none may be better than it is."""
        columns = slice(block * self.size, (block + 1) * self.size)
        here, band = self.values[rows, columns], self.band[rows]
        square, pull = self.goal.square[columns, columns], 2 * slope[:, columns]
        least, change = np.zeros(len(here), np.float32), np.zeros_like(here)
        for number, one in enumerate(tried):
            gap = self._rounded(one, rows, block, columns) - here
            error = np.einsum("ij,ij->i", gap @ square + pull, gap)
            error = np.bincount(band, error)[band].astype(np.float32)  # of all that share a scale
            better = error < least
            least, change[better] = np.where(better, error, least), gap[better]
            self.at_end[band[better], block] = number in (0, len(tried) - 1)
            for new, old in zip(one[:2], kept[:2], strict=True):
                if old is not None:
                    old[band[better], block] = new[band[better], block]
        self.values[rows, columns] += change
        slope += change @ self.goal.square[columns]

    def _rounded(self, chosen: Chosen, rows: slice, block: int, columns: slice) -> np.ndarray:
        """The values of a block of some rows under other scales."""
        scales, zeros = (
            None if part is None else part[self.band[rows], block, None] for part in chosen[:2]
        )
        region = Region(self.fitted.scheme, scales * self.halves[columns], zeros)
        return region.round(self.goal.weight[rows, columns])
