"""Learned codes and exponents: on the grid, better on unseen rows, never worse than nearest."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import workbench as wb
from workbench.errors import WorkbenchError
from workbench.models.calibrate import calibrate
from workbench.quantizers import Calibration, Layer, Recipe, best_power
from workbench.quantizers.solvers import AdaRound, LearnedCodes, Problem
from workbench.quantizers.solvers.adam import Adam
from workbench.quantizers.solvers.goal import Goal
from workbench.quantizers.solvers.learned_codes import _Grid, _of_power, _with_power
from workbench.schemes import parse

NAME = "layers.1.mlp.gate_proj"
POWERS = np.arange(0.4, 1.3, 0.05)


def error(values, weight, gram):
    gap = values.astype(np.float64) - weight
    return float(np.einsum("ij,jk,ik->", gap, gram, gap))


@pytest.fixture(scope="module")
def real_layer():
    """64 outputs of a layer of the shipped model, and rows of two texts."""
    model, text = wb.models.open_model("reference"), wb.models.held_out_text()
    seen = calibrate(model, text[: len(text) // 2], [NAME], 4096)[NAME]
    other = calibrate(model, text[len(text) // 2 :], [NAME], 2048)[NAME]
    return Layer(Layer.of(model.linears()[NAME]).weight[:64]), seen, other


@pytest.mark.parametrize("bits", [4, 3])
def test_learned_codes_beat_the_best_grid_on_rows_they_have_not_seen(bits, real_layer):
    layer, seen, other = real_layer
    texts = [f"w=pow{bits}(a={power:.2f})/channel" for power in POWERS]
    grids = [Recipe.parse(text).apply(layer) for text in texts]
    best = min(grids, key=lambda made: made.error(layer, seen))
    start = best_power(layer.weight, bits).scheme
    made = Recipe.parse(f"w={start} learned_codes(steps=300)").apply(layer, seen)
    assert made.error(layer, seen) <= best.error(layer, seen)
    assert made.error(layer, other) <= 0.85 * best.error(layer, other)
    assert 0.5 < made.weight.scheme.format.power < 1.0


def test_the_whole_grid_helps_where_ranges_cut_weights_off(real_layer):
    layer, seen, other = real_layer
    both = [
        Recipe.parse(f"w=int3/channel@mse {solver}").apply(layer, seen).error(layer, other)
        for solver in ("learned_codes", "adaround")
    ]
    assert both[0] <= 0.95 * both[1]


@pytest.mark.parametrize("start", [0.4, 1.0, 1.4])
def test_the_exponent_is_found_from_afar(start, real_layer):
    layer, seen, _ = real_layer
    problem = Problem(layer.weight, parse(f"pow4(a={start})/channel"), seen)
    goal = Goal.of(problem, "", "test")
    found = LearnedCodes()._bent(problem.fitted, goal)
    errors = [_of_power(_with_power(problem.fitted, a), goal)[0] for a in np.arange(0.3, 1.6, 0.01)]
    assert _of_power(found, goal)[0] <= 1.05 * min(errors)
    assert 0.6 < found.scheme.format.power < 0.95


def test_the_slope_of_the_exponent_is_that_of_differences(weight, calibration):
    """In float64 by differences, with the codes held where they are; zeros add nothing."""
    problem = Problem(weight, parse("pow4(a=0.7)/channel"), calibration)
    goal = Goal.of(problem, "", "test")
    low, high = problem.fitted.region(slice(None), slice(None)).neighbours(weight)
    nearest = np.where(weight - low <= high - weight, low, high).astype(np.float64)
    reach = np.abs(weight).max(1, keepdims=True).astype(np.float64)
    codes = np.rint((np.abs(nearest) / reach) ** 0.7 * 7)
    assert (codes == 0).any()

    def at(a):
        gap = np.sign(nearest) * reach * (codes / 7) ** (1 / a) - weight
        return np.einsum("ij,jk,ik->", gap, calibration.gram, gap)

    size = np.trace(calibration.gram) / len(calibration.gram)
    expected = (at(0.7 * np.exp(1e-5)) - at(0.7 * np.exp(-1e-5))) / 2e-5 / size
    found, (slope,) = _of_power(problem.fitted, goal)
    assert found == pytest.approx(at(0.7) / size, rel=1e-4)
    assert slope == pytest.approx(expected, rel=1e-3)
    assert np.isfinite(slope)


@pytest.mark.parametrize(
    "text", ["pow3(a=0.6)/channel", "int4/g16+zp", "int3/channel", "e2m1/g32", "nf4/b64", "e4m3fn",
             "median2/channel+mean@std", "nvfp4"],
)  # fmt: skip
def test_values_are_on_the_grid_and_better_on_unseen_rows(text, weight, calibration, held_out):
    problem = Problem(weight, parse(text), calibration)
    solved = LearnedCodes(steps=150, rate=0.04).solve(problem)
    packed = solved.fitted.quantize(solved.values).dequantize()
    assert np.allclose(packed, solved.values, rtol=1e-6, atol=1e-9)
    plain = problem.fitted.round(weight)
    gram = held_out.T.astype(np.float64) @ held_out
    assert error(solved.values, weight, gram) < 0.8 * error(plain, weight, gram)


def test_codes_may_leave_the_two_neighbours():
    """What is cut off a large weight goes to a small one whose inputs are nearly the same."""
    random = np.random.default_rng(0)
    x = random.standard_normal((256, 1)) + 0.05 * random.standard_normal((256, 3))
    w = np.float32([[9.0, 4.0, 0.4]])
    problem = Problem(w, parse("int3n/channel@percentile(50)"), Calibration.of(x))
    free, held = (one.solve(problem).values for one in (LearnedCodes(), AdaRound()))
    assert held[0, 2] == pytest.approx(4 / 3)
    assert free[0, 2] == pytest.approx(4)
    gram = problem.calibration.gram
    assert error(free, w, gram) < 0.2 * error(held, w, gram)


@pytest.mark.parametrize(("mixed", "equal"), [(0.0, 1.0), (0.2, 0.9), (1.0, 0.4)])
def test_small_problems_are_solved_as_by_trying_all_codes_where_inputs_are_apart(mixed, equal):
    random, levels = np.random.default_rng(0), np.arange(-3, 4)
    codes = np.array(list(itertools.product(levels, repeat=4)), np.float64)
    ratios = []
    for _ in range(30):
        mixing = np.eye(4) + mixed * random.standard_normal((4, 4))
        known = Calibration.identity(4)
        if mixed:
            known = Calibration.of(random.standard_normal((256, 4)) @ mixing)
        w = random.standard_normal((1, 4)).astype(np.float32)
        problem = Problem(w, parse("pow3(a=1.0)/channel"), known)
        gaps = codes / 3 * float(np.abs(w).max()) - w
        best = np.einsum("ij,jk,ik->i", gaps, known.gram, gaps).min()
        found = LearnedCodes(power=False).solve(problem).values
        ratios.append([error(v, w, known.gram) / best for v in (found, problem.fitted.round(w))])
    learned, nearest = np.array(ratios).T
    assert (learned >= 1 - 1e-4).all()
    assert (learned < 1 + 1e-4).mean() >= equal
    assert np.exp(np.log(learned).mean()) <= 1.001 * np.exp(np.log(nearest).mean())


@given(
    st.sampled_from(["pow2(a=0.5)/channel", "pow3(a=1.3)/channel", "pow4(a=0.7)/g16", "int2/g16",
                     "int3/tensor", "e2m1/channel", "mxfp4"]),
    st.integers(0, 10), st.floats(0.01, 100),
)  # fmt: skip
@settings(max_examples=20)
def test_it_is_never_worse_than_nearest_and_the_same_every_time(scheme, seed, size):
    random = np.random.default_rng(seed)
    x = random.standard_normal((128, 32)) @ random.standard_normal((32, 32)) * size
    w = (random.standard_t(3, (12, 32)) / size).astype(np.float32)
    w[0], w[:, 3] = 0, 0
    problem = Problem(w, parse(scheme), Calibration.of(x))
    solver = LearnedCodes(steps=40, rate=0.05)
    solved, again = solver.solve(problem), solver.solve(problem)
    gram = problem.calibration.gram
    plain = error(problem.fitted.round(w), w, gram)
    assert error(solved.values, w, gram) <= plain * (1 + 1e-5)
    assert np.isfinite(solved.values).all()
    assert (solved.values[0] == 0).all()
    assert solved.values.tobytes() == again.values.tobytes()


def test_zero_and_inputs_that_are_never_used_stay_finite(weight, held_out):
    rows, w = held_out.copy(), weight.copy()
    rows[:, 5], w[:, 7], w[3] = 0, 0, 0
    for text in ("pow4(a=0.5)/channel", "pow4(a=1.5)/channel"):
        problem = Problem(w, parse(text), Calibration.of(rows))
        solved = LearnedCodes(steps=60).solve(problem)
        assert np.isfinite(solved.values).all()
        assert (solved.values[3] == 0).all()
        nearest = solved.fitted.region(slice(None), slice(5, 6)).round(w[:, 5:6])
        assert np.allclose(solved.values[:, 5:6], nearest)
    grid = _Grid(problem.fitted.region(slice(None), slice(None)))
    middle = np.full(w.shape, grid.last // 2, np.float32)
    values, slopes = grid.between(middle)
    assert (values == 0).all()
    assert (slopes > 0).all()
    assert np.isfinite(slopes).all()


def test_adam_is_that_of_torch():
    torch = pytest.importorskip("torch")
    start = np.random.default_rng(0).standard_normal(16)
    ours, adam = start.copy(), Adam(0.05)
    theirs = torch.from_numpy(start.copy()).requires_grad_()
    optimizer = torch.optim.Adam([theirs], lr=0.05)
    for _ in range(25):
        optimizer.zero_grad()
        (theirs**4 / 4 + theirs).sum().backward()
        optimizer.step()
        ours = adam.moved(ours, ours**3 + 1)
    assert np.allclose(ours, theirs.detach().numpy(), rtol=1e-12)


@pytest.mark.parametrize("scheme", ["pow4(a=0.6)/channel", "int4/g32"])
def test_the_same_bytes_on_any_number_of_threads(scheme, calibration):
    from workbench.kernels.threads import set_threads

    weight = np.random.default_rng(0).standard_normal((400, 64)).astype(np.float32)
    found = []
    try:
        for count in (1, 2):
            set_threads(count)
            solved = LearnedCodes(steps=10).solve(Problem(weight, parse(scheme), calibration))
            found.append(solved.values.tobytes() + str(solved.fitted.scheme).encode())
    finally:
        set_threads(None)
    assert found[0] == found[1]


@pytest.mark.parametrize("text", ["learned_codes(steps=0)", "learned_codes(rate=0)",
                                  "learned_codes(decide=-1)"])  # fmt: skip
def test_parts_that_cannot_be_are_refused(text):
    with pytest.raises(WorkbenchError, match="steps of some size") as refusal:
        Recipe.parse(f"w=int4/channel {text}")
    assert str(refusal.value).count("→") == 2


def test_what_cannot_be_learned_is_said(weight, calibration):
    with pytest.raises(WorkbenchError, match="none were given"):
        LearnedCodes().solve(Problem(weight, parse("int4/g32")))
    with pytest.raises(WorkbenchError, match="a grid of its own"):
        LearnedCodes().solve(Problem(weight, parse("bitmod4/g32*f16"), calibration))
