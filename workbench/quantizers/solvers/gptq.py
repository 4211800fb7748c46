"""GPTQ: columns one after another, each one's error given to those that are still to come.

Source: Frantar et al., 2023. Rows do not depend on each other; the scheme may be any whose scales
belong to rows or to groups along them: integers, floats, codebooks, mixtures.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from ...errors import WorkbenchError
from ...kernels.threads import one_blas_thread
from ...schemes.apply import Chosen
from ...schemes.fitted import Fitted, Region
from .base import Problem, Solved, Solver, by_rows

BLOCK = 128  # columns whose errors are handed on together
ROWS = 2048  # solved together


@dataclass(frozen=True)
class GPTQ(Solver):
    """Round columns in turn, moving the others so that the layer's outputs stay.

    Args:
        damp: what is added to the diagonal of the inputs' products, as a share of its mean.
        act_order: whether the channels of largest input come first; scales of groups are then
            those of the weights as they were.

    Where the products are singular in spite of the damping, a `WorkbenchError`.

    Example:
        >>> from workbench.quantizers import Calibration
        >>> from workbench.schemes import parse
        >>> random = np.random.default_rng(0)
        >>> x = random.standard_normal((512, 8)) @ random.standard_normal((8, 8))
        >>> problem = Problem(np.float32(random.standard_normal((4, 8))), parse("int3/channel"),
        ...                   Calibration.of(x))
        >>> error = problem.weight - GPTQ().solve(problem).values
        >>> plain = problem.weight - problem.fitted.round(problem.weight)
        >>> bool(((x @ error.T) ** 2).sum() < ((x @ plain.T) ** 2).sum())
        True
    """

    damp: float = 0.01
    act_order: bool = False
    name: ClassVar[str] = "gptq"

    def solve(self, problem: Problem) -> Solved:
        """The rounded weight."""
        gram = problem.gram(self.name)
        weight = np.where(np.diag(gram) > 0, problem.weight, np.float32(0))
        order = np.arange(len(gram))
        if self.act_order:
            order = np.argsort(-np.diag(gram), kind="stable")
        factor = inverse_factor(gram[np.ix_(order, order)], self.damp)
        values, scales = np.empty_like(weight), {}

        def solve(part: slice) -> None:
            mine = scales[part.start] = _scales(problem, part, order, self.act_order)
            values[part, order] = _columns(weight[part, order], factor, mine)

        by_rows(solve, len(weight), ROWS)
        return Solved(values, _joined(problem, [scales[start] for start in sorted(scales)]))


def inverse_factor(gram: np.ndarray, damp: float, name: str = GPTQ.name) -> np.ndarray:
    """The upper triangle U with H^-1 = U^T U, float32, for H = gram with its damped diagonal.

    A channel without inputs counts as one of unit size. H = M M^T for the upper M that is found by
    factoring H from its last row; U is the inverse of M.
    """
    from scipy.linalg import LinAlgError, cholesky
    from scipy.linalg.lapack import dtrtri

    size = np.diag(gram).copy()
    level = damp * float(size.mean())
    damped = gram + np.diag(np.where(size > 0, level, 1.0))
    try:
        with one_blas_thread():
            lower = cholesky(damped[::-1, ::-1], lower=True, overwrite_a=True)
            inverse, _ = dtrtri(lower[::-1, ::-1], lower=0)
    except LinAlgError:
        raise WorkbenchError(
            f"{name}(damp={damp})", "the inputs' products are singular", f"write {name}(damp=0.05)"
        ) from None
    return np.triu(inverse).astype(np.float32)


def rounded_in_order(
    weight: np.ndarray, fitted: Fitted, factor: np.ndarray, order: np.ndarray
) -> np.ndarray:
    """A weight rounded column by column under scales that stay as they are.

    Args:
        weight: float32 (outputs, features).
        fitted: the scheme with scales of this weight's shape.
        factor: what `inverse_factor` gives for the features in `order`.
        order: in which the features are rounded, int64 (features,).

    Example:
        >>> from workbench.schemes import parse
        >>> w = np.float32([[7.0, 0.5]])  # what the first loses, the second makes up for
        >>> products, order = np.array([[1.0, 0.9], [0.9, 1.0]]), np.array([1, 0])
        >>> factor = inverse_factor(products, 0.0)
        >>> rounded_in_order(w, parse("int4/channel").fit(w), factor, order)
        array([[7., 0.]], dtype=float32)
    """
    values = np.empty_like(weight)
    fixed = _Fixed(fitted, slice(0, len(weight)), order)
    values[:, order] = _columns(weight[:, order], factor, fixed)
    return values


class _Fixed:
    """The scales of some rows as they were chosen, for columns in an order."""

    group = 0

    def __init__(self, fitted: Fitted, part: slice, order: np.ndarray):
        self.fitted, self.part, self.order = fitted, part, order

    def at(self, place: int, left: np.ndarray) -> Region:
        """The scales of the column at a place."""
        column = self.order[place]
        return self.fitted.region(self.part, slice(column, column + 1))


class _ByGroup:
    """The scales of some rows, those of a group chosen from its columns when it is reached."""

    def __init__(self, problem: Problem, part: slice, group: int):
        self.scheme, self.group = problem.scheme, group
        self.whole = problem.fitted.chosen.whole if problem.scheme.scale.has_whole else None
        if problem.scheme.scale.row_ratios:
            self.whole = self.whole[part]
        self.found: list[Fitted] = []

    def at(self, place: int, left: np.ndarray) -> Region:
        """The scales of the column at a place of `left`, (columns, rows)."""
        within = place % self.group
        if within == 0:
            columns = np.ascontiguousarray(left[place : place + self.group].T)
            self.found.append(self.scheme.fit(columns, whole=self.whole))
        return self.found[-1].region(slice(None), slice(within, within + 1))


def _scales(problem: Problem, part: slice, order: np.ndarray, act_order: bool) -> _Fixed | _ByGroup:
    scale = problem.scheme.scale
    if scale is None or act_order or scale.granularity != "group":
        return _Fixed(problem.fitted, part, order)
    return _ByGroup(problem, part, problem.fitted.layout.size)


def _columns(weight: np.ndarray, factor: np.ndarray, scales: _Fixed | _ByGroup) -> np.ndarray:
    """Some rows rounded column by column, in the order that the factor is in."""
    left = np.ascontiguousarray(weight.T)  # a column of the weight is a row here
    block = scales.group if scales.group and BLOCK % scales.group else BLOCK
    for start in range(0, len(left), block):
        stop = min(start + block, len(left))
        errors = np.empty((stop - start, left.shape[1]), np.float32)
        for place in range(start, stop):
            column = left[place]
            rounded = scales.at(place, left).round(column[:, None])[:, 0]
            error = errors[place - start] = (column - rounded) / factor[place, place]
            left[place] = rounded
            left[place + 1 : stop] -= factor[place, place + 1 : stop, None] * error
        left[stop:] -= factor[start:stop, stop:].T @ errors
    return left.T


def _joined(problem: Problem, scales: list[_Fixed | _ByGroup]) -> Fitted:
    """The scales of all rows, from those of parts of them."""
    found = [[fitted.chosen for fitted in one.found] for one in scales if isinstance(one, _ByGroup)]
    if not found:
        return problem.fitted
    all_scales = np.block([[chosen.scales for chosen in row] for row in found])
    zeros = None
    if found[0][0].zeros is not None:
        zeros = np.block([[chosen.zeros for chosen in row] for row in found])
    whole = problem.fitted.chosen.whole
    return replace(problem.fitted, chosen=Chosen(all_scales, zeros, whole))
