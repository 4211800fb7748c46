"""Tunings: what is trained end to end once every layer has its codes."""

from .base import Tuning
from .distill import Distill

__all__ = ["Distill", "Tuning"]
