"""Searching and learning parts with every other part: they compose, or say in one line why not."""

from __future__ import annotations

import itertools
import json

import numpy as np
import pytest

from workbench.errors import WorkbenchError
from workbench.quantizers import Calibration, Layer, Recipe

TRANSFORMS = ("smooth", "equalize", "center", "sort", "hadamard", "orthogonal")
SHIFTS = ("exponent_shift", "exponent_shift(inputs=e3m0)")
SOLVERS = ("nearest", "clip", "gptq", "adaround(steps=10)")
SEARCHES = (
    "range_search", "range_search(inputs=int8/token,columns=2)", "learned_codes(steps=10)",
    "wide_groups(share=0.25,wide=int8)",
)  # fmt: skip
SCHEMES = ("int4/g32", "int8/channel", "int4/g16+zp", "mxfp4", "nvfp4", "nf4/b32", "e4m3fn",
           "bitmod3/g32*f16", "pow4(a=0.5)/channel", "median2/channel+mean@std")  # fmt: skip
REFUSED = (
    "a grid of its own", "no range that could be smaller", "each group of a row", "not wider",
    "two widths under",
)  # fmt: skip
PAIRS = (
    *itertools.product(SHIFTS, (*SOLVERS, *SEARCHES)),
    *itertools.product(TRANSFORMS, SEARCHES),
)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_every_pair_with_every_scheme(scheme, layer, calibration, held_out):
    exact = held_out @ layer.weight.T + layer.bias
    producer = np.random.default_rng(9).standard_normal((64, 32)).astype(np.float32)
    layer = Layer(layer.weight, layer.bias, layer.name, producer)
    bound = 1.5 if "3" in scheme or "2" in scheme else 0.5
    for transform, solver in PAIRS:
        recipe = Recipe.parse(f"{transform} w={scheme} {solver} a=int8/token low_rank(rank=4)")
        try:
            made = recipe.apply(layer, calibration)
        except WorkbenchError as refusal:
            assert any(why in str(refusal) for why in REFUSED), (transform, solver)  # noqa: PT017
            continue
        gap = made(held_out) - exact
        relative = float((gap**2).mean() / ((exact - layer.bias) ** 2).mean())
        assert relative < bound, (transform, solver, relative)


@pytest.mark.parametrize(
    "text",
    [
        "exponent_shift(inputs=e3m0) w=e2m1/channel "
        "range_search(inputs=e3m0(bias=-1.445),columns=3) a=e3m0(bias=-1.445)",
        "w=pow4(a=0.7)/channel learned_codes(steps=100,rate=0.03,power=false)",
        "w=int2/g16*e4m3fn*f32+zp wide_groups(share=0.25,wide=int5,rows=8)",
        "w=int8 [*.down_proj: w=e2m1/channel range_search(inputs=e2m1(bias=0.5))]",
    ],
)  # fmt: skip
def test_texts_and_data_give_the_same_recipe(text):
    recipe = Recipe.parse(text)
    assert Recipe.parse(str(recipe)) == recipe
    assert Recipe.from_json(json.dumps(recipe.json())) == recipe


@pytest.mark.parametrize("shift", SHIFTS)
def test_shifts_change_no_output_and_their_statistics_are_those_of_the_rows(
    shift, layer, calibration, held_out
):
    exact = held_out @ layer.weight.T + layer.bias
    made = Recipe.parse(shift).apply(layer, calibration)
    assert np.abs(made(held_out) - exact).max() < 1e-5 * np.abs(exact).max()
    rewritten = Recipe.parse(shift).rewrite([layer], calibration)
    factors = rewritten.rewrite.steps[0].factors
    assert (np.frexp(factors)[0] == 0.5).all()
    assert np.array_equal(rewritten.calibration.reach, calibration.reach / factors)


def test_dead_channels_are_left_alone(layer, calibration):
    from workbench.quantizers import Calibration

    rows = calibration.rows.copy()
    rows[:, 3] = 0
    step = Recipe.parse("exponent_shift").rewrite([layer], Calibration.of(rows)).rewrite.steps[0]
    assert step.factors[3] == 1
    silent = Recipe.parse("exponent_shift").rewrite([layer], Calibration.of(np.zeros((2, 64))))
    assert (silent.rewrite.steps[0].factors == 1).all()


def test_a_search_that_ends_at_an_end_says_so():
    random = np.random.default_rng(0)
    x = random.standard_normal((512, 32)).astype(np.float32)
    w = random.standard_normal((16, 32)).astype(np.float32)
    known = Calibration.of(x)
    usual = Recipe.parse("w=e2m1/channel range_search").apply(w, known)
    narrow = Recipe.parse("w=e2m1/channel range_search(least=0.99,most=1,steps=3)").apply(w, known)
    assert usual.note == ""
    assert " of 16 ranges are best at an end" in narrow.note
    large = np.sign(w) * random.uniform(0.8, 1, w.shape).astype(np.float32)
    assert "the last that was tried" in Recipe.parse("w=pow4(a=1.0)/channel power_search").apply(
        large, known).note  # fmt: skip


def test_inputs_of_another_layer_are_refused():
    w = np.ones((4, 32), np.float32)
    other = Calibration.of(np.random.default_rng(0).standard_normal((64, 48)))
    for text in ("w=int4/channel", "smooth w=int4/channel gptq"):
        with pytest.raises(WorkbenchError, match=r"a calibration of 48 channels.*inputs have 32"):
            Recipe.parse(text).apply(w, other)
    made = Recipe.parse("w=int4/channel").apply(w)
    with pytest.raises(WorkbenchError, match="48 channels"):
        made.error(Layer.of(w), other)
