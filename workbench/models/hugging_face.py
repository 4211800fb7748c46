"""Folders in the Hugging Face layout as runnable models.

`transformers` builds the network from `config.json` and safetensors, local files only; code that
comes with a checkpoint is never run, and pickles are refused.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from workbench.errors import WorkbenchError
from workbench.models import extras, opening, tokens
from workbench.models.language import Encoder, LanguageModel, TextModel, check_finite

CAUSAL = ("ForCausalLM", "LMHeadModel")
ENCODERS = ("Model", "ForMaskedLM", "ForPreTraining", "ForSequenceClassification")
UNSTATED = 2048  # tokens at once, where no limit is stated, as with relative positions
SHIFTED = {"roberta", "xlm-roberta", "camembert", "mpnet", "longformer"}


def open_folder(folder: Path, name: str) -> TextModel:
    """Open a causal language model or a sentence encoder, all weights widened to float32.

    A folder without `config.json`, an architecture that `transformers` does not know, weights that
    are missing, quantized or NaN: each is a `WorkbenchError`.
    """
    extras.need("transformers", repr(name))
    checkpoint = opening.open_checkpoint(folder)
    config = _read_config(folder, name)
    kind = _kind(config, name)
    module = _module(folder, name, kind)
    check_finite(name, module)
    tokenizer = tokens.from_folder(folder, special=kind is Encoder)
    context = _context(config)
    about = f"safetensors in {checkpoint.weight_types}"
    return kind(name, module, tokenizer, int(config["vocab_size"]), context, about)


def _read_config(folder: Path, name: str) -> dict:
    path = folder / "config.json"
    if not path.is_file():
        raise _refusal(name, "no config.json says what network its tensors belong to")
    try:
        config = json.loads(path.read_text("utf-8"))
        return {"architectures": None, "model_type": None} | config
    except (ValueError, TypeError) as error:
        raise WorkbenchError(
            str(path), f"it is no JSON object ({error})", "fetch the file again"
        ) from None


def _kind(config: dict, name: str) -> type[TextModel]:
    """Whether a configuration is that of a language model or of an encoder."""
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING_NAMES

    found = config["architectures"] or []
    if config["model_type"] not in CONFIG_MAPPING_NAMES:
        raise _refusal(name, f"transformers knows no architecture {config['model_type']!r}")
    if "quantization_config" in config:
        method = config["quantization_config"].get("quant_method")
        raise _refusal(name, f"its weights are packed by {method!r}, and only plain ones are run")
    if not config.get("vocab_size") or config.get("is_encoder_decoder"):
        raise _refusal(name, "it is neither a language model nor a sentence encoder")
    if any(each.endswith(CAUSAL) for each in found):
        return LanguageModel
    if any(each.endswith(ENCODERS) for each in found):
        return Encoder
    shown = ", ".join(found) or "no architecture"
    raise _refusal(name, f"{shown} is neither a language model nor a sentence encoder")


def _module(folder: Path, name: str, kind: type[TextModel]) -> Any:
    import torch
    import transformers

    auto = transformers.AutoModelForCausalLM if kind is LanguageModel else transformers.AutoModel
    try:
        with _quiet():
            module, report = auto.from_pretrained(
                folder, local_files_only=True, use_safetensors=True, trust_remote_code=False,
                dtype=torch.float32, output_loading_info=True,
            )  # fmt: skip
    except Exception as error:  # each of hundreds of architectures fails in its own way
        raise _refusal(name, f"transformers cannot build it ({_first_line(error)})") from None
    lost = sorted(key for key in report["missing_keys"] if "pooler" not in key)
    if lost:
        raise _refusal(name, f"{len(lost)} of its weights are missing, the first is {lost[0]}")
    module.config.use_cache = False
    return module.eval()


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the bars and reports of loading, which are given here as errors; then as before."""
    from transformers.utils import logging

    before, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(before)
        if bars:
            logging.enable_progress_bar()


def _context(config: dict) -> int:
    """The most positions; RoBERTa's kin count theirs from the padding number on."""
    names = ("max_position_embeddings", "n_positions", "max_sequence_length", "max_seq_len")
    found = next((int(config[key]) for key in names if config.get(key)), UNSTATED)
    shift = int(config.get("pad_token_id") or 0) + 1 if config["model_type"] in SHIFTED else 0
    return found - shift


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def _refusal(name: str, why: str) -> WorkbenchError:
    return WorkbenchError(name, why, f"look at its tensors with models.tensors({name!r})")
