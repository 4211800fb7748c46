"""How far a rounded tensor is from the original, by cause and in theory; how well data fill it."""

from .correlations import canonical_correlations, mean_correlation
from .covariances import moments
from .densities import Density, Gaussian, Laplace, Mixture, StudentT, Uniform
from .divergence import kl_top, top_k_divergence
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
from .pass_at_k import compare_pass_at_k, pass_at_k
from .qsur import (
    Qsur,
    best_by_both,
    best_by_rotation,
    best_by_scaling,
    published_qsur,
    qsur,
    qsur_of,
)
from .spectra import (
    Spectrum,
    effective_rank,
    matrix_entropy,
    matrix_nuclear_norm,
    nuclear_norm,
    spectrum,
)
from .spreading import (
    equalizing_scales,
    powers,
    qsur_after,
    spreading_rotation,
    transformed,
    whitening,
)
from .weighted import relative_weighted_error, weighted_error, weighted_squares

__all__ = [
    "BestRange",
    "Density",
    "ExpectedError",
    "Gaussian",
    "Laplace",
    "Mixture",
    "Qsur",
    "Spectrum",
    "StudentT",
    "Uniform",
    "best_by_both",
    "best_by_rotation",
    "best_by_scaling",
    "best_range",
    "best_ranges",
    "canonical_correlations",
    "compare_pass_at_k",
    "cosine",
    "dot_product_error",
    "effective_bits",
    "effective_rank",
    "equalizing_scales",
    "error",
    "expected_block_error",
    "expected_error",
    "kl_top",
    "matrix_entropy",
    "matrix_nuclear_norm",
    "max_error",
    "mean_correlation",
    "minifloat_values",
    "moments",
    "mse",
    "nuclear_norm",
    "pass_at_k",
    "powers",
    "published_qsur",
    "qsur",
    "qsur_after",
    "qsur_of",
    "relative_error",
    "relative_weighted_error",
    "spectrum",
    "spreading_rotation",
    "sqnr",
    "top_k_divergence",
    "transformed",
    "unused_codes",
    "weighted_error",
    "weighted_squares",
    "whitening",
    "winner",
]
