"""Solvers: how the codes of a weight are chosen under a scheme."""

from .adaquant import AdaQuant
from .adaround import AdaRound
from .base import Problem, Solved, Solver
from .clip import Clip
from .decoupled import Decoupled
from .format_search import FloatSearch, PowerSearch
from .gptq import GPTQ
from .learned_codes import LearnedCodes
from .nearest import Nearest
from .pv_tuning import PVTuning
from .range_search import RangeSearch
from .vector_codes import VectorCodes
from .wide_groups import WideGroups

__all__ = [
    "GPTQ",
    "AdaQuant",
    "AdaRound",
    "Clip",
    "Decoupled",
    "FloatSearch",
    "LearnedCodes",
    "Nearest",
    "PVTuning",
    "PowerSearch",
    "Problem",
    "RangeSearch",
    "Solved",
    "Solver",
    "VectorCodes",
    "WideGroups",
]
