"""Solvers: how the codes of a weight are chosen under a scheme."""

from .adaround import AdaRound
from .base import Problem, Solved, Solver
from .clip import Clip
from .gptq import GPTQ
from .nearest import Nearest

__all__ = ["GPTQ", "AdaRound", "Clip", "Nearest", "Problem", "Solved", "Solver"]
