"""Reproductions of searches for formats, codes and widths of a layer: figures by name."""

from __future__ import annotations

from functools import cache

import numpy as np

from ..quantizers import Calibration, Layer, Recipe, best_power
from ..quantizers.float_search import best_floats
from ..quantizers.solvers import Problem, WideGroups
from ..quantizers.solvers.wide_groups import spans
from ..schemes import parse
from ..schemes.two_widths import TwoWidthTensor
from . import formats
from .data import student
from .quantizers import LAYER, real_layer

Figures = dict[str, float]

OUTPUTS = 48  # of a layer that are looked at, so that an answer takes seconds
TOKENS = 1024


@cache
def outlier_layer() -> tuple[Layer, Calibration, Calibration]:
    """Some outputs of a layer of the outlier twin, with rows to search on and rows to score.

    Example:
        >>> outlier_layer()[0].weight.shape
        (48, 256)
    """
    from ..models import held_out_text, open_model
    from ..models.calibrate import calibrate

    model, text = open_model("reference-twin"), held_out_text()
    halves = (text[: len(text) // 2], text[len(text) // 2 :])
    seen, other = (calibrate(model, half, [LAYER], TOKENS)[LAYER] for half in halves)
    return Layer(Layer.of(model.linears()[LAYER]).weight[:OUTPUTS]), seen, other


def _few_outputs() -> tuple[Layer, Calibration, Calibration]:
    """The same of the shipped model, which has no outliers."""
    layer, seen, other = real_layer()
    return Layer(layer.weight[:OUTPUTS]), seen, other


def float_search() -> Figures:
    """[13] Biases folded into exponents; splits and biases searched on a layer with outliers.

    Example:
        >>> float_search()["with outliers, shifted over searched"] < 0.65
        True
    """
    return formats.real_bias() | _searched("with outliers") | _searched("without outliers")


@cache
def _searched(name: str) -> Figures:
    """Held-out errors of usual, searched and shifted floats on one of the two layers."""
    layer, seen, other = outlier_layer() if name == "with outliers" else _few_outputs()
    seen = Calibration.of(seen.rows[:TOKENS])
    found = best_floats(layer, seen, rounds=2, tokens=64)
    shifted = min((t for t in found.tried if t[0].transforms), key=lambda t: t[1])[0]
    usual = Recipe.parse("w=e2m1/channel a=e2m1/tensor static")
    plain, searched, moved = (
        recipe.apply(layer, seen).error(layer, other)
        for recipe in (usual, found.unshifted, shifted)
    )
    return {
        f"{name}, e2m1 with full ranges": plain,
        f"{name}, splits and biases searched": searched,
        f"{name}, shifted over searched": moved / searched,
    }


def learned_codes() -> Figures:
    """[19] Powers without data; then codes and exponent learned on a layer, on held-out text.

    Example:
        >>> learned_codes()["learned over the best grid, 4 bits"] < 0.85
        True
    """
    return formats.power_exponent() | _learned()


@cache
def _learned() -> Figures:
    """Held-out errors of learned codes over those of grids and of two neighbours."""
    figures: Figures = {}
    layer, seen, other = _few_outputs()
    for bits in (4, 3):
        grids = [f"w=pow{bits}(a={a:.2f})/channel" for a in np.arange(0.5, 1.15, 0.05)]
        made = [Recipe.parse(grid).apply(layer) for grid in grids]
        best = min(made, key=lambda one: one.error(layer, seen)).error(layer, other)
        start = best_power(layer.weight, bits).scheme
        learned = Recipe.parse(f"w={start} learned_codes").apply(layer, seen)
        figures[f"best grid, {bits} bits"] = best
        figures[f"learned over the best grid, {bits} bits"] = learned.error(layer, other) / best
    for scheme in ("int3/channel", "int3/channel@mse"):
        whole, near = (
            Recipe.parse(f"w={scheme} {solver}").apply(layer, seen).error(layer, other)
            for solver in ("learned_codes", "adaround")
        )
        figures[f"whole grid over two neighbours, {scheme}"] = whole / near
    return figures


def wide_groups() -> Figures:
    """[68] Two and four bits by range, against chance and the error itself, and counted bits.

    Example:
        >>> round(wide_groups()["bits a weight, counted"], 2)
        2.9
    """
    from ..models import open_model

    rows = np.exp(np.random.default_rng(1).standard_normal((128, 1)))
    samples = {
        "t(3), rows of many sizes": (student(128, 1024) * rows).astype(np.float32),
        "shipped layer": Layer.of(open_model("reference").linears()[LAYER]).weight,
    }
    figures: Figures = {}
    for name, weight in samples.items():
        for share in (0.1, 0.25):
            ours, best, random = _by_size(weight, share)
            figures[f"{name}, share {share}: error"] = ours
            figures[f"{name}, share {share}: over chance"] = ours / random
            figures[f"{name}, share {share}: over the best choice"] = ours / best
    return figures | _counted(weight)


def _by_size(weight: np.ndarray, share: float) -> list[float]:
    """Relative errors where wide groups are chosen by range, by the error itself, by chance."""
    schemes = [parse(f"int{bits}/g16+zp") for bits in (2, 4)]
    two, four = (scheme.round(weight) for scheme in schemes)
    problem = Problem(weight, schemes[0])
    widths = WideGroups(share=share).layout(problem.scheme, problem.weight.shape)
    gain = ((two - weight) ** 2 - (four - weight) ** 2).reshape(len(weight), -1, 16).sum(-1)
    chance = np.random.default_rng(0).random(gain.shape)
    energy = float((weight.astype(np.float64) ** 2).mean())
    errors = []
    for sizes in (spans(weight, widths), gain, chance):
        values = np.where(widths.chosen(sizes).repeat(16, axis=1), four, two)
        errors.append(float(((values - weight).astype(np.float64) ** 2).mean()) / energy)
    return errors


def _counted(weight: np.ndarray) -> Figures:
    """Stored bits a weight with 8-bit scales, by bytes and by formula, and how even bands are."""
    solved = WideGroups().solve(Problem(weight, parse("int2/g16*e4m3fn*f32+zp")))
    stored = solved.fitted.quantize(solved.values)
    assert isinstance(stored, TwoWidthTensor)
    bands = stored.choice.reshape(len(weight) // 16, -1).sum(axis=1)
    return {
        "bits a weight, counted": stored.bits_per_value,
        "bits a weight, by formula": stored.widths.bits_per_value(weight.shape[1] // 16),
        "wide groups in a band, most less fewest": float(bands.max() - bands.min()),
        "largest difference after storing": float(
            np.abs(stored.dequantize() - solved.values).max()
        ),
    }
