"""Sizes of transformers, held to the networks that transformers builds from them."""

import pytest

from workbench.costs import Architecture, architecture, architectures
from workbench.costs.architecture import ENCODERS, GATED, PLAIN
from workbench.errors import WorkbenchError

BUILT = sorted((GATED | PLAIN | ENCODERS) - {"workbench"})


@pytest.mark.parametrize("kind", BUILT)
def test_weights_of_the_blocks_are_those_of_the_network_that_transformers_builds(kind):
    transformers = pytest.importorskip("transformers")
    import torch

    config = _small(transformers, kind)
    ours = Architecture.from_config(config)
    auto = transformers.AutoModel if kind in ENCODERS else transformers.AutoModelForCausalLM
    with torch.device("meta"):
        network = auto.from_config(config)
    assert ours.block_parameters == _matrices(network, config)
    assert Architecture.from_config(config.to_dict()) == ours


def _small(transformers, kind):
    """Its usual configuration with two blocks: what says how blocks are made stays."""
    config = transformers.AutoConfig.for_model(kind)
    for name in ("num_hidden_layers", "n_layer", "n_layers"):
        if name in config.to_dict():
            setattr(config, name, 2)
    if getattr(config, "layer_types", None):
        config.layer_types = config.layer_types[:2]
    return config


def _matrices(network, config) -> int:
    """Weights of all matrices inside blocks, experts stacked or not."""
    outside = ("embed", "wte", "wpe", "lm_head", "pooler", "relative_attention_bias", "embd")
    return sum(
        value.numel()
        for name, value in network.named_parameters()
        if value.ndim > 1 and not any(word in name for word in outside)
    )


@pytest.mark.parametrize(
    ("name", "billions"),
    [("llama-2-7b", 6.74), ("llama-2-13b", 13.02), ("llama-2-70b", 68.98), ("llama-3-8b", 8.03),
     ("llama-3-70b", 70.55), ("mistral-7b", 7.24), ("mixtral-8x7b", 46.7), ("qwen2.5-7b", 7.62),
     ("qwen3-30b-a3b", 30.5), ("gemma-2-9b", 9.24)],
)  # fmt: skip
def test_published_models_have_their_published_sizes(name, billions):
    assert architecture(name).parameters / 1e9 == pytest.approx(billions, rel=2e-3)


def test_every_shipped_configuration_is_read():
    assert len([architecture(name) for name in architectures()]) >= 14


def test_the_reference_model_has_the_sizes_of_its_row():
    from workbench import models

    model = models.open_model("reference")
    shapes = {
        name.split(".", 2)[2]: tuple(layer.weight.shape) for name, layer in model.linears().items()
    }
    assert architecture("reference").linears == shapes
    assert architecture("reference").parameters == sum(
        value.numel() for value in model.module.parameters() if value.ndim > 1
    )


def test_keys_and_values_count_once_a_head_of_keys():
    wide, narrow = architecture("llama-2-70b"), architecture("llama-3-8b")
    assert wide.cache_values(100) == 2 * 80 * 100 * 8 * 128
    assert narrow.cache_values(100) == 2 * 32 * 100 * 8 * 128


def test_sliding_layers_keep_what_they_see():
    gemma = architecture("gemma-2-9b")
    each = 2 * gemma.kv_heads * gemma.head_size
    assert gemma.cache_values(8192) == each * (21 * 4096 + 21 * 8192)
    assert architecture("mistral-7b").cache_values(8192) == 2 * 32 * 4096 * 8 * 128


def test_a_folder_says_its_sizes(tmp_path):
    import json

    path = tmp_path / "mine" / "config.json"
    path.parent.mkdir()
    sizes = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "vocab_size": 9}
    path.write_text(json.dumps({"model_type": "gpt2", **sizes}), "utf-8")
    assert architecture(path.parent) == architecture(path)
    assert (architecture(path).name, architecture(path).hidden) == ("mine", 32)
    path.write_text("[1]", "utf-8")
    with pytest.raises(WorkbenchError, match="it is no configuration"):
        architecture(path)
    with pytest.raises(WorkbenchError, match="'llama-2-7b'"):
        architecture("llama2-7b")


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"model_type": "lama"}, "llama"),
        ({"model_type": "deepseek_v3", "hidden_size": 8}, "no kind of network"),
        ({"model_type": "llama", "hidden_size": 8}, "add num_hidden_layers"),
        ({"model_type": "llama", "hidden_size": "wide"}, "a size is no number"),
        ({"model_type": "qwen2_moe", "decoder_sparse_step": 2}, "one kind of block"),
        ({"model_type": "llama", "hidden_size": 64, "num_hidden_layers": 1, "vocab_size": 9,
          "num_attention_heads": 6, "num_key_value_heads": 4}, "6 heads and 4 of keys"),
    ],
)  # fmt: skip
def test_a_configuration_that_is_not_known_says_why(config, said):
    with pytest.raises(WorkbenchError, match=said):
        Architecture.from_config(config)
