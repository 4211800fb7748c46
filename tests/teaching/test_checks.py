"""`check` knows right from wrong: exact answers pass, and each typical mistake meets its input."""

from __future__ import annotations

import math
import re

import numpy as np
import pytest

from workbench.errors import WorkbenchError
from workbench.formats import parse
from workbench.formats.reference import round_one
from workbench.teaching import EXERCISES, check
from workbench.teaching.checks import DRAWS, MOST_Z
from workbench.teaching.exercises import rounding_inputs
from workbench.views.style import contrast, theme

E2M1 = [0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0]
FUNCTIONS = [name for name, exercise in EXERCISES.items() if exercise.kind == "function"]
ON_FORMATS = [name for name, exercise in EXERCISES.items() if exercise.kind != "array"]


def decode(code, bias=7, subnormals=True, nan=True):
    """e4m3fn by its fields, and the mistakes people make."""
    sign, exponent, mantissa = code >> 7, (code >> 3) & 15, code & 7
    if nan and (exponent, mantissa) == (15, 7):
        return math.nan
    leading = 1 if exponent or not subnormals else 0
    power = max(exponent, 1 if subnormals else 0) - bias
    return math.copysign(math.ldexp(leading + mantissa / 8, power), 0.5 - sign)


def nearest(x, tie=lambda index: index % 2):
    """The nearest value of e2m1; `tie` orders the two that are equally near."""
    index = min(range(8), key=lambda i: (abs(E2M1[i] - abs(x)), tie(i)))
    return math.copysign(E2M1[index], x)


def truncated(x, name="e4m3fn"):
    """The value of a format next to x on the side of zero."""
    values = parse(name).values
    return math.copysign(values[np.searchsorted(values, abs(x), side="right") - 1], x)


def ulp(x, mantissa, least):
    """The step around |x|."""
    exponent = math.frexp(x)[1] - 1 if x else least
    return math.ldexp(1.0, max(exponent, least) - mantissa)


def by_lot(x, rng, share=lambda place: place):
    """e2m1 by lot; `share` bends how often the upper neighbour is drawn."""
    values = parse("e2m1").values
    high = np.searchsorted(values, x)
    low = np.where(values[high] == x, high, high - 1)
    width = np.where(low == high, 1.0, values[high] - values[low])
    up = rng.random(x.shape) < share((x - values[low]) / width)
    return np.where(up, values[high], values[low])


RIGHT = {
    "decode-e4m3fn": decode,
    "largest-value": lambda e, m, bias: (2 - 2.0**-m) * 2.0 ** (2**e - 2 - bias),
    "smallest-subnormal": lambda e, m, bias: 2.0 ** (1 - bias - m),
    "count-values": lambda e, m: 2 ** (1 + e + m) - 1,
    "round-e2m1": nearest,
    "round-toward-zero": truncated,
    "ulp": ulp,
    "stochastic-e2m1": by_lot,
    "double-rounding": 1.0625 + 2**-12,
}

WRONG = {
    "bias off by one": ("decode-e4m3fn", lambda code: decode(code, bias=8), "wrong"),
    "no subnormals": ("decode-e4m3fn", lambda code: decode(code, subnormals=False), "wrong"),
    "NaN as a number": ("decode-e4m3fn", lambda code: decode(code, nan=False), "wrong"),
    "the sign left out": ("decode-e4m3fn", lambda code: decode(code & 127), "wrong"),
    "the top exponent used": (
        "largest-value", lambda e, m, bias: (2 - 2.0**-m) * 2.0 ** (2**e - 1 - bias), "wrong",
    ),
    "one step below the largest": (
        "largest-value", lambda e, m, bias: (2 - 2 * 2.0**-m) * 2.0 ** (2**e - 2 - bias), "close",
    ),
    "the smallest normal": ("smallest-subnormal", lambda e, m, bias: 2.0 ** (1 - bias), "wrong"),
    "minus zero counted": ("count-values", lambda e, m: 2 ** (1 + e + m), "wrong"),
    "ties away": ("round-e2m1", lambda x: nearest(x, lambda i: -i), "close"),
    "ties toward zero": ("round-e2m1", lambda x: nearest(x, lambda i: i), "close"),
    "truncation": ("round-e2m1", lambda x: truncated(x, "e2m1"), "close"),
    "whole numbers": ("round-e2m1", lambda x: float(round(x)), "wrong"),
    "the sign of zero": ("round-e2m1", lambda x: nearest(x) + 0.0, "close"),
    "nearest for toward zero": (
        "round-toward-zero", lambda x: round_one(parse("e4m3fn"), x), "close",
    ),
    "down for toward zero": (
        "round-toward-zero", lambda x: round_one(parse("e4m3fn"), x, "down"), "close",
    ),
    "no subnormal step": ("ulp", lambda x, m, least: ulp(x, m, -200), "wrong"),
    "the next power's step": ("ulp", lambda x, m, least: 2 * ulp(x, m, least), "wrong"),
}  # fmt: skip


