"""Recipes: text, data and hash; every part with every other; the same bytes every time."""

import itertools
import json
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.errors import WorkbenchError
from workbench.quantizers import Calibration, Layer, Recipe

TRANSFORMS = (
    "smooth",
    "equalize",
    "center",
    "sort",
    "hadamard",
    "hadamard(block=16)",
    "orthogonal",
)
SOLVERS = ("nearest", "clip", "gptq", "gptq(act_order=true)", "adaround(steps=20)")
RESIDUALS = (
    "low_rank(rank=4)",
    "bias_correction",
    "outlier_columns",
    "kept_columns(columns=1+3-5)",
)
SCHEMES = ("int4/g32", "int8/channel", "int4/g16+zp", "mxfp4", "nvfp4", "nf4/b32", "e4m3fn",
           "bitmod3/g32*f16", "pow4(a=0.5)/channel", "median2/channel+mean@std")  # fmt: skip
INPUTS = ("", "int8/token", "int8/tensor", "int8/tensor static", "int8/channel static", "mxfp8",
          "uint8/tensor+zp static")  # fmt: skip
REFUSED = ("a grid of its own", "no range that could be smaller")  # AdaRound, Clip

recipes = st.builds(
    lambda transforms, scheme, solver, inputs, residuals, seed: " ".join(
        [*transforms, f"w={scheme}", solver, *(["a=" + inputs] if inputs else []), *residuals,
         *([f"seed={seed}"] if seed else [])]),
    st.lists(st.sampled_from(TRANSFORMS), max_size=3),
    st.sampled_from(SCHEMES), st.sampled_from(SOLVERS), st.sampled_from(INPUTS),
    st.lists(st.sampled_from(RESIDUALS), max_size=2, unique=True), st.integers(0, 3),
)  # fmt: skip


@given(recipes)
@settings(max_examples=80, deadline=None)
def test_text_and_data_give_the_same_recipe(text):
    recipe = Recipe.parse(text)
    assert Recipe.parse(str(recipe)) == recipe
    assert Recipe.from_json(json.dumps(recipe.json())) == recipe
    assert hash(Recipe.parse(str(recipe))) == hash(recipe)
    assert len(recipe.digest) == 16


@pytest.mark.parametrize("scheme", SCHEMES)
def test_every_transform_with_every_solver(scheme, layer, calibration, held_out):
    exact = held_out @ layer.weight.T + layer.bias
    producer = np.random.default_rng(9).standard_normal((64, 32)).astype(np.float32)
    layer = Layer(layer.weight, layer.bias, layer.name, producer)
    bound = 1.5 if "3" in scheme or "2" in scheme else 0.5
    for transform, solver in itertools.product(TRANSFORMS, SOLVERS):
        recipe = Recipe.parse(f"{transform} w={scheme} {solver} a=int8/token low_rank(rank=4)")
        try:
            made = recipe.apply(layer, calibration)
        except WorkbenchError as refusal:
            assert any(why in str(refusal) for why in REFUSED), (transform, solver)  # noqa: PT017
            continue
        gap = made(held_out) - exact
        relative = float((gap**2).mean() / ((exact - layer.bias) ** 2).mean())
        assert relative < bound, (transform, solver, relative)


def test_a_recipe_that_keeps_floats_changes_no_output(layer, calibration, held_out):
    exact = held_out @ layer.weight.T + layer.bias
    for transform in TRANSFORMS:
        if transform == "equalize":
            continue
        made = Recipe.parse(transform).apply(layer, calibration)
        assert np.abs(made(held_out) - exact).max() < 1e-4 * np.abs(exact).max()
        assert made.weight is None


def test_rewritten_statistics_are_those_of_rewritten_rows(layer, held_out):
    known = Calibration.of(held_out)
    for transform in ("smooth", "center", "sort", "hadamard", "orthogonal"):
        rewritten = Recipe.parse(transform).rewrite([layer], known)
        after, fresh = rewritten.calibration, Calibration.of(rewritten.rewrite.inputs(held_out))
        size = np.abs(fresh.second).max()
        assert np.abs(after.second - fresh.second).max() < 1e-5 * size, transform
        assert np.allclose(after.sums, fresh.sums, atol=1e-3 * np.abs(fresh.sums).max())
        assert np.allclose(after.high, fresh.high, atol=1e-5 * np.abs(fresh.high).max())


def test_layers_that_share_inputs_share_their_rewrite(weight, calibration, held_out):
    layers = [Layer(weight, name="q"), Layer(weight[:16] * 3, name="k")]
    together = Recipe.parse("smooth w=int8/channel").apply_together(layers, calibration)
    x = [one.rewrite.inputs(held_out) for one in together]
    assert np.array_equal(x[0], x[1])
    for one, layer in zip(together, layers, strict=True):
        assert one.error(layer, calibration) < 1e-3


