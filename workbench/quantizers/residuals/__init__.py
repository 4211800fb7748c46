"""Residuals: what is added back to a quantized layer's outputs."""

from .base import Correction, Remainder, Residual
from .bias import BiasCorrection
from .learned_low_rank import LearnedLowRank
from .low_rank import LowRank
from .outlier_columns import KeptColumns, OutlierColumns
from .wide_blocks import WideBlocks

__all__ = [
    "BiasCorrection",
    "Correction",
    "KeptColumns",
    "LearnedLowRank",
    "LowRank",
    "OutlierColumns",
    "Remainder",
    "Residual",
    "WideBlocks",
]
