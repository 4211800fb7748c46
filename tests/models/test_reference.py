"""The shipped model is a Llama-type module, small, deterministic and as good as its recipe says."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from workbench import models
from workbench.models.evaluate import evaluate
from workbench.models.reference import ReferenceModel


@pytest.fixture(scope="module")
def model():
    return models.load("reference")


@pytest.fixture(scope="module")
def tokens():
    data = np.frombuffer(models.held_out_text()[:1024], np.uint8).astype(np.int64)
    return torch.from_numpy(data.reshape(4, 256))


def test_what_ships_is_small_and_has_a_recipe():
    recipe = models.recipe()
    assert (models.DATA / "reference.safetensors").stat().st_size <= 12_000_000
    assert len(models.held_out_text()) == 131072
    assert recipe["losses"]["held_out"] <= 1.56
    assert recipe["curve"][-1]["step"] == recipe["settings"]["steps"]
    assert recipe["settings"]["seed"] >= 0
    assert "public domain" in recipe["licence"]["text"]


def test_a_slice_of_the_held_out_play_is_predicted_as_the_recipe_says(model):
    loss = evaluate(model, models.held_out_text()[:8193]).loss
    assert abs(loss - models.recipe()["losses"]["held_out"]) < 0.12


def test_the_module_is_a_llama_by_its_names(model):
    names = dict(model.named_parameters())
    assert sum(parameter.numel() for parameter in names.values()) == 2_754_816
    assert names["layers.3.self_attn.q_proj.weight"].shape == (256, 256)
    assert names["layers.0.mlp.down_proj.weight"].shape == (256, 512)
    assert all(parameter.dtype == torch.float32 for parameter in names.values())
    assert not model.training


def test_two_runs_give_the_same_bits(model, tokens):
    with torch.inference_mode():
        assert torch.equal(model(tokens), model(tokens))


def test_no_position_sees_a_later_one(model, tokens):
    changed = tokens.clone()
    changed[:, 200:] = 0
    with torch.inference_mode():
        assert torch.equal(model(tokens)[:, :200], model(changed)[:, :200])


def test_attention_depends_on_distance_only(model):
    """Rotary positions: a shifted window gives the same logits as long as the past is the same."""
    layer = model.layers[0].self_attn
    x = torch.randn(1, 8, 256, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        near = layer(x, model.cosine[:8], model.sine[:8])
        far = layer(x, model.cosine[100:108], model.sine[100:108])
    torch.testing.assert_close(near, far, atol=1e-5, rtol=1e-4)


def test_the_forward_pass_is_the_equations_written_out(model, tokens):
    """An independent float64 forward pass, with its own attention, agrees."""
    weights = {name: p.double() for name, p in model.state_dict().items()}

    def norm(x, name):
        return x / (x.pow(2).mean(-1, keepdim=True) + 1e-5).sqrt() * weights[name + ".weight"]

    def heads(x):
        return x.view(*x.shape[:2], 4, 64).transpose(1, 2)

    def turned(x):
        angles = torch.arange(256.0, dtype=torch.float64)[:, None] * 10000.0 ** (
            -torch.arange(32, dtype=torch.float64) / 32
        )
        z = torch.complex(x[..., :32], x[..., 32:]) * torch.exp(1j * angles)
        return torch.cat((z.real, z.imag), -1)

    x = weights["embed_tokens.weight"][tokens]
    mask = torch.full((256, 256), -torch.inf, dtype=torch.float64).triu(1)
    for i in range(4):
        at = f"layers.{i}."
        y = norm(x, at + "input_layernorm")
        q, k, v = (heads(y @ weights[f"{at}self_attn.{n}_proj.weight"].T) for n in "qkv")
        scores = turned(q) @ turned(k).mT / 8 + mask
        mixed = (scores.softmax(-1) @ v).transpose(1, 2).reshape(x.shape)
        x = x + mixed @ weights[at + "self_attn.o_proj.weight"].T
        y = norm(x, at + "post_attention_layernorm")
        gate, up = (y @ weights[f"{at}mlp.{n}_proj.weight"].T for n in ("gate", "up"))
        x = x + (F.silu(gate) * up) @ weights[at + "mlp.down_proj.weight"].T
    expected = norm(x, "norm") @ weights["lm_head.weight"].T
    with torch.inference_mode():
        torch.testing.assert_close(model(tokens).double(), expected, atol=2e-4, rtol=1e-4)


def test_a_longer_window_than_the_context_is_refused(model):
    with pytest.raises(IndexError, match="300 positions, the context is 256"):
        model(torch.zeros(1, 300, dtype=torch.long))


def test_a_changed_copy_leaves_the_next_load_alone(model):
    other = models.load("reference")
    with torch.no_grad():
        other.lm_head.weight.zero_()
    assert torch.equal(models.load("reference").lm_head.weight, model.lm_head.weight)


def test_importing_models_needs_no_torch():
    code = "import sys, workbench.models; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_fresh_model_starts_without_knowledge():
    fresh = ReferenceModel()
    assert sum(p.numel() for p in fresh.parameters()) == 2_754_816
