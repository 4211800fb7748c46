"""Which text to calibrate on: disjoint inputs, texts of code and prose, and the study's rows."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from workbench import models
from workbench.errors import WorkbenchError
from workbench.models.language import Encoder
from workbench.quantizers import Calibration, Layer, Recipe
from workbench.studies.calibration_study import (
    calibration_study,
    code_text,
    error_of,
    mixture,
    prose_text,
)

NAME = "layers.1.mlp.gate_proj"


@pytest.fixture(scope="module")
def model():
    return models.open_model("reference")


@pytest.fixture(scope="module")
def rows(model):
    (code, code_apart), (prose, prose_apart) = code_text(), prose_text()
    read = {"code": code, "prose": prose, "mix": mixture(model, [code, prose], 2048, 128)}
    return calibration_study(
        model, read, {"code": code_apart, "prose": prose_apart}, names=[NAME], tokens=2048,
        scored=1024, window=128,
    )  # fmt: skip


@pytest.mark.parametrize("bits", [4, 3])
def test_inputs_of_another_domain_are_worse_than_none(bits):
    """Two domains with the same directions, the sizes of their channels the other way round."""
    random = np.random.default_rng(0)
    turn = np.linalg.qr(random.standard_normal((64, 64)))[0]
    sizes = np.geomspace(1, 1e-3, 64)
    one, other = (
        (random.standard_normal((2, 2048, 64)) * s @ turn).astype(np.float32)
        for s in (sizes, sizes[::-1])
    )
    layer = Layer(random.standard_normal((96, 64)).astype(np.float32))
    text, apart = f"w=int{bits}/channel", Calibration.of(one[1])
    nearest = Recipe.parse(text).apply(layer).error(layer, apart)
    right, wrong = (
        Recipe.parse(f"{text} gptq").apply(layer, Calibration.of(x[0])).error(layer, apart)
        for x in (one, other)
    )
    assert right < 0.5 * nearest
    assert wrong > 1.5 * nearest


def test_there_is_a_row_for_every_cell(rows):
    cells = {(r["calibration"], r["evaluation"], r["bits"], r["solver"]) for r in rows}
    texts = ("code", "prose", "mix"), ("code", "prose"), (4, 3, 2), ("nearest", "gptq")
    assert len(rows) == len(cells) == len(list(itertools.product(*texts)))
    for evaluation, bits in itertools.product(("code", "prose"), (4, 3, 2)):
        where = {"evaluation": evaluation, "bits": bits}
        nearest = {error_of(rows, calibration=c, solver="nearest", **where) for c in texts[0]}
        assert len(nearest) == 1  # which looks at no inputs
    assert all(row["layer"] == NAME and row["perplexity"] is None for row in rows)


@pytest.mark.parametrize("bits", [4, 3, 2])
def test_a_text_of_the_same_kind_is_better_and_a_mixture_lies_between(rows, bits):
    def error(calibration, evaluation):
        return error_of(rows, calibration=calibration, evaluation=evaluation, bits=bits,
                        solver="gptq")  # fmt: skip

    assert error("code", "code") < 0.85 * error("prose", "code")
    assert error("code", "code") < error("mix", "code") < error("prose", "code")
    nearest = error_of(rows, calibration="code", evaluation="code", bits=bits, solver="nearest")
    assert error("prose", "code") < nearest  # other text is still better than none here


def test_errors_are_those_of_the_recipe(model, rows):
    from workbench.models.calibrate import calibrate

    read = calibrate(model, code_text()[0], [NAME], 2048, 128)[NAME]
    apart = calibrate(model, prose_text()[1], [NAME], 1024, 128)[NAME]
    layer = Layer.of(model.linears()[NAME], NAME)
    expected = Recipe.parse("w=int3/channel+zp gptq").apply(layer, read).error(layer, apart)
    found = error_of(rows, calibration="code", evaluation="prose", bits=3, solver="gptq")
    assert found == pytest.approx(expected, rel=1e-9)


def test_whole_models_are_scored_too(model):
    read, apart = prose_text()
    rows = calibration_study(
        model, {"prose": read}, {"prose": apart}, [2], ["nearest"], [NAME], tokens=256, scored=257,
        window=128, whole=True,
    )  # fmt: skip
    whole = [row for row in rows if row["layer"] == "all"]
    assert len(whole) == 1
    assert 5 < whole[0]["perplexity"] < 20
    assert whole[0]["error"] is None


def test_the_texts_are_apart_and_always_the_same():
    code, other = code_text()
    assert (code, other) == code_text()
    assert "def " in code
    assert "def " in other
    assert not any(other[at : at + 200] in code for at in range(0, 9600, 600))
    assert prose_text()[0] not in prose_text()[1]


def test_a_mixture_takes_its_texts_in_turn(model):
    ids = mixture(model, ["a" * 40, "b" * 40, "c" * 40], 70, 8)
    assert model.decode(ids[:24]) == "a" * 8 + "b" * 8 + "c" * 8
    assert len(ids) == 70
    with pytest.raises(WorkbenchError, match="its share of the mixture is 24"):
        mixture(model, ["a" * 40, "b" * 20], 48, 8)


def test_what_cannot_be_studied_is_said(model, rows):
    encoder = Encoder("mine", model.module, model.tokenizer, 256, 256)
    with pytest.raises(WorkbenchError, match="it predicts no tokens"):
        calibration_study(encoder, {"a": "b" * 200}, {"a": "c" * 200}, [4], ["nearest"], [NAME],
                          tokens=64, scored=64, whole=True)  # fmt: skip
    with pytest.raises(WorkbenchError, match="there are 6"):
        error_of(rows, bits=4, solver="gptq")
