"""`check(exercise, answer)`: exact, within one step, or wrong with the first input that shows it.

An answer is tried on every code or on a dense set of simple, difficult and seeded random inputs;
functions of whole arrays are judged in `array_checks`.
What cannot be tried is answered like every refusal here: what came, why, what to write instead.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from ..errors import WorkbenchError, unknown
from ..formats import parse
from ..formats.reference import round_one
from .array_checks import of_arrays
from .calls import call, called, plain
from .exercises import EXERCISES
from .records import SEED, Case, Exercise
from .results import Failure, Mark, Result, bits_of_code, bits_of_float, text_of, value_bits

DRAWS = 20_000  # of each number, in the statistical check
MOST_Z = 5.0  # false alarm: about 1 in 100,000 for all of its numbers together


def check(exercise: str, answer: Any) -> Result:
    """Try the answer to an exercise; the result says how good it is and shows what fails first.

    Args:
        exercise: a name of `EXERCISES`; another raises `WorkbenchError` with the nearest one.
        answer: the function or the number that the exercise asks for. One that raises, or gives
            something else than a number, is refused in words.

    Example:
        >>> check("count-values", lambda exponent, mantissa: 2 ** (1 + exponent + mantissa))
        count-values: wrong for 25 of 25 inputs. The first:
          exponent, mantissa  2, 1
          expected            15
          yours               16
        For a hint: result.hint()
    """
    if exercise not in EXERCISES:
        raise unknown("exercise", str(exercise), EXERCISES)
    record = EXERCISES[exercise]
    try:
        return _JUDGES[record.kind](record, answer)
    except WorkbenchError as refusal:
        return Result(record, "refused", str(refusal))


def _of_function(exercise: Exercise, answer: Any) -> Result:
    """Compare a function's numbers with the true ones, one input after the other."""
    cases = exercise.cases()
    got = [_number(call(exercise, answer, case.inputs), case) for case in cases]
    pairs = list(zip(cases, got, strict=True))
    wrong = [(case, y) for case, y in pairs if not same(case.expected, y)]
    if not wrong:
        return Result(exercise, "exact", f"bit for bit, for all {len(cases):,} inputs")
    ulps = max(_ulps(exercise, case, y) for case, y in wrong)
    said = f"for {len(wrong):,} of {len(cases):,} inputs"
    failure = _failure(exercise, *wrong[0])
    if ulps > 1:
        size = f"{ulps:,.0f}" if ulps >= 10 else f"{ulps:.3g}"
        most = f", by up to {size} ulp" if math.isfinite(ulps) else ""
        return Result(exercise, "wrong", said + most, failure, ulps)
    why = "only the sign of zero differs" if ulps == 0 else f"the largest error is {ulps:.3g} ulp"
    return Result(exercise, "close", f"differs {said}; {why}", failure, ulps)


def same(a: float, b: float) -> bool:
    """Whether two numbers are the same in every bit that counts: the sign of zero, any NaN.

    Example:
        >>> same(0.0, -0.0), same(math.nan, math.nan), same(1, 1.0)
        (False, True, True)
    """
    if math.isnan(a) or math.isnan(b):
        return math.isnan(a) and math.isnan(b)
    return a == b and math.copysign(1, a) == math.copysign(1, b)


def _ulps(exercise: Exercise, case: Case, got: float) -> float:
    """How many steps of the format an answer is off; infinite where steps do not measure it."""
    if got == case.expected:
        return 0.0
    if not (exercise.ulps and math.isfinite(got) and math.isfinite(case.expected)):
        return math.inf
    return abs(got - case.expected) / float(case.format.precision(case.expected))


def _failure(exercise: Exercise, case: Case, got: float) -> Failure:
    """One wrong answer as rows of text and as marks on the grid."""
    fmt, expected, first = case.format, case.expected, case.inputs[0]
    shown = {"code": bits_of_code(fmt, first), "float32": bits_of_float(first)}
    given = f"0x{first:02x}" if exercise.bits == "code" else ", ".join(map(text_of, case.inputs))
    drawn = [value_bits(fmt, v) if exercise.answers == "value" else "" for v in (expected, got)]
    rows = (
        (", ".join(exercise.arguments), given, shown.get(exercise.bits, "")),
        ("expected", text_of(expected), drawn[0]),
        ("yours", text_of(got), drawn[1]),
    )
    return Failure(case.inputs, expected, got, rows, fmt, *_picture(exercise, case, got))


def _picture(exercise: Exercise, case: Case, got: float) -> tuple[float, tuple[Mark, ...]]:
    """The number that the picture is about, and its marks."""
    fmt, expected, x = case.format, case.expected, float(case.inputs[0])
    words = f"expected {text_of(expected)}", f"yours {text_of(got)}"
    if exercise.answers == "step":
        x = abs(x)
        foot = float(fmt.values[fmt.values <= x][-1])
        places = foot + expected, foot + got
        words = f"expected step {text_of(expected)}", f"your step {text_of(got)}"
    else:
        places = expected, got
    marks = tuple(map(Mark, ("expected", "yours"), words, places))
    if exercise.bits == "float32":
        return x, (Mark("input", f"x = {text_of(x)}", x), *marks)
    return (math.nan if exercise.answers == "count" else expected), marks


