"""Reproduction of floats for a diffusion model, on the small one that the package ships."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from ..quantizers import Calibration, Layer, Recipe
from ..quantizers.float_search import splits

if TYPE_CHECKING:
    from ..training.diffusion import Denoiser

Figures = dict[str, float]
Known = Mapping[str, Calibration]

POINTS, SEED = 1000, 5  # of the samples that are compared
INTEGERS = {
    "int8": "w=int8/tensor a=int8/tensor static",
    "int8, searched ranges": "w=int8/tensor range_search(inputs=int8/tensor) a=int8/tensor static",
    "int8, zero points": "w=int8/tensor a=uint8/tensor+zp static",
    "int4": "w=int4/tensor a=int8/tensor static",
    "int4, learned rounding": "w=int4/tensor adaround a=int8/tensor static",
}


@cache
def diffusion() -> Figures:
    """[0] Integers and floats of 8 and 4 bits, and learned rounding: layers, samples, their spread.

    One scale, or bias, for each tensor; inputs have 8 bits. Errors of samples are mean squares
    against those that the float model makes from the same noise; errors of layers are relative, on
    rows of another seed.
    """
    from ..training import diffusion as small

    model = small.load()
    known, even = (small.calibrations(model, by_use=flag) for flag in (True, False))
    exact = small.sample(model, POINTS, SEED)
    figures: Figures = {}
    for name, chosen in (integers() | searched(model, known)).items():
        figures |= measured(model, chosen, known, exact, name)
    alike = {layer: eight_bits(model, layer, even[layer]) for layer in small.LAYERS}
    figures |= measured(model, alike, even, exact, "fp8, all times alike")
    again = small.sample(model, POINTS, SEED + 1)
    return figures | {
        "sliced distance, float from other noise": small.sliced_distance(again, exact)
    }


def measured(
    model: Denoiser, recipes: Mapping[str, Recipe], known: Known, exact: np.ndarray, name: str
) -> Figures:
    """The figures of a quantized model beside the samples (points, 2) of the float one."""
    from ..training import diffusion as small

    made = small.quantized(model, recipes, known)
    points, other = small.sample(made, len(exact), SEED), _other()
    errors = [
        getattr(made, layer).layer.error(Layer.of(getattr(model, layer)), other[layer])
        for layer in recipes
    ]
    return {
        f"sample error, {name}": float(((points - exact) ** 2).mean()),
        f"mean error of layers, {name}": float(np.mean(errors)),
        f"sliced distance, {name}": small.sliced_distance(points, exact),
    }


@cache
def _other() -> Known:
    """What layers read while points of another seed are made."""
    from ..training import diffusion as small

    return small.calibrations(small.load(), seed=2)


def integers() -> dict[str, dict[str, Recipe]]:
    """Recipes of integers by layer, by what they are called.

    Example:
        >>> str(integers()["int4"]["last"])
        'w=int4/tensor a=int8/tensor static'
    """
    from ..training.diffusion import LAYERS

    return {name: dict.fromkeys(LAYERS, Recipe.parse(text)) for name, text in INTEGERS.items()}


def searched(model: Denoiser, known: Known) -> dict[str, dict[str, Recipe]]:
    """Recipes of floats by layer, by what they are called: splits of the bits are searched.

    Each tensor has the split with which its layer's outputs have the least error. Rounding is
    learned on the grids that were found for nearest.
    """
    found: dict[str, dict[str, Recipe]] = {"fp8": {}, "fp4": {}, "fp4, learned rounding": {}}
    grids = [f"{f}/tensor{choice}" for f in splits(4) for choice in ("", "@mse")]
    for name, rows in known.items():
        found["fp8"][name] = eight = eight_bits(model, name, rows)
        given = f"a={eight.activations} static"
        nearest = _best(model, name, rows, (f"w={grid} {given}" for grid in grids))
        learned = Recipe.parse(f"w={nearest.weights} adaround {given}")
        found["fp4"][name], found["fp4, learned rounding"][name] = nearest, learned
    return found


def eight_bits(model: Denoiser, name: str, rows: Calibration) -> Recipe:
    """The 8-bit floats of a layer: a split for its inputs, then one for its weights, with ranges.

    Inputs have their full range: where it cuts off, a few points are led far away.
    """
    inputs = _best(model, name, rows, (f"a={f}/tensor static" for f in splits(8))).activations
    given = f"range_search(inputs={inputs}) a={inputs} static"
    return _best(model, name, rows, (f"w={f}/tensor {given}" for f in splits(8)))


def _best(model: Denoiser, name: str, rows: Calibration, texts: Iterable[str]) -> Recipe:
    """The recipe of least output error for a layer."""
    layer = Layer.of(getattr(model, name), name)
    tried = (Recipe.parse(text) for text in texts)
    return min(tried, key=lambda recipe: recipe.apply(layer, rows).error(layer, rows))
