"""Answers that are functions of arrays: compared with the truth to one part in 100,000.

What is summed up over many numbers depends on their order in the last bits, so such answers are
right where they agree to rounding; a wrong one is shown with its arrays.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import WorkbenchError
from .calls import call, called, plain
from .matrices import Matrix, matrices
from .records import Case, Exercise
from .results import Failure, Result

TOLERANCE = 1e-5  # of the largest magnitude that is expected


def of_arrays(exercise: Exercise, answer: Any) -> Result:
    """Compare a function of arrays with the true one, one case after the other.

    Args:
        exercise: of the kind "array".
        answer: the student's function; it is given copies, which it may change.

    Example:
        >>> from workbench.teaching import EXERCISES
        >>> of_arrays(EXERCISES["scale-channel"], lambda x: 0).failure.expected
        1
    """
    cases = exercise.cases()
    pairs = [(case, _given(exercise, answer, case)) for case in cases]
    wrong = [(case, got) for case, got in pairs if not near(case.expected, got).all()]
    if not wrong:
        said = f"to one part in 100,000, for all {len(cases)} inputs"
        return Result(exercise, "right", said)
    said = f"for {len(wrong)} of {len(cases)} inputs"
    return Result(exercise, "wrong", said, _failure(exercise, *wrong[0]))


def near(expected: Any, got: Any) -> np.ndarray:
    """Which entries agree: to `TOLERANCE` of the largest expected magnitude, infinities exactly.

    Example:
        >>> near([1.0, 2.0, np.inf], [1.000001, 2.1, np.inf]).tolist()
        [True, False, True]
    """
    true, came = np.asarray(expected, np.float64), np.asarray(got, np.float64)
    size = np.abs(true[np.isfinite(true)]).max(initial=0.0)
    with np.errstate(invalid="ignore"):
        return (true == came) | (np.abs(came - true) <= TOLERANCE * size)


def _given(exercise: Exercise, answer: Any, case: Case) -> Any:
    """What the function gives, as a number or as an array of the right shape; or a refusal."""
    copies = tuple(np.array(v) if isinstance(v, np.ndarray) else v for v in case.inputs)
    with np.errstate(all="ignore"):
        value = call(exercise, answer, copies)
    passed, shape = called(case.inputs), np.shape(case.expected)
    if not shape:
        return plain(value, passed)
    if value is None:
        raise WorkbenchError(passed, "it gave nothing", "end the function with return ...")
    try:
        found = np.asarray(value, np.float64)
    except (TypeError, ValueError) as problem:
        why = f"a {type(value).__name__} is no array of numbers"
        raise WorkbenchError(passed, why, f"return an array of shape {shape}") from problem
    if found.shape != shape:
        why = f"it gave the shape {found.shape}"
        raise WorkbenchError(passed, why, f"return an array of shape {shape}")
    return found


def _failure(exercise: Exercise, case: Case, got: Any) -> Failure:
    """One wrong answer as rows of text and as matrices."""
    rows = [("input", case.about, "")] if case.about else []
    rows += [(name, array_text(value), "")
             for name, value in zip(exercise.arguments, case.inputs, strict=True)]  # fmt: skip
    at = _first(case.expected, got)
    where = f" at {list(at)}" if at else ""
    entries = [float(np.asarray(value)[at]) for value in (case.expected, got)]
    rows += [(f"{name}{where}", f"{entry:.7g}", "")
             for name, entry in zip(("expected", "yours"), entries, strict=True)]  # fmt: skip
    drawn = matrices(_parts(exercise, case, got, at))
    return Failure(case.inputs, case.expected, got, tuple(rows), arrays=drawn)


def _first(expected: Any, got: Any) -> tuple[int, ...]:
    """The place of the first entry that differs; () of a single number."""
    return tuple(map(int, np.argwhere(~near(expected, got))[0]))


def _parts(exercise: Exercise, case: Case, got: Any, at: tuple[int, ...]) -> list[Matrix]:
    """The arrays that went in, with the two channels framed; then what was expected and came."""
    named = zip(exercise.arguments, case.inputs, strict=True)
    parts = [Matrix(name, value) for name, value in named if isinstance(value, np.ndarray)]
    if exercise.answers == "channel":
        roles = {"expected": case.expected, "yours": got}
        framed = {role: (None, int(column)) for role, column in roles.items()
                  if np.isfinite(column)}  # fmt: skip
        return [Matrix(parts[0].name, parts[0].values, framed), *parts[1:]]
    if not at:
        return parts
    row, column = (0, *at)[-2:]
    answers = {"expected": case.expected, "yours": got}
    return [*parts, *(Matrix(role, value, {role: (row, column)})
                      for role, value in answers.items())]  # fmt: skip


def array_text(value: Any) -> str:
    """An argument as text: a small array whole, a large one by its shape.

    Example:
        >>> array_text(np.array([[1.0, -9.0], [2.5, 3.0]])), array_text(np.zeros((4, 9)))
        ('[[1, -9], [2.5, 3]]', '4 by 9 numbers')
    """
    if not isinstance(value, np.ndarray):
        return f"{value:.7g}"
    if value.size > 12:
        return f"{' by '.join(map(str, value.shape))} numbers"
    return np.array2string(
        value, separator=", ", max_line_width=1000,
        formatter={"float_kind": lambda v: f"{v:.4g}"},
    ).replace("\n", "").replace(",  ", ", ")  # fmt: skip
