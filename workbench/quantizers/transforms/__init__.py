"""Transforms: function-preserving rewrites of a layer, chosen from its weights and inputs."""

from .base import Transform
from .exponents import ExponentShift
from .learned import LearnedRotation
from .permute import Sort
from .rotate import Hadamard, Orthogonal
from .scale import Center, Equalize, Smooth
from .threshold import Threshold

__all__ = [
    "Center",
    "Equalize",
    "ExponentShift",
    "Hadamard",
    "LearnedRotation",
    "Orthogonal",
    "Smooth",
    "Sort",
    "Threshold",
    "Transform",
]
