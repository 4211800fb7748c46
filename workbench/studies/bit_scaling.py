"""Loss against total bits: networks of several widths, each quantized to several bits a weight.

Small byte-level language models are trained on the first part of the shipped text when they are
asked for, in seconds, and scored on its end. At their size embeddings weigh as much as blocks, so
rows tell the bits of the blocks and of everything apart.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..models import held_out_text
from ..models.evaluate import evaluate
from ..models.language import LanguageModel
from ..models.quantize import quantize
from ..models.reference import ReferenceConfig
from ..models.tokens import Bytes
from ..models.train_reference import initialize
from ..quantizers import Recipe
from ..training.loop import train

WIDTHS, BITS = (16, 32, 64), (2, 3, 4, 5, 6, 8, 16)
STEPS, BATCH, CONTEXT, RATE = 150, 8, 64, 3e-2
TRAINED = 98304  # bytes of the text that are trained on
SCORED = 4096  # bytes of its end
OTHERS = 16  # bits of a parameter that is not quantized


@cache
def small_model(width: int, steps: int = STEPS) -> LanguageModel:
    """A byte-level model of one block, trained from a seed; the same bits on every call.

    Args:
        width: of its residual stream; a multiple of 16.
        steps: of training, with 8 windows of 64 bytes each.

    Example:
        >>> model = small_model(16, steps=2)
        >>> sum(linear.weight.numel() for linear in model.linears().values())
        4096
    """
    config = ReferenceConfig(
        layers=1, width=width, hidden=4 * width, heads=width // 16, context=CONTEXT
    )
    module = initialize(config, 0)
    train(module, _batches(steps), steps, RATE * (16 / width) ** 0.5)
    module = module.eval().requires_grad_(False)
    return LanguageModel(f"width {width}", module, Bytes(), config.vocabulary, CONTEXT)


def _batches(steps: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Windows (8, 64) of the text and the bytes that follow each byte."""
    text = torch.from_numpy(np.frombuffer(held_out_text(), np.uint8, TRAINED).astype(np.int64))
    windows, random = text.unfold(0, CONTEXT + 1, 1), torch.Generator().manual_seed(0)
    for _ in range(steps):
        drawn = windows[torch.randint(len(windows), (BATCH,), generator=random)]
        yield drawn[:, :-1], drawn[:, 1:]


def scaling_rows(
    models: Sequence[LanguageModel], bits: Sequence[int] = BITS, scored: Any = None,
    pattern: str = "w=int{}/channel",
) -> list[dict[str, Any]]:  # fmt: skip
    """A row for each model and width of its weights.

    Args:
        models: in float.
        bits: a weight of the blocks; 16 stands for half-precision floats.
        scored: text; None for the last 4096 bytes of the shipped one.
        pattern: text of the recipe with {} for the bits.

    Returns:
        Rows with `model`, `bits`, `parameters`, `blocks` (stored bits inside the blocks), `total`
        (with all other parameters in 16 bits) and `loss` in nats a token.

    Example:
        >>> [row] = scaling_rows([small_model(16, 2)], [4], held_out_text()[:129])
        >>> row["parameters"], row["blocks"], row["total"]
        (12336, 23040, 154880)
    """
    text = held_out_text()[-SCORED:] if scored is None else scored
    rows = []
    for model in models:
        parameters = sum(p.numel() for p in model.module.parameters())
        inside = sum(linear.weight.numel() for linear in model.linears().values())
        for width in bits:
            recipe = Recipe.parse("w=f16" if width == OTHERS else pattern.format(width))
            made = quantize(model, recipe)
            stored = 8 * sum(row.nbytes for row in made.module.quantization.rows)
            rows.append({
                "model": model.name, "bits": width, "parameters": parameters, "blocks": stored,
                "total": stored + OTHERS * (parameters - inside),
                "loss": evaluate(made, text, context=min(model.context, CONTEXT)).loss,
            })  # fmt: skip
    return rows


def best_within(
    rows: Sequence[dict[str, Any]], budget: float, size: str = "total"
) -> dict[str, Any] | None:
    """The row of least loss among those of at most so many bits, or None.

    Args:
        rows: of `scaling_rows`.
        budget: in bits.
        size: "total", or "blocks".

    Example:
        >>> best_within([{"total": 8, "loss": 2.0}, {"total": 9, "loss": 1.0}], 8)
        {'total': 8, 'loss': 2.0}
    """
    within = [row for row in rows if row[size] <= budget]
    return min(within, key=lambda row: row["loss"], default=None)
