"""How far a rounded tensor is from the original: single figures, the error by cause, in theory."""

from .densities import Density, Gaussian, Laplace, Mixture, StudentT, Uniform
from .error import error
from .expected import (
    BestRange,
    ExpectedError,
    best_range,
    best_ranges,
    dot_product_error,
    expected_error,
    minifloat_values,
    winner,
)
from .expected_blocks import expected_block_error
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
    "BestRange",
    "Density",
    "ExpectedError",
    "Gaussian",
    "Laplace",
    "Mixture",
    "StudentT",
    "Uniform",
    "best_range",
    "best_ranges",
    "cosine",
    "dot_product_error",
    "effective_bits",
    "error",
    "expected_block_error",
    "expected_error",
    "max_error",
    "minifloat_values",
    "mse",
    "relative_error",
    "sqnr",
    "unused_codes",
    "winner",
]
