"""Quantizers: how schemes and codes are chosen for one layer."""

from .codebooks import best_codebook, lloyd_max
from .points import Points
from .power import PowerSearch, best_power

__all__ = ["Points", "PowerSearch", "best_codebook", "best_power", "lloyd_max"]
