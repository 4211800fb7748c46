"""Errors weighted by the second moment of the inputs, and the divergence over likely tokens."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.special import softmax
from scipy.stats import entropy

import workbench as wb
from workbench import metrics
from workbench.errors import WorkbenchError


@pytest.fixture
def layer():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((500, 48)) * np.exp(rng.normal(0, 1, 48))
    return x, rng.standard_normal((32, 48)).astype(np.float32)


def test_it_is_the_squared_error_of_the_outputs(layer):
    x, w = layer
    rounded = wb.scheme("int4/g16").round(w)
    moment = x.T @ x
    outputs, expected = x @ w.T, x @ rounded.T
    squares = ((expected - outputs) ** 2).sum(axis=0)
    assert metrics.weighted_squares(rounded - w, moment) == pytest.approx(squares, rel=1e-4)
    exact = rounded.astype(np.float64) - w
    assert metrics.weighted_error(exact, moment) == pytest.approx(squares.sum())
    relative = metrics.relative_weighted_error(w, rounded, moment)
    assert relative == pytest.approx(squares.sum() / (outputs**2).sum())
    assert metrics.relative_weighted_error(w, rounded, moment / 500) == pytest.approx(relative)


def test_the_identity_weighs_all_inputs_alike(layer):
    _, w = layer
    assert metrics.weighted_error(w, np.eye(48)) == pytest.approx((w.astype(float) ** 2).sum())


def test_it_equals_the_trace_for_many_rows():
    rng = np.random.default_rng(1)
    d, x = rng.standard_normal((3000, 200)), rng.standard_normal((50, 200))
    moment = x.T @ x
    assert metrics.weighted_error(d, moment) == pytest.approx(np.trace(d @ moment @ d.T))


def test_directions_that_inputs_never_take_cost_nothing():
    x = np.array([[1.0, 1.0], [2.0, 2.0]])
    assert metrics.weighted_error([[1.0, -1.0]], x.T @ x) == 0


def test_no_rows_no_error_and_no_signal(layer):
    _, w = layer
    assert metrics.weighted_error(np.zeros((0, 48)), np.eye(48)) == 0
    assert metrics.relative_weighted_error(w, w, np.eye(48)) == 0
    assert metrics.relative_weighted_error(0 * w, w, np.eye(48)) == math.inf


@pytest.mark.parametrize(
    ("call", "why"),
    [
        (lambda: metrics.weighted_error(np.ones((2, 3)), np.eye(2)), "an entry for each input"),
        (lambda: metrics.weighted_error(np.ones(3), np.eye(3)), "an entry for each input"),
        (lambda: metrics.weighted_error(np.ones((2, 3)), np.ones((3, 2))), "row and a column"),
        (lambda: metrics.weighted_error([[np.nan]], [[1.0]]), "NaN"),
        (lambda: metrics.weighted_error([[1.0]], [[-1.0]]), "positive semidefinite"),
        (lambda: metrics.weighted_error([[1.0, 0]], [[1.0, 2.0], [0.0, 1.0]]), "not symmetric"),
        (lambda: metrics.relative_weighted_error([[1.0]], [[1.0, 2.0]], [[1.0]]), "one by one"),
        (lambda: metrics.relative_weighted_error([[np.inf]], [[np.inf]], [[1.0]]), "NaN"),
    ],
)
def test_what_does_not_fit_is_refused(call, why):
    with pytest.raises(WorkbenchError, match=why):
        call()


def logits(seed: int, vocabulary: int = 200) -> np.ndarray:
    return 3 * np.random.default_rng(seed).standard_normal((7, vocabulary))


def test_over_the_whole_vocabulary_it_is_the_divergence():
    p, q = logits(0), logits(1)
    exact = np.mean(entropy(softmax(p, axis=-1), softmax(q, axis=-1), axis=-1))
    assert metrics.kl_top(p, q) == pytest.approx(exact, rel=1e-12)
    assert metrics.kl_top(p, q, k=200) == metrics.kl_top(p, q)
    assert metrics.kl_top(p.astype(np.float32), q) == pytest.approx(exact, rel=1e-6)


def test_the_likeliest_tokens_are_renormalised():
    p, q = logits(0), logits(1)
    best = np.argsort(-p, axis=-1)[:, :10]
    a, b = (softmax(np.take_along_axis(v, best, -1), axis=-1) for v in (p, q))
    assert metrics.kl_top(p, q, k=10) == pytest.approx(np.mean(entropy(a, b, axis=-1)))
    assert metrics.kl_top(p, q, k=1) == 0


def test_noise_on_unlikely_tokens_counts_for_nothing():
    teacher = np.random.default_rng(0).standard_normal((16, 32_000))
    student = teacher.copy()
    lowest = np.argsort(teacher, axis=-1)[:, :20_000]
    noise = np.random.default_rng(1).standard_normal(lowest.shape)
    np.put_along_axis(student, lowest, np.take_along_axis(teacher, lowest, -1) + noise, -1)
    assert metrics.kl_top(teacher, student, k=1000) == 0
    assert metrics.kl_top(teacher, student) > 0.01


def test_large_logits_do_not_overflow():
    assert metrics.kl_top([[1e4, 0.0]], [[0.0, 0.0]]) == pytest.approx(math.log(2))


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (([[1.0, 2.0]], [[1.0]]), "token by token"),
        ((np.zeros((0, 4)), np.zeros((0, 4))), "token by token"),
        (([[1.0, np.nan]], [[1.0, 1.0]]), "NaN"),
        (([[1.0, 2.0]], [[1.0, 1.0]], 3), "write 1 to 2"),
        (([[1.0, 2.0]], [[1.0, 1.0]], 0), "write 1 to 2"),
    ],
)
def test_predictions_that_cannot_be_compared_are_refused(arguments, why):
    with pytest.raises(WorkbenchError, match=why):
        metrics.kl_top(*arguments)
