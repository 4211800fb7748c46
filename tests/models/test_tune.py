"""Tuning end to end: what is gained on held-out inputs, what stays as it is, what is refused."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from torch import nn

from workbench import models
from workbench.errors import WorkbenchError
from workbench.kernels.threads import set_threads
from workbench.metrics.divergence import kl_top
from workbench.models.distances import distance
from workbench.models.evaluate import Remembered, evaluate
from workbench.models.plain import quantize_module
from workbench.models.quantize import quantize
from workbench.models.quantized_linear import QuantizedLinear
from workbench.models.tune import tune, tune_model
from workbench.quantizers.rewrites import Rewrite
from workbench.quantizers.tunings import Distill
from workbench.reproductions.tuning import loud_network

TEXT = models.held_out_text()
READ, SCORED = TEXT[:2048], TEXT[-1025:]
STATIC = "w=int8/channel a=int8/tensor static"
ALL = "channels+clips+ranges"


@pytest.fixture(scope="module")
def loud():
    return loud_network()


@pytest.fixture(scope="module")
def model():
    return models.open_model("reference")


@pytest.fixture(scope="module")
def exact(model):
    return Remembered(model)


@pytest.fixture(scope="module")
def windows(model):
    return model.encode(READ).split(128)


def error(network, made, rows):
    return distance("mse", network(rows), made(rows)).item()


def layers(made):
    return [module.layer for module in made.modules() if isinstance(module, QuantizedLinear)]


def weights(made):
    """All bytes of the quantized layers of a network."""
    return b"".join(
        layer.weight.packed.tobytes() + layer.weight.scales.tobytes() for layer in layers(made)
    )


def test_eight_bits_end_to_end_beat_smoothing_on_held_out_inputs(loud):
    network, batches, rows = loud
    plain, smooth = (quantize_module(network, t + STATIC, batches) for t in ("", "smooth "))
    clips = tune(plain, network, batches, Distill("clips", steps=40))
    whole = tune(smooth, network, batches, Distill(ALL, steps=100))
    full, start, end = (error(network, made, rows) for made in (plain, smooth, whole))
    assert 0.1 < full < 0.5
    assert error(network, clips, rows) < 0.95 * full
    assert start < 0.01 * full
    assert end <= 0.9 * start
    assert end <= 0.01 * full


def test_four_bit_weights_gain_more(loud):
    network, batches, rows = loud
    smooth = quantize_module(network, "smooth w=int4/channel a=int8/tensor static", batches)
    whole = tune(smooth, network, batches, Distill(ALL, steps=60))
    assert error(network, whole, rows) <= 0.75 * error(network, smooth, rows)


def test_learned_ranges_are_static(loud):
    """Ranges found as inputs come would follow them; these end where they were learned to."""
    network, batches, rows = loud
    smooth = quantize_module(network, "smooth w=int8/channel a=int8/tensor+zp static", batches)
    made = tune(smooth, network, batches[:4], Distill(ALL, steps=20))
    assert made.tuning.kept
    for layer, before in zip(layers(made), layers(smooth), strict=True):
        fixed = layer.activations.fixed
        assert fixed.scales != before.activations.fixed.scales
        assert fixed.zeros == np.rint(fixed.zeros)
        ends = (np.array([-128, 127]) - fixed.zeros[0, 0]) * fixed.scales[0, 0]
        given = np.random.default_rng(0).standard_normal((4, layer.matrix.shape[1]))
        taken = layer.rounded(1e4 * given.astype(np.float32))
        assert np.allclose([taken.min(), taken.max()], ends)
    far = torch.where(rows > 0, 1e5, -1e5)
    assert torch.equal(made(far), made(2 * far))
    assert not torch.allclose(network(far), network(2 * far))
    alone = torch.cat([made(row[None]) for row in rows[:8]])
    assert torch.allclose(alone, made(rows)[:8], atol=1e-5)


def test_the_same_bytes_on_any_number_of_threads(loud):
    network, batches, _ = loud
    smooth = quantize_module(network, "smooth " + STATIC, batches)
    found = []
    for threads in (1, 2, 2):
        set_threads(threads)
        torch.set_num_threads(threads)
        try:
            found.append(weights(tune(smooth, network, batches, Distill(ALL, steps=5))))
        finally:
            set_threads(None)
            torch.set_num_threads(1)
    assert found[0] == found[1] == found[2] != weights(smooth)
    other = tune(smooth, network, batches, Distill(ALL, steps=5), seed=1)
    assert weights(other) != found[0]


def test_what_is_given_stays_and_a_worse_end_is_not_kept(loud):
    network, batches, rows = loud
    smooth = quantize_module(network, "smooth " + STATIC, batches)
    before, outputs = weights(smooth), smooth(rows)
    made = tune(smooth, network, batches, Distill(ALL, steps=5, rate=3.0))
    assert not made.tuning.after < made.tuning.before
    assert not made.tuning.kept
    assert made is not smooth
    assert weights(made) == weights(smooth) == before
    assert torch.equal(made(rows), outputs)


def test_norms_and_biases_after_the_codes(model, exact, windows):
    start = quantize(model, "w=int3/g32")
    made = tune_model(start, model, windows, Distill("norms+biases", "kl", 24, 0.003))
    before, after = (evaluate(one, SCORED, exact).kl for one in (start, made))
    assert after < 0.9 * before
    for mine, theirs in zip(layers(made.module), layers(start.module), strict=True):
        assert mine.weight.packed.tobytes() == theirs.weight.packed.tobytes()
        assert mine.bias.shape == (len(mine.matrix),)
    gains = made.module.layers[0].input_layernorm.weight
    assert not torch.equal(gains, model.module.layers[0].input_layernorm.weight)
    assert gains.requires_grad


def test_low_rank_factors_against_the_model(model, exact, windows):
    """The best factors for each layer's weight are far from the best for what the model gives."""
    start = quantize(model, "w=int2/g32 low_rank(16)")
    made = tune_model(start, model, windows, Distill("low_rank", "kl", 24, 0.003))
    before, after = (evaluate(one, SCORED, exact).kl for one in (start, made))
    assert after < 0.75 * before
    thin = layers(made.module)[0].corrections[0]
    assert thin.first.dtype == thin.second.dtype == np.float16
    assert [row.nbytes for row in layers(made.module)] == [r.nbytes for r in layers(start.module)]


