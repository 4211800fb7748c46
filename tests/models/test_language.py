"""Runnable models: one interface for the shipped ones and for folders; what cannot run says so."""

from __future__ import annotations

import copy
import dataclasses
import json

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from workbench import models
from workbench.errors import WorkbenchError
from workbench.models.language import Encoder, LanguageModel, blocks_of

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "to", "be", "or", "not", "that", "is", "the"]
WORDS += ["question"]
SIZES = {"hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2, "vocab_size": 12}
SIZES |= {"num_attention_heads": 2, "max_position_embeddings": 32}


def write_tokenizer(folder):
    from tokenizers import Tokenizer, pre_tokenizers, processors
    from tokenizers.models import WordLevel

    numbers = {word: number for number, word in enumerate(WORDS)}
    tokenizer = Tokenizer(WordLevel(numbers, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    tokenizer.enable_truncation(4)
    tokenizer.enable_padding(length=8)
    tokenizer.save(str(folder / "tokenizer.json"))


@pytest.fixture
def llama(tmp_path):
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    LlamaForCausalLM(LlamaConfig(**SIZES)).to(torch.bfloat16).save_pretrained(tmp_path)
    write_tokenizer(tmp_path)
    return tmp_path


@pytest.fixture
def bert(tmp_path):
    from transformers import BertConfig, BertModel

    torch.manual_seed(0)
    BertModel(BertConfig(**SIZES)).save_pretrained(tmp_path)
    write_tokenizer(tmp_path)
    return tmp_path


def change(folder, **fields):
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | fields))


@pytest.mark.parametrize("name", ["reference", "reference-twin"])
def test_the_shipped_models_read_bytes(name):
    model = models.open_model(name)
    assert isinstance(model, LanguageModel)
    assert (model.name, model.vocabulary, model.context) == (name, 256, 256)
    text = models.held_out_text()[:200]
    ids = model.encode(text)
    assert ids.dtype == torch.int64
    assert ids.tolist() == list(text)
    assert model.decode(ids) == text.decode()
    assert torch.equal(model.encode(text.decode()), ids)
    with torch.inference_mode():
        expected = models.load(name)(ids[None])
    assert torch.equal(model.logits(ids[None]), expected)


def test_linears_are_those_of_the_blocks_in_forward_order():
    model = models.open_model("reference")
    names = list(model.linears())
    assert len(names) == 28
    assert names[4:7] == [f"layers.0.mlp.{name}_proj" for name in ("gate", "up", "down")]
    assert not any("lm_head" in name or "embed" in name for name in names)
    assert all(
        module is model.module.get_submodule(name) for name, module in model.linears().items()
    )
    assert all(not module._forward_pre_hooks for module in model.module.modules())


class Backwards(nn.Module):
    """A block that uses its layers in another order than it declares them, and one not at all."""

    def __init__(self):
        super().__init__()
        self.unused, self.second, self.first = (nn.Linear(4, 4) for _ in range(3))

    def forward(self, x):
        return self.second(self.first(x))


class Network(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(256, 4)
        self.side = nn.ModuleList([nn.Linear(1, 1)])
        self.blocks = nn.ModuleList([Backwards(), Backwards()])

    def forward(self, ids):
        x = self.embed(ids)
        for block in self.blocks:
            x = block(x)
        return x


def test_the_order_is_that_of_the_pass_and_not_of_the_declaration():
    shipped = models.open_model("reference")
    model = dataclasses.replace(shipped, module=Network())
    names = [f"blocks.{i}.{name}" for i in (0, 1) for name in ("first", "second")]
    assert list(model.linears()) == [*names, "blocks.0.unused", "blocks.1.unused"]
    assert list(model.blocks()) == ["blocks.0", "blocks.1"]


def test_a_replaced_layer_keeps_its_name():
    shipped = models.open_model("reference")
    model = dataclasses.replace(shipped, module=copy.deepcopy(shipped.module))
    names = list(model.linears())
    model.module.layers[0].mlp.up_proj = nn.Sequential(model.module.layers[0].mlp.up_proj)
    assert list(model.linears()) == names
    assert isinstance(model.linears()["layers.0.mlp.up_proj"], nn.Sequential)


def test_a_network_without_linear_blocks_is_refused():
    shipped = models.open_model("reference")
    assert blocks_of(nn.Linear(2, 2)) == {}
    with pytest.raises(WorkbenchError, match=r"no torch\.nn\.Linear.*from_module"):
        dataclasses.replace(shipped, module=nn.Embedding(256, 4)).linears()


@pytest.mark.parametrize(
    ("ids", "message"),
    [
        (torch.zeros(3, dtype=torch.int64), r"int64 \(3,\) → a model reads int64 \(1, T\)"),
        (torch.zeros(1, 3), "float32"),
        (torch.zeros(1, 0, dtype=torch.int64), r"\(1, 0\)"),
        (torch.zeros(1, 257, dtype=torch.int64), r"257 tokens → reference reads 256 at once"),
        (torch.full((1, 2), 256), "token numbers 256 to 256 → reference knows 0 to 255"),
        (torch.full((1, 2), -1), "token numbers -1"),
    ],
)
def test_token_numbers_that_do_not_fit_are_refused(ids, message):
    with pytest.raises(WorkbenchError, match=message):
        models.open_model("reference").logits(ids)


def test_an_empty_text_is_refused():
    for text in ("", b""):
        with pytest.raises(WorkbenchError, match="an empty text"):
            models.open_model("reference").encode(text)


def test_a_folder_with_a_language_model_runs_in_float32(llama):
    from transformers import LlamaForCausalLM

    model = models.open_model(llama)
    assert isinstance(model, LanguageModel)
    assert (model.vocabulary, model.context, model.about) == (12, 32, "safetensors in bf16")
    ids = model.encode("to be or not to be that")
    assert ids.tolist() == [4, 5, 6, 7, 4, 5, 8]  # neither cut, padded, nor wrapped
    assert model.decode(ids) == "to be or not to be that"
    exact = LlamaForCausalLM.from_pretrained(llama, dtype=torch.float32).eval()
    with torch.no_grad():
        assert torch.equal(model.logits(ids[None]), exact(ids[None]).logits)
    assert list(model.linears())[:2] == [f"model.layers.0.self_attn.{n}_proj" for n in "qk"]
    assert len(model.linears()) == 14
    assert models.open_model(llama / "model.safetensors").vocabulary == 12


def test_an_encoder_folder_gives_embeddings_of_length_one(bert):
    model = models.open_model(bert)
    assert isinstance(model, Encoder)
    assert model.encode("to be").tolist() == [2, 4, 5, 3]
    assert model.hidden(model.encode("to be")[None]).shape == (1, 4, 16)
    texts = ["to be", "or not to be that is the question", "be"]
    together, alone = model.embed(texts), torch.cat([model.embed([text]) for text in texts])
    torch.testing.assert_close(together, alone)
    torch.testing.assert_close(together.norm(dim=1), torch.ones(3))
    hidden = model.hidden(model.encode("to be")[None])[0]
    torch.testing.assert_close(together[0], nn.functional.normalize(hidden.mean(0), dim=0))
    assert len(model.linears()) == 12
    assert model.embed(["to be " * 40]).shape == (1, 16)  # cut at the context
    for wrong in ([], "to be"):
        with pytest.raises(WorkbenchError, match="reads a list of texts"):
            model.embed(wrong)


def test_a_model_without_a_limit_reads_two_thousand_tokens(tmp_path):
    from transformers import BloomConfig, BloomForCausalLM

    config = BloomConfig(vocab_size=12, hidden_size=16, n_layer=2, n_head=2)
    BloomForCausalLM(config).save_pretrained(tmp_path)
    write_tokenizer(tmp_path)
    model = models.open_model(tmp_path)
    assert model.context == 2048
    assert next(iter(model.linears())) == "transformer.h.0.self_attention.query_key_value"


def test_tied_weights_stay_tied(tmp_path):
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(**SIZES, tie_word_embeddings=True)
    LlamaForCausalLM(config).save_pretrained(tmp_path)
    write_tokenizer(tmp_path)
    module = models.open_model(tmp_path).module
    assert module.lm_head.weight is module.model.embed_tokens.weight
    found = models.from_module(module).info("model.embed_tokens.weight")
    assert found.aliases == ("lm_head.weight",)


def test_nan_weights_are_named(llama):
    state = load_file(llama / "model.safetensors")
    state["model.layers.1.mlp.up_proj.weight"][0, :2] = torch.nan
    save_file(state, llama / "model.safetensors", {"format": "pt"})
    with pytest.raises(WorkbenchError, match=r"layers\.1\.mlp\.up_proj\.weight has 2 .* NaN"):
        models.open_model(llama)
    assert len(models.tensors(llama)) == len(state)


def test_missing_weights_are_named_and_not_drawn_at_random(llama):
    state = load_file(llama / "model.safetensors")
    del state["model.layers.1.mlp.up_proj.weight"]
    save_file(state, llama / "model.safetensors", {"format": "pt"})
    with pytest.raises(WorkbenchError, match=r"missing, the first is model\.layers\.1\.mlp\.up"):
        models.open_model(llama)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"model_type": "llamma"}, "transformers knows no architecture 'llamma'"),
        ({"architectures": ["LlamaForVideo"]}, "LlamaForVideo is neither"),
        ({"architectures": None}, "no architecture is neither"),
        ({"quantization_config": {"quant_method": "gptq"}}, "packed by 'gptq'"),
        ({"hidden_size": 20}, "transformers cannot build it"),
        ({"max_position_embeddings": None}, "transformers cannot build it"),
    ],
)
def test_what_cannot_run_can_still_be_looked_at(llama, fields, message):
    change(llama, **fields)
    with pytest.raises(WorkbenchError, match=rf"{message}.* → look at its tensors"):
        models.open_model(llama)
    assert len(models.tensors(llama)) == 21


