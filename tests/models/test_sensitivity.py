"""What single layers do to the shipped model, and measures that foretell it."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from scipy.stats import spearmanr

from workbench import models
from workbench.errors import WorkbenchError
from workbench.models.language import Encoder
from workbench.models.layer_costs import replaced
from workbench.models.sensitivity import (
    first_order,
    loss_gradients,
    noisy_inputs,
    pruned,
    quantized,
    uncorrelated,
)
from workbench.models.watched import Watched, by_block, by_layer, side_by_side
from workbench.quantizers import Layer, Recipe
from workbench.quantizers.allocation import (
    Allocation,
    allocate,
    importance_costs,
    weight_sizes,
)

TWO = Recipe.parse("w=int2/channel")
DOWN = "layers.0.mlp.down_proj"


@pytest.fixture(scope="module")
def model():
    return models.open_model("reference")


@pytest.fixture(scope="module")
def halves():
    text = models.held_out_text()
    return text[: len(text) // 2], text[len(text) // 2 :]


@pytest.fixture(scope="module")
def truth(model, halves):
    return quantized(Watched(model, halves[1], 512), TWO)


def test_figures_are_their_definitions(model, halves):
    layers = {DOWN: TWO.apply(Layer.of(model.linears()[DOWN], DOWN))}
    ids = model.encode(halves[1])[:256].view(4, 64)
    other = replaced(model, layers)
    p, q = (F.log_softmax(one.run(ids).double(), -1).numpy() for one in (model, other))
    found = {f: Watched(model, halves[1], 256, figure=f).of(layers) for f in ("kl", "loss")}
    assert found["kl"] == pytest.approx((np.exp(p) * (p - q)).sum(-1).mean(), rel=1e-9)
    rows = np.arange(4)[:, None], np.arange(63)[None], ids[:, 1:].numpy()
    assert found["loss"] == pytest.approx((p[rows] - q[rows]).mean(), rel=1e-6)
    last = []
    for one in (model, other):
        handle = one.blocks()["layers.3"].register_forward_hook(lambda m, i, o: last.append(o))
        one.run(ids)
        handle.remove()
    exact, changed = (x.double().numpy() for x in last)
    hidden = ((exact - changed) ** 2).sum() / (exact**2).sum()
    assert Watched(model, halves[1], 256).of(layers) == pytest.approx(hidden, rel=1e-9)


@pytest.mark.parametrize("figure", ["hidden", "kl", "loss"])
def test_a_small_change_is_foretold_by_first_order(model, halves, figure):
    watched = Watched(model, halves[1], 256, figure=figure)
    few = {name: (name,) for name in list(by_layer(model))[::9]}
    fine = Recipe.parse("w=int8/channel")
    found, foretold = quantized(watched, fine, few), first_order(watched, fine, few)
    for name in few:
        size = max(map(abs, found.values())) if figure == "loss" else found[name]
        assert abs(found[name] - foretold[name]) < 0.1 * size


@pytest.mark.parametrize(
    ("measure", "least"), [("pruned", 0.7), ("first order", 0.8), ("importance", 0.6)]
)
def test_layers_are_ranked_as_two_bits_rank_them(model, halves, truth, measure, least):
    watched = Watched(model, halves[0], 512)
    if measure == "importance":
        weights = {name: Layer.of(one).weight for name, one in model.linears().items()}
        gradients = loss_gradients(model, watched.ids)
        costs = importance_costs(weights, gradients, [TWO.weights])
        found = {name: each[TWO.weights] for name, each in costs.items()}
    else:
        found = pruned(watched, [0.7]) if measure == "pruned" else first_order(watched, TWO)
    assert list(found) == list(truth)
    assert spearmanr(list(found.values()), list(truth.values())).statistic > least


def test_importance_under_a_budget_beats_chance(model, halves):
    """Means of 4 bits a weight, to the bit, against choices drawn at random of nearly that size."""
    schemes = [f"int{bits}/channel" for bits in (2, 3, 4, 5, 6)]
    weights = {name: Layer.of(one).weight for name, one in model.linears().items()}
    gradients = loss_gradients(model, side_by_side(model, halves[0], 512, 64))
    costs = importance_costs(weights, gradients, schemes)
    sizes = weight_sizes(weights, schemes)
    budget = sum(each["int4/channel"] for each in sizes.values())
    found = allocate(costs, sizes, budget)
    assert 0.999 * budget < found.size <= budget
    watched = Watched(model, halves[1], 512, figure="kl")

    def loss(choices):
        layers = {name: Recipe(weights=scheme).apply(Layer.of(model.linears()[name], name))
                  for name, scheme in choices.items()}  # fmt: skip
        return watched.of(layers)

    random, drawn = np.random.default_rng(0), []
    while len(drawn) < 8:
        choices = {name: str(random.choice(schemes)) for name in weights}
        size = Allocation.of(choices, costs, sizes).size
        if 0.97 * budget < size <= budget:
            drawn.append(loss(choices))
    ours = loss(found.choices)
    assert ours < 0.6 * min(drawn)
    assert len(set(found.choices.values())) > 1
    assert ours < loss(dict.fromkeys(weights, "int4/channel"))  # by a percent: layers are alike


def test_gradients_are_those_of_single_windows(model, halves):
    ids = side_by_side(model, halves[1], 128, 64)
    found = loss_gradients(model, ids)[DOWN]
    weight = model.linears()[DOWN].weight
    before = weight.requires_grad
    weight.requires_grad_(True)
    each = []
    for window in ids:
        loss = F.cross_entropy(model.module(window[None, :-1])[0], window[1:])
        each.append(torch.autograd.grad(loss, weight)[0].abs().numpy())
    weight.requires_grad_(before)
    assert np.allclose(found, np.mean(each, axis=0), rtol=1e-5, atol=1e-9)
    assert all(w.requires_grad is before for w in [one.weight for one in model.linears().values()])


def test_noise_comes_from_its_seed_and_leaves_the_model_alone(model, halves):
    watched, few = Watched(model, halves[1], 128), {"a": (DOWN,), "b": ("layers.3.mlp.up_proj",)}
    found = noisy_inputs(watched, units=few)
    assert found == noisy_inputs(watched, units=few) != noisy_inputs(watched, units=few, seed=1)
    assert noisy_inputs(watched, 0.005, few)["a"] == pytest.approx(found["a"], rel=0.05)
    assert watched.of({}) == 0


def test_correlations_are_of_neighbours_or_of_the_end(model, halves):
    found = uncorrelated(model, halves[0], tokens=1024)
    assert list(found) == list(by_block(model))
    assert all(0 < value < 0.6 for value in found.values())
    ends = list(uncorrelated(model, halves[0], "last", 1024).values())
    assert ends[-1] == min(ends) < 0.05  # but for its norm the head is a linear map of them


def test_what_cannot_be_measured_is_said(model, halves):
    encoder = Encoder("mine", model.module, model.tokenizer, 256, 256)
    with pytest.raises(WorkbenchError, match="no figure has this name"):
        Watched(model, halves[0], figure="kll")
    with pytest.raises(WorkbenchError, match="it predicts no tokens"):
        Watched(encoder, halves[0], figure="kl")
    with pytest.raises(WorkbenchError, match="has no loss"):
        loss_gradients(encoder, torch.zeros(1, 4, dtype=torch.int64))
    with pytest.raises(WorkbenchError, match="there are 3 tokens"):
        Watched(model, b"two")
    watched = Watched(model, halves[0], 64)
    with pytest.raises(WorkbenchError, match="they lie between 0 and 1"):
        pruned(watched, [1.0])
    with pytest.raises(WorkbenchError, match="no linear layer has this name"):
        quantized(watched, TWO, {"a": ["layers.9"]})
    with pytest.raises(WorkbenchError, match="leave its transforms out"):
        first_order(watched, Recipe.parse("hadamard w=int4/channel"))
    with pytest.raises(WorkbenchError, match="no comparison has this name"):
        uncorrelated(model, halves[0], to="first")
    with pytest.raises(WorkbenchError, match="by chance"):
        uncorrelated(model, halves[0], tokens=256)
