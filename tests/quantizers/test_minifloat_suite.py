"""The parts that small floats are tried with: equalization, bias correction, grids that hold.

Limits are those that an independent implementation of the study of minifloats kept.
"""

import numpy as np
import pytest
from scipy.special import ndtr

import workbench as wb
from workbench.errors import WorkbenchError
from workbench.quantizers import Calibration, Layer, Recipe
from workbench.quantizers.transforms.base import Reading
from workbench.quantizers.transforms.scale import Equalize
from workbench.studies.design_space import cheapest, design_space, minifloats


def drawn(seed):
    """Inputs and two layers with a ReLU between, the first one's rows of many sizes."""
    random = np.random.default_rng(seed)
    x = random.standard_normal((512, 64))
    first = random.standard_normal((256, 64)) * np.exp(1.5 * random.standard_normal((256, 1))) / 8
    bias, second = random.standard_normal(256) / 10, random.standard_normal((64, 256)) / 16
    return [part.astype(np.float32) for part in (x, first, bias, second)]


@pytest.fixture(scope="module")
def network():
    return drawn(0)


def relu(x):
    return np.maximum(x, 0)


def run(x, first, bias, second, between=relu):
    parts = (part.astype(np.float64) for part in (x, first, bias, second))
    x, first, bias, second = parts
    return between(x @ first.T + bias) @ second.T


def relative(found, exact):
    return float(((found - exact) ** 2).mean() / (exact**2).mean())


def equalized(network):
    """Both layers and the bias after equalization."""
    _, first, bias, second = network
    step = Equalize().fit(Reading(second, None, first))
    factors = step.factors.astype(np.float64)
    return first / factors[:, None], bias / factors, step.weights(second)


def test_equalization_changes_nothing_through_a_relu(network):
    x, first, bias, second = network
    assert relative(run(x, *equalized(network)), run(x, first, bias, second)) < 1e-6**2


def test_ranges_are_equal_afterwards(network):
    first, _, second = equalized(network)
    rows, columns = np.abs(first).max(axis=1), np.abs(second).max(axis=0)
    assert np.abs(rows / columns - 1).max() < 1e-5


def gain(network, scheme):
    """The error with one scale a tensor after equalization over that before."""
    x, first, bias, second = network
    exact = run(x, first, bias, second)
    even, even_bias, read = (part.astype(np.float32) for part in equalized(network))
    plain, better = (
        relative(run(x, scheme.round(one), shift, scheme.round(other)), exact)
        for one, shift, other in ((first, bias, second), (even, even_bias, read))
    )
    return better / plain


@pytest.mark.parametrize(("format", "most"), [("int4", 0.5), ("e2m1", 0.5), ("int8", 0.2)])
def test_equalization_halves_the_error_of_one_scale_a_tensor(format, most):
    scheme = wb.scheme(f"{format}/tensor")
    gains = [gain(drawn(seed), scheme) for seed in range(4)]
    assert max(gains) < 0.7
    assert np.exp(np.mean(np.log(gains))) <= most


def test_a_grid_of_powers_of_two_gains_little_by_it(network):
    """Its steps are even in octaves, so rows of other sizes hardly matter to it."""
    assert 0.8 < gain(network, wb.scheme("e3m0/tensor")) < 1.1


def silu(x):
    return x / (1 + np.exp(-x))


def gelu(x):
    return x * ndtr(x)


@pytest.mark.parametrize("between", [silu, gelu])
def test_it_is_wrong_through_other_functions(network, between):
    x, first, bias, second = network
    changed = run(x, *equalized(network), between=between)
    assert relative(changed, run(x, first, bias, second, between)) > 1e-3


def test_without_a_known_writer_it_is_refused(network):
    layer = Layer(network[3])
    with pytest.raises(WorkbenchError, match="no linear layer writes these inputs directly"):
        Recipe.parse("equalize w=int4/tensor").apply(layer)


@pytest.mark.parametrize("name", ["self_attn.q_proj", "mlp.gate_proj"])
def test_a_model_refuses_it_where_a_norm_writes(name):
    with pytest.raises(WorkbenchError, match=f"layers.0.{name}"):
        wb.quantize("reference", f"[*.{name}: equalize w=int4/tensor]")


