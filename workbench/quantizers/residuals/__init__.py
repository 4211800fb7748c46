"""Residuals: what is added back to a quantized layer's outputs."""

from .base import Correction, Remainder, Residual
from .bias import BiasCorrection
from .low_rank import LowRank
from .outlier_columns import KeptColumns, OutlierColumns

__all__ = [
    "BiasCorrection",
    "Correction",
    "KeptColumns",
    "LowRank",
    "OutlierColumns",
    "Remainder",
    "Residual",
]
