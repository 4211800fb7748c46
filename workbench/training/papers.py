"""How published systems train, as the quantizers of a linear layer: data, and nothing else.

Each function returns `Quantizers`, which `QuantizedLinear` and `stream.run` take.
"""

from __future__ import annotations

from ..formats import FloatFormat
from .fixed_point import LearnedPoint
from .linear import Quantizers
from .noisy_weights import LearnedBits
from .straight_through import Rounding


def bit_reduction(exponent: int = 8, mantissa: int = 7) -> Quantizers:
    """Every operand with mantissa bits masked off and clipped to the range of fewer exponent bits.

    Source: Lee et al. 2024, "To FP8 and back again". There is no scale. Masking is rounding toward
    zero; what is smaller than the smallest subnormal of the narrower exponent becomes zero.

    Example:
        >>> bit_reduction(8, 3).weight
        Rounding(scheme='e8m3(saturate)', mode='toward_zero')
    """
    format = FloatFormat(exponent, mantissa, top="ieee", overflow="saturate")
    return Quantizers.all(Rounding(str(format), "toward_zero"))


def dynamic_fixed_point(bits: int = 16) -> Quantizers:
    """Every operand as integers under one power of two for the tensor.

    Source: Das et al. 2018, "Mixed precision training of convolutional neural networks using
    integer operations".

    Example:
        >>> dynamic_fixed_point(8).gradient
        'dfp8'
    """
    return Quantizers.all(f"dfp{bits}")


def trilm() -> Quantizers:
    """Ternary weights scaled by their mean magnitude; inputs and gradients in float32.

    Source: Kaushal et al. 2024, "Spectra".

    Example:
        >>> trilm().weight
        'ternary/tensor@absmean'
    """
    return Quantizers(weight="ternary/tensor@absmean")


def bilm() -> Quantizers:
    """Binary weights scaled by their mean magnitude, of the same authors.

    Example:
        >>> bilm().weight
        'binary/tensor@absmean'
    """
    return Quantizers(weight="binary/tensor@absmean")


def qfx(width: int = 8) -> Quantizers:
    """Weights and inputs in fixed point with learned binary points.

    Source: "QFX" 2024, trainable fixed-point quantization.

    Example:
        >>> qfx(6).weight.width
        6
    """
    return Quantizers(LearnedPoint(width), LearnedPoint(width))


def gaussian_sampling(start: float = 6.0, target: float = 4.0) -> Quantizers:
    """Weights under rounded normal noise of learned bits, cast to bfloat16.

    Source: "Gaussian weight sampling" 2025, pseudo-quantization training.

    Example:
        >>> gaussian_sampling().weight.start
        6.0
    """
    return Quantizers(weight=LearnedBits(start, target))