def _of_draws(exercise: Exercise, answer: Any) -> Result:
    """Round many copies of each number by lot: only neighbours may come, with the right mean."""
    cases, largest = exercise.cases(), 0.0
    for number, case in enumerate(cases):
        copies = np.full(DRAWS, case.inputs[0])
        inputs = copies, np.random.default_rng([SEED, number])
        drawn = _array(call(exercise, answer, inputs), case.inputs[0])
        fault = _fault(case, drawn)
        if fault:
            return Result(exercise, "wrong", *fault)
        largest = max(largest, abs(_z(case, drawn)))
    said = f"{len(cases)} numbers, {DRAWS:,} draws each: |z| is at most {largest:.1f} "
    return Result(exercise, "right", said + f"(limit {MOST_Z:g}), so no bias is seen")


def _neighbours(case: Case) -> tuple[float, float]:
    """The values that a number may become by lot; the same one twice where it is a value."""
    low, high = (round_one(case.format, case.inputs[0], to) for to in ("down", "up"))
    return low, high


def _fault(case: Case, drawn: np.ndarray) -> tuple[str, Failure] | None:
    """What is wrong with the draws of one number, where something is."""
    low, high = _neighbours(case)
    strange = drawn[(drawn != low) & (drawn != high)]
    if strange.size:
        only = text_of(low) if low == high else f"{text_of(low)} or {text_of(high)}"
        failure = _failure_of_draws(case, "one draw", float(strange[0]))
        return f"rounding by lot gives {only} here", failure
    z = abs(_z(case, drawn))
    if z <= MOST_Z:
        return None
    failure = _failure_of_draws(case, f"mean of {DRAWS:,}", float(drawn.mean()))
    return f"the mean is {z:.1f} standard errors off (limit {MOST_Z:g})", failure


def _z(case: Case, drawn: np.ndarray) -> float:
    """By how many standard errors the mean of the draws is off."""
    low, high = _neighbours(case)
    if low == high:
        return 0.0
    share = (case.inputs[0] - low) / (high - low)
    error = (high - low) * math.sqrt(share * (1 - share) / drawn.size)
    return float(drawn.mean() - case.inputs[0]) / error


def _failure_of_draws(case: Case, what: str, got: float) -> Failure:
    """A draw or a mean that cannot be."""
    x = case.inputs[0]
    rows = (
        ("x", text_of(x), bits_of_float(x, 64)),
        ("expected mean", text_of(x), ""),
        (what, text_of(got), ""),
    )
    marks = Mark("input", f"x = {text_of(x)}", x), Mark("yours", f"{what}: {text_of(got)}", got)
    return Failure(case.inputs, x, got, rows, case.format, x, marks)


def _of_number(exercise: Exercise, answer: Any) -> Result:
    """Round one number once, and by way of bf16; they must differ."""
    if callable(answer):
        instead = f"write check({exercise.name!r}, 1.5)"
        raise WorkbenchError("a function", "this exercise takes a number", instead)
    x = plain(answer, repr(answer))
    if not math.isfinite(x):
        raise WorkbenchError(text_of(x), "it is no finite number", "pass one such as 1.5")
    fmt, between = parse("e4m3fn"), parse("bf16")
    stop = round_one(between, x)
    once, twice = round_one(fmt, x), round_one(fmt, stop)
    if once != twice:
        said = f"{x!r} becomes {text_of(once)}, and by way of bf16 {text_of(twice)}"
        return Result(exercise, "right", said)
    said = "rounding twice gives the same here"
    return Result(exercise, "wrong", said, _failure_of_number(x, stop, once, twice))


def _failure_of_number(x: float, stop: float, once: float, twice: float) -> Failure:
    """The two ways of one number, which end at the same value."""
    fmt, between = parse("e4m3fn"), parse("bf16")
    rows = (
        ("x", text_of(x), bits_of_float(x, 64)),
        ("rounded to bf16", text_of(stop), value_bits(between, stop)),
        ("then to e4m3fn", text_of(twice), value_bits(fmt, twice)),
        ("once to e4m3fn", text_of(once), value_bits(fmt, once)),
    )
    marks = (
        Mark("input", f"x = {text_of(x)}", x),
        Mark("expected", f"once {text_of(once)}", once),
        Mark("yours", f"twice {text_of(twice)}", twice),
    )
    return Failure((x,), once, twice, rows, fmt, x, marks)


def _number(value: Any, case: Case) -> float:
    """A function's result as a number, or the refusal that says what it is instead."""
    result = plain(value, called(case.inputs))
    if math.isnan(result) and not math.isnan(case.expected):
        why = "it gave NaN, and this input has a number for an answer"
        instead = "look for 0 / 0, inf - inf or a missing case, and return the number"
        raise WorkbenchError(called(case.inputs), why, instead)
    return result


def _array(value: Any, x: float) -> np.ndarray:
    """The draws as an array of the shape that went in, without NaN; or a refusal."""
    passed = f"f({DRAWS:,} copies of {text_of(x)}, rng)"
    try:
        drawn = np.asarray(value, np.float64)
    except (TypeError, ValueError) as problem:
        why = f"a {type(value).__name__} is no array of numbers"
        raise WorkbenchError(passed, why, "return an array of the shape of x") from problem
    if drawn.shape != (DRAWS,):
        why = f"it gave the shape {drawn.shape}, and x has the shape ({DRAWS},)"
        raise WorkbenchError(passed, why, "return one value for each value of x")
    if np.isnan(drawn).any():
        why = f"it gave {np.count_nonzero(np.isnan(drawn)):,} NaN"
        raise WorkbenchError(passed, why, "mind x on the grid, where high - low is 0")
    return drawn


_JUDGES: dict[str, Callable[[Exercise, Any], Result]] = {
    "function": _of_function,
    "draws": _of_draws,
    "number": _of_number,
    "array": of_arrays,
}
