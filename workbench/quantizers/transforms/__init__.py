"""Transforms: function-preserving rewrites of a layer, chosen from its weights and inputs."""

from .base import Transform
from .exponents import ExponentShift
from .permute import Sort
from .rotate import Hadamard, Orthogonal
from .scale import Center, Equalize, Smooth

__all__ = [
    "Center",
    "Equalize",
    "ExponentShift",
    "Hadamard",
    "Orthogonal",
    "Smooth",
    "Sort",
    "Transform",
]
