"""Llama-type GGUF files as runnable language models.

The network is `transformers`' own; its sizes come from the metadata of the file, its weights from
the workbench's reader, which dequantizes each tensor once and puts query and key rows back into the
order of the rotary embedding. Format: the GGUF specification, keys `llama.*`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch

from workbench.errors import WorkbenchError
from workbench.models import extras, gguf_header, gguf_reader, tokens
from workbench.models.checkpoint import Checkpoint
from workbench.models.language import LanguageModel, check_finite

ROPE_FREQUENCIES = "rope_freqs.weight"


def open_llama(path: Path, name: str) -> LanguageModel:
    """Open a GGUF file of the architecture `llama`, all weights widened to float32.

    Any other architecture, mixtures of experts, missing metadata or tensors, weights that are NaN:
    each is a `WorkbenchError`; tensors can be looked at all the same.
    """
    extras.need("transformers", repr(name))
    checkpoint = gguf_reader.open_gguf(path)
    with path.open("rb") as file:
        metadata = gguf_header.read_header(file, tokens.KEYS).metadata
    config = llama_config(metadata, checkpoint, name)
    tokenizer = tokens.from_gguf(metadata)
    module = _module(config, checkpoint, name)
    check_finite(name, module)
    title = metadata.get("general.name") or path.stem
    about = f"{title}, GGUF in {checkpoint.weight_types}"
    context = int(metadata["llama.context_length"])
    return LanguageModel(name, module, tokenizer, config.vocab_size, context, about)


def llama_config(metadata: dict, checkpoint: Checkpoint, name: str) -> Any:
    """The `transformers.LlamaConfig` that GGUF metadata and tensor shapes describe."""
    from transformers import LlamaConfig

    _check_architecture(metadata, name)
    get = _getter(metadata, name)
    heads = int(get("attention.head_count"))
    width = int(get("embedding_length"))
    return LlamaConfig(
        vocab_size=checkpoint.info("model.embed_tokens.weight").shape[0],
        hidden_size=width,
        intermediate_size=int(get("feed_forward_length")),
        num_hidden_layers=int(get("block_count")),
        num_attention_heads=heads,
        num_key_value_heads=int(metadata.get("llama.attention.head_count_kv") or heads),
        head_dim=int(metadata.get("llama.attention.key_length") or width // heads),
        max_position_embeddings=int(get("context_length")),
        rms_norm_eps=float(get("attention.layer_norm_rms_epsilon")),
        rope_parameters=_rope(metadata, name),
        tie_word_embeddings="lm_head.weight" not in checkpoint,
        attention_bias="model.layers.0.self_attn.q_proj.bias" in checkpoint,
        mlp_bias="model.layers.0.mlp.up_proj.bias" in checkpoint,
        use_cache=False,
    )


def _getter(metadata: dict, name: str):
    def get(key: str) -> Any:
        value = metadata.get(f"llama.{key}")
        if value is None:
            raise _refusal(name, f"its metadata has no llama.{key}")
        return value

    return get


def _check_architecture(metadata: dict, name: str) -> None:
    found = metadata.get("general.architecture")
    if found != "llama":
        raise _refusal(name, f"only GGUF files of the architecture 'llama' are run, not {found!r}")
    if metadata.get("llama.expert_count"):
        raise _refusal(name, "a mixture of experts is not run")


def _rope(metadata: dict, name: str) -> dict:
    """The rotary parameters: plain, or with positions divided by a factor."""
    base = {"rope_theta": float(metadata.get("llama.rope.freq_base") or 10000.0)}
    scaling = metadata.get("llama.rope.scaling.type") or "none"
    if scaling == "none":
        return base | {"rope_type": "default"}
    if scaling == "linear":
        factor = float(metadata.get("llama.rope.scaling.factor") or 1.0)
        return base | {"rope_type": "linear", "factor": factor}
    raise _refusal(name, f"its rotary positions are scaled as {scaling!r}")


def _module(config: Any, checkpoint: Checkpoint, name: str) -> Any:
    """The network with the weights of the checkpoint, never held twice."""
    from transformers import LlamaForCausalLM
    from transformers.models.llama.modeling_llama import LlamaRotaryEmbedding

    with torch.device("meta"):
        module = LlamaForCausalLM(config)
    _check_tensors(module, checkpoint, name)
    weights = {key: _tensor(checkpoint[key]) for key in checkpoint if key != ROPE_FREQUENCIES}
    module.load_state_dict(weights, strict=False, assign=True)
    module.tie_weights()
    module.model.rotary_emb = LlamaRotaryEmbedding(config)
    if ROPE_FREQUENCIES in checkpoint:  # Llama 3.1 slows each frequency by a factor of its own
        module.model.rotary_emb.inv_freq /= _tensor(checkpoint[ROPE_FREQUENCIES])
    return module.eval()


def _check_tensors(module: Any, checkpoint: Checkpoint, name: str) -> None:
    """Refuse a file whose tensors are not exactly those that its metadata promise."""
    wanted = {key: tuple(tensor.shape) for key, tensor in module.state_dict().items()}
    tied = {"lm_head.weight"} if module.config.tie_word_embeddings else set()
    lost = sorted(set(wanted) - set(checkpoint) - tied)
    extra = sorted(set(checkpoint) - set(wanted) - {ROPE_FREQUENCIES})
    if lost or extra:
        what = f"it lacks {lost[0]}" if lost else f"{extra[0]} has no place in it"
        raise _refusal(name, f"its tensors are not those of a Llama model: {what}")
    for info in checkpoint.infos:
        if info.shape != wanted.get(info.name, info.shape):
            found = f"{info.name} is {info.shape}, by its metadata {wanted[info.name]}"
            raise _refusal(name, f"its shapes do not fit: {found}")


def _tensor(array: np.ndarray) -> torch.Tensor:
    """A float32 parameter; what the file maps is copied, so that training cannot touch it."""
    return torch.from_numpy(array if array.flags.writeable else array.copy()).float()


def _refusal(name: str, why: str) -> WorkbenchError:
    return WorkbenchError(name, why, f"look at its tensors with models.tensors({name!r})")
