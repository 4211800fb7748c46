"""How many problems a model of code solves within k tries, and whether two models differ in it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import WorkbenchError


def pass_at_k(samples: Any, right: Any, k: int = 1) -> np.ndarray:
    """The chance that one of k of a problem's samples is right: 1 - C(n - c, k) / C(n, k).

    The mean over draws of k from the n samples, so it is without bias, unlike 1 - (1 - c / n)^k.

    Args:
        samples: how many were drawn of each problem, n; one number, or one a problem.
        right: how many of them were right, c, whole numbers (problems,).
        k: tries, 1 to n.

    Returns:
        float64 (problems,); its mean is the figure that is published.

    Counts that are no whole numbers, more right ones than samples, or a k beyond the samples raise
    `WorkbenchError`.

    Source: Chen et al., 2021, "Evaluating large language models trained on code", equation 1.

    Example:
        >>> pass_at_k(4, [0, 1, 4], k=2).tolist()
        [0.0, 0.5, 1.0]
    """
    n, c = np.broadcast_arrays(_counts(samples, "samples"), _counts(right, "right samples"))
    if (c > n).any():
        at = np.argwhere(c > n)[0]
        raise WorkbenchError(
            f"{c[tuple(at)]} right of {n[tuple(at)]} samples", "no more can be right",
            "pass (samples, right)",
        )  # fmt: skip
    least = int(n.min(initial=np.iinfo(np.int64).max))
    if k != int(k) or not 1 <= k <= least:
        raise WorkbenchError(f"k = {k}", f"a problem has {least} samples", f"write k=1 to {least}")
    left = n - c
    missed = np.ones(n.shape)
    for tried in range(int(k)):  # the chance that one more is wrong, after so many wrong ones
        missed *= np.maximum(left - tried, 0) / (n - tried)
    return 1 - missed


@dataclass(frozen=True)
class Comparison:
    """Two models on the same problems.

    Attributes:
        first, second: mean pass@k of each.
        only_first, only_second: problems that only one of them solved by any of its samples.
        mcnemar: the exact two-sided p-value of those two counts being alike.
        wilcoxon: the p-value of the signed ranks of the problems' differences of pass@k; 1 where
            there are none.

    Example:
        >>> compare_pass_at_k(1, [1, 1, 1, 0], [1, 0, 0, 0])
        Comparison(first=0.75, second=0.25, only_first=2, only_second=0, mcnemar=0.5, wilcoxon=0.5)
    """

    first: float
    second: float
    only_first: int
    only_second: int
    mcnemar: float
    wilcoxon: float

    @property
    def difference(self) -> float:
        """By how much the first is better."""
        return self.first - self.second


def compare_pass_at_k(samples: Any, first: Any, second: Any, k: int = 1) -> Comparison:
    """Whether two models differ, problem by problem.

    Args:
        samples: how many each model drew of each problem; one number, or one a problem.
        first: how many of them were right for the first model, (problems,).
        second: likewise for the second one, of the same problems, or it is a `WorkbenchError`.
        k: tries.

    Source: McNemar, 1947, in its exact form; Wilcoxon, 1945, without equal problems.
    """
    from scipy.stats import binomtest, wilcoxon

    solved = [_counts(one, "right samples") > 0 for one in (first, second)]
    if solved[0].shape != solved[1].shape or solved[0].ndim != 1 or not solved[0].size:
        raise WorkbenchError(
            f"{solved[0].shape} and {solved[1].shape} problems", "they are compared one by one",
            "pass counts (problems,) of the same problems",
        )  # fmt: skip
    chances = [pass_at_k(samples, right, k) for right in (first, second)]
    gaps = np.round(chances[0] - chances[1], 12)  # so that equal ones tie
    only_first, only_second = (int((a & ~b).sum()) for a, b in (solved, solved[::-1]))
    differ = only_first + only_second
    signs = binomtest(only_first, differ).pvalue if differ else 1
    ranks = wilcoxon(gaps[gaps != 0]).pvalue if gaps.any() else 1
    return Comparison(
        float(chances[0].mean()), float(chances[1].mean()), only_first, only_second,
        float(signs), float(ranks),
    )  # fmt: skip


def _counts(values: Any, name: str) -> np.ndarray:
    """Whole numbers from 0, int64."""
    given = np.asarray(values)
    whole = given.dtype.kind in "biuf" and bool((np.floor(given) == given).all())
    if not whole or not np.isfinite(given).all() or (given < 0).any():
        raise WorkbenchError(
            f"{name} {given.tolist()}"[:80], "they are counted from 0", "pass whole numbers"
        )
    return given.astype(np.int64)
