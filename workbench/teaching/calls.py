"""Calls of a student's function: whatever goes wrong in one is answered in words."""

from __future__ import annotations

import numbers
from typing import Any

import numpy as np

from ..errors import WorkbenchError
from .records import Exercise
from .results import text_of


def call(exercise: Exercise, answer: Any, inputs: tuple[Any, ...]) -> Any:
    """What the student's function returns; whatever it raises becomes a refusal."""
    if not callable(answer):
        instead = f"write check({exercise.name!r}, f), without brackets after f"
        raise WorkbenchError(repr(answer), "this exercise takes the function itself", instead)
    try:
        return answer(*inputs)
    except Exception as problem:
        why = f"your function raised {type(problem).__name__}: {problem}"
        takes = f"f({', '.join(exercise.arguments)})"
        instead = f"write {takes} so that this call works; run it alone to see where it stops"
        raise WorkbenchError(called(inputs), why, instead) from problem


def called(inputs: tuple[Any, ...]) -> str:
    """A call as text; arrays and generators by what they are."""
    return f"f({', '.join(map(_input, inputs))})"


def _input(value: Any) -> str:
    """One argument as text."""
    if isinstance(value, np.ndarray):
        if value.ndim == 1 and (value == value[0]).all():
            return f"{value.size:,} copies of {text_of(float(value[0]))}"
        return f"an array of shape {value.shape}"
    return text_of(value) if isinstance(value, numbers.Real) else "rng"


def plain(value: Any, passed: str) -> float:
    """One real number as a float; anything else is refused."""
    if value is None:
        raise WorkbenchError(passed, "it gave nothing", "end the function with return ...")
    if isinstance(value, np.ndarray) and value.ndim == 0:
        value = value[()]
    if isinstance(value, numbers.Real) and not isinstance(value, bool):
        try:
            return float(value)
        except OverflowError as problem:
            raise WorkbenchError(passed, "the number is too large", "return a float") from problem
    shape = f" of shape {np.shape(value)}" if isinstance(value, np.ndarray) else ""
    raise WorkbenchError(
        passed, f"a {type(value).__name__}{shape} is no single number", "return a float"
    )