def test_scales_means_and_norms_against_hidden_states(model, exact, windows):
    start = quantize(model, "w=int2/g32+mean")
    made = tune_model(start, model, windows, Distill("scales+norms+biases", steps=16, rate=0.003))
    before, after = (evaluate(one, SCORED, exact).kl for one in (start, made))
    assert after < 0.9 * before
    for mine, theirs in zip(layers(made.module), layers(start.module), strict=True):
        assert np.array_equal(mine.weight.codes, theirs.weight.codes)
        assert not np.array_equal(mine.weight.means, theirs.weight.means)
        assert mine.weight.nbytes == theirs.weight.nbytes


def test_channels_go_into_the_norm_before(model, windows):
    start = quantize(model, "w=int4/channel a=int8/tensor static", READ[:256])
    made = tune_model(start, model, windows[:2], Distill("channels+clips", "kl", 6))
    assert made.module.tuning.kept
    rewrites = {
        name.rpartition(".")[2]: [type(step).__name__ for step in linear.layer.rewrite.steps]
        for name, linear in made.linears().items()
    }
    folded, left = ("q_proj", "k_proj", "v_proj", "gate_proj", "up_proj"), ("o_proj", "down_proj")
    assert rewrites == {**{name: [] for name in folded}, **{name: ["Scaling"] for name in left}}


def test_folded_rewrites_need_the_weights_that_they_made(windows):
    twin = models.open_model("reference-twin")
    start = quantize(twin, "smooth w=int4/g32", READ[:512])
    assert all(layer.rewrite == Rewrite() for layer in layers(start.module))
    part = Distill("clips", "kl", 4)
    with pytest.raises(WorkbenchError, match="pass weights="):
        tune_model(start, twin, windows[:1], part)
    moved = quantize(twin, "smooth", READ[:512]).linears()
    floats = {name: linear.weight.detach().numpy() for name, linear in moved.items()}
    made = tune_model(start, twin, windows[:1], part, weights=floats)
    assert made.module.tuning.kept
    with pytest.raises(WorkbenchError, match=r"q_proj.*of shape \(0,\)"):
        tune_model(start, twin, windows[:1], part, weights={})
    whole = quantize(twin, f"smooth w=int4/g32 {part}", READ[:128])
    assert whole.module.tuning.kept


