"""Solvers against rounding to nearest, exhaustive search and a plain form of the algorithm."""

import itertools

import numpy as np
import pytest

import workbench as wb
from workbench.errors import WorkbenchError
from workbench.quantizers import Calibration
from workbench.quantizers.solvers import GPTQ, AdaRound, Clip, Nearest, Problem
from workbench.quantizers.solvers.gptq import inverse_factor
from workbench.schemes import parse

SCHEMES = (
    "int4/g32", "int3/channel", "int4/g16+zp", "int2/g32@mse", "mxfp4", "nvfp4", "nf4/b64",
    "e4m3fn",
    "e2m1/g8", "pow4(a=0.5)/channel", "bitmod4/g32*f16", "int4/t16x16", "int8/tensor", "e3m2/token",
)  # fmt: skip


def error(values, weight, rows):
    return float((((values - weight) @ rows.T).astype(np.float64) ** 2).sum())


@pytest.mark.parametrize("text", SCHEMES)
@pytest.mark.parametrize("solver", [GPTQ(), GPTQ(act_order=True)], ids=str)
def test_gptq_with_independent_inputs_is_nearest(text, solver, weight):
    problem = Problem(weight, parse(text), Calibration.identity(64))
    assert np.array_equal(solver.solve(problem).values, parse(text).round(weight))


@pytest.mark.parametrize("text", SCHEMES)
@pytest.mark.parametrize("solver", [GPTQ(), GPTQ(act_order=True)], ids=str)
def test_gptq_is_better_on_rows_it_has_not_seen(text, solver, weight, calibration, held_out):
    problem = Problem(weight, parse(text), calibration)
    solved = solver.solve(problem)
    assert error(solved.values, weight, held_out) < 0.8 * error(
        parse(text).round(weight), weight, held_out
    )
    packed = solved.fitted.quantize(solved.values)
    assert np.allclose(packed.dequantize(), solved.values, rtol=1e-6, atol=0)


def plainly(weight, gram, text, damp=0.01):
    """The published algorithm, one column at a time in float64, without blocks of columns."""
    left, out = weight.astype(np.float64).copy(), np.empty_like(weight, dtype=np.float64)
    inverse = np.linalg.inv(gram + np.eye(len(gram)) * damp * np.diag(gram).mean())
    factor = np.linalg.cholesky(inverse).T
    scale = np.abs(weight).max(1, keepdims=True) / 7
    for column in range(len(gram)):
        at = left[:, column : column + 1]
        out[:, column : column + 1] = np.clip(np.round(at / scale), -8, 7) * scale
        gap = (at - out[:, column : column + 1]) / factor[column, column]
        left[:, column:] -= gap @ factor[column : column + 1, column:]
    return out


def test_gptq_is_the_published_algorithm(weight, calibration):
    found = GPTQ().solve(Problem(weight, parse("int4/channel"), calibration)).values
    expected = plainly(weight, calibration.gram, "int4/channel")
    assert (np.abs(found - expected) > 1e-5).mean() < 0.005  # ties of float32 and float64


def test_inverse_factor_is_that_of_the_inverse(calibration):
    factor = inverse_factor(calibration.gram, 0.01).astype(np.float64)
    damped = calibration.gram + np.eye(64) * 0.01 * np.diag(calibration.gram).mean()
    assert np.allclose(np.linalg.inv(damped), factor.T @ factor, rtol=1e-4, atol=1e-7)


