"""What an exercise of the course is: what is asked, on which inputs, what is true, what helps."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from ..formats import Format

SEED = 20_240_607


@dataclass(frozen=True)
class Case:
    """One call of a student's function, with the true answer.

    Args:
        inputs: the arguments, in order.
        expected: what the function must return, a number or an array.
        format: the format that the case is about, or None.
        about: what is special about it, in a few words.
    """

    inputs: tuple[Any, ...]
    expected: Any
    format: Format | None = None
    about: str = ""


@dataclass(frozen=True)
class Exercise:
    """One exercise: everything that `check` needs to know.

    Args:
        name: what `check` is asked for.
        asks: the task, in a sentence or two.
        arguments: names of the arguments that the student's function takes.
        hints: three, each saying more than the one before.
        cases: makes the inputs with their true answers, simple ones first.
        kind: "function" compares numbers, "draws" counts random ones, "number" tries one number,
            "array" compares what is made of arrays.
        bits: what the first argument's bits are drawn as: "code", "float32" or "".
        ulps: whether an error is counted in steps of the format.
        answers: what the answer is, for the picture: "value", "step", "count" or "channel".
    """

    name: str
    asks: str
    arguments: tuple[str, ...]
    hints: tuple[str, str, str]
    cases: Callable[[], list[Case]] = field(default=list, repr=False)
    kind: str = "function"
    bits: str = ""
    ulps: bool = True
    answers: str = "value"
