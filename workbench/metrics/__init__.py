"""How far a rounded tensor is from the original: single figures, and the error by cause."""

from .error import error
from .figures import (
    cosine,
    effective_bits,
    max_error,
    mse,
    relative_error,
    sqnr,
    unused_codes,
)

__all__ = [
    "cosine",
    "effective_bits",
    "error",
    "max_error",
    "mse",
    "relative_error",
    "sqnr",
    "unused_codes",
]
