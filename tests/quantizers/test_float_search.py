"""Floats with searched splits and biases, against the published formulas written out in NumPy."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import workbench as wb
from workbench.errors import WorkbenchError
from workbench.formats import bias_for
from workbench.models.calibrate import calibrate
from workbench.quantizers import Calibration, Layer, Recipe
from workbench.quantizers.float_search import best_floats, splits
from workbench.quantizers.solvers import Problem, RangeSearch
from workbench.quantizers.transforms import ExponentShift
from workbench.quantizers.transforms.base import Reading
from workbench.schemes import parse
from workbench.schemes.columns import fit_columns

MULTIPLES = np.append(1.0, 0.01 + np.arange(101) * (1.2 - 0.01) / 100)
SPLITS = ((3, 0), (2, 1), (1, 2))
NAMES = ("layers.1.mlp.gate_proj", "layers.2.self_attn.q_proj")


def minifloat(x, exponent, mantissa, bias):
    """The published rounding with a real-valued bias."""
    most = (2 - 2.0**-mantissa) * 2.0 ** (2**exponent - 1 - bias)
    clipped = np.clip(x, -most, most)
    with np.errstate(divide="ignore"):
        level = np.maximum(1, np.floor(np.log2(np.abs(clipped)) + bias))
    step = 2.0 ** (level - mantissa - bias)
    return np.round(clipped / step) * step


def full_bias(x, exponent, mantissa):
    """The bias under which the largest magnitude of `x` is the largest value."""
    return 2**exponent - np.log2(np.abs(x).max()) + np.log2(2 - 2.0**-mantissa) - 1


@pytest.fixture(scope="module")
def outlier_layers():
    """Layers with four large channels: 64 outputs, rows to search on and rows to score."""
    model, text = wb.models.open_model("reference-twin"), wb.models.held_out_text()
    seen = calibrate(model, text[: len(text) // 2], NAMES, 1024)
    other = calibrate(model, text[len(text) // 2 :], NAMES, 1024)
    weights = {name: Layer.of(model.linears()[name]).weight[:64] for name in NAMES}
    return {name: (Layer(weights[name]), seen[name], other[name]) for name in NAMES}


@pytest.fixture(scope="module")
def searches(outlier_layers):
    """What is found for the first of them, without and with shifted exponents."""
    layer, seen, _ = outlier_layers[NAMES[0]]
    return {s: best_floats(layer, seen, shifted=s, rounds=4, tokens=256) for s in (False, True)}


def test_what_is_tried_are_the_published_splits():
    assert [(f.exponent, f.mantissa) for f in splits(4)] == list(SPLITS)
    assert [f.mantissa for f in splits(8)] == [2, 3, 4, 5, 6]
    assert all(f.bits == 8 and not f.has_nan for f in splits(8))


def test_search_and_shift_hold_on_rows_they_have_not_seen(outlier_layers, searches):
    layer, seen, other = outlier_layers[NAMES[0]]
    usual = Recipe.parse("w=e2m1/channel a=e2m1/tensor static").apply(layer, seen)
    base, shifted = (searches[s].recipe.apply(layer, seen).error(layer, other) for s in (0, 1))
    assert base <= 0.12 * usual.error(layer, other)
    assert shifted <= 0.65 * base
    assert searches[True].recipe.transforms[0].name == "exponent_shift"


def test_the_recipe_is_its_text_and_gives_the_error_that_is_said(outlier_layers, searches):
    layer, seen, _ = outlier_layers[NAMES[0]]
    rows = seen.rows[:: len(seen.rows) // 256]
    for found in searches.values():
        again = Recipe.parse(str(found.recipe))
        assert again == found.recipe
        made = again.apply(layer, seen)
        assert made.error(layer, Calibration.of(rows)) == pytest.approx(found.error, rel=1e-4)
    assert searches[True].error <= searches[False].error <= searches[False].usual


def test_the_bias_of_inputs_is_the_best_of_all_while_the_weights_stay(outlier_layers, searches):
    layer, seen, _ = outlier_layers[NAMES[0]]
    rows = seen.rows[:: len(seen.rows) // 256].astype(np.float64)
    found = searches[False]
    assert found.settled
    matrix = found.recipe.apply(layer, seen).matrix.astype(np.float64)
    errors = {}
    for exponent, mantissa in SPLITS:
        for multiple in MULTIPLES:
            bias = round(multiple * full_bias(seen.reach, exponent, mantissa), 4)
            gap = minifloat(rows, exponent, mantissa, bias) @ matrix.T - rows @ layer.weight.T
            errors[exponent, mantissa, bias] = (gap**2).sum()
    inputs = wb.format(found.recipe.activations)
    chosen = errors[inputs.exponent, inputs.mantissa, inputs.bias]
    assert chosen == pytest.approx(min(errors.values()), rel=1e-5)


@pytest.mark.parametrize("inputs", ["", "e3m0(bias=0.4)", "int4/token"])
@pytest.mark.parametrize("split", SPLITS)
def test_the_bias_of_outputs_is_the_best_of_all_while_the_inputs_stay(
    inputs, split, weight, calibration
):
    format = f"e{split[0]}m{split[1]}"
    problem = Problem(weight, parse(f"{format}/channel"), calibration)
    found = RangeSearch(inputs=inputs).solve(problem).values.astype(np.float64)
    x = calibration.rows.astype(np.float64)
    rounded = np.float64(wb.scheme(inputs).round(calibration.rows)) if inputs else x
    exact = x @ weight.T
    errors = []
    for multiple in MULTIPLES:
        biases = [multiple * full_bias(row, *split) for row in weight]
        tried = [
            minifloat(np.float64(row), *split, b) for row, b in zip(weight, biases, strict=True)
        ]
        errors.append(((rounded @ np.array(tried).T - exact) ** 2).sum(0))
    ours = ((rounded @ found.T - exact) ** 2).sum(0)
    assert ours == pytest.approx(np.min(errors, axis=0), rel=2e-5)


def test_shifted_channels_are_the_published_ones_and_change_no_product(outlier_layers):
    layer, seen, _ = outlier_layers[NAMES[1]]
    x = seen.rows[:256].astype(np.float64)
    for exponent, mantissa in SPLITS:
        shift = ExponentShift(f"e{exponent}m{mantissa}")
        biases = np.array([full_bias(r, exponent, mantissa) for r in seen.reach])
        least = np.round(biases.min())
        k = np.clip(np.round(biases), least, least + 2**exponent - 1) - least
        assert np.array_equal(shift.octaves(seen.reach), k)
        assert k.max() == min(6, 2**exponent - 1)  # four channels reach 64 times as far
        bias = biases.min()
        direct = minifloat(x, exponent, mantissa, k + bias) @ layer.weight.T
        step = shift.fit(Reading(layer.weight, seen))
        moved = minifloat(step.inputs(seen.rows[:256]), exponent, mantissa, bias)
        moved = moved @ step.weights(layer.weight).astype(np.float64).T
        assert np.abs(moved - direct).max() <= 1e-5 * np.abs(direct).max()


def test_a_small_channel_is_raised_no_farther_than_the_exponents_reach():
    reach = np.array([1024.0, 512.0, 1.0, 0.0, 256.0])
    assert ExponentShift("e2m1").octaves(reach).tolist() == [0, 1, 3, 0, 2]
    assert ExponentShift("e3m0").octaves(reach).tolist() == [0, 1, 7, 0, 2]
    assert ExponentShift("e4m3").octaves(reach).tolist() == [0, 1, 10, 0, 2]
    assert ExponentShift("e4m3fn(nosub)").inputs == "e4m3"


def test_exponents_of_columns_are_stored_and_counted(weight):
    exponents = np.arange(64) % 4
    fitted = fit_columns(parse("e2m1/channel"), weight, exponents, 2)
    stored = fitted.quantize(fitted.round(weight))
    expected = np.stack([
        minifloat(np.float64(row), 2, 1, full_bias(row, 2, 1)) for row in weight * 2.0**exponents
    ])  # fmt: skip
    assert np.allclose(stored.dequantize(), expected / 2.0**exponents, rtol=1e-6)
    assert np.array_equal(stored.dequantize(), fitted.round(weight))
    assert np.array_equal(stored.exponents, exponents)
    assert stored.nbytes == 48 * 64 // 2 + 48 * 4 + 64 * 2 // 8
    low, high = fitted.region(slice(3, 9), slice(10, 20)).neighbours(weight[3:9, 10:20])
    here = fitted.round(weight)[3:9, 10:20]
    assert np.logical_or(here == low, here == high).all()


def test_small_columns_get_their_octaves_back(calibration):
    """Columns of a weight that a shift made small cost nothing once they have exponents."""
    weight = np.random.default_rng(5).standard_normal((48, 64)).astype(np.float32)
    octaves = np.arange(64) % 4
    small = weight * np.float32(2.0) ** -octaves
    known = Calibration.of(calibration.rows * np.float32(2.0) ** octaves)
    gaps = [
        Recipe.parse(f"w=e2m1/channel range_search(columns={bits})").apply(small, known)
        .error(Layer(small), known) for bits in (0, 2)
    ]  # fmt: skip
    whole = Recipe.parse("w=e2m1/channel range_search").apply(weight, calibration)
    plain = whole.error(Layer(weight), calibration)
    assert gaps[1] == pytest.approx(plain, rel=0.05)
    assert gaps[1] < 0.9 * gaps[0]


@given(
    st.sampled_from(["int4/g16", "int3/channel", "e2m1/channel", "e3m0/tensor", "int2/g32+zp",
                     "mxfp4", "nvfp4", "nf4/t16x16", "pow3(a=0.7)/token"]),
    st.integers(0, 10), st.sampled_from([0, 3]), st.floats(0.01, 100),
)  # fmt: skip
@settings(max_examples=30)
def test_ranges_are_never_worse_than_the_schemes_own(scheme, seed, columns, size):
    random = np.random.default_rng(seed)
    x = random.standard_normal((128, 32)) @ random.standard_normal((32, 32)) * size
    w = (random.standard_t(3, (20, 32)) / size).astype(np.float32)
    problem = Problem(w, parse(scheme), Calibration.of(x))
    solved = RangeSearch(columns=columns, steps=21).solve(problem)
    again = RangeSearch(columns=columns, steps=21).solve(problem)
    gram = problem.calibration.gram

    def error(values):
        gap = values.astype(np.float64) - w
        return float(np.einsum("ij,jk,ik->", gap, gram, gap))

    assert error(solved.values) <= error(problem.fitted.round(w)) * (1 + 1e-5)
    assert solved.values.tobytes() == again.values.tobytes()
    stored = solved.fitted.quantize(solved.values)
    assert np.allclose(stored.dequantize(), solved.values, rtol=1e-6, atol=0)


def test_turns_come_close_to_the_best_pair_of_all():
    """Two outputs, so that every format and bias of both sides can be tried together."""
    random = np.random.default_rng(1)
    x = (random.standard_normal((64, 4)) * [1, 1, 8, 0.5]).astype(np.float32)
    w = random.standard_normal((2, 4)).astype(np.float32)
    exact, tried = x.astype(np.float64) @ w.T, MULTIPLES[::4]
    best = np.inf
    for a, b in itertools.product(SPLITS, SPLITS):
        rows = [
            [minifloat(np.float64(row), *b, m * full_bias(row, *b)) for m in MULTIPLES] for row in w
        ]
        for m in tried:
            rounded = minifloat(np.float64(x), *a, m * full_bias(x, *a))
            gaps = [((rounded @ np.array(each).T - exact[:, [i]]) ** 2).sum(0).min()
                    for i, each in enumerate(rows)]  # fmt: skip
            best = min(best, sum(gaps) / (exact**2).sum())
    found = best_floats(w, Calibration.of(x), shifted=False, rounds=8)
    assert best * 0.9 < found.error < 1.3 * best < found.usual


def test_the_same_recipe_on_any_number_of_threads(outlier_layers):
    from workbench.kernels.threads import set_threads

    layer, seen, _ = outlier_layers[NAMES[1]]
    small, found = Layer(layer.weight[:8]), []
    try:
        for count in (1, 2):
            set_threads(count)
            found.append(best_floats(small, seen, rounds=1, tokens=32))
    finally:
        set_threads(None)
    assert str(found[0].recipe) == str(found[1].recipe)
    assert found[0].error == found[1].error


def test_a_real_bias_is_a_plain_cast_with_a_range_of_its_own():
    scheme = parse("e2m1(bias=2.5)")
    assert scheme.scale is None
    assert parse(str(scheme)) == scheme
    assert scheme.round([100.0])[0] == pytest.approx(6 * 2**-1.5)
    assert bias_for(2, 1, float(wb.format("e2m1(bias=2.5)").max)) == pytest.approx(2.5)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("w=e2m1/channel range_search(least=0)", "multiples of a bias"),
        ("w=e2m1/channel range_search(least=2)", "multiples of a bias"),
        ("w=e2m1/channel range_search(columns=9)", "0 to 8 bits"),
        ("w=e2m1/channel range_search(inputs=e2m9x)", "no format"),
        ("w=e2m1/channel exponent_shift(inputs=int4)", "no exponent to shift"),
        ("w=e2m1/channel exponent_shift(inputs=e0m3)", "no exponent to shift"),
    ],
)
def test_parts_that_cannot_be_are_refused(text, why):
    with pytest.raises(WorkbenchError, match=why) as refusal:
        Recipe.parse(text)
    assert str(refusal.value).count("→") == 2


def test_what_cannot_be_searched_is_said(weight, calibration):
    with pytest.raises(WorkbenchError, match="none were given"):
        RangeSearch().solve(Problem(weight, parse("e2m1/channel")))
    for scheme in ("e4m3fn", "bitmod4/g32*f16", "median2/channel+mean@std"):
        with pytest.raises(WorkbenchError, match="no range that could be smaller"):
            RangeSearch().solve(Problem(weight, parse(scheme), calibration))
    with pytest.raises(WorkbenchError, match="a comma ends a parameter"):
        RangeSearch(inputs="mix(int4,e2m1)/token")
    with pytest.raises(WorkbenchError, match="floats are searched with 3 to 8"):
        best_floats(weight, calibration, bits=2)
    with pytest.raises(WorkbenchError, match="one of each or more"):
        best_floats(weight, calibration, rounds=0)
    with pytest.raises(WorkbenchError, match="inputs are all zero"):
        best_floats(weight, Calibration.of(np.zeros((4, 64))))
    for exponents, bits in ((np.zeros(3), 2), (np.full(64, 4), 2), (np.zeros(64), 9)):
        with pytest.raises(WorkbenchError, match="→"):
            fit_columns(parse("e2m1/channel"), weight, exponents, bits)
    with pytest.raises(WorkbenchError, match="no scale that they could move"):
        fit_columns(parse("e4m3fn"), weight, np.zeros(64), 2)