def test_bias_correction_leaves_no_mean_error(network):
    x, first, *_ = network
    rows = relu(x + 0.3)
    known, apart = Calibration.of(rows[:384]), Calibration.of(rows[384:])
    layer = Layer(first)
    for scheme in ("int3/channel", "e2m0/channel", "e1m1/channel"):
        plain, corrected = (
            Recipe.parse(f"w={scheme}{more}").apply(layer, known)
            for more in ("", " bias_correction")
        )
        gap = corrected(known.rows).astype(np.float64) - known.rows @ first.T.astype(np.float64)
        size = np.abs(known.rows @ first.T).max()
        assert np.abs(gap.mean(axis=0)).max() <= 1e-6 * size
        assert corrected.error(layer, apart) < 0.9 * plain.error(layer, apart)


@pytest.mark.parametrize("format", minifloats((3, 4, 6)), ids=str)
@pytest.mark.parametrize("solver", ["gptq", "adaround(steps=30)"])
def test_solvers_stay_on_the_grid(network, format, solver):
    x, first, *_ = network
    made = Recipe.parse(f"w={format}/channel {solver}").apply(Layer(first[:16]), Calibration.of(x))
    units = made.matrix / made.weight.scales.reshape(-1, 1)
    grid = np.asarray(format.values)
    nearest = grid[np.abs(units[..., None] - grid).argmin(-1)]
    assert np.abs(units - nearest).max() <= 1e-5 * np.abs(grid).max()
    assert len(np.unique(nearest)) <= 2**format.bits - 1


def test_every_split_of_every_width():
    found = minifloats()
    assert len(found) == sum(width - 1 for width in range(3, 9)) == 27
    assert {one.bits for one in found} == set(range(3, 9))
    assert all(one.exponent >= 1 and np.isfinite(one.code_values).all() for one in found)
    golden = {"e2m1": [0, 0.5, 1, 1.5, 2, 3, 4, 6], "e3m2": 28.0}
    by_name = {one.name: one for one in found}
    assert [v for v in by_name["e2m1"].values if v >= 0] == golden["e2m1"]
    assert by_name["e3m2"].max == golden["e3m2"]
    with pytest.raises(WorkbenchError, match="9 bits"):
        minifloats([9])


@pytest.fixture(scope="module")
def designs():
    """A Gaussian layer, and one whose inputs have a channel that reaches far."""
    random = np.random.default_rng(0)
    mixing = random.standard_normal((256, 256)) / 16 + np.eye(256)
    layer, found = Layer(random.standard_normal((32, 256)).astype(np.float32)), {}
    for name, far in (("plain", 1.0), ("outlier", 60.0)):
        x = (random.standard_normal((1280, 256)) @ mixing).astype(np.float32)
        x[:, 5] *= far
        known, apart = Calibration.of(x[:1024]), Calibration.of(x[1024:])
        found[name] = design_space(layer, known, apart, solvers=("nearest", "gptq"))
    return found


def test_both_kinds_are_measured_under_every_solver(designs):
    for found in designs.values():
        assert len(found) == 2 * (6 + 27)
        assert sum(one.family == "int" for one in found) == 12
        assert all(0 < one.error < 1.5 and one.gates > 0 for one in found)


def test_one_exponent_bit_is_an_integer_in_sign_and_magnitude(designs):
    error = {(d.label, d.solver): d.error for d in designs["plain"]}
    for bits in range(3, 9):
        even, integer = error[f"E1M{bits - 2}", "nearest"], error[f"INT{bits}", "nearest"]
        assert even == pytest.approx(integer, rel=0.02)


def test_floats_lead_by_bits_and_even_steps_by_gates_on_ordinary_data(designs):
    plain = [one for one in designs["plain"] if one.solver == "nearest"]
    assert {one.exponent for one in cheapest(plain, "bits")} == {2}
    front = cheapest(plain)
    assert sum(one.exponent <= 1 for one in front) >= 0.7 * len(front)


def test_outliers_ask_for_more_exponent_bits(designs):
    far = [one for one in designs["outlier"] if one.solver == "nearest"]
    assert sum(one.exponent >= 3 for one in cheapest(far, "bits")) >= 4
    error = {one.label: one.error for one in far}
    assert error["E3M4"] < 0.5 * error["INT8"]


def test_gptq_helps_every_format(designs):
    error = {(d.label, d.solver): d.error for d in designs["plain"]}
    for label, solver in error:
        if solver == "gptq":
            assert error[label, "gptq"] < error[label, "nearest"]
