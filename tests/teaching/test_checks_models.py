"""Exercises on tensors: right answers pass, and each typical mistake meets its input."""

from __future__ import annotations

import math
import re

import numpy as np
import pytest

from workbench.teaching import EXERCISES, check
from workbench.teaching.array_checks import near

ARRAYS = [name for name, exercise in EXERCISES.items() if exercise.kind == "array"]


def int8(x, axis=None):
    """Whole numbers under one scale, or one a row, as a student writes it."""
    largest = np.abs(x).max(axis=axis, keepdims=axis is not None)
    scale = np.where(largest > 0, largest, 1.0) / 127
    return np.round(x / scale) * scale


def flushed(x):
    return np.mean((int8(x) == 0) & (x != 0))


def mixed(x, w, threshold, inside=lambda x, large: int8(np.where(large, 0.0, x), 1)):
    large = np.abs(x).max(axis=0) >= threshold
    rest = np.where(large, 0.0, inside(x, large))
    return x[:, large] @ w[:, large].T + rest @ int8(w, 1).T


def sqnr(x, y, power=10.0):
    return power * np.log10(np.mean(x**2) / np.mean((y - x) ** 2))


def causes(x, y, largest):
    squares, clipped, zero = (y - x) ** 2, np.abs(x) > largest, (y == 0) & (x != 0)
    parts = (~clipped & ~zero, clipped, zero)
    return [squares[part].sum() / x.size for part in parts]


def factors(x, w, alpha):
    a, b = np.abs(x).max(axis=0), np.abs(w).max(axis=0)
    found = np.ones(len(a))
    used = (a > 0) & (b > 0)
    found[used] = a[used] ** alpha / b[used] ** (1 - alpha)
    return found


def unused(c):
    log2 = np.linalg.slogdet(c)[1] / math.log(2)
    return 0.5 * np.log2(np.diag(c).max()) - log2 / (2 * len(c))


RIGHT = {
    "scale-channel": lambda x: np.abs(x).max(axis=0).argmax(),
    "flushed-share": flushed,
    "llm-int8": mixed,
    "sqnr-db": sqnr,
    "error-causes": causes,
    "weighted-error": lambda d, h: np.trace(d @ h @ d.T),
    "smoothing-factors": factors,
    "rotated-weight": lambda w, q: w @ q,
    "unused-bits": unused,
}

