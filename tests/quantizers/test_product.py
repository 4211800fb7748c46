"""Every transform with every solver under every family of schemes: it works, or says why not."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from workbench.errors import WorkbenchError
from workbench.quantizers import Calibration, Layer, Recipe
from workbench.quantizers.parts import REGISTERED, named

named("nearest")  # which has all of them registered
QUICK = {  # fewer steps than usual, so that all of them take a minute
    "adaround": "steps=20", "learned_codes": "steps=20", "adaquant": "steps=20",
    "pv_tuning": "bits=4,rounds=1", "vector_codes": "bits=4", "range_search": "steps=9",
    "float_search": "rounds=1,tokens=32", "wide_groups": "rows=8,share=0.25",
    "learned_rotation": "steps=5",
}  # fmt: skip
SCHEMES = (
    "int4/channel", "int3/g16+zp", "int2/channel+mean", "e2m1/channel", "e2m1/b16*e8m0",
    "e2m1/b16*e4m3fn*f32", "nf4/b16", "pow4(a=0.7)/channel", "bitmod3/g16",
    "ternary/tensor@absmean", "f16", "int4/t4x16", "e2m1/g16*pow2(m2)",
)  # fmt: skip
FEATURES, OUTPUTS, ROWS = 32, 16, 256
REASON_LENGTH = 300


def of_kind(kind: str) -> list[str]:
    """The texts of all parts of a kind, with few steps."""
    names = sorted(name for name, one in REGISTERED.items() if one.kind == kind)
    return [f"{name}({QUICK[name]})" if name in QUICK else name for name in names]


@pytest.fixture(scope="module")
def small():
    random = np.random.default_rng(5)
    mixing = random.standard_normal((FEATURES, FEATURES)) * np.exp(-np.arange(FEATURES) / 8)
    rows = (random.standard_normal((2 * ROWS, FEATURES)) @ mixing).astype(np.float32)
    rows[:, 3] *= 20
    weight = (0.1 * random.standard_normal((OUTPUTS, FEATURES))).astype(np.float32)
    producer = random.standard_normal((FEATURES, 8)).astype(np.float32)
    layer = Layer(weight, np.zeros(OUTPUTS, np.float32), "layer", producer)
    return layer, Calibration.of(rows[:ROWS]), Calibration.of(rows[ROWS:])


def tried(recipe: Recipe, small) -> float | str:
    """The held-out error of a recipe, or the reason why it cannot be."""
    layer, known, held_out = small
    before = layer.weight.copy()
    try:
        made = recipe.apply(layer, known)
    except WorkbenchError as refusal:
        told = bool(refusal.why and refusal.instead) and len(str(refusal)) < REASON_LENGTH
        return refusal.why if told else pytest.fail(f"no clear reason: {refusal}")
    finally:
        assert (layer.weight == before).all()
    assert made.nbytes > 0
    return made.error(layer, held_out)


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("inputs", ["", "int8/token"])
def test_every_transform_with_every_solver(scheme, inputs, small):
    base = Recipe(weights=scheme, activations=inputs)
    plain = tried(base, small)
    assert isinstance(plain, float)
    worked = 0
    for transform in ["", *of_kind("transform")]:
        for solver in of_kind("solver"):
            recipe = Recipe.parse(f"{transform} w=int4 {solver}")
            found = tried(replace(recipe, weights=scheme, activations=inputs), small)
            assert isinstance(found, str) or 0 <= found < 3, (transform, solver, found)
            worked += isinstance(found, float)
    assert worked >= 3 * len(of_kind("transform"))


@pytest.mark.parametrize("solver", of_kind("solver"))
def test_every_solver_with_every_residual(solver, small):
    for residual in of_kind("residual"):
        found = tried(Recipe.parse(f"w=int4/channel {solver} a=int8/token {residual}"), small)
        assert isinstance(found, str) or 0 <= found < 3, (residual, found)
