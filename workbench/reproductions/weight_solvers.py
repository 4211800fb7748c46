"""Reproductions of solvers that move weights, scales and thin factors: figures by name."""

from __future__ import annotations

import argparse
import inspect
import itertools
from functools import cache

import numpy as np

from ..quantizers import Calibration, Layer, Recipe
from ..quantizers.solvers import Decoupled, Problem
from ..quantizers.solvers.best_scales import best_scales, codes_of
from ..schemes import parse
from .quantizers import LAYER, real_layer
from .searches import outlier_layer

Figures = dict[str, float]
Known = tuple[Layer, Calibration, Calibration]

OUTPUTS = 48  # of a layer that are looked at, so that an answer takes seconds
TOKENS = 2048  # of code that are read in the place of plays
RANK = 16


@cache
def _few_outputs() -> Known:
    layer, seen, other = real_layer()
    return Layer(layer.weight[:OUTPUTS]), seen, other


def _error(recipe: str, known: Known) -> float:
    """The held-out error of a recipe on a layer."""
    layer, seen, other = known
    return Recipe.parse(recipe).apply(layer, seen).error(layer, other)


def adaquant() -> Figures:
    """[62] Held-out error of AdaQuant over that of nearest; then with coarse static inputs too.

    Example:
        >>> adaquant()["adaquant over nearest, 2 bits"] < 0.36
        True
    """
    figures: Figures = {}
    for bits in (4, 3, 2):
        plain, searched, learned = (
            _error(f"w=int{bits}/channel{more}", _few_outputs())
            for more in ("", "@mse", " adaquant")
        )
        figures[f"nearest, {bits} bits"] = plain
        figures[f"adaquant over nearest, {bits} bits"] = learned / plain
        figures[f"adaquant over nearest with searched ranges, {bits} bits"] = learned / searched
    static = "w=int4/channel a=int4/tensor static"
    plain, kept, moved = (
        _error(f"{static} {solver}", outlier_layer())
        for solver in ("nearest", "adaquant(ranges=false)", "adaquant")
    )
    figures["static inputs with outliers, adaquant over nearest"] = moved / plain
    figures["static inputs with outliers, the same with ranges kept"] = kept / plain
    return figures


def decoupled() -> Figures:
    """[9] Held-out error over GPTQ's, how the objective falls, and its scales beside an oracle's.

    Example:
        >>> decoupled()["decoupled over gptq, 2 bits"] < 0.55
        True
    """
    figures: Figures = {}
    layer, seen, _ = _few_outputs()
    for bits in (3, 2):
        full, searched, ours = (
            _error(f"w=int{bits}/channel{more}", _few_outputs())
            for more in ("+zp gptq(act_order=true)", "@mse gptq(act_order=true)", "+mean decoupled")
        )
        figures[f"decoupled over gptq, {bits} bits"] = ours / full
        figures[f"decoupled over gptq with searched ranges, {bits} bits"] = ours / searched
        problem = Problem(layer.weight, parse(f"int{bits}/channel+mean"), seen)
        errors = [error for error, _ in Decoupled().progress(problem)]
        figures[f"objective at the end over the start, {bits} bits"] = errors[-1] / errors[0]
        figures[f"largest rise of it, {bits} bits"] = max(0.0, float(np.diff(errors).max()))
    return figures | {"largest difference to least squares": _beside_least_squares(problem)}


def _beside_least_squares(problem: Problem) -> float:
    """How far scales and offsets are from those of a QR solver of each row, relative to these."""
    gram, fitted = problem.gram("least squares"), problem.fitted
    codes = codes_of(fitted, fitted.round(problem.weight))
    found = best_scales(fitted, codes, problem.weight, gram).chosen
    root = np.linalg.cholesky(gram + 1e-12 * np.trace(gram) * np.eye(len(gram))).T
    worst = 0.0
    for row, weight in enumerate(problem.weight):
        columns = root @ np.stack([codes[row], np.ones(len(gram))], axis=1)
        exact = np.linalg.lstsq(columns, root @ weight, rcond=None)[0]
        ours = np.array([found.scales[row, 0], found.zeros[row, 0]])
        worst = max(worst, float(np.abs(ours - exact).max() / np.abs(exact).max()))
    return worst


