"""Solvers that move scales with the weights: what they give, and what cannot be."""

from __future__ import annotations

import itertools
import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.errors import WorkbenchError
from workbench.quantizers import Calibration, Layer, Recipe
from workbench.quantizers.activations import Activations, Rounding
from workbench.quantizers.solvers import GPTQ, AdaQuant, Decoupled, LearnedCodes, Problem
from workbench.quantizers.solvers.best_scales import best_scales, codes_of
from workbench.quantizers.solvers.goal import Goal
from workbench.quantizers.solvers.gptq import inverse_factor, rounded_in_order
from workbench.quantizers.solvers.moved_scales import stored
from workbench.quantizers.solvers.static_inputs import SHARES, best_ranges, rounded_goal
from workbench.schemes import parse

SCHEMES = (
    "int4/g32", "int3/channel", "int3/g24+zp", "int2/channel+mean", "e2m1/g8", "nf4/b64", "mxfp4",
    "nvfp4", "int3/g16*f16", "int4/g16*pow2(m2)", "int4/t16x16", "int8/tensor",
    "binary/g16@absmean", "pow4(a=0.5)/channel", "median2/channel+mean@std",
    "int2/g16*e4m3fn*f32+zp",
)  # fmt: skip
SOLVERS = (AdaQuant(steps=120), Decoupled(rounds=4))


def loss(values, weight, gram):
    gap = values.astype(np.float64) - weight
    return float(((gap @ gram) * gap).sum())


@pytest.mark.parametrize("text", SCHEMES)
@pytest.mark.parametrize("solver", SOLVERS, ids=lambda solver: solver.name)
def test_values_are_on_the_grid_and_better_on_unseen_rows(
    solver, text, weight, calibration, held_out
):
    problem = Problem(weight, parse(text), calibration)
    solved = solver.solve(problem)
    packed = solved.fitted.quantize(solved.values).dequantize()
    assert np.allclose(packed, solved.values, rtol=1e-6, atol=1e-9)
    gram = held_out.T.astype(np.float64) @ held_out
    assert loss(solved.values, weight, gram) < 0.65 * loss(parse(text).round(weight), weight, gram)


@given(
    st.sampled_from(["int2/channel", "int3/g16+zp", "int2/channel+mean", "int4/tensor", "e2m1/g16",
                     "mxfp4", "int3/g16*f16"]),
    st.integers(0, 10), st.sampled_from([0.01, 1.0, 100.0]),
)  # fmt: skip
@settings(max_examples=12)
def test_they_are_never_worse_than_nearest_and_the_same_every_time(scheme, seed, size):
    random = np.random.default_rng(seed)
    x = random.standard_normal((160, 32)) @ random.standard_normal((32, 32)) * size
    w = (random.standard_t(3, (12, 32)) / size).astype(np.float32)
    w[0], w[:, 3], x[:, 5] = 0, 0, 0
    problem = Problem(w, parse(scheme), Calibration.of(x))
    damped = problem.calibration.gram + np.eye(32) * 0.01 * np.trace(problem.calibration.gram) / 32
    for solver, gram in (
        (AdaQuant(steps=30, bias=False), problem.calibration.gram), (Decoupled(rounds=2), damped),
    ):  # fmt: skip
        solved, again = solver.solve(problem), solver.solve(problem)
        plain = loss(problem.fitted.round(w), w, gram)
        assert loss(solved.values, w, gram) <= plain * (1 + 1e-5)
        assert np.isfinite(solved.values).all()
        assert (solved.fitted.chosen.scales > 0).all()
        assert (solved.values[0] == 0).all()
        assert solved.values.tobytes() == again.values.tobytes()


@pytest.mark.parametrize("solver", [AdaQuant(steps=5), Decoupled(rounds=2)], ids=str)
@pytest.mark.parametrize("scheme", ["int3/channel+mean", "int4/g32+zp", "int4/tensor"])
def test_the_same_bytes_on_any_number_of_threads(solver, scheme, calibration):
    from workbench.kernels.threads import set_threads

    weight = np.random.default_rng(0).standard_normal((600, 64)).astype(np.float32)
    found = []
    try:
        for count in (1, 2):
            set_threads(count)
            solved = solver.solve(Problem(weight, parse(scheme), calibration))
            found.append(solved.values.tobytes() + solved.fitted.chosen.scales.tobytes())
    finally:
        set_threads(None)
    assert found[0] == found[1]


