"""pass@k against every possible draw, and two models compared problem by problem."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from workbench.errors import WorkbenchError
from workbench.metrics import compare_pass_at_k, pass_at_k


def every_draw(samples, right, k):
    """The share of all draws of k samples that hold a right one."""
    outcomes = [1] * right + [0] * (samples - right)
    draws = list(itertools.combinations(outcomes, k))
    return sum(any(draw) for draw in draws) / len(draws)


def test_it_is_the_mean_over_every_draw():
    for samples in range(1, 9):
        for k in range(1, samples + 1):
            right = np.arange(samples + 1)
            expected = [every_draw(samples, c, k) for c in right]
            assert pass_at_k(samples, right, k) == pytest.approx(expected, abs=1e-12)


def test_it_is_the_published_formula_where_binomials_are_large():
    n, k = 200, 100
    right = np.array([0, 1, 3, 50, 100, 101, 200])
    exact = [1 - math.comb(n - c, k) / math.comb(n, k) for c in right.tolist()]
    assert pass_at_k(n, right, k) == pytest.approx(exact, abs=1e-12)
    assert pass_at_k(n, right, 1) == pytest.approx(right / n)


def test_the_plain_estimate_is_biased_and_this_one_is_not():
    """Means over draws of five samples whose chance of being right is known."""
    chance, n, k = 0.3, 5, 3
    weights = [math.comb(n, c) * chance**c * (1 - chance) ** (n - c) for c in range(n + 1)]
    ours = pass_at_k(n, np.arange(n + 1), k) @ weights
    plain = (1 - (1 - np.arange(n + 1) / n) ** k) @ weights
    true = 1 - (1 - chance) ** k
    assert ours == pytest.approx(true, abs=1e-12)
    assert plain < true - 0.05


def test_problems_may_have_samples_of_their_own():
    assert pass_at_k([2, 4], [1, 1], 2).tolist() == pytest.approx([1.0, 0.5])
    assert pass_at_k(3, [], 1).shape == (0,)


def test_mcnemar_is_the_sign_test_of_the_problems_that_differ():
    first, second = np.array([1] * 9 + [0] * 3 + [1] * 20), np.array([0] * 8 + [1] * 24)
    found = compare_pass_at_k(1, first, second)
    assert (found.only_first, found.only_second) == (8, 3)
    tail = sum(math.comb(11, i) for i in range(4)) / 2**11
    assert found.mcnemar == pytest.approx(2 * tail)
    assert found.difference == pytest.approx(5 / 32)
    swapped = compare_pass_at_k(1, second, first)
    assert (swapped.mcnemar, swapped.wilcoxon) == (found.mcnemar, found.wilcoxon)
    assert swapped.difference == -found.difference


def test_wilcoxon_is_exact_over_every_sign():
    """Six problems of different gaps: two of 2^6 sign patterns are as far out."""
    found = compare_pass_at_k(10, [1, 2, 3, 4, 5, 6], [0] * 6)
    assert found.wilcoxon == pytest.approx(2 / 64)
    assert found.mcnemar == pytest.approx(2 / 64)
    mixed = compare_pass_at_k(10, [1, 2, 3, 4, 5, 0], [0, 0, 0, 0, 0, 6])
    ranks = np.arange(1, 7)
    sums = [ranks[list(signs)].sum() for signs in itertools.product([False, True], repeat=6)]
    low = sum(total <= 6 for total in sums) / 64
    assert mixed.wilcoxon == pytest.approx(min(1, 2 * low))


def test_more_problems_settle_what_few_leave_open():
    random = np.random.default_rng(0)
    chances = random.uniform(0, 1, 164)
    first, second = (random.binomial(20, np.clip(chances + d, 0, 1)) for d in (0.1, 0.0))
    whole = compare_pass_at_k(20, first, second, 1)
    few = compare_pass_at_k(20, first[:8], second[:8], 1)
    assert whole.wilcoxon < 1e-6 < few.wilcoxon
    assert compare_pass_at_k(20, first, second, 10).first > whole.first


def test_models_that_are_alike_do_not_differ():
    found = compare_pass_at_k(5, [0, 3, 5], [0, 3, 5], 2)
    assert (found.difference, found.mcnemar, found.wilcoxon) == (0.0, 1.0, 1.0)


@pytest.mark.parametrize(
    ("samples", "right", "k", "why"),
    [
        (4, [5], 1, "5 right of 4 samples"),
        (4, [1], 5, "a problem has 4 samples"),
        (4, [1], 0, "write k=1 to 4"),
        ([4, 2], [1, 1], 3, "a problem has 2 samples"),
        (4, [-1], 1, "counted from 0"),
        (4, [0.5], 1, "counted from 0"),
        (4, [np.nan], 1, "counted from 0"),
        (4, ["a"], 1, "counted from 0"),
    ],
)
def test_counts_that_cannot_be_are_refused(samples, right, k, why):
    with pytest.raises(WorkbenchError, match=why):
        pass_at_k(samples, right, k)


@pytest.mark.parametrize("second", [[1, 2], [], [[1], [2], [3]]])
def test_other_problems_are_not_compared(second):
    with pytest.raises(WorkbenchError, match="one by one"):
        compare_pass_at_k(4, [1, 2, 3] if second else [], second)


def test_equal_gaps_share_their_rank():
    """Gaps of one sample in ten, which floats do not all write alike."""
    first, second = [1, 2, 3, 7, 5], [0, 1, 2, 6, 7]
    ranks = np.array([2.5, 2.5, 2.5, 2.5, 5])
    sums = [ranks[list(signs)].sum() for signs in itertools.product([False, True], repeat=5)]
    far = np.mean([abs(total - 7.5) >= abs(5 - 7.5) for total in sums])
    assert compare_pass_at_k(10, first, second).wilcoxon == pytest.approx(far)
