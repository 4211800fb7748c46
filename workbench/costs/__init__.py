"""Costs: what a format takes in hardware, by explicit models that say so."""

from .gates import GateCosts, Gates, gates

__all__ = ["GateCosts", "Gates", "gates"]