class TestAdaQuant:
    def test_its_error_with_rounded_inputs_is_that_of_the_rows(self, weight, calibration):
        values = parse("int3/channel").round(weight)
        inputs = Activations.of("int4/tensor", True, calibration)
        rows, given = calibration.rows, inputs.round(calibration.rows)
        lack = given.astype(np.float64) @ values.T - rows.astype(np.float64) @ weight.T
        size = np.trace(calibration.gram) / 64
        for centred in (False, True):
            goal = rounded_goal(weight, calibration, inputs, centred)
            expected = ((lack - centred * lack.mean(0)) ** 2).mean(0) / size
            assert goal.errors(values) == pytest.approx(expected, rel=1e-4)
        exact = rounded_goal(weight, calibration, None, False)
        usual = Goal.of(Problem(weight, parse("int4"), calibration), "", "test")
        assert exact.errors(values) == pytest.approx(usual.errors(values), rel=1e-5)

    def test_the_range_of_inputs_is_the_best_of_all_shares(self, calibration, weight):
        """Tried one by one, on outputs; the full range is among them."""
        sizes = np.random.default_rng(2).gamma(0.3, size=(512, 1)).astype(np.float32)
        known = calibration.rows[:512] * sizes
        known, values = Calibration.of(known), parse("int4/channel").round(weight)
        full = Activations.of("int4/tensor", True, known)
        for centred in (False, True):
            found = best_ranges(full, known, weight, values, centred)

            def error(share, centred=centred):
                step = known.reach.max() * np.float32(share) / 7
                given = np.clip(np.round(known.rows / step), -8, 7) * step
                lack = given.astype(np.float64) @ values.T - known.rows @ weight.T
                return ((lack - centred * lack.mean(0)) ** 2).sum()

            shares = [1.0, *SHARES]
            best = shares[int(np.argmin([error(share) for share in shares]))]
            scale = found.fixed.scales[0, 0]
            assert scale == pytest.approx(known.reach.max() * best / 7, rel=1e-6)
            assert best < 0.6

    @pytest.mark.parametrize(
        "inputs", ["uint4/tensor+zp", "int4/tensor+mean", "int4/channel", "int4/channel@mse",
                   "uint4/channel+zp", "e2m1/tensor*f16"],
    )  # fmt: skip
    def test_ranges_of_any_kind_only_get_better(self, inputs, layer, calibration, held_out):
        sizes = np.random.default_rng(2).gamma(0.5, size=(2560, 1)).astype(np.float32)
        seen = Calibration.of(calibration.rows * sizes[:2048])
        other = Calibration.of(held_out * sizes[2048:])
        text = f"w=int4/channel adaquant(steps=40) a={inputs} static"
        moved, kept = (
            Recipe.parse(text.replace("steps=40", f"steps=40,ranges={flag}")).apply(layer, seen)
            for flag in ("true", "false")
        )
        assert moved.error(layer, seen) < kept.error(layer, seen)
        searched = "mse" in inputs  # already, and a range a channel fits the rows it has seen
        assert moved.error(layer, other) < (1.05 if searched else 0.8) * kept.error(layer, other)
        stored = moved.activations.fixed.round(other.rows)
        assert np.allclose(moved.activations.fixed.round(stored), stored, atol=1e-4)

    @pytest.mark.parametrize("inputs", ["", "int4/token", "uint4/tensor+zp"])
    def test_the_bias_takes_the_mean_error_off(self, inputs, weight, calibration):
        rows = calibration.rows + 1.5
        seen = Calibration.of(rows)
        plan = Rounding("int2/channel", inputs, "tensor" in inputs)
        problem = Problem(weight, parse("int2/channel"), seen, rounding=plan)
        solved = AdaQuant(steps=50).solve(problem)
        given = rows
        if inputs:
            given = (solved.activations or Activations.of(inputs)).round(rows)
        lack = rows.astype(np.float64) @ weight.T - given.astype(np.float64) @ solved.values.T
        assert np.abs(lack.mean(0) - solved.bias).max() < 1e-4 * np.abs(lack).max()
        assert np.abs(solved.bias).max() > 0.01
        assert (solved.activations is None) == ("tensor" not in inputs)
        assert AdaQuant(steps=2, bias=False).solve(problem).bias is None

    def test_it_looks_ahead_at_rounded_inputs(self, layer, calibration, held_out):
        seen, other = calibration, Calibration.of(held_out)
        plan = Rounding("int4/channel", "int3/token", False)
        blind, aware = (
            AdaQuant(bias=False).solve(Problem(layer.weight, parse("int4/channel"), seen,
                                               rounding=rounding)).values
            for rounding in (Rounding(), plan)
        )  # fmt: skip
        given = Activations.of("int3/token").round(other.rows).astype(np.float64)
        exact = other.rows.astype(np.float64) @ layer.weight.T
        blind, aware = (((given @ values.T - exact) ** 2).sum() for values in (blind, aware))
        assert aware < 0.9 * blind

    def test_weights_beyond_the_grid_pull_its_scale(self, calibration):
        """There the rounding stands still, so a difference of scales says the gradient."""
        from workbench.quantizers.solvers.adaquant import _Weights

        weight = np.float32(np.random.default_rng(0).choice([-3.0, 3.0], (2, 64)))
        problem = Problem(weight, parse("int2n/channel"), calibration)
        narrow = problem.fitted.chosen._replace(scales=np.float32([[0.5], [0.7]]))
        goal = rounded_goal(weight, calibration, None, False)
        state = _Weights(replace(problem.fitted, chosen=narrow), goal, slice(0, 2))
        still = np.zeros((2, 1), np.float32)
        _, slope = state._gradients([state.places, still, still], np.ones((2, 1), np.float32))

        def error(log):
            values = np.sign(weight) * narrow.scales * np.exp(log)
            gap = values.astype(np.float64) - weight
            return ((gap @ goal.square) * gap).sum(1)

        assert 2 * slope[:, 0] == pytest.approx((error(1e-3) - error(-1e-3)) / 2e-3, rel=1e-3)


