"""The fetched models run: they predict English, find paraphrases, and show their outliers."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from workbench import models
from workbench.errors import WorkbenchError
from workbench.models import optional
from workbench.models.lattice import detect
from workbench.models.outliers import find_outliers

pytestmark = pytest.mark.real
ENGLISH = (
    "The water cycle describes how water moves above, on, and below the surface of the Earth. "
    "Heat from the sun causes water to evaporate from oceans, lakes and rivers, and the vapour "
    "rises into the air, where it cools and condenses into clouds. When the drops in a cloud "
    "become heavy enough, they fall back to the ground as rain or snow. Some of this water runs "
    "off into streams, and some of it sinks into the soil, where plants take it up again. "
)


@pytest.fixture(scope="module")
def smollm2(fetched):
    return models.open_model(fetched("smollm2"))


@pytest.fixture(scope="module")
def minilm(fetched):
    return models.open_model(fetched("minilm"))


def perplexity(model, ids, context=512):
    losses = [
        F.cross_entropy(model.logits(window[None])[0, :-1], window[1:], reduction="none")
        for window in ids.split(context)
    ]
    return float(torch.cat(losses).mean().exp())


def test_smollm2_is_a_language_model_of_its_own_vocabulary(smollm2):
    assert (smollm2.vocabulary, smollm2.context) == (49152, 8192)
    assert len(smollm2.linears()) == 210
    assert smollm2.module.lm_head.weight is smollm2.module.model.embed_tokens.weight
    text = models.held_out_text()[:2000].decode() + " 12345 déjà vu — 日本\n\n\t<|im_start|>"
    ids = smollm2.encode(text)
    assert smollm2.decode(ids) == text
    assert smollm2.encode(" 2024").tolist() == smollm2.encode(" ").tolist() + [
        int(smollm2.encode(digit)[0]) for digit in "2024"
    ]


def test_smollm2_predicts_english(smollm2):
    assert perplexity(smollm2, smollm2.encode(ENGLISH)) < 12
    held_out = smollm2.encode(models.held_out_text())[:1024]
    assert 15 < perplexity(smollm2, held_out) < 30
    prompt = smollm2.encode("The capital of France is")[None]
    assert smollm2.decode(smollm2.logits(prompt)[0, -1].argmax()[None]) == " Paris"


def test_smollm2_shows_its_massive_activations(smollm2):
    found = find_outliers(smollm2, models.held_out_text(), 768)
    first = found[0]
    assert first.name == "model.layers.11.mlp.down_proj"
    assert first.ratio > 1000
    assert first.where == "always position 0"
    residual = next(one for one in found if one.place == "residual")
    assert (residual.layer, residual.channel) == (11, 507)
    assert residual.where == "always position 0"
    assert residual.carried >= 15
    attention = [one.channel for one in found if one.name.endswith("q_proj")]
    assert set(attention) == {247}
    assert len(attention) >= 3


def test_smollm2_weights_are_found_to_be_quantized(smollm2):
    checkpoint = models.tensors("smollm2")
    for name in list(smollm2.linears())[:8]:
        found = detect(checkpoint[f"{name}.weight"])
        assert (found.group_size, found.bits, found.even) == (32, 4, True)
        assert 13 <= found.levels <= 16
    embedding = next(checkpoint.slices("model.embed_tokens.weight"))
    assert detect(embedding).bits == 8


def test_minilm_brings_paraphrases_together(minilm):
    pairs = [
        ("A man is playing a guitar.", "Someone plays the guitar."),
        ("The weather is lovely today.", "It is a beautiful day outside."),
        ("How can I reset my password?", "I forgot my password and need a new one."),
        ("The stock market fell sharply.", "Share prices dropped a lot."),
    ]
    left, right = (minilm.embed([pair[i] for pair in pairs]) for i in (0, 1))
    cosines = (left @ right.T).numpy()
    assert np.diag(cosines).min() > 0.6
    assert cosines[~np.eye(4, dtype=bool)].max() < 0.3
    assert (minilm.vocabulary, minilm.context, left.shape) == (30522, 512, (4, 384))
    assert len(minilm.linears()) == 36


def test_what_is_no_text_model_can_still_be_looked_at():
    try:
        optional.fetch("efficientnet-lite0", lambda line: None)
    except WorkbenchError as error:
        pytest.skip(f"it cannot be had here: {error.why}")
    with pytest.raises(WorkbenchError, match=r"look at them with models\.tensors"):
        models.open_model("efficientnet-lite0")
    checkpoint = models.tensors("efficientnet-lite0")
    assert detect(checkpoint["_conv_stem.weight"]) is None
