"""The divergence over the likeliest tokens beside that over all of them."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import log_softmax

from workbench.errors import WorkbenchError
from workbench.metrics import kl_top, top_k_divergence

RANDOM = np.random.default_rng(0)
TEACHER, STUDENT = RANDOM.standard_normal((2, 6, 50)) * 3
K = 8


def divergence(teacher, student):
    p, q = (log_softmax(one, axis=-1) for one in (teacher, student))
    return (np.exp(p) * (p - q)).sum(-1).mean()


def test_with_all_tokens_and_no_second_term_it_is_the_divergence():
    whole = divergence(TEACHER, STUDENT)
    assert top_k_divergence(TEACHER, STUDENT, 50, weight=0.0) == pytest.approx(whole)
    assert top_k_divergence(TEACHER, STUDENT, K, weight=0.0) == pytest.approx(whole)
    assert top_k_divergence(TEACHER, STUDENT, 50, weight=1.0) == pytest.approx(2 * whole)
    assert top_k_divergence(TEACHER, TEACHER, K, weight=3.0) == 0


def test_it_is_both_terms_at_their_temperature():
    top = np.argsort(-TEACHER, axis=-1)[:, :K]
    parts = [np.take_along_axis(one, top, -1) / 2 for one in (TEACHER, STUDENT)]
    expected = divergence(TEACHER / 2, STUDENT / 2) + 0.7 * divergence(*parts)
    found = top_k_divergence(TEACHER, STUDENT, K, weight=0.7, temperature=2.0)
    assert found == pytest.approx(expected)


def gradient(function, step=1e-5):
    """Of a function of the student's logits, by differences."""
    found = np.empty_like(STUDENT)
    for at in np.ndindex(STUDENT.shape):
        ends = []
        for sign in (1, -1):
            moved = STUDENT.copy()
            moved[at] += sign * step
            ends.append(function(moved))
        found[at] = (ends[0] - ends[1]) / (2 * step)
    return found


def test_the_second_term_has_no_gradient_at_other_tokens():
    second = gradient(
        lambda student: top_k_divergence(TEACHER, student, K) - kl_top(TEACHER, student)
    )
    rest = np.ones(STUDENT.shape, bool)
    np.put_along_axis(rest, np.argsort(-TEACHER, axis=-1)[:, :K], False, -1)
    assert np.abs(second[rest]).max() < 1e-9
    assert np.abs(second[~rest]).min() > 1e-7
    first = gradient(lambda student: top_k_divergence(TEACHER, student, K, weight=0.0))
    assert np.abs(first[rest]).min() > 0


def test_the_weight_says_how_much_unlikely_tokens_matter():
    """Two students: one wrong at the likeliest tokens, one as wrong at all others together."""
    top = np.argsort(-TEACHER, axis=-1)[:, :K]
    likely, unlikely = TEACHER.copy(), TEACHER + 2.5
    np.put_along_axis(likely, top, np.take_along_axis(TEACHER, top, -1) * 0.8, -1)
    np.put_along_axis(unlikely, top, np.take_along_axis(TEACHER, top, -1), -1)
    ratios = [
        top_k_divergence(TEACHER, likely, K, weight)
        / top_k_divergence(TEACHER, unlikely, K, weight)
        for weight in (0.0, 1.0, 10.0)
    ]
    assert ratios == sorted(ratios)
    assert ratios[-1] > 3 * ratios[0]


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"k": 0}, "the vocabulary has 50 tokens"),
        ({"k": 51}, "the vocabulary has 50 tokens"),
        ({"k": 5, "temperature": 0.0}, "logits are divided by the one"),
        ({"k": 5, "temperature": np.nan}, "logits are divided by the one"),
        ({"k": 5, "weight": -1.0}, "a term is added with the other"),
    ],
)
def test_what_cannot_be_is_refused(options, why):
    with pytest.raises(WorkbenchError, match=why):
        top_k_divergence(TEACHER, STUDENT, **options)


def test_logits_of_two_shapes_are_refused():
    with pytest.raises(WorkbenchError, match="token by token"):
        top_k_divergence(TEACHER, STUDENT[:3], K)