class TestDecoupled:
    @pytest.mark.parametrize("text", ["int2/channel+mean", "int3/g16", "int2/g16+zp", "mxfp4",
                                      "int3/t16x32", "int4/tensor", "e2m1/g16*f16"])  # fmt: skip
    def test_the_objective_never_rises_and_is_what_it_says(self, text, weight, calibration):
        problem = Problem(weight, parse(text), calibration)
        steps = list(Decoupled(rounds=6).progress(problem))
        errors = [error for error, _ in steps]
        assert errors == sorted(errors, reverse=True)
        assert errors[-1] < 0.9 * errors[0]
        gram = calibration.gram / (np.trace(calibration.gram) / 64) + 0.01 * np.eye(64)
        for error, solved in steps:
            assert loss(solved.values, weight, gram) == pytest.approx(error, rel=1e-9)
        nearest = loss(problem.fitted.round(weight), weight, gram)
        assert errors[0] <= nearest
        assert Decoupled(rounds=6).solve(problem).values.tobytes() == steps[-1][1].values.tobytes()

    @pytest.mark.parametrize("text", ["int2/channel+mean", "int3/channel", "int2/g16+mean",
                                      "e2m1/g16", "int4/tensor", "int3/t16x32"])  # fmt: skip
    def test_scales_are_those_of_least_squares(self, text, weight, calibration):
        """[9] By a QR solver in float64, all blocks that share a band of rows together."""
        fitted = parse(text).fit(weight)
        codes = codes_of(fitted, fitted.round(weight))
        found = best_scales(fitted, codes, weight, calibration.gram).chosen
        root = np.linalg.cholesky(calibration.gram).T
        bands, across = fitted.chosen.scales.shape
        height, size = -(-48 // bands), -(-64 // across)
        for band in range(bands):
            rows = slice(band * height, (band + 1) * height)
            columns = []
            for part in (codes, np.ones_like(codes))[: 2 if "mean" in text else 1]:
                for block in range(across):
                    mine = np.zeros_like(part[rows], np.float64)
                    at = slice(block * size, (block + 1) * size)
                    mine[:, at] = part[rows, at]
                    columns.append((mine @ root.T).reshape(-1))
            target = (weight[rows].astype(np.float64) @ root.T).reshape(-1)
            exact = np.linalg.lstsq(np.stack(columns, axis=1), target, rcond=None)[0]
            ours = found.scales[band]
            if "mean" in text:
                ours = np.concatenate([ours, found.zeros[band]])
            assert np.abs(ours - exact).max() < 1e-5 * np.abs(exact).max()

    def test_zero_points_are_next_to_the_best(self, calibration):
        """Of all 16, each with the best scale for it."""
        weight = np.float32(np.random.default_rng(1).gamma(2.0, size=(24, 64)) - 1)
        fitted = parse("int4/channel+zp").fit(weight)
        fitted = replace(fitted, chosen=fitted.chosen._replace(zeros=fitted.chosen.zeros + 3))
        codes = codes_of(fitted, fitted.round(weight))
        found = best_scales(fitted, codes, weight, calibration.gram)
        values = (codes - found.zeros) * found.scales
        gram, ours = calibration.gram, []
        for row, code in enumerate(codes.astype(np.float64)):
            tried = []
            for zero in range(-8, 8):
                units = code - zero
                scale = units @ gram @ weight[row] / (units @ gram @ units)
                tried.append(loss((units * scale)[None], weight[row : row + 1], gram))
            one = slice(row, row + 1)
            ours.append(loss(values[one], weight[one], gram) / min(tried))
        assert min(ours) > 1 - 1e-5
        assert np.mean(np.array(ours) < 1 + 1e-5) > 0.7
        assert max(ours) < 1.2

    def test_small_problems_come_near_the_optimum_and_never_below(self):
        """All codes tried, each with its own best scale and offset."""
        random = np.random.default_rng(0)
        codes = np.array(list(itertools.product([-2, -1, 0, 1], repeat=6)), np.float64)
        codes = codes[codes.std(axis=1) > 0]
        ratios = []
        for _ in range(20):
            x = random.standard_normal((64, 6)) @ random.standard_normal((6, 6))
            w = random.standard_normal((1, 6)).astype(np.float32)
            problem = Problem(w, parse("int2/channel+mean"), Calibration.of(x))
            gram = problem.calibration.gram
            ones = np.ones(6) @ gram
            a, b, c = np.einsum("ij,jk,ik->i", codes, gram, codes), codes @ ones, ones.sum()
            f, g = codes @ gram @ w[0], float(ones @ w[0])
            least = w[0] @ gram @ w[0] - (f * f * c - 2 * f * g * b + g * g * a) / (a * c - b * b)
            solvers = (Decoupled(damp=1e-6), GPTQ(damp=1e-6, act_order=True))
            ratios.append([loss(s.solve(problem).values, w, gram) / least.min() for s in solvers])
        ours, gptq = np.array(ratios).T
        assert (ours > 1 - 1e-4).all()
        assert np.exp(np.log(ours).mean()) < 0.5 * np.exp(np.log(gptq).mean())

    def test_with_scales_kept_it_is_gptq(self, weight, calibration):
        problem = Problem(weight, parse("int3/g16"), calibration)
        order = np.argsort(-np.diag(calibration.gram), kind="stable")
        factor = inverse_factor(calibration.gram[np.ix_(order, order)], 0.01)
        found = rounded_in_order(weight, problem.fitted, factor, order)
        assert np.array_equal(found, GPTQ(act_order=True).solve(problem).values)

    @pytest.mark.parametrize(("text", "most"), [("int2/channel+mean", 0.5), ("int3/g32", 0.8)])
    def test_it_is_better_than_gptq_on_unseen_rows(self, text, most, weight, calibration, held_out):
        usual = parse(text.replace("+mean", "+zp"))
        gptq = GPTQ(act_order=True).solve(Problem(weight, usual, calibration)).values
        ours = Decoupled().solve(Problem(weight, parse(text), calibration)).values
        gram = held_out.T.astype(np.float64) @ held_out
        assert loss(ours, weight, gram) < most * loss(gptq, weight, gram)


def test_scales_come_back_as_they_are_stored(weight):
    scales = np.float32([[0.013, 0.021, 0.034, 0.055]] * 48)
    for text in ("int4/g16*f16", "int4/g16*pow2", "int4/g16*e8m0", "int4/g16*pow2(m2)",
                 "int4/g16*e4m3fn*f32"):  # fmt: skip
        fitted = parse(text).fit(weight)
        found = stored(fitted, scales)
        assert np.array_equal(stored(fitted, found), found)
        within = np.minimum(scales, found.max())  # two levels end at the largest of the weight
        assert np.abs(np.log2(found / within)).max() <= 0.5 + 1e-6
        chosen = fitted.chosen._replace(scales=found)
        moved = replace(fitted, chosen=chosen)
        values = moved.round(weight)
        assert np.array_equal(moved.quantize(values).dequantize(), values)


@pytest.mark.parametrize(
    "scheme", ["int4/g32", "int4/channel+zp", "mxfp4", "median2/channel+mean@std"]
)
def test_they_go_with_transforms_and_residuals(scheme, layer, calibration, held_out):
    exact = held_out @ layer.weight.T + layer.bias
    transforms = ("smooth", "center", "hadamard")
    solvers = ("adaquant(steps=20)", "decoupled(rounds=2)", "learned_codes(steps=10,loss=cosine)")
    for transform, solver in itertools.product(transforms, solvers):
        text = f"{transform} w={scheme} {solver} a=int8/token learned_low_rank(rank=4,steps=20)"
        recipe = Recipe.parse(text)
        assert Recipe.parse(str(recipe)) == Recipe.from_json(json.dumps(recipe.json())) == recipe
        gap = recipe.apply(layer, calibration)(held_out) - exact
        relative = float((gap**2).mean() / ((exact - layer.bias) ** 2).mean())
        assert relative < (0.5 if "2" in scheme[:8] else 0.05), (transform, solver, relative)


@pytest.mark.parametrize(
    "text",
    [
        "adaquant(steps=0)", "adaquant(rate=0)", "adaquant(scale_rate=-1)", "decoupled(rounds=0)",
        "decoupled(damp=-0.1)", "learned_low_rank(rank=0)", "learned_low_rank(steps=0)",
        "learned_codes(loss=mae)", "learned_codes(freedom=all)", "learned_codes(optimizer=lion)",
    ],
)  # fmt: skip
def test_parts_that_cannot_be_are_refused(text):
    with pytest.raises(WorkbenchError) as refusal:
        Recipe.parse(f"w=int4/channel {text}")
    assert "→" in str(refusal.value)


def test_what_cannot_be_solved_is_said(weight, calibration):
    for solver in (AdaQuant(), Decoupled(), LearnedCodes(loss="kl")):
        with pytest.raises(WorkbenchError, match="none were given"):
            solver.solve(Problem(weight, parse("int4/g32")))
        with pytest.raises(WorkbenchError, match="a grid of its own"):
            solver.solve(Problem(weight, parse("bitmod4/g32*f16"), calibration))
    for solver in (AdaQuant(), Decoupled()):
        with pytest.raises(WorkbenchError, match="no scale that could be moved"):
            solver.solve(Problem(weight, parse("e4m3fn"), calibration))
    layer = Layer(weight)
    with pytest.raises(WorkbenchError, match="none were given"):
        Recipe.parse("w=int4/channel learned_low_rank").apply(layer)
    with pytest.raises(WorkbenchError, match="48 x 64"):
        Recipe.parse("w=int4/channel learned_low_rank(rank=49)").apply(layer, calibration)
