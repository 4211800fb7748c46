"""Schemes: a format with a scale, the spec strings that name them, and quantized tensors."""

from .grammar import NAMES, names, parse
from .layout import Layout
from .quantized import QuantizedTensor
from .scale import RangeChoice, Scale, ScaleFormat
from .scheme import Scheme

__all__ = [
    "NAMES",
    "Layout",
    "QuantizedTensor",
    "RangeChoice",
    "Scale",
    "ScaleFormat",
    "Scheme",
    "names",
    "parse",
]
