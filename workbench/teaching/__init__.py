"""The course's exercises, and a check that answers with the first input that goes wrong."""

from .checks import check
from .exercises import EXERCISES, Exercise
from .results import Result

__all__ = ["EXERCISES", "Exercise", "Result", "check"]