def test_broken_folders_are_refused(llama):
    (llama / "tokenizer.json").write_text("{")
    with pytest.raises(WorkbenchError, match="not a vocabulary"):
        models.open_model(llama)
    (llama / "tokenizer.json").unlink()
    with pytest.raises(WorkbenchError, match=r"no tokenizer\.json"):
        models.open_model(llama)
    (llama / "config.json").write_text("[")
    with pytest.raises(WorkbenchError, match="no JSON object"):
        models.open_model(llama)
    (llama / "config.json").unlink()
    with pytest.raises(WorkbenchError, match=r"do not say what network.*config\.json"):
        models.open_model(llama)
    whole = (llama / "model.safetensors").read_bytes()
    (llama / "model.safetensors").write_bytes(whole[:-100])
    with pytest.raises(WorkbenchError, match="truncated"):
        models.open_model(llama)


def test_unknown_names_and_models_that_read_no_text_are_refused(tmp_path):
    with pytest.raises(WorkbenchError, match="write 'smollm2'"):
        models.open_model("smolm2")
    with pytest.raises(WorkbenchError, match="no such file"):
        models.open_model(tmp_path / "nowhere")
    save_file({"w": torch.ones(3)}, tmp_path / "one.safetensors")
    with pytest.raises(WorkbenchError, match="do not say what network"):
        models.open_model(tmp_path / "one.safetensors")


def test_a_missing_package_says_how_to_get_it(llama, monkeypatch):
    import importlib

    real = importlib.import_module

    def without(name, *rest):
        if name == "transformers":
            raise ImportError(name)
        return real(name, *rest)

    monkeypatch.setattr(importlib, "import_module", without)
    with pytest.raises(WorkbenchError, match="transformers is not installed → run: pip install"):
        models.open_model(llama)
    assert models.open_model("reference").context == 256