def gradient_options() -> Figures:
    """[43] Losses, freedoms, grids and optimizers crossed; then another text to calibrate on.

    Example:
        >>> figures = gradient_options()
        >>> figures["mse, grid, uniform, adam"] < figures["mse, grid, uniform, sgd"] < 1
        True
    """
    return _crossed() | _other_text()


@cache
def _crossed() -> Figures:
    """Held-out squared error over that of nearest, for every combination; then with all steps."""
    figures: Figures = {}
    grids = {"uniform": "int2/channel@mse", "power": "pow2(a=0.7)/channel@mse"}
    losses, freedoms, optimizers = ("mse", "cosine", "kl"), ("grid", "neighbours"), ("adam", "sgd")
    for grid, scheme in grids.items():
        plain = _error(f"w={scheme}", _few_outputs())
        for loss, freedom, optimizer in itertools.product(losses, freedoms, optimizers):
            part = (f"learned_codes(steps=100,power=false,loss={loss},freedom={freedom},"
                    f"optimizer={optimizer})")  # fmt: skip
            error = _error(f"w={scheme} {part}", _few_outputs())
            figures[f"{loss}, {freedom}, {grid}, {optimizer}"] = error / plain
    for scheme in ("int2/channel", "int2/channel@mse"):
        whole, near = (
            _error(f"w={scheme} learned_codes(freedom={freedom})", _few_outputs())
            for freedom in freedoms
        )
        figures[f"whole grid over two neighbours, {scheme}"] = whole / near
    return figures


@cache
def _other_text() -> Figures:
    """Errors on plays of layers calibrated on program code, over those calibrated on plays."""
    from ..models import open_model
    from ..models.calibrate import calibrate

    layer, seen, other = _few_outputs()
    code = inspect.getsource(argparse)
    strange = calibrate(open_model("reference"), code, [LAYER], TOKENS)[LAYER]
    same = Calibration.of(seen.rows[:TOKENS])
    figures: Figures = {}
    for bits in (4, 2):
        part = f"w=int{bits}/channel@mse learned_codes(freedom=neighbours)"
        plain = _error(f"w=int{bits}/channel@mse", (layer, seen, other))
        on_code, on_plays = (_error(part, (layer, text, other)) for text in (strange, same))
        figures[f"calibrated on code over calibrated on plays, {bits} bits"] = on_code / on_plays
        figures[f"calibrated on code over nearest, {bits} bits"] = on_code / plain
    return figures


def low_rank_training() -> Figures:
    """[75] Thin factors beside 2 bits: by the weight alone, trained, and the best there is.

    Example:
        >>> low_rank_training()["trained over singular values, held out"] < 0.75
        True
    """
    scheme, known = "w=int2/channel+zp", _few_outputs()
    layer, seen, _ = known
    texts = {"none": scheme, "singular values": f"{scheme} low_rank(rank={RANK})",
             "trained": f"{scheme} learned_low_rank(rank={RANK})"}  # fmt: skip
    figures = {f"{name}, held out": _error(text, known) for name, text in texts.items()}
    plain, made = (Recipe.parse(texts[name]).apply(layer, seen) for name in ("none", "trained"))
    gap, exact = (one.astype(np.float64) for one in (layer.weight - made.effective, layer.weight))
    ours, size = (float(((part @ seen.gram) * part).sum()) for part in (gap, exact))
    least = _optimum(layer, plain.matrix, seen)
    return figures | {
        "trained over singular values, held out": (
            figures["trained, held out"] / figures["singular values, held out"]
        ),
        "trained over the optimum, calibrated": ours / size / least,
        "bytes beyond codes and 16 bits a factor": float(
            made.nbytes - plain.nbytes - 2 * RANK * sum(layer.weight.shape)
        ),
    }


def _optimum(layer: Layer, quantized: np.ndarray, seen: Calibration) -> float:
    """The least relative error of a correction of this rank: the tail of the weighted error."""
    values, vectors = np.linalg.eigh(seen.gram)
    root = vectors * np.sqrt(np.maximum(values, 0))
    weight = layer.weight.astype(np.float64)
    tail = np.linalg.svd((weight - quantized) @ root, compute_uv=False)[RANK:]
    return float((tail**2).sum() / ((weight @ root) ** 2).sum())
