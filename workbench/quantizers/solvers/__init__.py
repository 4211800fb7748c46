"""Solvers: how the codes of a weight are chosen under a scheme."""

from .adaround import AdaRound
from .base import Problem, Solved, Solver
from .clip import Clip
from .gptq import GPTQ
from .learned_codes import LearnedCodes
from .nearest import Nearest
from .range_search import RangeSearch
from .wide_groups import WideGroups

__all__ = [
    "GPTQ",
    "AdaRound",
    "Clip",
    "LearnedCodes",
    "Nearest",
    "Problem",
    "RangeSearch",
    "Solved",
    "Solver",
    "WideGroups",
]
