"""Transforms: function-preserving rewrites of a layer, chosen from its weights and inputs."""

from .base import Transform
from .permute import Sort
from .rotate import Hadamard, Orthogonal
from .scale import Center, Equalize, Smooth

__all__ = ["Center", "Equalize", "Hadamard", "Orthogonal", "Smooth", "Sort", "Transform"]
