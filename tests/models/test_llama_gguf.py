"""A Llama model written as GGUF runs as the same function: names, rotary order, ties, scaling."""

from __future__ import annotations

import gguf
import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from workbench import models
from workbench.errors import WorkbenchError
from workbench.models.gguf_reader import INNER, OUTER

SIZES = {"hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2, "vocab_size": 260}
SIZES |= {"num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 64}
NAMES = {hugging: name for name, hugging in OUTER.items()}
NAMES |= {f"model.layers.{i}.{h}.{kind}": f"blk.{i}.{g}.{kind}" for g, h in INNER.items()
          for i in range(2) for kind in ("weight", "bias")}  # fmt: skip


def permute(rows, heads):
    """What the GGUF converter does to query and key rows."""
    half = rows.shape[0] // heads // 2
    return rows.reshape(heads, 2, half, *rows.shape[1:]).swapaxes(1, 2).reshape(rows.shape)


def vocabulary():
    """The 256 byte symbols of byte-level BPE, three merges, one control token."""
    from tokenizers.pre_tokenizers import ByteLevel

    symbols = sorted(ByteLevel.alphabet())
    return [*symbols, "to", "Ġb", "Ġbe", "<|end|>"], ["t o", "Ġ b", "Ġb e"]


def write(path, module, metadata=(), architecture="llama", change=None, kind="F32"):
    config = module.config
    writer = gguf.GGUFWriter(path, architecture)
    numbers = {
        "context_length": config.max_position_embeddings,
        "embedding_length": config.hidden_size,
        "block_count": config.num_hidden_layers,
        "feed_forward_length": config.intermediate_size,
        "attention.head_count": config.num_attention_heads,
        "attention.head_count_kv": config.num_key_value_heads,
    }
    for key, value in (numbers | dict(metadata)).items():
        if value is not None:
            add = writer.add_string if isinstance(value, str) else writer.add_uint32
            add(f"llama.{key}", value)
    writer.add_float32("llama.attention.layer_norm_rms_epsilon", config.rms_norm_eps)
    writer.add_float32("llama.rope.freq_base", 10000.0)
    tokens, merges = vocabulary()
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("smollm")
    writer.add_token_list(tokens)
    writer.add_token_types([1] * (len(tokens) - 1) + [3])
    writer.add_token_merges(merges)
    weights = {key: tensor.detach().numpy() for key, tensor in module.state_dict().items()}
    for key, array in (change(weights) if change else weights).items():
        if config.tie_word_embeddings and key == "lm_head.weight":
            continue
        for name, heads in (("q_proj", 4), ("k_proj", 2)):
            array = permute(array, heads) if f".{name}." in key else array
        type_ = gguf.GGMLQuantizationType[kind if array.ndim > 1 else "F32"]
        data = gguf.quants.quantize(array, type_)
        writer.add_tensor(NAMES.get(key, key), data, raw_dtype=type_)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def network(**changes):
    torch.manual_seed(0)
    return LlamaForCausalLM(LlamaConfig(**SIZES | changes)).eval()


def same(model, module, text="to be or not, 42 times"):
    ids = model.encode(text)[None]
    with torch.no_grad():
        torch.testing.assert_close(model.logits(ids), module(ids).logits, atol=1e-5, rtol=1e-5)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model.gguf"


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"tie_word_embeddings": True},
        {"attention_bias": True, "mlp_bias": True},
        {"head_dim": 32},
        {"rope_parameters": {"rope_type": "linear", "factor": 4.0, "rope_theta": 10000.0}},
    ],
    ids=lambda changes: "-".join(changes) or "plain",
)
def test_the_file_is_the_same_function(path, changes):
    module = network(**changes)
    metadata = {"attention.key_length": module.config.head_dim}
    if "rope_parameters" in changes:
        metadata |= {"rope.scaling.type": "linear", "rope.scaling.factor": 4}
    model = models.open_model(write(path, module, metadata))
    same(model, module)
    tied = model.module.lm_head.weight is model.module.model.embed_tokens.weight
    assert tied == bool(changes.get("tie_word_embeddings"))
    assert (model.context, model.vocabulary, len(model.linears())) == (64, 260, 14)


def test_quantized_weights_run_as_they_dequantize(path):
    module = network()
    model = models.open_model(write(path, module, kind="Q8_0"))
    state = models.tensors(path)
    module.load_state_dict({key: torch.tensor(state[key]) for key in module.state_dict()})
    same(model, module)
    assert model.about.endswith("GGUF in q8_0")


def test_a_factor_for_each_frequency_slows_it(path):
    module, factors = network(), torch.linspace(1, 8, 8)
    model = models.open_model(
        write(path, module, change=lambda w: w | {"rope_freqs.weight": factors.numpy()})
    )
    module.model.rotary_emb.inv_freq /= factors
    same(model, module)


def test_the_vocabulary_is_the_files_own(path):
    model = models.open_model(write(path, network()))
    text = "to be, 12 — été <|end|>"
    ids = model.encode(text).tolist()
    assert ids[:2] == [256, 258]
    assert ids[-1] == 259
    assert model.decode(ids) == text


@pytest.mark.parametrize(
    ("metadata", "architecture", "message"),
    [
        ({}, "gemma3", "architecture 'llama' are run, not 'gemma3'"),
        ({"expert_count": 8}, "llama", "mixture of experts"),
        ({"block_count": None}, "llama", r"no llama\.block_count"),
        ({"rope.scaling.type": "yarn"}, "llama", "scaled as 'yarn'"),
        ({"feed_forward_length": 32}, "llama", "shapes do not fit"),
        ({"block_count": 3}, "llama", r"lacks model\.layers\.2"),
        ({"block_count": 1}, "llama", r"model\.layers\.1\.\S+ has no place"),
    ],
)
def test_what_cannot_run_can_still_be_looked_at(path, metadata, architecture, message):
    write(path, network(), metadata, architecture)
    with pytest.raises(WorkbenchError, match=rf"{message}.* → look at its tensors"):
        models.open_model(path)
    assert len(models.tensors(path)) == 21


def test_nan_weights_and_truncated_files_are_refused(path):
    def broken(weights):
        weights["model.norm.weight"][3] = float("nan")
        return weights

    write(path, network(), change=broken)
    with pytest.raises(WorkbenchError, match=r"model\.norm\.weight has 1 values that are NaN"):
        models.open_model(path)
    path.write_bytes(path.read_bytes()[:-64])
    with pytest.raises(WorkbenchError, match="truncated or corrupt"):
        models.open_model(path.parent)
