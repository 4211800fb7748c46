"""The learned rotation: its gradient, what it keeps, and what it gains on rows it has not seen."""

from __future__ import annotations

import numpy as np
import pytest

from workbench.errors import WorkbenchError
from workbench.kernels.threads import set_threads
from workbench.quantizers import Calibration, Layer, Recipe
from workbench.quantizers.activations import Rounding
from workbench.quantizers.rewrites import Chain, Rotation, Scaling, Shift
from workbench.quantizers.transforms import Hadamard
from workbench.quantizers.transforms.base import Reading
from workbench.quantizers.transforms.learned import (
    LearnedRotation,
    OutputError,
    Turned,
    cayley,
    passed_on,
    turned_slope,
)

FOUR = "w=int4/channel a=int4/token"
FIXED = ("", "smooth", "hadamard", "orthogonal", "hadamard(block=16)")


def rows_of(count, seed):
    """Correlated rows of 64 channels, a few of which are large."""
    mixing = np.random.default_rng(7).standard_normal((64, 64))
    mixing *= np.exp(-np.arange(64) / 12)[:, None]
    x = np.random.default_rng(seed).standard_normal((count, 64)) @ mixing
    return (x * np.exp(np.random.default_rng(8).standard_normal(64))).astype(np.float32)


@pytest.fixture(scope="module")
def problem():
    weight = np.random.default_rng(3).standard_normal((48, 64)).astype(np.float32)
    return Layer(weight), Calibration.of(rows_of(2048, 0)), Calibration.of(rows_of(512, 1))


@pytest.mark.parametrize("recipe", [FOUR, "w=int4/g16 a=int4/tensor+zp", "w=e2m1/g32*e8m0"])
def test_it_halves_the_error_of_fixed_ones_on_rows_it_has_not_seen(recipe, problem):
    layer, seen, other = problem
    fixed = [
        Recipe.parse(f"{one} {recipe}").apply(layer, seen).error(layer, other) for one in FIXED
    ]
    made = Recipe.parse(f"learned_rotation {recipe}").apply(layer, seen)
    assert made.error(layer, other) <= 0.7 * min(fixed)
    assert made.error(layer, other) <= 1.6 * made.error(layer, seen)


def test_it_is_a_scaling_and_a_rotation_that_change_no_output(problem):
    layer, seen, other = problem
    rewritten = Recipe.parse(f"learned_rotation(steps=30) {FOUR}").rewrite([layer], seen)
    scaling, rotation = rewritten.rewrite.steps
    assert isinstance(scaling, Scaling)
    assert isinstance(rotation, Rotation)
    matrix = rotation.inner.astype(np.float64)
    assert np.abs(matrix @ matrix.T - np.eye(64)).max() < 2e-6
    exact = other.rows @ layer.weight.T
    outputs = rewritten.rewrite.inputs(other.rows) @ rewritten.layers[0].weight.T
    assert np.abs(outputs - exact).max() <= 1e-4 * np.abs(exact).max()
    fresh = Calibration.of(rewritten.rewrite.inputs(seen.rows))
    assert np.allclose(rewritten.calibration.gram, fresh.gram, atol=1e-4 * fresh.gram.max())


def test_every_start_is_among_what_is_kept(problem):
    layer, seen, _ = problem
    reading = Reading(layer.weight, seen, rounding=Recipe.parse(FOUR).rounding)
    error, judged = OutputError(reading, "test"), []
    for steps in (0, 30, 150):
        scaling, rotation = LearnedRotation(steps=steps).fit(reading).steps
        judged.append(error.judged(Turned(scaling.factors, (rotation.inner,))))
    eye = np.eye(64, dtype=np.float32)
    assert judged[0] <= error.judged(Turned(np.ones(64, np.float32), (eye,)))
    assert judged[2] < judged[1] < judged[0]
    # steps far too large lead nowhere, so the start is what is kept
    wild = LearnedRotation(steps=20, rate=50.0).fit(reading).steps
    assert error.judged(Turned(wild[0].factors, (wild[1].inner,))) <= judged[0]


