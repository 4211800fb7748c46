"""Scalar number formats of every family, by the names users know."""

from . import pychop
from .base import ROUNDINGS, Format
from .codebook import CodebookFormat
from .float import ExponentFormat, FloatFormat
from .integer import IntegerFormat
from .mixture import MixtureFormat
from .names import names, parse
from .quarter import QuarterFormat
from .tapered import LogFormat, PositFormat
from .warped import BiasedFormat, PowerFormat, bias_for

__all__ = [
    "ROUNDINGS",
    "BiasedFormat",
    "CodebookFormat",
    "ExponentFormat",
    "FloatFormat",
    "Format",
    "IntegerFormat",
    "LogFormat",
    "MixtureFormat",
    "PositFormat",
    "PowerFormat",
    "QuarterFormat",
    "bias_for",
    "names",
    "parse",
    "pychop",
]
