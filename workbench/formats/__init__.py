"""Scalar number formats of every family, by the names users know."""

from .base import ROUNDINGS, Format
from .codebook import CodebookFormat
from .float import ExponentFormat, FloatFormat
from .integer import IntegerFormat
from .names import names, parse
from .tapered import LogFormat, PositFormat

__all__ = [
    "ROUNDINGS",
    "CodebookFormat",
    "ExponentFormat",
    "FloatFormat",
    "Format",
    "IntegerFormat",
    "LogFormat",
    "PositFormat",
    "names",
    "parse",
]
