"""Allocation: which layer gets which recipe under a budget of bits."""

from .base import Allocation, recipe_of, weight_sizes
from .clusters import clustered
from .importance import importance, importance_costs
from .program import allocate

__all__ = [
    "Allocation", "allocate", "clustered", "importance", "importance_costs", "recipe_of",
    "weight_sizes",
]  # fmt: skip
