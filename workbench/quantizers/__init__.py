"""Quantizers: how schemes and codes are chosen for one layer."""

from .power import PowerSearch, best_power

__all__ = ["PowerSearch", "best_power"]
