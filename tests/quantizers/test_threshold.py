"""The searched threshold is the best of all that are tried, and undoes channels that reach far."""

from __future__ import annotations

import numpy as np
import pytest

from workbench.errors import WorkbenchError
from workbench.kernels.threads import set_threads
from workbench.quantizers import Calibration, Layer, Recipe
from workbench.quantizers.activations import Rounding
from workbench.quantizers.rewrites import Scaling
from workbench.quantizers.transforms.base import Reading
from workbench.quantizers.transforms.threshold import Threshold

SIX = "w=int6/channel a=int6/tensor+zp"


def far(rows, seed):
    """Rows of 64 channels, four of which reach twenty times as far as the others."""
    x = np.random.default_rng(seed).standard_normal((rows, 64)).astype(np.float32)
    x[:, [3, 17, 40, 55]] *= [20, 12, -25, 8]
    return x


def shifted(rows, seed):
    """Rows of 64 channels, two of which lie about -70 and +40."""
    x = np.random.default_rng(seed).standard_normal((rows, 64)).astype(np.float32)
    x[:, 10] -= 70
    x[:, 20] += 40
    return x


def tried_out(reading, rows):
    """The factors of least error, every threshold tried alone, in float64."""
    found, rounding = reading.calibration, reading.rounding
    kept = found.rows[np.linspace(0, len(found.rows) - 1, rows).astype(int)]
    exact = kept.astype(np.float64) @ reading.weight.T.astype(np.float64)
    most = float(np.abs(np.stack([found.low, found.high])).max())
    best, least = None, np.inf
    count = max(100, int(most / 0.5))
    for number in range(count + 1):
        t = most - number * (most - 1) / count
        s = np.maximum(1, np.maximum(found.high / t, found.low / -t)).astype(np.float32)
        ranges = Scaling(s).calibration(found)
        inputs = rounding.inputs(kept / s, ranges).astype(np.float64)
        error = ((inputs @ rounding.weight(reading.weight * s).T - exact) ** 2).sum()
        if error < least:
            best, least = s, error
    return best


@pytest.mark.parametrize(
    ("weights", "inputs", "static"),
    [("int6/channel", "int6/tensor+zp", False), ("int6/channel", "int6/tensor+zp", True),
     ("int4/g16", "int4/token", False), ("", "int5/tensor", False), ("e2m1/channel", "", False)],
)  # fmt: skip
@pytest.mark.parametrize("rows", [48, 512])
def test_it_is_the_best_of_the_whole_list(weights, inputs, static, rows, weight):
    other = np.random.default_rng(8).standard_normal((16, 64)).astype(np.float32)
    reading = Reading(np.concatenate([weight, other]), Calibration.of(far(512, 0)),
                      rounding=Rounding(weights, inputs, static))  # fmt: skip
    step = Threshold(rows).fit(reading)
    assert np.allclose(step.factors, tried_out(reading, rows), rtol=1e-6)
    assert (step.factors > 1).sum() >= 4 or not inputs


def test_far_channels_cost_little_after_it_on_rows_it_has_not_seen(weight):
    layer, seen, other = Layer(weight), Calibration.of(far(2048, 0)), Calibration.of(far(512, 1))
    error = {}
    for transform in ("", "smooth", "threshold"):
        made = Recipe.parse(f"{transform} {SIX}").apply(layer, seen)
        error[transform] = made.error(layer, other)
    assert error["threshold"] <= 0.12 * error[""]
    assert error["threshold"] < error["smooth"]
    assert error["threshold"] <= 1.4 * made.error(layer, seen)


@pytest.mark.parametrize("bits", [4, 6])
def test_channels_beside_zero_are_for_the_shift(bits, weight):
    layer, seen = Layer(weight), Calibration.of(shifted(2048, 0))
    rows = shifted(512, 1)
    exact = rows.astype(np.float64) @ weight.T
    error = {}
    for transforms in ("", "smooth", "threshold", "center", "center threshold"):
        recipe = f"{transforms} w=int{bits}/channel a=int{bits}/tensor+zp"
        gap = Recipe.parse(recipe).apply(layer, seen)(rows) - exact
        error[transforms] = (gap**2).mean() / exact.var(axis=0).mean()
    assert error["smooth"] <= 0.5 * error[""]
    assert error["center"] <= 0.2 * error["smooth"]
    assert error["center threshold"] <= 1.15 * error["center"]


def test_it_changes_no_output_and_knows_its_statistics(layer, calibration, held_out):
    exact = held_out @ layer.weight.T + layer.bias
    recipe = Recipe.parse("center threshold w=int4/channel a=int4/token")
    rewritten = recipe.rewrite([layer], calibration)
    inputs = rewritten.rewrite.inputs(held_out)
    outputs = inputs @ rewritten.layers[0].weight.T + rewritten.layers[0].bias
    assert np.abs(outputs - exact).max() < 1e-5 * np.abs(exact).max()
    scaling = rewritten.rewrite.steps[1]
    assert (scaling.factors > 1).any()
    reach = (calibration.high - calibration.low) / 2
    assert np.allclose(rewritten.calibration.reach, reach / scaling.factors, rtol=1e-4)
    assert rewritten.calibration.reach.max() == pytest.approx(
        rewritten.calibration.reach[scaling.factors > 1].min(), rel=1e-4
    ), "all that were brought back end at the threshold"


def test_layers_that_share_inputs_share_the_best_sum(weight):
    seen = Calibration.of(far(512, 0))
    layers = [Layer(weight, name="q"), Layer(3 * weight[:16, ::-1].copy(), name="k")]
    together = Recipe.parse(f"threshold {SIX}").rewrite(layers, seen).rewrite.steps[0]
    both = np.concatenate([one.weight for one in layers])
    reading = Reading(both, seen, rounding=Recipe.parse(SIX).rounding)
    assert np.allclose(together.factors, tried_out(reading, 256), rtol=1e-6)


def test_the_same_on_any_number_of_threads(weight):
    found = []
    for threads in (1, 2, 3):
        set_threads(threads)
        try:
            reading = Reading(
                weight, Calibration.of(far(512, 0)), rounding=Rounding("int3", "int3")
            )
            tried = np.linspace(25, 1, 30)
            found.append(Threshold().errors(reading, tried))
        finally:
            set_threads(None)
    assert np.array_equal(found[0], found[1])
    assert np.array_equal(found[0], found[2])


def test_small_and_dead_channels_are_left_alone(weight):
    small = Calibration.of(np.random.default_rng(0).uniform(-0.9, 0.9, (128, 64)))
    made = Recipe.parse(f"threshold {SIX}").rewrite([Layer(weight)], small)
    assert (made.rewrite.steps[0].factors == 1).all()
    rows = far(128, 0)
    rows[:, 5] = 0
    made = Recipe.parse(f"threshold {SIX}").rewrite([Layer(weight)], Calibration.of(rows))
    assert made.rewrite.steps[0].factors[5] == 1
    silent = Recipe.parse(f"threshold {SIX}").apply(Layer(weight), Calibration.of(0 * rows))
    assert not silent(0 * rows).any()


@pytest.mark.parametrize(
    ("text", "known", "why"),
    [("threshold", True, "a recipe that rounds nothing"), (f"threshold {SIX}", False, "were given"),
     ("threshold(rows=0) w=int4", True, "a row or more")],
)  # fmt: skip
def test_what_it_cannot_do_without(text, known, why, layer, calibration):
    with pytest.raises(WorkbenchError, match=why):
        Recipe.parse(text).apply(layer, calibration if known else None)
