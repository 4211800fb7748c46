"""A recipe across a model: what changes and what does not, calibration, folding, refusals."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
import torch

import workbench as wb
from workbench import models
from workbench.errors import WorkbenchError
from workbench.kernels.threads import set_threads
from workbench.models.calibrate import Calibrations, calibrate
from workbench.models.capture import capture_inputs
from workbench.models.evaluate import Remembered, accumulated, evaluate
from workbench.models.quantize import quantize
from workbench.quantizers import Recipe

TEXT = models.held_out_text()
READ, SCORED = TEXT[:4096], TEXT[-2049:]


@pytest.fixture(scope="module")
def model():
    return models.open_model("reference")


@pytest.fixture(scope="module")
def twin():
    return models.open_model("reference-twin")


@pytest.fixture(scope="module")
def known(model):
    return calibrate(model, READ)


@pytest.fixture(scope="module")
def exact(model):
    return Remembered(model)


def kl(model, exact):
    return evaluate(model, SCORED, exact).kl


def test_calibration_is_what_the_layers_read(known):
    name = "layers.1.mlp.down_proj"
    rows = capture_inputs(models.load("reference"), READ, [name])[name]
    found = known[name]
    assert found.count == 4096
    assert np.allclose(found.high, rows.max(0), rtol=1e-5, atol=1e-6)
    assert np.allclose(found.second, rows.T.astype(float) @ rows, rtol=1e-3, atol=1e-2)
    assert np.allclose(found.rows, rows[found.places], rtol=1e-4, atol=1e-5)


def test_layers_that_read_the_same_share_a_calibration(known):
    assert [len(group) for group in known.groups] == [3, 1, 2, 1] * 4


def test_a_calibration_is_resumed_and_saved(model, known, tmp_path):
    stopped = calibrate(model, READ, stop=lambda: True)
    assert stopped.windows == 1
    resumed = calibrate(model, READ, resume=stopped)
    for name, one in known.items():
        assert resumed[name].second.tobytes() == one.second.tobytes()
        assert resumed[name].rows.tobytes() == one.rows.tobytes()
    known.save(tmp_path / "c.safetensors")
    loaded = Calibrations.load(tmp_path / "c.safetensors")
    assert loaded.groups == known.groups
    assert loaded["layers.0.mlp.down_proj"].count == 4096


def test_only_the_block_linears_change_and_the_model_stays(model):
    before = {name: x.clone() for name, x in model.module.state_dict().items()}
    quantized = quantize(model, "w=int4/g32")
    assert len(quantized.module.quantization.rows) == 28
    for name, linear in model.linears().items():
        expected = wb.scheme("int4/g32").round(linear.weight.detach())
        assert torch.equal(quantized.linears()[name].weight, expected)
    assert quantized.module.quantization.bits == 5.0
    for name, x in model.module.state_dict().items():
        assert torch.equal(x, before[name])


def test_gptq_and_adaround_beat_nearest(model, known, exact):
    plain = kl(quantize(model, "w=int3/g32"), exact)
    assert kl(quantize(model, "w=int3/g32 gptq(act_order=true)", known), exact) < 0.6 * plain
    assert kl(quantize(model, "w=int3/g32 adaround(steps=150)", known), exact) < 0.7 * plain


def test_smoothing_folds_and_saves_the_twin(twin, exact):
    known = calibrate(twin, READ)
    plain = kl(quantize(twin, "w=int8/channel a=int8/tensor", known), exact)
    smooth = quantize(twin, "smooth w=int8/channel a=int8/tensor", known)
    assert {row.rewrite for row in smooth.module.quantization.rows} == {"folded"}
    assert kl(smooth, exact) < 0.1 * plain
    turned = quantize(twin, "hadamard w=int8/channel a=int8/tensor", known)
    assert kl(turned, exact) < 0.1 * plain
    assert all("cannot go into" in row.rewrite for row in turned.module.quantization.rows)


def test_rewrites_alone_change_nothing(model, known):
    ids = model.encode(SCORED[:64])[None]
    before = model.logits(ids)
    for text in ("smooth", "sort", "hadamard", "center", "smooth hadamard"):
        after = quantize(model, text, known).logits(ids)
        assert float((after - before).abs().max()) < 1e-3 * float(before.abs().max()), text


def test_four_bit_inputs_need_smoothing_and_rotation_here(twin, exact):
    """Rotation alone does not help: a planted outlier meets columns that are as much smaller."""
    known = calibrate(twin, READ)
    plain, turned, both = (
        kl(quantize(twin, f"{transforms} w=int4/channel a=int4/token", known), exact)
        for transforms in ("", "hadamard", "smooth hadamard")
    )
    assert turned > 0.5 * plain
    assert both < 0.1 * plain


def test_outlier_columns_are_left_in_sixteen_bits(twin, exact):
    plain = kl(quantize(twin, "w=int8/channel a=int8/token"), exact)
    kept = quantize(twin, "w=int8/channel a=int8/token outlier_columns", READ)
    assert kl(kept, exact) < 0.2 * plain
    assert kept.module.quantization.bits == pytest.approx(8.11 + 16, abs=0.01)


def test_a_cache_is_rounded_only_where_keys_and_values_are_written(model, exact):
    kept = quantize(model, "kv=int4/token")
    names = [row.name.rpartition(".")[2] for row in kept.module.quantization.rows]
    assert names == ["k_proj", "v_proj"] * 4
    assert kl(kept, exact) > 1e-4


def test_the_prefix_calibrates_on_what_quantized_blocks_give(model, exact):
    recipe = "w=int3/channel gptq"
    apart = quantize(model, recipe, READ)
    after = quantize(model, f"{recipe} prefix", READ)
    first = [row.error for row in apart.module.quantization.rows[:7]]
    assert first == [row.error for row in after.module.quantization.rows[:7]]
    last = apart.linears()["layers.3.mlp.down_proj"], after.linears()["layers.3.mlp.down_proj"]
    assert not torch.equal(*(linear.weight for linear in last))
    assert kl(after, exact) < 1.2 * kl(apart, exact)


def test_overrides_reach_single_layers(model):
    quantized = quantize(model, "w=int4/g32 [*.down_proj: w=int8/channel] [layers.0.*: float]")
    rows = {row.name: row.bits for row in quantized.module.quantization.rows}
    assert rows["layers.1.mlp.down_proj"] == pytest.approx(8.0625)
    assert rows["layers.1.mlp.up_proj"] == 5.0
    assert "layers.0.mlp.up_proj" not in rows


def test_errors_add_up_along_the_blocks(model):
    quantized = quantize(model, "w=int3/g32")
    errors = accumulated(model, quantized, model.encode(SCORED[:256]))
    assert list(errors) == [f"layers.{n}" for n in range(4)]
    assert errors["layers.3"] > errors["layers.0"] > 0


def digest(model):
    bits = b"".join(linear.layer.weight.packed.tobytes() for linear in model.linears().values())
    return hashlib.sha256(bits).hexdigest()


def test_the_same_bytes_on_one_and_two_threads(model):
    found = set()
    try:
        for count in (1, 2):
            set_threads(count)
            found.add(digest(quantize(model, "smooth w=int4/g32 gptq a=int8/token", READ)))
    finally:
        set_threads(None)
    assert len(found) == 1


def test_what_cannot_be_is_said_and_names_the_layer(model, known):
    with pytest.raises(WorkbenchError, match="empty text"):
        quantize(model, "w=int4/g32 gptq", "")
    with pytest.raises(WorkbenchError, match=r"layers\.0\.self_attn\.q_proj: .*none were given"):
        quantize(model, "w=int4/g32 gptq")
    with pytest.raises(WorkbenchError, match="no linear layer writes these inputs"):
        quantize(model, "equalize w=int8", known)
    with pytest.raises(WorkbenchError, match="it was stopped"):
        quantize(model, "w=int8", stop=lambda: True)
    with pytest.raises(WorkbenchError, match="takes the text itself"):
        quantize(model, "w=int4/g32 gptq prefix", known)
    with pytest.raises(WorkbenchError, match="is not among them"):
        quantize(model, "w=int8", Calibrations({"other": known["layers.0.mlp.up_proj"]}))
    some = Calibrations({name: one for name, one in known.items() if name.startswith("layers.1.")})
    made = quantize(model, "float [layers.1.*: w=int4/channel gptq]", some)
    assert {row.name.split(".")[1] for row in made.module.quantization.rows} == {"1"}
    with pytest.raises(WorkbenchError, match=r"layers\.2\..* is not among them"):
        quantize(model, "float [layers.[12].*: w=int4/channel gptq]", some)
    with pytest.raises(WorkbenchError, match="does not say how it reads text"):
        quantize(model.module, "w=int8")
    few = quantize(model, "[*: float] [*.down_proj: float] w=int8 gptq", READ[:100])
    assert few.module.quantization.rows == []


def test_too_few_rows_are_noted(model):
    few = quantize(model, "w=int8/channel gptq", READ[:100])
    note = few.module.quantization.rows[0].note
    assert note.startswith("100 calibration rows for 256 features")


def test_a_recipe_with_numbers_and_data_is_the_same(model):
    recipe = Recipe(weights="mxfp4", transforms=["hadamard(block=32)"])
    assert digest(quantize(model, recipe)) == digest(quantize(model, recipe.json()))
