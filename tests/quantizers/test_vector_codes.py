"""Codes of vectors: k-means, steps of codes and codebooks against brute force, and their law."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy.cluster.vq import kmeans2

from workbench.errors import WorkbenchError
from workbench.kernels.threads import set_threads
from workbench.quantizers import Calibration, Layer, Recipe
from workbench.quantizers.solvers import Problem, PVTuning, VectorCodes
from workbench.quantizers.solvers import pv_tuning as pv
from workbench.quantizers.solvers.goal import Goal
from workbench.quantizers.solvers.vector_codes import k_means
from workbench.reproductions.vectors import full_descent
from workbench.schemes import parse
from workbench.schemes.vectors import fit_vectors, nearest_codes


def of(problem) -> Goal:
    return Goal.of(problem, "", "test")


def error(coded, goal) -> float:
    return float(goal.errors(coded[0].values(coded[1])).sum(dtype=np.float64))


@pytest.fixture(scope="module")
def problem(weight, calibration):
    return Problem(weight, parse("f16"), calibration)


@pytest.fixture(scope="module", params=[False, True], ids=["one size", "scales"])
def start(problem, request):
    return VectorCodes(bits=5, size=4, scales=request.param).start(problem)


@pytest.mark.parametrize("weighted", [False, True])
def test_k_means_ends_where_every_vector_is_the_mean_of_its_cell(weighted):
    random = np.random.default_rng(1)
    x = random.standard_normal((600, 3)).astype(np.float32)
    weights = random.uniform(0.2, 3, x.shape).astype(np.float32) if weighted else None
    table = k_means(x, 8, 500, np.random.default_rng(0), weights)
    codes = nearest_codes(x, table, weights)
    means = [
        np.average(x[codes == k], axis=0, weights=None if weights is None else weights[codes == k])
        for k in range(8)
    ]
    np.testing.assert_allclose(table, means, rtol=1e-4, atol=1e-6)


def test_k_means_is_as_good_as_that_of_another_library():
    x = np.random.default_rng(2).standard_normal((4000, 4)).astype(np.float32)
    table = k_means(x, 64, 100, np.random.default_rng(0))
    theirs, codes = kmeans2(x, 64, iter=100, minit="++", rng=0)
    ours = ((x - table[nearest_codes(x, table)]) ** 2).sum()
    assert ours < 1.03 * ((x - theirs[codes]) ** 2).sum()


def test_k_means_finds_what_was_planted_and_outlives_equal_vectors():
    random = np.random.default_rng(3)
    planted = 10 * random.standard_normal((16, 4))
    x = np.repeat(planted, 20, axis=0) + 0.01 * random.standard_normal((320, 4))
    table = k_means(x.astype(np.float32), 16, 20, np.random.default_rng(0))
    apart = np.abs(table[:, None] - planted).max(-1)
    assert sorted(apart.argmin(0)) == list(range(16))
    assert apart.min(0).max() < 0.02
    few = np.repeat(np.float32([[1, 2], [3, 4]]), 8, axis=0)
    assert {tuple(row) for row in k_means(few, 8, 5, np.random.default_rng(0))} == {(1, 2), (3, 4)}


def test_vectors_beat_the_best_scalar_codes_of_the_same_bits():
    """No four values get below 0.1175 on normal weights; 2 bits of four together do."""
    w = np.random.default_rng(4).standard_normal((256, 256)).astype(np.float32)
    layer = Recipe.parse("w=f16 vector_codes").apply(w)
    assert 2 < layer.bits_per_weight < 2.26
    assert ((layer.matrix - w) ** 2).mean() < 0.107


def test_weighting_helps_the_outputs_where_channels_differ_in_size(weight, calibration, held_out):
    sizes = np.float32(np.exp(np.random.default_rng(6).standard_normal(64)))
    problem = Problem(weight, parse("f16"), Calibration.of(calibration.rows * sizes))
    plain, weighted = (
        held_out * sizes @ (VectorCodes(bits=5, weighted=flag).solve(problem).values - weight).T
        for flag in (False, True)
    )
    assert (weighted**2).sum() < 0.6 * (plain**2).sum()


def test_the_step_of_codes_is_brute_force_over_every_code_in_turn(start, problem):
    goal, (fitted, codes) = of(problem), start
    found = pv.code_step(fitted, codes, goal)
    for row in range(0, 48, 7):
        mine = codes[row].copy()
        for place, table in itertools.product(range(mine.size), [fitted.table.astype(np.float64)]):
            tried = np.repeat(mine[None], len(table), axis=0)
            tried[:, place] = np.arange(len(table))
            gap = (
                table[tried].reshape(len(table), -1) * fitted.each_scale[row] - problem.weight[row]
            )
            mine[place] = np.einsum(
                "ij,jk,ik->i", gap, goal.square.astype(np.float64), gap
            ).argmin()
        assert np.array_equal(found[row], mine)


def test_the_step_of_the_codebook_is_least_squares(start, problem):
    """Against a dense solution over all rows at once, in float64."""
    goal, (fitted, codes) = of(problem), start
    count, size = fitted.table.shape
    root = np.linalg.cholesky(goal.square.astype(np.float64) + 1e-9 * np.eye(64))
    rows = []
    for row, mine in enumerate(codes):
        spread = np.zeros((64, count, size))
        for place, code in enumerate(mine):
            spread[place * size + np.arange(size), code, np.arange(size)] += fitted.each_scale[row]
        rows.append(root.T @ spread.reshape(64, -1))
    wanted = (problem.weight @ root).reshape(-1)
    exact = np.linalg.lstsq(np.concatenate(rows), wanted, rcond=None)[0].reshape(count, size)
    values = exact[codes].reshape(fitted.shape) * fitted.each_scale
    least = float(goal.errors(np.float32(values)).sum())
    found = pv._least_squares(fitted, codes, goal)
    ours, before = (error((one, codes), goal) for one in (found, fitted))
    assert least < 0.95 * before
    assert ours - least < 1e-3 * (before - least)


def test_the_step_of_scales_is_least_squares_for_each_row(problem):
    fitted, codes = VectorCodes(bits=5, scales=True).start(problem)
    goal, found = of(problem), pv._least_scales(fitted, codes, of(problem)).row_scales
    unit = fitted.table[codes].reshape(fitted.shape).astype(np.float64)
    root = np.linalg.cholesky(problem.calibration.gram)
    for row in range(48):
        exact = np.linalg.lstsq((unit[row] @ root)[:, None], problem.weight[row] @ root, rcond=None)
        assert found[row] == pytest.approx(float(exact[0][0]), rel=1e-4)
    assert error(
        (fit_vectors(parse("f16"), fitted.shape, fitted.table, found), codes), goal
    ) < error((fitted, codes), goal)


@pytest.mark.parametrize("scheme", ["f16", "e4m3fn", "int4/tensor"])
@pytest.mark.parametrize("scales", [False, True])
def test_no_step_raises_the_error_and_unseen_rows_gain(scheme, scales, problem, held_out):
    problem = Problem(problem.weight, parse(scheme), problem.calibration)
    start = VectorCodes(bits=5, scales=scales).start(problem)
    goal, history = of(problem), []
    for coded in pv.tuned(start, goal, 20):
        history.append(error(coded, goal))
    assert all(after <= before for before, after in itertools.pairwise(history))
    first, last = (held_out @ (c[0].values(c[1]) - problem.weight).T for c in (start, coded))
    assert (last**2).sum() < 0.5 * (first**2).sum()
    assert (coded[1] != start[1]).mean() >= 0.2


def test_gradient_steps_of_few_vectors_fall_and_those_of_all_change_nothing(problem):
    goal, start = of(problem), VectorCodes(bits=6, size=4).start(problem)
    fitted, codes = start
    before, changed = error(start, goal), {}
    for count in (1, 5, 20, 100, codes.size):
        moved = pv.gradient_step(fitted, codes, goal, count)
        changed[count] = int((moved != codes).sum())
        after = error((fitted, moved), goal)
        assert after < before if changed[count] else after == before
        assert changed[count] <= count
    assert changed[5] >= 1
    assert changed[codes.size] == 0
    hasty = pv.gradient_step(fitted, codes, goal, codes.size, alone=True)
    assert error((fitted, hasty), goal) > 2 * before
    far = fitted.codes(full_descent(fitted.values(codes), goal))
    assert np.array_equal(far, codes)


def test_a_recipe_of_it_is_stored_and_counted(layer, calibration, held_out):
    recipe = Recipe.parse("hadamard w=f16 pv_tuning(bits=5,size=2,scales=true) low_rank(2) seed=3")
    assert Recipe.from_json(recipe.json()) == recipe == Recipe.parse(str(recipe))
    made = recipe.apply(layer, calibration)
    codes = 48 * 32 * 5 // 8
    assert made.weight.nbytes == codes + 32 * 2 * 2 + 48 * 4
    other = Calibration.of(held_out)
    plain = Recipe.parse("hadamard w=int2/channel low_rank(2)").apply(layer, calibration)
    assert made.error(layer, other) < 0.3 * plain.error(layer, other)


def test_the_same_bytes_for_any_number_of_threads(calibration):
    w = np.random.default_rng(5).standard_normal((600, 64)).astype(np.float32)
    found = []
    for threads in (1, 2):
        set_threads(threads)
        made = Recipe.parse("w=f16 pv_tuning(rounds=2)").apply(w, calibration)
        found.append((made.weight.packed.tobytes(), made.weight.codebook.packed.tobytes()))
    set_threads(None)
    assert found[0] == found[1]
    other = Recipe.parse("w=f16 pv_tuning(rounds=2) seed=1").apply(w, calibration)
    assert other.weight.packed.tobytes() != found[0][0]


def test_channels_without_inputs_and_rows_of_zeros_are_no_trouble(weight, calibration):
    x = calibration.rows.copy()
    x[:, 8:20] = 0
    w = weight.copy()
    w[3] = 0
    for scales in (False, True):
        solved = PVTuning(bits=4, scales=scales).solve(Problem(w, parse("f16"), Calibration.of(x)))
        assert np.isfinite(solved.values).all()


@pytest.mark.parametrize("solver", ["vector_codes", "pv_tuning"])
def test_what_cannot_be_is_refused(solver, layer, calibration):
    for text, why in (
        ("bits=0", "1 to 16 bits"), ("bits=17", "1 to 16 bits"), ("size=0", "a weight or more"),
        ("size=5", "whole vectors"), ("bits=10", "1024 or more whole vectors"),
    ):  # fmt: skip
        with pytest.raises(WorkbenchError, match=why):
            Recipe.parse(f"w=f16 {solver}({text})").apply(layer, calibration)
    steps = "rounds" if solver == "pv_tuning" else "steps"
    with pytest.raises(WorkbenchError, match="write"):
        Recipe.parse(f"w=f16 {solver}({steps}=0)")


def test_a_layer_without_known_inputs_is_refused_where_they_are_needed(layer):
    assert Recipe.parse("w=f16 vector_codes(bits=4)").apply(layer).weight.bits == 4
    for text in ("vector_codes(bits=4,weighted=true)", "pv_tuning(bits=4)"):
        with pytest.raises(WorkbenchError, match="pass a calibration"):
            Recipe.parse(f"w=f16 {text}").apply(Layer.of(layer))