@pytest.mark.parametrize(
    ("weights", "inputs"),
    [("int4/channel", "int4/token"), ("int4/g16+zp", "int5/tensor+zp"), ("int4/g24", ""),
     ("", "e2m1/b32"), ("int4/t8x16", "e4m3fn")],
)  # fmt: skip
def test_gradients_are_those_of_torch(weights, inputs, problem):
    """Autograd through scales that follow the ends of every block, with rounding as it were not."""
    torch = pytest.importorskip("torch")
    layer, seen, _ = problem
    reading = Reading(layer.weight, seen, rounding=Rounding(weights, inputs))
    random = np.random.default_rng(0)
    factors = np.exp(0.3 * random.standard_normal(64)).astype(np.float32)
    after = Hadamard().fit(Reading(layer.weight[:, :64], None)) if "t8" in weights else None
    skews = [(0.05 * random.standard_normal((n, n))).astype(np.float32) for n in (24, 40)]
    turns, inverses = zip(*map(cayley, skews), strict=True)
    rows = seen.rows[:96]
    of_logs, of_turns = OutputError(reading, "test").slope(Turned(factors, turns, after), rows)
    of_skews = [turned_slope(*pair) for pair in zip(inverses, of_turns, strict=True)]

    logs = torch.log(torch.from_numpy(factors)).double().requires_grad_()
    each = [torch.from_numpy(skew).double().requires_grad_() for skew in skews]
    o = torch.block_diag(*(_cayley(m - m.T) for m in each))
    if after is not None:
        o = o @ torch.from_numpy(after.inputs(np.eye(64, dtype=np.float32))).double()
    x, w = torch.from_numpy(rows).double(), torch.from_numpy(layer.weight).double()
    gave = _fake(x / logs.exp() @ o, inputs) @ _fake((w * logs.exp()) @ o, weights).T
    ((gave - x @ w.T) ** 2).sum().div(((x @ w.T) ** 2).sum()).backward()
    known = [logs.grad, *(m.grad for m in each)]
    for mine, theirs in zip([of_logs, *of_skews], known, strict=True):
        scale = theirs.abs().max().item()
        assert np.abs(mine - theirs.numpy()).max() < 2e-3 * scale


def _cayley(k):
    """The rotation of a skew matrix, by torch."""
    import torch

    eye = torch.eye(len(k), dtype=k.dtype)
    return (eye - k) @ torch.linalg.inv(eye + k)


def _fake(values, scheme):
    """Values rounded with scales that torch knows to depend on them; blocks by plain loops."""
    import torch

    from workbench.schemes import parse

    known = parse(scheme) if scheme else None
    if known is None:
        return values
    rounded = torch.from_numpy(known.round(values.detach().numpy().astype(np.float32))).double()
    if known.scale is None:
        return values + (rounded - values).detach()
    kind, size = known.scale.granularity, known.scale.size
    tall = {"tensor": len(values), "tile": size[0] if size else 0}.get(kind, 1)
    wide = size[-1] if size else values.shape[1]
    out = torch.empty_like(values)
    for top in range(0, len(values), tall):
        for left in range(0, values.shape[1], wide):
            at = (slice(top, top + tall), slice(left, left + wide))
            block = values[at]
            if known.scale.zero_point:
                reach = block.max().clamp(min=0) - block.min().clamp(max=0)
            else:
                reach = block.abs().max()
            unit = block / reach
            out[at] = (unit + (rounded[at] / reach - unit).detach()) * reach
    return out


def test_a_flat_block_and_a_plain_cast_pass_gradients_on_as_they_are():
    zeros, slope = np.zeros((2, 4), np.float32), np.ones((2, 4), np.float32)
    assert np.array_equal(passed_on("int4/token", zeros, zeros, slope), slope)
    assert np.array_equal(passed_on("e4m3fn", slope, slope, slope), slope)
    assert np.array_equal(passed_on("", slope, slope, slope), slope)
    static = passed_on("int4/channel", np.float32([[7, 1], [2, 14]]), np.float32([[7, 2], [3, 14]]),
                       np.float32([[0, 14], [7, 0]]), inputs=True)  # fmt: skip
    assert static.tolist() == [[1, 14], [7, 1]], "inputs share the scale of a channel"