def test_every_exercise_on_formats_has_a_right_answer_here():
    assert set(RIGHT) == set(ON_FORMATS)


@pytest.mark.parametrize("name", ON_FORMATS)
def test_a_right_answer_passes(name):
    result = check(name, RIGHT[name])
    assert result.passed
    assert result.grade == ("exact" if name in FUNCTIONS else "right")
    assert result.failure is None
    assert "svg" not in result._repr_html_()


@pytest.mark.parametrize("mistake", WRONG)
def test_a_mistake_is_caught_by_a_case_that_truly_fails(mistake):
    name, answer, grade = WRONG[mistake]
    result = check(name, answer)
    assert not result.passed
    assert result.grade == grade
    failure = result.failure
    truth, came = RIGHT[name](*failure.inputs), answer(*failure.inputs)
    assert repr(failure.expected) == repr(float(truth))
    assert repr(failure.got) == repr(float(came))
    assert repr(failure.expected) != repr(failure.got)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_the_case_that_is_shown_is_the_first_that_fails(name):
    cases = EXERCISES[name].cases()
    turn = cases[len(cases) // 2]
    result = check(name, lambda *x: -7.0 if x == turn.inputs else RIGHT[name](*x))
    assert result.failure.inputs == turn.inputs
    assert f"1 of {len(cases):,}" in result.said


def test_within_one_ulp_is_said_with_the_largest_error():
    result = check("round-e2m1", lambda x: nearest(x, lambda i: -i))
    assert result.ulps == 1
    assert "within one ulp" in repr(result)
    assert "largest error is 1 ulp" in repr(result)


def test_a_wrong_sign_of_zero_is_no_error_in_ulp_but_is_said():
    result = check("round-e2m1", lambda x: nearest(x) + 0.0)
    assert result.ulps == 0
    assert "only the sign of zero differs" in repr(result)
    assert math.copysign(1, result.failure.inputs[0]) == -1


def test_ties_away_is_shown_on_a_tie():
    x = check("round-e2m1", lambda x: nearest(x, lambda i: -i)).failure.inputs[0]
    assert abs(x) in parse("e2m1").middles


def test_missing_subnormals_are_shown_on_a_subnormal_with_its_bits():
    result = check("decode-e4m3fn", lambda code: decode(code, subnormals=False))
    assert result.failure.inputs[0] in range(8)
    assert re.search(r"code +0x0\d +0\|0000\|\d{3}", repr(result))


@pytest.mark.parametrize("name", ["e2m1", "e4m3fn"])
def test_rounding_is_tried_at_every_value_and_on_both_sides_of_every_middle(name):
    fmt = parse(name)
    inputs = set(rounding_inputs(fmt))
    assert set(fmt.values) <= inputs
    assert set(fmt.middles) <= inputs
    for middle in np.float32(fmt.middles):
        assert float(np.nextafter(middle, np.float32(np.inf))) in inputs
        assert float(np.nextafter(middle, np.float32(-np.inf))) in inputs
    assert all(float(np.float32(x)) == x for x in inputs)


BIASED = {
    "nearest": lambda x, rng: parse("e2m1").round(x),
    "a fair coin": lambda x, rng: parse("e2m1").round(x, "stochastic_equal"),
    "one draw for all": lambda x, rng: by_lot(x, rng, lambda place: place - rng.random() + 0.5),
    "five per cent too many": lambda x, rng: by_lot(x, rng, lambda place: place * 1.05),
}


@pytest.mark.parametrize("mistake", BIASED)
def test_a_biased_lot_is_caught_with_its_z_score(mistake):
    result = check("stochastic-e2m1", BIASED[mistake])
    assert result.grade == "wrong"
    z = float(re.search(r"([\d.]+) standard errors", result.said)[1])
    assert z > MOST_Z
    assert f"mean of {DRAWS:,}" in repr(result)


def test_a_lot_that_leaves_the_neighbours_is_caught():
    result = check("stochastic-e2m1", lambda x, rng: x)
    assert result.failure.got == result.failure.inputs[0]
    assert "gives 2 or 3 here" in repr(result)


def test_a_right_lot_states_the_largest_z():
    assert re.search(r"\|z\| is at most [\d.]+ \(limit 5\)", repr(check("stochastic-e2m1", by_lot)))


def test_double_rounding_that_makes_no_difference_shows_every_step():
    text = repr(check("double-rounding", 1.7))
    assert text.count("|") == 8
    assert "rounded to bf16" in text


@pytest.mark.parametrize("name", ON_FORMATS)
def test_hints_come_one_at_a_time_and_the_last_one_stays(name):
    result = check(name, RIGHT[name])
    heard = [result.hint() for _ in range(4)]
    assert [text[:11] for text in heard] == ["Hint 1 of 3", "Hint 2 of 3", *["Hint 3 of 3"] * 2]
    assert len(set(heard)) == 3
    assert not set(EXERCISES[name].hints) & set(repr(result).splitlines())


def _stop(x):
    raise KeyError("gone")


REFUSED = {
    "raises": ("round-e2m1", _stop, "raised KeyError: 'gone'"),
    "takes other arguments": ("round-e2m1", lambda: 1.0, "raised TypeError"),
    "returns nothing": ("round-e2m1", lambda x: None, "gave nothing"),
    "returns NaN": ("round-e2m1", lambda x: math.nan, "gave NaN"),
    "returns a list": ("ulp", lambda x, m, least: [x], "a list is no single number"),
    "returns an array": ("ulp", lambda x, m, least: np.ones(3), "of shape (3,)"),
    "returns text": ("ulp", lambda x, m, least: "1", "a str is no single number"),
    "returns a truth": ("ulp", lambda x, m, least: True, "a bool is no single number"),
    "returns something huge": ("ulp", lambda x, m, least: 10**400, "too large"),
    "is a number": ("round-e2m1", 3, "takes the function itself"),
    "is a function": ("double-rounding", nearest, "takes a number"),
    "is NaN": ("double-rounding", math.nan, "no finite number"),
    "is text": ("double-rounding", "1", "a str is no single number"),
    "has another shape": ("stochastic-e2m1", lambda x, rng: x[:3], "the shape (3,)"),
    "draws NaN": ("stochastic-e2m1", lambda x, rng: x * math.nan, "20,000 NaN"),
    "draws text": ("stochastic-e2m1", lambda x, rng: "x", "no array of numbers"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_checked_is_answered_with_a_way_out(case):
    name, answer, why = REFUSED[case]
    result = check(name, answer)
    assert (result.grade, result.passed, result.failure) == ("refused", False, None)
    assert why in repr(result)
    assert repr(result).count("→") == 2
    assert "\n" not in repr(result)


def test_an_unknown_exercise_gets_the_nearest_name():
    with pytest.raises(WorkbenchError, match="write 'round-e2m1'"):
        check("round-e2m", nearest)


@pytest.mark.parametrize(
    "got", [int, np.float32, np.float64, np.array, lambda y: np.array(y, np.float32)]
)
def test_every_kind_of_number_is_taken(got):
    assert check("count-values", lambda e, m: got(2 ** (1 + e + m) - 1)).passed


def test_the_picture_marks_input_expected_and_got_by_shape_and_word():
    html = check("round-e2m1", lambda x: nearest(x, lambda i: -i))._repr_html_()
    assert "<circle" in html
    assert html.count("<path") == 2
    for words in ("x = 0.25", "expected 0", "yours 0.5", 'role="img"', "aria-label"):
        assert words in html
    assert "http" not in html


@pytest.mark.parametrize("mistake", WRONG)
def test_every_failing_case_has_a_table_twin(mistake):
    name, answer, _ = WRONG[mistake]
    result = check(name, answer)
    html = result._repr_html_()
    assert html.count("<tr>") == len(result.failure.rows)
    drawn = math.isfinite(result.failure.around)
    assert ("<svg" in html) == drawn


def test_a_far_answer_is_an_arrow_at_the_edge():
    html = check("round-e2m1", lambda x: 1e9)._repr_html_()
    assert "→ yours 1000000000" in html
    assert not re.search(r'c?x="(?:-|\d{4})', html)


def test_the_marks_are_seen_on_light_and_dark_paper():
    from workbench.teaching.picture import BLUE, ORANGE

    for paper in (theme("light").paper, theme("dark").paper):
        assert min(contrast(BLUE, paper), contrast(ORANGE, paper)) >= 3


@pytest.mark.parametrize("name", EXERCISES)
def test_an_exercise_says_what_it_takes(name):
    exercise = EXERCISES[name]
    signature = f"f({', '.join(exercise.arguments)})"
    assert signature in exercise.asks or exercise.kind == "number"
    assert len(exercise.hints) == 3
