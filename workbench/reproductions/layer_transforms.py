"""Reproductions of rewrites, of mixed blocks and of tied scales of a layer: figures by name."""

from __future__ import annotations

from functools import cache

import numpy as np

from ..formats import parse as parse_format
from ..quantizers import Calibration, Layer, Recipe
from ..quantizers.residuals.wide_blocks import Wide
from ..schemes import parse
from . import statistics
from .data import gaussian, relative_error
from .quantizers import real_layer
from .searches import outlier_layer

Figures = dict[str, float]

SIX = "w=int6/channel a=int6/tensor+zp"
FOUR = "w=int4/channel a=int4/token"
FIXED = ("", "smooth", "orthogonal", "hadamard")
BLOCKS = "w=int4/g128 a=int4/g128"
WIDE_FLOATS = ("e5m2", "e4m3fn")
OCTAVES = range(-32, 33)  # powers of two that a product is tried under
APART = (-70.0, 40.0)  # where two channels lie that a shift is for
OUTPUTS = 128  # of the shipped layer, so that learning takes seconds


@cache
def outlier_suppression() -> Figures:
    """[24] Held-out errors under six bits with outliers: as they are, shifted, scaled, both.

    Example:
        >>> outlier_suppression()["shifted and scaled over neither"] < 0.12
        True
    """
    layer, seen, other = outlier_layer()
    figures = _errors(layer, seen, other, ("", "center", "smooth", "center threshold"), SIX)
    both = Recipe.parse(f"center threshold {SIX}").apply(layer, seen)
    plain, _, smooth, found = figures.values()
    figures |= {
        "shifted and scaled over neither": found / plain,
        "shifted and scaled over smoothed": found / smooth,
        "held out over calibrated": found / both.error(layer, seen),
    }
    return figures | _apart()


def _apart() -> Figures:
    """Errors over the variance of the outputs where two channels lie far beside zero."""
    x, w = gaussian(1024, 256), Layer(0.05 * gaussian(128, 256, 1))
    x[:, :2] += np.array(APART, np.float32)
    exact = x.astype(np.float64) @ w.weight.T.astype(np.float64)
    figures: Figures = {}
    for transform in ("", "smooth", "center"):
        gap = Recipe.parse(f"{transform} {SIX}").apply(w, Calibration.of(x))(x) - exact
        name = f"channels at -70 and 40, {transform or 'as they are'}"
        figures[name] = float((gap**2).mean() / exact.var(axis=0).mean())
    return figures


def _errors(
    layer: Layer, seen: Calibration, other: Calibration, transforms: tuple[str, ...], rest: str
) -> Figures:
    """The held-out error after each of these transforms."""
    return {
        one or "as it is": Recipe.parse(f"{one} {rest}").apply(layer, seen).error(layer, other)
        for one in transforms
    }


def learned_transforms() -> Figures:
    """[32] How full the cube is; and a learned scaling and rotation against fixed ones, held out.

    Example:
        >>> learned_transforms()["learned over the best fixed, with outliers"] < 0.5
        True
    """
    return statistics.utilisation() | _learned()


@cache
def _learned() -> Figures:
    """Four-bit errors of the two shipped models, and how far the learned matrix is orthogonal."""
    figures: Figures = {}
    for name, found in (("with outliers", outlier_layer()), ("without outliers", real_layer())):
        layer, seen, other = Layer(found[0].weight[:OUTPUTS]), *found[1:]
        fixed = _errors(layer, seen, other, FIXED, FOUR)
        made = Recipe.parse(f"learned_rotation {FOUR}").apply(layer, seen)
        best, learned = min(fixed.values()), made.error(layer, other)
        figures |= {f"best fixed, {name}": best, f"learned, {name}": learned}
        figures[f"learned over the best fixed, {name}"] = learned / best
    matrix = made.rewrite.steps[1].inputs(np.eye(seen.features, dtype=np.float32))
    gap = matrix.astype(np.float64) @ matrix.T - np.eye(len(matrix))
    return figures | {"rotation times its transpose, off by": float(np.abs(gap).max())}


