"""The sizes of a transformer that its costs follow from, read from a configuration.

A configuration is the `config.json` of a checkpoint, a configuration object of `transformers`, or a
row of `data/models.toml`. Nothing is downloaded, and no network is built.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from ..errors import WorkbenchError, unknown

MODELS = Path(__file__).parent / "data" / "models.toml"
GATED = {
    "llama", "mistral", "mixtral", "qwen2", "qwen3", "qwen2_moe", "qwen3_moe", "gemma", "gemma2",
    "phi3", "phimoe", "olmo2", "olmoe", "granite", "stablelm", "smollm3", "cohere", "workbench",
}  # fmt: skip
PLAIN = {"gpt2", "gpt_neox", "gptj", "opt", "bloom", "falcon", "phi", "starcoder2"}
ENCODERS = {"bert", "roberta", "xlm-roberta", "camembert", "distilbert", "mpnet"}
TIED = {"gpt2", "opt", "bloom", "falcon", "gemma", "gemma2", "starcoder2", "smollm3", "cohere"}
KINDS = GATED | PLAIN | ENCODERS
SPELLINGS = {
    "width": ("hidden_size", "n_embd", "dim", "d_model"),
    "layers": ("num_hidden_layers", "n_layer", "n_layers"),
    "heads": ("num_attention_heads", "n_head", "n_heads"),
    "kv_heads": ("num_key_value_heads",),
    "head_size": ("head_dim",),
    "hidden": ("intermediate_size", "n_inner", "ffn_dim", "hidden_dim", "ffn_hidden_size"),
    "vocabulary": ("vocab_size",),
    "context": ("max_position_embeddings", "n_positions"),
    "experts": ("num_local_experts", "num_experts"),
    "experts_used": ("num_experts_per_tok",),
    "expert_hidden": ("moe_intermediate_size",),
    "shared_hidden": ("shared_expert_intermediate_size",),
}


@dataclass(frozen=True)
class Architecture:
    """The sizes of a transformer.

    Args:
        name: what it is called.
        layers: blocks.
        width: channels of the residual stream.
        heads: of queries.
        kv_heads: of keys and values; fewer than `heads` with grouped queries.
        head_size: channels of one head.
        hidden: channels between the two halves of a feed-forward network, of one expert where there
            are several.
        vocabulary: token numbers.
        gated: whether the feed-forward network has a gate beside its first half.
        tied: whether the head reads the embedding's table.
        encoder: whether tokens see those after them, and there is no head.
        context: the most tokens at once; 0 where nothing says it.
        windows: keys that a query of each block sees, 0 for all; empty where all blocks see all.
        experts: of each feed-forward network; 0 for one that is dense.
        experts_used: by a token.
        shared_hidden: channels of an expert that every token uses.

    Example:
        >>> llama = architecture("llama-2-7b")
        >>> llama.kv_heads, round(llama.parameters / 1e9, 2)
        (32, 6.74)
    """

    name: str
    layers: int
    width: int
    heads: int
    kv_heads: int
    head_size: int
    hidden: int
    vocabulary: int
    gated: bool = True
    tied: bool = False
    encoder: bool = False
    context: int = 0
    windows: tuple[int, ...] = ()
    experts: int = 0
    experts_used: int = 0
    shared_hidden: int = 0

    def __post_init__(self):
        sizes = ("layers", "width", "heads", "kv_heads", "head_size", "hidden", "vocabulary")
        wrong = [name for name in sizes if getattr(self, name) < 1]
        if wrong:
            raise WorkbenchError(
                f"{self.name}: {wrong[0]} {getattr(self, wrong[0])}", "sizes are 1 or more",
                "repair the configuration",
            )  # fmt: skip
        if self.heads % self.kv_heads:
            raise WorkbenchError(
                f"{self.name}: {self.heads} heads and {self.kv_heads} of keys",
                "each head of keys serves as many of queries", "repair the configuration",
            )  # fmt: skip
        if not 0 <= self.experts_used <= self.experts:
            raise WorkbenchError(
                f"{self.name}: {self.experts_used} of {self.experts} experts",
                "a token uses some of those there are", "repair the configuration",
            )  # fmt: skip

    @property
    def linears(self) -> dict[str, tuple[int, int]]:
        """The linear layers of one block as (outputs, features), one expert's where there are some.

        Example:
            >>> architecture("mistral-7b").linears["self_attn.k_proj"]
            (1024, 4096)
        """
        width, heads, keys = (
            self.width,
            self.heads * self.head_size,
            self.kv_heads * self.head_size,
        )
        attention = {
            "q_proj": (heads, width), "k_proj": (keys, width), "v_proj": (keys, width),
            "o_proj": (width, heads),
        }  # fmt: skip
        found = {f"self_attn.{name}": shape for name, shape in attention.items()}
        for place, hidden in (("mlp", self.hidden), ("shared_expert", self.shared_hidden)):
            if hidden:
                found |= self._feed_forward(place, hidden)
        if self.experts:
            found["mlp.router"] = (self.experts, width)
            if self.shared_hidden:
                found["shared_expert.router"] = (1, width)
        return found

    def _feed_forward(self, place: str, hidden: int) -> dict[str, tuple[int, int]]:
        gate = {f"{place}.gate_proj": (hidden, self.width)} if self.gated else {}
        halves = {
            f"{place}.up_proj": (hidden, self.width),
            f"{place}.down_proj": (self.width, hidden),
        }
        return gate | halves

    def copies(self, linear: str) -> int:
        """How many of a linear layer a block has: one, or one for each expert."""
        return self.experts if self.experts and _of_an_expert(linear) else 1

    @property
    def block_parameters(self) -> int:
        """Weights of the linear layers of all blocks."""
        each = (out * into * self.copies(name) for name, (out, into) in self.linears.items())
        return self.layers * sum(each)

    @property
    def embedding_parameters(self) -> int:
        """Weights of the embedding, and of a head of its own."""
        return self.vocabulary * self.width * (1 if self.tied or self.encoder else 2)

    @property
    def parameters(self) -> int:
        """All weights but norms, biases and learned positions."""
        return self.block_parameters + self.embedding_parameters

    def cache_values(self, tokens: int) -> int:
        """Keys and values of one sequence of `tokens`, over all layers; heads of keys count.

        Example:
            >>> architecture("llama-3-8b").cache_values(1) == 2 * 32 * 8 * 128
            True
        """
        seen = sum(min(tokens, self.window(layer) or tokens) for layer in range(self.layers))
        return 2 * seen * self.kv_heads * self.head_size

    def window(self, layer: int) -> int:
        """Keys that a query of a block sees; 0 for all."""
        return self.windows[layer] if self.windows else 0

    @classmethod
    def from_config(cls, config: Any, name: str = "") -> Architecture:
        """The architecture of a configuration: data, or an object of `transformers`.

        A kind of network that is not known here, or a size that is missing, raises
        `WorkbenchError`.
        """
        plain = dict(config if isinstance(config, Mapping) else config.to_dict())
        kind = str(plain.get("model_type", ""))
        if kind not in KINDS:
            raise unknown("kind of network whose operations are known", kind, sorted(KINDS))
        name = name or str(plain.get("_name_or_path") or kind)
        _refuse_mixed(plain, name)
        try:
            sizes = {field: _first(plain, spellings) for field, spellings in SPELLINGS.items()}
        except (TypeError, ValueError) as error:
            raise WorkbenchError(
                name, f"a size is no number ({error})", "repair the configuration"
            ) from None
        return cls(name, **_filled(sizes, plain, kind, name))


def _of_an_expert(linear: str) -> bool:
    return linear.startswith("mlp.") and not linear.endswith("router")


def _first(config: Mapping[str, Any], spellings: tuple[str, ...]) -> int:
    return next((int(config[key]) for key in spellings if config.get(key)), 0)


def _filled(
    sizes: dict[str, int], config: Mapping[str, Any], kind: str, name: str
) -> dict[str, Any]:
    """All fields, with what a configuration leaves to its kind."""
    for field in ("width", "layers", "heads", "vocabulary"):
        if not sizes[field]:
            raise WorkbenchError(
                f"{name}: a configuration without {SPELLINGS[field][0]}",
                "what it costs follows from its sizes", f"add {SPELLINGS[field][0]}",
            )  # fmt: skip
    expert = sizes.pop("expert_hidden")
    sizes["hidden"] = (expert if sizes["experts"] else 0) or sizes["hidden"] or 4 * sizes["width"]
    sizes["kv_heads"] = _kv_heads(sizes, config, kind)
    sizes["head_size"] = sizes["head_size"] or sizes["width"] // sizes["heads"]
    return sizes | {
        "gated": kind in GATED, "encoder": kind in ENCODERS,
        "windows": _windows(config, sizes["layers"]),
        "tied": bool(config.get("tie_word_embeddings", kind in TIED)),
    }  # fmt: skip


def _kv_heads(sizes: Mapping[str, int], config: Mapping[str, Any], kind: str) -> int:
    """Heads of keys; Falcon says it in words of its own."""
    if kind == "falcon":
        if config.get("new_decoder_architecture"):
            return int(config.get("num_kv_heads") or sizes["heads"])
        return 1 if config.get("multi_query", True) else sizes["heads"]
    return sizes["kv_heads"] or sizes["heads"]


def _windows(config: Mapping[str, Any], layers: int) -> tuple[int, ...]:
    """The window of each block."""
    window = int(config.get("sliding_window") or 0)
    if not window or config.get("use_sliding_window") is False:
        return ()
    kinds = config.get("layer_types") or ["sliding_attention"] * layers
    found = tuple(window if kind == "sliding_attention" else 0 for kind in kinds)
    return found if any(found) else ()


def _refuse_mixed(config: Mapping[str, Any], name: str) -> None:
    """Raise where some blocks are dense and others have experts."""
    if int(config.get("decoder_sparse_step") or 1) != 1 or config.get("mlp_only_layers"):
        raise WorkbenchError(
            f"{name}: blocks with experts and dense ones", "one kind of block is counted",
            "count each part by a configuration of its own",
        )  # fmt: skip


@cache
def _rows() -> dict[str, dict[str, Any]]:
    return tomllib.loads(MODELS.read_text("utf-8"))


def architectures() -> list[str]:
    """The names of the configurations that come with the workbench.

    Example:
        >>> "llama-3-8b" in architectures()
        True
    """
    return sorted(_rows())


def architecture(name: str | Path) -> Architecture:
    """The architecture of a published model, by name, or of a folder with its configuration.

    An unknown name, or a file that holds none, raises `WorkbenchError`.

    Example:
        >>> architecture("mixtral-8x7b").experts_used
        2
    """
    if str(name) in _rows():
        return Architecture.from_config(_rows()[str(name)], str(name))
    path = Path(name).expanduser()
    path = path / "config.json" if path.is_dir() else path
    if not path.is_file():
        raise unknown("model whose sizes are known", str(name), architectures())
    try:
        config = dict(json.loads(path.read_text("utf-8")))
    except (ValueError, TypeError) as error:
        raise WorkbenchError(
            str(path), f"it is no configuration ({error})", "name a config.json"
        ) from None
    return Architecture.from_config(config, path.parent.name)