def test_overrides_and_float(weight, calibration):
    recipe = Recipe.parse("w=int4/g32 gptq [*.down_proj: w=int8/channel] [head: float]")
    assert recipe.for_layer("layers.0.down_proj").weights == "int8/channel"
    assert recipe.for_layer("layers.0.up_proj").solver.name == "gptq"
    assert not recipe.for_layer("head").changes
    kept = recipe.apply(Layer(weight, name="head"))
    assert kept.weight is None
    assert np.array_equal(kept.matrix, weight)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("w=int4/g32 gptp", "no part of a recipe has this name → write 'gptq'"),
        ("w=int4/g32 gptq adaround", "there is one"),
        ("gptq", "there are no codes to choose"),
        ("w=int4/g32 smooth(alpha=2)", "a share from 0 to 1"),
        ("w=int4/g32 smooth(strength=2)", "no parameter of smooth has this name"),
        ("w=int4/g32 smooth(0.5, 0.5)", "takes 1 parameters"),
        ("w=int4/g32 gptq(act_order=maybe)", "it is true or false"),
        ("w=int99", "integers here have 1 to 16 bits"),
        ("w=int8 static", "no inputs are rounded"),
        ("w=int8 a=int8/token static", "not known beforehand"),
        ("w=int8 [down_proj w=int4]", "an override is"),
        ("w=int8 [*: w=int4 seed=3]", "an override is of single layers"),
        ("w=int8 smooth(0.5", "do not pair"),
        ("w=int8 seed=x", "a whole number"),
        ("w=int8 low_rank(rank=1.5)", "a whole number"),
    ],
)
def test_what_cannot_be_is_said(text, why):
    with pytest.raises(WorkbenchError, match=why.replace("(", r"\(")):
        Recipe.parse(text)


def test_a_part_where_another_kind_belongs(weight):
    with pytest.raises(WorkbenchError, match="it is a solver, not a transform"):
        Recipe(weights="int8", transforms=["gptq"])
    with pytest.raises(WorkbenchError, match="no entry of a recipe"):
        Recipe.from_json({"wieghts": "int8"})
    with pytest.raises(WorkbenchError, match="no linear layer writes these inputs"):
        Recipe.parse("equalize w=int8").apply(weight)
    with pytest.raises(WorkbenchError, match="none were given"):
        Recipe.parse("smooth w=int8").apply(weight)
    with pytest.raises(WorkbenchError, match="does not divide 64 channels"):
        Recipe.parse("hadamard(block=24) w=int8").apply(weight)
    with pytest.raises(WorkbenchError, match=r"the weight is 48 x 64"):
        Recipe.parse("w=int8 low_rank(rank=49)").apply(weight)


@pytest.mark.parametrize("bad", [np.float32([[1, np.nan]]), np.zeros((2, 0)), np.zeros(3), "w"])
def test_weights_that_are_none(bad):
    with pytest.raises(WorkbenchError, match="→"):
        Recipe.parse("w=int8").apply(bad)


def test_a_hadamard_that_does_not_hold_is_refused(layer, calibration, monkeypatch):
    from workbench.quantizers.rewrites import Rotation

    monkeypatch.setattr(Rotation, "weights", lambda self, w: w * 1.01)
    with pytest.raises(WorkbenchError, match="it changes what the layer computes"):
        Recipe.parse("hadamard w=int8").apply(layer, calibration)


PROGRAM = """
import hashlib, numpy as np
from workbench.quantizers import Calibration, Recipe
r = np.random.default_rng(0)
x = r.standard_normal((700, 96)) @ r.standard_normal((96, 96))
w = r.standard_normal((300, 96)).astype(np.float32)
made = Recipe.parse("smooth hadamard w=int4/g32 gptq a=int8/token low_rank(rank=4)").apply(
    w, Calibration.of(x))
parts = [made.weight.packed, made.weight.stored_scales, made.corrections[0].first]
print(hashlib.sha256(b"".join(p.tobytes() for p in parts)).hexdigest())
"""


def test_the_same_bytes_in_fresh_processes_and_on_one_and_two_threads():
    found = set()
    for threads in ("1", "2"):
        names = ("WORKBENCH_THREADS", "OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS")
        environment = {**__import__("os").environ, **dict.fromkeys(names, threads)}
        done = subprocess.run([sys.executable, "-c", PROGRAM], env=environment, text=True,
                              capture_output=True, check=True)  # fmt: skip
        found.add(done.stdout)
    assert len(found) == 1


def test_residuals_make_up_for_what_those_before_left_and_nothing_twice(layer, calibration):
    rows = calibration.rows
    exact = rows @ layer.weight.T + layer.bias
    orders = ("low_rank outlier_columns(threshold=3)", "outlier_columns(threshold=3) low_rank")
    for solver in ("nearest", "adaquant(steps=20)"):
        for residuals in (*orders, "bias_correction"):
            recipe = Recipe.parse(f"w=int2/channel {solver} a=int8/token {residuals}")
            made = recipe.apply(layer, calibration)
            plain = Recipe.parse(f"w=int2/channel {solver} a=int8/token").apply(layer, calibration)
            assert made.error(layer, calibration) < 1.0001 * plain.error(layer, calibration)
            if residuals == "bias_correction":
                assert abs((made(rows) - exact).mean(axis=0)).max() < 1e-4
    first, second = (
        Recipe.parse(f"w=int8/channel {order}").apply(layer, calibration).error(layer, calibration)
        for order in orders
    )
    assert first < 1e-4
    assert second < 1e-4