WRONG = {
    "the largest value, not magnitude": ("scale-channel", lambda x: x.max(axis=0).argmax()),
    "the largest mean": ("scale-channel", lambda x: np.abs(x).mean(axis=0).argmax()),
    "the longest column": ("scale-channel", lambda x: np.linalg.norm(x, axis=0).argmax()),
    "the row": ("scale-channel", lambda x: np.abs(x).max(axis=1).argmax()),
    "the last of equals": (
        "scale-channel", lambda x: x.shape[1] - 1 - np.abs(x).max(axis=0)[::-1].argmax(),
    ),
    "zeros counted": ("flushed-share", lambda x: np.mean(int8(x) == 0)),
    "ties away": (
        "flushed-share",
        lambda x: np.mean((np.abs(x) < np.abs(x).max() / 254) & (x != 0)),
    ),
    "the largest value as the scale": (
        "flushed-share", lambda x: np.mean((np.round(x / (x.max() or 1) * 127) == 0) & (x != 0)),
    ),
    "the share of the values that are not zero": (
        "flushed-share", lambda x: flushed(x) * x.size / max(1, np.count_nonzero(x)),
    ),
    "no part in float": ("llm-int8", lambda x, w, t: int8(x, 1) @ int8(w, 1).T),
    "outliers still set the scale": ("llm-int8", lambda *a: mixed(*a, lambda x, _: int8(x, 1))),
    "one scale for the tensor": (
        "llm-int8", lambda *a: mixed(*a, lambda x, large: int8(np.where(large, 0.0, x))),
    ),
    "above the threshold": ("llm-int8", lambda x, w, t: mixed(x, w, np.nextafter(t, np.inf))),
    "the sign of an outlier": (
        "llm-int8", lambda x, w, t: mixed(np.where(x > 0, x, -x), w, t) if (x < 0).all()
        else mixed(np.clip(x, -5.9, None), w, t),
    ),
    "twenty instead of ten": ("sqnr-db", lambda x, y: sqnr(x, y, 20.0)),
    "the mean error squared": (
        "sqnr-db", lambda x, y: 10 * np.log10(np.mean(x**2) / np.mean(y - x) ** 2),
    ),
    "upside down": ("sqnr-db", lambda x, y: -sqnr(x, y)),
    "the mean of ratios": (
        "sqnr-db", lambda x, y: 10 * np.log10(np.mean(x**2 / (y - x) ** 2)),
    ),
    "each cause over its own count": (
        "error-causes",
        lambda x, y, most: [
            ((y - x) ** 2)[part].mean() if part.any() else 0.0
            for part in ((np.abs(x) <= most) & ~((y == 0) & (x != 0)), np.abs(x) > most,
                         (y == 0) & (x != 0))
        ],
    ),
    "only one side clips": (
        "error-causes", lambda x, y, most: causes(np.where(x < -most, -most, x), y, most),
    ),
    "flushed counted twice": (
        "error-causes",
        lambda x, y, most: np.add(causes(x, y, most), [causes(x, y, most)[2], 0, 0]),
    ),
    "the diagonal alone": ("weighted-error", lambda d, h: np.sum(d**2 * np.diag(h))),
    "no weights": ("weighted-error", lambda d, h: np.sum(d**2)),
    "the mean over the outputs": ("weighted-error", lambda d, h: np.trace(d @ h @ d.T) / len(d)),
    "values instead of magnitudes": (
        "smoothing-factors",
        lambda x, w, a: np.maximum(x.max(axis=0), 1e-9) ** a / np.abs(w).max(axis=0) ** (1 - a),
    ),
    "the share the other way round": ("smoothing-factors", lambda x, w, a: factors(x, w, 1 - a)),
    "what multiplies": ("smoothing-factors", lambda *a: 1 / factors(*a)),
    "a dead channel of zero": (
        "smoothing-factors",
        lambda x, w, a: np.abs(x).max(axis=0) ** a / np.abs(w).max(axis=0) ** (1 - a),
    ),
    "turned back": ("rotated-weight", lambda w, q: w @ q.T),
    "as it was": ("rotated-weight", lambda w, q: w),
    "the longest axis": (
        "unused-bits",
        lambda c: 0.5 * np.log2(np.linalg.eigvalsh(c)[-1])
        - np.linalg.slogdet(c)[1] / math.log(2) / 2 / len(c),
    ),
    "a determinant that underflows": (
        "unused-bits",
        lambda c: 0.5 * np.log2(np.diag(c).max()) - np.log2(np.linalg.det(c)) / (2 * len(c)),
    ),
    "natural logarithms": ("unused-bits", lambda c: unused(c) * math.log(2)),
    "variances": ("unused-bits", lambda c: 2 * unused(c)),
}  # fmt: skip


def test_every_exercise_on_tensors_has_a_right_answer_here():
    assert set(RIGHT) == set(ARRAYS)


@pytest.mark.parametrize("name", ARRAYS)
def test_a_right_answer_passes(name):
    result = check(name, RIGHT[name])
    assert (result.grade, result.passed, result.failure) == ("right", True, None), repr(result)
    assert f"all {len(EXERCISES[name].cases())} inputs" in repr(result)
    assert "svg" not in result._repr_html_()


@pytest.mark.parametrize("mistake", WRONG)
def test_a_mistake_is_caught_by_a_case_that_truly_fails(mistake):
    name, answer = WRONG[mistake]
    result = check(name, answer)
    assert (result.grade, result.passed) == ("wrong", False), repr(result)
    failure = result.failure
    with np.errstate(all="ignore"):
        truth, came = RIGHT[name](*failure.inputs), answer(*failure.inputs)
    assert near(failure.expected, truth).all()
    np.testing.assert_array_equal(failure.got, came)
    assert not near(truth, came).all()