def test_divergence_over_the_likeliest_tokens():
    generator = torch.Generator().manual_seed(0)
    exact, given = torch.randn(2, 4, 7, 300, generator=generator).unbind()
    for top in (1, 10, 300):
        found = distance("kl_top", exact, given, top).item()
        assert found == pytest.approx(kl_top(exact, given, top), abs=1e-6)
    whole = distance("kl", exact, given).item()
    assert distance("kl_top", exact, given, 1000).item() == pytest.approx(whole)
    given.requires_grad_(True)
    [slope] = torch.autograd.grad(distance("kl_top", exact, given, 10), [given])
    likeliest = torch.zeros_like(exact, dtype=torch.bool)
    likeliest.scatter_(-1, exact.topk(10).indices, True)
    assert not slope[~likeliest].any()
    assert slope[likeliest].abs().min() > 0
    noise = torch.where(likeliest, 0.0, torch.randn(4, 7, 300, generator=generator))
    assert distance("kl_top", exact, exact + noise, 10).item() == pytest.approx(0, abs=1e-6)
    assert distance("kl", exact, exact + noise).item() > 0.05


REFUSED = {
    "channels": ("w=int4/channel low_rank(2)", "corrections fitted to channels"),
    "clips": ("w=e4m3fn", "weights lack scales"),
    "ranges": ("w=int4/channel a=int8/token", "no inputs have static ranges"),
    "scales": ("w=int4/channel a=int8/token outlier_columns", "parts of them are kept beside"),
    "norms": ("w=int4/channel", "no norms with gains"),
    "low_rank": ("w=int4/channel bias_correction", "no layer has a low-rank correction"),
}


@pytest.mark.parametrize("word", REFUSED)
def test_what_a_network_lacks_is_said(word, loud):
    network, batches, _ = loud
    recipe, why = REFUSED[word]
    made = quantize_module(network, recipe, batches[:1])
    with pytest.raises(WorkbenchError, match=why):
        tune(made, network, batches[:1], Distill(f"{word}+biases"))


def test_nothing_to_tune_is_said(loud):
    network, batches, _ = loud
    with pytest.raises(WorkbenchError, match="0 quantized layers"):
        tune(network, network, batches, Distill("biases"))
    with pytest.raises(WorkbenchError, match="0 batches"):
        tune(quantize_module(network, "w=int4"), network, [], Distill("biases"))


def test_a_loss_that_is_lost_ends_it(loud):
    network, batches, rows = loud
    made = quantize_module(network, STATIC, batches)
    spoiled = [*batches[:2], torch.full_like(batches[0], float("nan"))]
    found = tune(made, network, spoiled, Distill("biases", steps=3))
    assert not found.tuning.kept
    assert torch.equal(found(rows), made(rows))


def test_a_network_in_training_mode_stays_as_it_is():
    torch.manual_seed(0)
    parts = (nn.Linear(8, 16), nn.BatchNorm1d(16), nn.Dropout(0.5), nn.Linear(16, 4))
    network = nn.Sequential(*parts)
    made = quantize_module(network, "w=int3/channel").train()
    before = [{name: x.clone() for name, x in one.state_dict().items()} for one in (network, made)]
    tuned = tune(made, network, [torch.randn(32, 8)], Distill("norms+biases", steps=5))
    assert tuned.tuning.kept
    assert not tuned.training
    for one, kept in zip((network, made), before, strict=True):
        assert one.training
        assert all(torch.equal(x, kept[name]) for name, x in one.state_dict().items())


def test_norms_of_a_plain_network():
    torch.manual_seed(0)
    parts = (nn.Linear(16, 32), nn.LayerNorm(32), nn.GELU(), nn.Linear(32, 8))
    network = nn.Sequential(*parts).eval()
    x = torch.randn(512, 16)
    made = quantize_module(network, "w=int2/channel")
    tuned = tune(made, network, x[:384].split(64), Distill("norms", steps=60, rate=0.01))
    assert error(network, tuned, x[384:]) < 0.8 * error(network, made, x[384:])
    assert torch.equal(made[1].weight, network[1].weight)
    again = copy.deepcopy(tuned)
    assert torch.equal(again(x), tuned(x))