def test_the_same_every_time_and_on_any_number_of_threads(problem):
    layer, seen, _ = problem
    found = set()
    for threads in (1, 2):
        set_threads(threads)
        try:
            made = Recipe.parse(f"learned_rotation(steps=12) {FOUR} seed=3").apply(layer, seen)
        finally:
            set_threads(None)
        found.add(made.weight.packed.tobytes() + made.rewrite.steps[1].inner.tobytes())
    assert len(found) == 1


def test_blocks_of_channels_turn_by_themselves(problem):
    layer, seen, _ = problem
    reading = Reading(layer.weight, seen, rounding=Recipe.parse(FOUR).rounding)
    error = OutputError(reading, "test")
    whole = Turned(np.ones(64, np.float32), (np.eye(64, dtype=np.float32),))
    for text in ("learned_rotation(block=64)", "learned_rotation(block=24)"):
        scaling, rotation = Recipe.parse(f"{text} {FOUR}").transforms[0].fit(reading).steps
        turned = Turned(scaling.factors, (rotation.inner,))
        assert error.judged(turned) < 0.6 * error.judged(whole)


@pytest.mark.parametrize("count", [64, 48, 7])
def test_a_rotation_is_undone(count):
    rotation = Hadamard().fit(Reading(np.zeros((1, count), np.float32), None))
    eye, x = np.eye(count, dtype=np.float32), rows_of(5, 2)[:, :count]
    dense = rotation.inputs(eye)
    assert np.allclose(dense @ dense.T, eye, atol=1e-6)
    assert np.allclose(rotation.inputs(x), x @ dense, atol=1e-5 * np.abs(x).max())
    assert np.allclose(rotation.undone(rotation.inputs(x)), x, atol=1e-5 * np.abs(x).max())
    assert np.allclose(rotation.undone(x), x @ dense.T, atol=1e-5 * np.abs(x).max())


def test_a_chain_of_steps_is_its_steps(problem):
    layer, seen, _ = problem
    shift, scaling = Shift(np.float32(np.arange(64))), Scaling(np.float32(np.arange(1, 65)))
    chain, w = Chain((shift, scaling)), layer.weight
    x = seen.rows[:8]
    both = chain.inputs(x) @ chain.weights(w).T + chain.bias(w)
    assert np.allclose(both, x @ w.T, atol=1e-3)
    known = chain.calibration(seen)
    assert np.allclose(known.mean, Calibration.of(chain.inputs(seen.rows)).mean, atol=1e-4)


def test_few_rows_and_single_steps(problem):
    layer, seen, _ = problem
    few = Calibration.of(seen.rows[:3])
    for text in ("learned_rotation(steps=1)", "learned_rotation(steps=3,rows=1)"):
        made = Recipe.parse(f"{text} {FOUR}").apply(layer, few)
        assert np.isfinite(made(seen.rows[:5])).all()
    silent = Recipe.parse(f"learned_rotation(steps=2) {FOUR}")
    assert (
        not silent.apply(layer, Calibration.of(np.zeros((20, 64)))).rewrite.steps[0].factors.std()
    )


@pytest.mark.parametrize(
    ("text", "known", "why"),
    [("learned_rotation", True, "a recipe that rounds nothing"),
     (f"learned_rotation {FOUR}", False, "were given"),
     (f"learned_rotation(rate=0) {FOUR}", True, "steps of some size"),
     (f"learned_rotation(rows=0) {FOUR}", True, "a row or more"),
     (f"learned_rotation(block=1) {FOUR}", True, "two channels or more")],
)  # fmt: skip
def test_what_it_cannot_do_without(text, known, why, problem):
    layer, seen, _ = problem
    with pytest.raises(WorkbenchError, match=why):
        Recipe.parse(text).apply(layer, seen if known else None)