def test_gptq_is_never_below_the_optimum_and_nearer_to_it_than_nearest():
    random, levels = np.random.default_rng(0), np.array([-2, -1, 0, 1])
    codes = np.array(list(itertools.product(levels, repeat=6)), np.float64)
    ratios = []
    for _ in range(40):
        x = random.standard_normal((64, 6)) @ random.standard_normal((6, 6))
        w = random.standard_normal((1, 6)).astype(np.float32)
        problem = Problem(w, parse("int2/channel"), Calibration.of(x))
        gram = problem.calibration.gram
        all_ = codes * float(np.abs(w).max()) - w
        best = np.einsum("ij,jk,ik->i", all_, gram, all_).min()
        found = [s.solve(problem).values.astype(np.float64) - w for s in (GPTQ(), Nearest())]
        ratios.append([float((d @ gram @ d.T)[0, 0]) / best for d in found])
    gptq, nearest = np.array(ratios).T
    assert (gptq >= 1 - 1e-9).all()
    assert np.exp(np.log(gptq).mean()) < 0.85 * np.exp(np.log(nearest).mean())


@pytest.mark.parametrize("text", ["int4/channel", "int3/g16", "e2m1/g32", "nf4/b64", "int4/g32+zp"])
def test_adaround_takes_a_neighbour_and_is_better(text, weight, calibration, held_out):
    problem = Problem(weight, parse(text), calibration)
    values = AdaRound().solve(problem).values
    low, high = problem.fitted.region(slice(None), slice(None)).neighbours(weight)
    assert np.logical_or(values == low, values == high).all()
    nearest = parse(text).round(weight)
    assert error(values, weight, held_out) < 0.8 * error(nearest, weight, held_out)
    assert 0.02 < (values != nearest).mean() < 0.3


def test_clip_is_the_best_of_its_shares(weight, calibration):
    problem = Problem(weight, parse("int3/channel"), calibration)
    size = np.diag(calibration.gram)
    found = ((Clip().solve(problem).values - weight) ** 2 * size).sum(1)
    amax = np.abs(weight).max(1, keepdims=True)
    tried = []
    for share in np.linspace(1, 0.3, 29).astype(np.float32):
        scale = amax * share / 3
        rounded = np.clip(np.round(weight / scale), -4, 3) * scale
        tried.append(((rounded - weight) ** 2 * size).sum(1))
    assert np.allclose(found, np.min(tried, axis=0), rtol=1e-3)


def test_a_channel_that_is_never_used_does_no_harm(weight, held_out):
    rows = held_out.copy()
    rows[:, 5] = 0
    problem = Problem(weight, parse("int4/channel"), Calibration.of(rows))
    values = GPTQ().solve(problem).values
    assert np.isfinite(values).all()
    assert (values[:, 5] == 0).all()


def test_what_a_solver_cannot_do_is_said(weight, calibration):
    with pytest.raises(WorkbenchError, match="none were given"):
        GPTQ().solve(Problem(weight, parse("int4/g32")))
    with pytest.raises(WorkbenchError, match="a grid of its own"):
        AdaRound().solve(Problem(weight, parse("bitmod4/g32*f16"), calibration))
    with pytest.raises(WorkbenchError, match="no range that could be smaller"):
        Clip().solve(Problem(weight, parse("e4m3fn"), calibration))
    singular = Calibration.of(np.ones((4, 64), np.float32))
    with pytest.raises(WorkbenchError, match="singular"):
        GPTQ(damp=0.0).solve(Problem(weight, parse("int4/g32"), singular))
    assert singular.shortage.startswith("4 calibration rows for 64 features")


@pytest.mark.parametrize("solver", [GPTQ(), AdaRound(steps=30), Clip()], ids=str)
def test_the_same_bytes_on_any_number_of_threads(solver, calibration):
    from workbench.kernels.threads import set_threads

    weight = np.random.default_rng(0).standard_normal((4200, 64)).astype(np.float32)
    found = []
    try:
        for count in (1, 2):
            set_threads(count)
            found.append(solver.solve(Problem(weight, parse("int4/g32"), calibration)).values)
    finally:
        set_threads(None)
    assert found[0].tobytes() == found[1].tobytes()


def test_nearest_is_the_scheme(weight):
    assert np.array_equal(
        Nearest().solve(Problem(weight, parse("mxfp4"))).values, wb.scheme("mxfp4").round(weight)
    )