@cache
def mixed_blocks() -> Figures:
    """[51] Twenty outlier channels: four bits, permuted, and a block in eight at eight bits.

    Example:
        >>> round(mixed_blocks()["share of blocks at four bits"], 3)
        0.875
    """
    x, other = gaussian(1024, 1024), gaussian(512, 1024, 3)
    planted = np.random.default_rng(2).choice(1024, 20, replace=False)
    x[:, planted] *= 25
    other[:, planted] *= 25
    layer, seen, scored = (
        Layer(gaussian(256, 1024, 1) / 32),
        Calibration.of(x),
        Calibration.of(other),
    )
    texts = {
        "four bits": BLOCKS, "four bits, permuted": f"sort {BLOCKS}",
        "mixed, permuted": f"sort {BLOCKS} wide_blocks", "mixed": f"{BLOCKS} wide_blocks",
        "eight bits": "w=int4/g128 a=int8/g128",
    }  # fmt: skip
    made = {name: Recipe.parse(text).apply(layer, seen) for name, text in texts.items()}
    figures = {name: one.error(layer, scored) for name, one in made.items()}
    moved = Recipe.parse("sort").apply(layer, seen)(other) - other @ layer.weight.T
    [wide] = made["mixed, permuted"].corrections
    assert isinstance(wide, Wide)
    return figures | {
        "mixed and permuted over eight bits": figures["mixed, permuted"] / figures["eight bits"],
        "mixed and permuted over mixed": figures["mixed, permuted"] / figures["mixed"],
        "share of blocks at four bits": 1 - wide.share,
        "permutation alone, largest difference": float(np.abs(moved).max()),
    }


@cache
def power_of_two_ratios() -> Figures:
    """[3] Errors of tied scales, which casts from FP4 to FP8 are exact, and the whole recipe.

    Example:
        >>> power_of_two_ratios()["largest power of two that e5m2 takes"]
        13.0
    """
    sample = gaussian(256, 1536)
    figures = {
        f"{name}, e2m1/g256": relative_error(sample, f"e2m1/g256{scale}")
        for name, scale in {
            "free scales": "", "powers of two (M1)": "*pow2", "tied to rows (M2)": "*pow2(m2)",
            "tied, next smaller": "*pow2(m2ceil)",
        }.items()
    }  # fmt: skip
    return figures | _casts() | _zeroquant()


def _casts() -> Figures:
    """Which powers of two FP4 keeps all its values under in FP8, and what 1.37 loses."""
    values = np.asarray(parse_format("e2m1").values)
    figures: Figures = {}
    for name in WIDE_FLOATS:
        wide = parse_format(name)
        same = [k for k in OCTAVES if np.array_equal(wide.round(np.ldexp(values, k)),
                                                     np.ldexp(values, k))]  # fmt: skip
        figures[f"smallest power of two that {name} takes"] = float(same[0])
        figures[f"largest power of two that {name} takes"] = float(same[-1])
        lost = wide.round(1.37 * values) != 1.37 * values
        figures[f"of 15 values times 1.37, lost in {name}"] = float(lost.sum())
    return figures


def _zeroquant() -> Figures:
    """Held-out errors of the recipe on a shipped layer under the three kinds of scales."""
    layer, seen, other = real_layer()
    tail = "gptq(act_order=true) a=e4m3fn/token low_rank(rank=8)"
    figures: Figures = {}
    for name, scale in (("free", ""), ("tied", "*pow2(m2)"), ("powers of two", "*pow2")):
        made = Recipe.parse(f"w=e2m1/g64{scale} {tail}").apply(layer, seen)
        figures[f"the recipe, {name} scales"] = made.error(layer, other)
    ratios = parse("e2m1/g64*pow2(m2)").quantize(layer.weight)
    whole = np.frexp(ratios.scales / ratios.whole)[0] == 0.5
    return figures | {"ratios of scales that are powers of two": float(whole.mean())}
