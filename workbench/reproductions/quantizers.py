"""Reproductions of post-training quantizers: each returns its figures by name."""

from __future__ import annotations

from functools import cache

import numpy as np

from ..quantizers import Calibration, Layer, Recipe
from ..quantizers.integers import affine_product
from ..quantizers.residuals.outlier_columns import Large
from ..schemes import parse
from .data import gaussian, relative_error

LAYER = "layers.1.mlp.gate_proj"
CALIBRATED, HELD_OUT = 8192, 4096  # tokens


@cache
def real_layer() -> tuple[Layer, Calibration, Calibration]:
    """A layer of the shipped model, with calibrations on two texts apart: to solve, and to score.

    Example:
        >>> real_layer()[0].weight.shape
        (512, 256)
    """
    from ..models import held_out_text, open_model
    from ..models.calibrate import calibrate

    model, text = open_model("reference"), held_out_text()
    seen = calibrate(model, text, [LAYER], CALIBRATED)[LAYER]
    other = calibrate(model, text[len(text) // 2 :], [LAYER], HELD_OUT)[LAYER]
    return Layer.of(model.linears()[LAYER], LAYER), seen, other


def learned_rounding() -> dict[str, float]:
    """[62] Held-out error of AdaRound and of GPTQ over that of rounding to nearest.

    Example:
        >>> learned_rounding()["adaround over nearest, 4 bits"] < 0.8
        True
    """
    layer, seen, other = real_layer()
    figures = {}
    for bits in (4, 3, 2):
        plain = Recipe.parse(f"w=int{bits}/channel").apply(layer).error(layer, other)
        figures[f"nearest, {bits} bits"] = plain
        for solver in ("adaround", "gptq", "gptq(act_order=true)"):
            made = Recipe.parse(f"w=int{bits}/channel {solver}").apply(layer, seen)
            figures[f"{solver} over nearest, {bits} bits"] = made.error(layer, other) / plain
    return figures


def outlier_columns() -> dict[str, float]:
    """[38] Relative output error with six input channels sixty times larger than the others.

    Example:
        >>> outlier_columns()["channels found"]
        6.0
    """
    x, w = gaussian(256, 384), 0.05 * gaussian(128, 384, 1)
    x[:, np.random.default_rng(2).choice(384, 6, replace=False)] *= 60
    known = Calibration.of(x)
    layer = Layer(w)
    texts = {
        "a scale a tensor": "w=int8/tensor a=int8/tensor",
        "a scale a row": "w=int8/channel a=int8/token",
        "outliers apart": "w=int8/channel a=int8/token outlier_columns",
        "outliers apart, weights of 8 bits": (
            "w=int8/channel a=int8/token outlier_columns(weights=quantized)"
        ),
    }
    made = {name: Recipe.parse(text).apply(layer) for name, text in texts.items()}
    figures = {name: one.error(layer, known) for name, one in made.items()}
    [apart] = made["outliers apart"].corrections
    assert isinstance(apart, Large)
    return figures | {"channels found": float(len(apart.found(x)))}


def whitepaper() -> dict[str, float]:
    """[100] Scales a channel, zero points after a ReLU, and products of integers.

    Example:
        >>> whitepaper()["integer products over simulated ones, largest difference"] < 1e-5
        True
    """
    w = gaussian(256, 512) * np.exp(2 * gaussian(256, 1, 1))
    relu = np.maximum(gaussian(512, 512, 2), 0)
    symmetric, affine = (relative_error(relu, text) for text in ("int8/tensor", "uint8/tensor+zp"))
    qx, qw = parse("uint8/tensor+zp").quantize(relu), parse("int8/channel").quantize(w)
    simulated = qx.dequantize().astype(np.float64) @ qw.dequantize().astype(np.float64).T
    gap = np.abs(affine_product(qx, qw) - simulated).max() / np.abs(simulated).max()
    return {
        "median SQNR of channels, a scale a tensor, dB": _median_sqnr(w, "int8/tensor"),
        "median SQNR of channels, a scale a channel, dB": _median_sqnr(w, "int8/channel"),
        "gain of a zero point after a ReLU, dB": float(10 * np.log10(symmetric / affine)),
        "integer products over simulated ones, largest difference": float(gap),
    }


def _median_sqnr(w: np.ndarray, scheme: str) -> float:
    error = parse(scheme).round(w).astype(np.float64) - w
    return float(np.median(10 * np.log10((w.astype(np.float64) ** 2).sum(1) / (error**2).sum(1))))
