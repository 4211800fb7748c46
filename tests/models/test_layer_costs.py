"""What single layers cost a model: alone, and with all layers before them."""

from __future__ import annotations

import pytest

from workbench import models
from workbench.models.calibrate import calibrate
from workbench.models.layer_costs import Damage, layer_damages, output_errors, replaced
from workbench.models.quantize import quantize
from workbench.quantizers import Layer, Recipe

TEXT = models.held_out_text()
RECIPE = Recipe.parse("w=int4/g32 a=int8/token")


@pytest.fixture(scope="module")
def model():
    return models.open_model("reference-twin")


@pytest.fixture(scope="module")
def known(model):
    return calibrate(model, TEXT, tokens=512, window=128)


@pytest.fixture(scope="module")
def damage(model):
    return Damage(model, TEXT[-513:], 128)


def test_all_layers_replaced_are_the_model_quantized(model, known, damage):
    layers = {name: RECIPE.apply(Layer.of(linear, name), known[name])
              for name, linear in model.linears().items()}  # fmt: skip
    ids = model.encode(TEXT[:64])[None]
    whole = quantize(model, RECIPE, known)
    assert replaced(model, layers).run(ids).equal(whole.run(ids))
    assert damage.of(layers).value > damage.of({}).value == 0


def test_errors_alone_and_added_up(model, known):
    ids = model.encode(TEXT[:128])
    records = list(output_errors(model, RECIPE, known, ids))
    names = list(model.linears())
    assert [one["layer"] for one in records] == names * 2
    alone, both = records[: len(names)], records[len(names) :]
    assert all("accumulated" not in one for one in alone)
    assert [one["isolated"] for one in alone] == [one["isolated"] for one in both]
    layer = Layer.of(model.linears()[names[5]], names[5])
    assert alone[5]["isolated"] == RECIPE.apply(layer, known[names[5]]).error(
        layer, known[names[5]]
    )
    deep = [one for one in both if one["layer"].startswith("layers.3.self_attn")]
    assert all(one["accumulated"] > one["isolated"] for one in deep)


def test_damages_alone_and_added_up(model, known, damage):
    found = layer_damages(damage, RECIPE, known)
    first, second = next(found), next(found)
    assert first["isolated"] == first["accumulated"] > 0
    names = list(model.linears())[:2]
    made = {name: RECIPE.apply(Layer.of(model.linears()[name], name), known[name])
            for name in names}  # fmt: skip
    assert second["accumulated"] == damage.of(made).value
    assert second["isolated"] == damage.of({names[1]: made[names[1]]}).value


def test_the_interval_holds_the_figure(model, known, damage):
    name = "layers.3.mlp.down_proj"
    made = RECIPE.apply(Layer.of(model.linears()[name], name), known[name])
    cost = damage.of({name: made})
    assert cost.low < cost.value < cost.high
