"""Reproductions of bits under a budget and of what they are judged by: figures by name."""

from __future__ import annotations

import itertools
import math
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from ..costs import fit_scaling, memory_saved, stored_bits
from ..metrics import top_k_divergence
from ..quantizers import Layer, Recipe
from ..quantizers.allocation import (
    Allocation,
    allocate,
    clustered,
    importance_costs,
    weight_sizes,
)
from ..studies.design_space import SOLVERS, cheapest, design_space
from .quantizers import LAYER, real_layer
from .searches import outlier_layer

if TYPE_CHECKING:
    from ..models.watched import Watched

Figures = dict[str, float]

TOKENS = 256  # of the shipped text that a sensitivity is measured on, and as many apart
WIDTHS = (2, 3, 4, 5, 6)
SCHEMES = tuple(f"int{bits}/channel" for bits in WIDTHS)
DRAWN = 8  # allocations at random that a chosen one is compared with


@cache
def _watched() -> tuple[Watched, Watched]:
    """The shipped model on text to allocate with, and on text to score on."""
    from ..models import held_out_text, open_model
    from ..models.watched import Watched

    model, text = open_model("reference"), held_out_text()
    halves = text[: len(text) // 2], text[len(text) // 2 :]
    return Watched(model, halves[0], TOKENS, figure="kl"), Watched(
        model, halves[1], TOKENS, figure="kl"
    )


@cache
def _weights() -> dict[str, np.ndarray]:
    linears = _watched()[0].model.linears()
    return {name: Layer.of(linear, name).weight for name, linear in linears.items()}


def _loss(choices: dict[str, str]) -> float:
    """What the whole model loses on text apart, in nats a byte."""
    made = {n: Recipe(weights=scheme).apply(_weights()[n]) for n, scheme in choices.items()}
    return _watched()[1].of(made)


@cache
def _measured() -> dict[str, dict[str, float]]:
    """What every layer costs alone under every scheme."""
    from ..models.sensitivity import quantized

    each = {scheme: quantized(_watched()[0], Recipe(weights=scheme)) for scheme in SCHEMES}
    return {name: {scheme: each[scheme][name] for scheme in SCHEMES} for name in _weights()}


def integer_program() -> Figures:
    """[62] [43] Widths by an integer program: against every choice, and on the shipped model."""
    from ..models.sensitivity import loss_gradients

    sizes = weight_sizes(_weights(), SCHEMES)
    budget = sum(each["int4/channel"] for each in sizes.values())
    gradients = loss_gradients(_watched()[0].model, _watched()[0].ids)  # type: ignore[arg-type]
    importances = importance_costs(_weights(), gradients, SCHEMES)
    found = allocate(_measured(), sizes, budget)
    by_importance = allocate(importances, sizes, budget)
    uniform = _loss(dict.fromkeys(_weights(), "int4/channel"))
    chance = [_loss(one.choices) for one in _at_random(sizes, budget)]
    ours, theirs = _loss(found.choices), _loss(by_importance.choices)
    return {
        "random tables where it is not the best of all choices": float(_misses()),
        "KL of four bits everywhere": uniform,
        "bits left of the budget": float(budget - found.size),
        "integer program over four bits everywhere": ours / uniform,
        "importance over four bits everywhere": theirs / uniform,
        "importance over the median of chance": theirs / float(np.median(chance)),
        "importance over the best of chance": theirs / min(chance),
        "KL over the sum of what layers cost alone": ours / found.cost,
    }


def _misses(tables: int = 20) -> int:
    """How many of some random tables of six layers and three choices have a better choice."""
    misses = 0
    for seed in range(tables):
        random = np.random.default_rng(seed)
        cost, size = random.lognormal(0, 2, (6, 3)), random.integers(1, 1000, (6, 3))
        budget = int(size.min(axis=1).sum() * 0.5 + size.max(axis=1).sum() * 0.5)
        costs, sizes = ({str(i): dict(enumerate(row)) for i, row in enumerate(x.tolist())}
                        for x in (cost, size))  # fmt: skip
        every = np.array(list(itertools.product(range(3), repeat=6)))
        layers = np.arange(6)
        fits = size[layers, every].sum(axis=1) <= budget
        best = cost[layers, every].sum(axis=1)[fits].min()
        misses += not math.isclose(allocate(costs, sizes, budget).cost, best, rel_tol=1e-9)
    return misses


def _at_random(sizes: Any, budget: int) -> list[Allocation]:
    """Allocations drawn at random that take nearly the whole budget."""
    random = np.random.default_rng(0)
    drawn: list[Allocation] = []
    while len(drawn) < DRAWN:
        choices = {name: str(random.choice(SCHEMES)) for name in sizes}
        one = Allocation.of(choices, sizes, sizes)
        if 0.97 * budget < one.size <= budget:
            drawn.append(one)
    return drawn


def clustered_widths() -> Figures:
    """[122] Sensitivities that foretell the damage of two bits, and groups of widths by them."""
    from ..models import held_out_text
    from ..models.sensitivity import first_order, pruned, uncorrelated
    from ..models.watched import by_block

    watched = _watched()[0]
    truth = {name: each["int2/channel"] for name, each in _measured().items()}
    found = {
        "PMPQ": pruned(watched, [0.7]),
        "TDMPQ": first_order(watched, Recipe(weights="int2/channel")),
    }
    figures: Figures = {}
    for name, figure in found.items():
        widths = clustered(figure, ("int2/channel", "int4/channel", "int6/channel"))
        figures[f"{name}, rank correlation with the damage of two bits"] = _ranks(figure, truth)
        figures[f"{name}, groups over the same widths shuffled"] = _over_shuffled(widths)
    names = by_block(watched.model)
    blocks = {block: sum(truth[name] for name in names[block]) for block in names}
    beside = uncorrelated(watched.model, held_out_text())
    figures["CMPQ, rank correlation with the damage of four blocks"] = _ranks(beside, blocks)
    return figures


def _ranks(first: dict[str, float], second: dict[str, float]) -> float:
    """Spearman's correlation of two figures of the same layers."""
    from scipy.stats import spearmanr

    return float(spearmanr(list(first.values()), [second[name] for name in first]).statistic)


def _over_shuffled(widths: dict[str, str]) -> float:
    """The loss of some widths over the median of the same widths given to other layers."""
    random, shuffled = np.random.default_rng(0), []
    for _ in range(DRAWN):
        order = random.permutation(list(widths.values())).tolist()
        shuffled.append(_loss(dict(zip(widths, order, strict=True))))
    return _loss(widths) / float(np.median(shuffled))


def code_calibration() -> Figures:
    """[57] GPTQ calibrated on prose, on code and on both, scored on code; memory saved."""
    from ..models import open_model
    from ..studies import calibration_study as study

    model, (code, apart), (prose, _) = (
        open_model("reference"), study.code_text(), study.prose_text()
    )  # fmt: skip
    read = {"code": code, "prose": prose, "both": study.mixture(model, [code, prose], 4096, 128)}
    rows = study.calibration_study(
        model, read, {"code": apart}, names=[LAYER], tokens=4096, scored=2048, window=128
    )
    figures: Figures = {}
    for bits in (4, 3, 2):
        nearest = study.error_of(rows, calibration="code", bits=bits, solver="nearest")
        for name in read:
            error = study.error_of(rows, calibration=name, bits=bits, solver="gptq")
            figures[f"{bits} bits, calibrated on {name}: over nearest"] = error / nearest
    return figures | {
        f"memory that {bits} bits save, groups of 128": memory_saved(stored_bits(bits))
        for bits in (4, 2)
    }


def bit_scaling() -> Figures:
    """[50] The law of loss over bits for three small models, total bits, and TopKLD."""
    from ..studies.bit_scaling import WIDTHS as SIZES
    from ..studies.bit_scaling import scaling_rows, small_model

    rows = scaling_rows([small_model(width) for width in SIZES], (2, 3, 4, 6, 16))
    loss = {(row["model"], row["bits"]): row["loss"] for row in rows}
    figures: Figures = {}
    for width in SIZES:
        mine = [row for row in rows if row["model"] == f"width {width}"]
        law = fit_scaling([row["bits"] for row in mine], [row["loss"] for row in mine])
        figures[f"width {width}, exponent of the bits"] = law.b
        figures[f"width {width}, half its 95 % interval"] = (
            law.intervals[1][1] - law.intervals[1][0]
        ) / 2
        figures[f"width {width}, loss with many bits"] = law.c
    gap = loss["width 64", 4] - loss["width 32", 16]
    return figures | _top_k() | {
        "width 64 at 4 bits less width 32 at 16 bits, as many in the blocks": gap
    }  # fmt: skip


def _top_k() -> Figures:
    """TopKLD of a student that is wrong at likely tokens, and of one wrong at unlikely ones."""
    random = np.random.default_rng(0)
    teacher = 3 * random.standard_normal((64, 256))
    likely = np.argsort(-teacher, axis=-1)[:, :10]
    first, second = teacher.copy(), teacher + 2.0
    np.put_along_axis(first, likely, 0.7 * np.take_along_axis(teacher, likely, -1), -1)
    np.put_along_axis(second, likely, np.take_along_axis(teacher, likely, -1), -1)
    return {
        f"likely over unlikely tokens wrong, weight {weight:g}": top_k_divergence(
            teacher, first, 10, weight
        )
        / top_k_divergence(teacher, second, 10, weight)
        for weight in (0.0, 1.0, 10.0)
    }


def minifloats() -> Figures:
    """[12] Floats and integers of 3 to 8 bits on two layers, by bits and by gates."""
    figures: Figures = {}
    for name, (layer, seen, apart) in {
        "without outliers": real_layer(), "with outliers": outlier_layer(),
    }.items():  # fmt: skip
        designs = design_space(Layer(layer.weight[:48]), seen, apart)
        for solver in SOLVERS:
            mine = [one for one in designs if one.solver == solver]
            best = [
                min((d for d in mine if d.bits == b), key=lambda d: d.error) for b in range(3, 9)
            ]
            front = cheapest(mine)
            figures |= {
                f"{name}, {solver}: widths where floats lead": float(
                    sum(one.exponent > 1 for one in best)
                ),
                f"{name}, {solver}: E3M2 over INT6, dB": _over(mine, "E3M2", "INT6"),
                f"{name}, {solver}: share of even steps on the front of gates": float(
                    np.mean([one.exponent <= 1 for one in front])
                ),
            }
    return figures


def _over(designs: Any, first: str, second: str) -> float:
    sqnr = {one.label: one.sqnr for one in designs}
    return sqnr[first] - sqnr[second]
