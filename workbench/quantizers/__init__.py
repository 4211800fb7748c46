"""Quantizers: recipes of transforms, schemes, solvers and residuals for one layer."""

from .calibration import Calibration
from .codebooks import best_codebook, lloyd_max
from .layer import Layer, QuantizedLayer
from .parts import Part, part
from .points import Points
from .power import PowerSearch, best_power
from .recipe import Recipe

__all__ = [
    "Calibration", "Layer", "Part", "Points", "PowerSearch", "QuantizedLayer", "Recipe",
    "best_codebook", "best_power", "lloyd_max", "part",
]  # fmt: skip