@pytest.mark.parametrize("mistake", WRONG)
def test_the_failing_case_is_told_and_drawn(mistake):
    name, answer = WRONG[mistake]
    result = check(name, answer)
    words = [row[0] for row in result.failure.rows]
    assert words[0] == "input"
    assert words[1:-2] == list(EXERCISES[name].arguments)
    assert [word.partition(" at ")[0] for word in words[-2:]] == ["expected", "yours"]
    html = result._repr_html_()
    assert html.count("<tr>") == len(words)
    assert html.count("<svg") == 1
    assert 'role="img"' in html
    assert "http" not in html
    assert all(row[0] in repr(result) for row in result.failure.rows)


@pytest.mark.parametrize("name", ARRAYS)
def test_the_case_that_is_shown_is_the_first_that_fails(name):
    cases = EXERCISES[name].cases()
    calls = []

    def answer(*inputs):
        calls.append(1)
        truth = np.asarray(cases[len(calls) - 1].expected, np.float64)
        return truth + 7.0 if len(calls) > len(cases) // 2 else truth

    result = check(name, answer)
    turn = cases[len(cases) // 2]
    assert result.failure.rows[0][1] == turn.about
    assert f"for {len(cases) - len(cases) // 2} of {len(cases)} inputs" in result.said


@pytest.mark.parametrize("name", ARRAYS)
def test_every_case_says_what_is_special_about_it_and_is_told_apart(name):
    abouts = [case.about for case in EXERCISES[name].cases()]
    assert all(abouts)
    assert len(set(abouts)) == len(abouts) >= 6


@pytest.mark.parametrize("name", ARRAYS)
def test_an_answer_may_change_its_copies(name):
    def answer(*inputs):
        truth = RIGHT[name](*[np.array(v) if isinstance(v, np.ndarray) else v for v in inputs])
        for value in inputs:
            if isinstance(value, np.ndarray):
                value[:] = 99.0
        return truth

    assert check(name, answer).passed
    assert check(name, RIGHT[name]).passed


@pytest.mark.parametrize("name", ARRAYS)
def test_hints_come_one_at_a_time(name):
    result = check(name, RIGHT[name])
    assert len({result.hint() for _ in range(4)}) == 3
    assert not set(EXERCISES[name].hints) & set(repr(result).splitlines())


REFUSED = {
    "nothing": ("llm-int8", lambda x, w, t: None, "gave nothing"),
    "nothing, for a number": ("sqnr-db", lambda x, y: None, "gave nothing"),
    "another shape": ("llm-int8", lambda x, w, t: (x @ w.T).T, "it gave the shape (2, 3)"),
    "a number for an array": ("error-causes", lambda x, y, m: 1.0, "it gave the shape ()"),
    "an array for a number": ("scale-channel", lambda x: np.abs(x).max(axis=0), "of shape (2,)"),
    "words": ("error-causes", lambda x, y, m: "none", "no array of numbers"),
    "an exception": ("rotated-weight", lambda w, q: w @ q[:1], "raised ValueError"),
    "other arguments": ("smoothing-factors", lambda x, w: x, "raised TypeError"),
    "no function": ("unused-bits", 3.0, "takes the function itself"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_checked_is_answered_with_a_way_out(case):
    name, answer, why = REFUSED[case]
    result = check(name, answer)
    assert (result.grade, result.failure) == ("refused", None)
    assert why in repr(result)
    assert repr(result).count("→") == 2


def test_a_call_with_arrays_is_told_by_their_shapes():
    text = repr(check("llm-int8", lambda x, w, t: None))
    assert "f(an array of shape (3, 4), an array of shape (2, 4), 6)" in text


def test_nan_is_wrong_and_shown_with_its_input():
    result = check("flushed-share", lambda x: flushed(x) / x.any())
    assert result.failure.rows[0][1] == "every value is zero"
    assert result.failure.rows[-1][1] == "nan"


def test_both_channels_are_framed():
    html = check("scale-channel", lambda x: x.max(axis=0).argmax())._repr_html_()
    frames = re.findall(r'fill="none" stroke="(#\w+)"', html)
    assert len(frames) == len(set(frames)) == 2
