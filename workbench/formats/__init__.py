"""Scalar number formats: floats, integers, fixed point and codebooks, by the names users know."""

from .base import ROUNDINGS, Format
from .codebook import CodebookFormat
from .float import ExponentFormat, FloatFormat
from .integer import IntegerFormat
from .names import names, parse

__all__ = [
    "ROUNDINGS",
    "CodebookFormat",
    "ExponentFormat",
    "FloatFormat",
    "Format",
    "IntegerFormat",
    "names",
    "parse",
]
