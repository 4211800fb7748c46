"""Rounding to nearest: the scheme's own choice."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from .base import Problem, Solved, Solver


@dataclass(frozen=True)
class Nearest(Solver):
    """Every value to the nearest that the scheme has, under the scheme's own scales."""

    name: ClassVar[str] = "nearest"
    needs_inputs: ClassVar[bool] = False

    def solve(self, problem: Problem) -> Solved:
        """The rounded weight."""
        return Solved(problem.fitted.round(problem.weight), problem.fitted)
