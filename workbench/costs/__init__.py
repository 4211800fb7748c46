"""Costs: what a format takes in hardware, by explicit models that say so."""

from .gates import GateCosts, Gates, gates
from .scaling import ScalingLaw, fit_scaling, memory_saved, stored_bits

__all__ = [
    "GateCosts", "Gates", "ScalingLaw", "fit_scaling", "gates", "memory_saved", "stored_bits",
]  # fmt: skip
