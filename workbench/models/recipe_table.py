"""Recipes side by side on one model: losses, distances and bytes, with intervals.

The protocol is stated with the figures: what was calibrated with, what was scored, and how.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from workbench.models.calibrate import calibrate
from workbench.models.evaluate import Remembered, embedding_agreement, evaluate
from workbench.models.language import Encoder, LanguageModel, TextModel
from workbench.models.quantize import quantize
from workbench.quantizers.recipe import Recipe

RECIPES = (
    "w=int8/channel", "w=e4m3fn", "w=nf4/b64", "w=nvfp4", "w=mxfp4", "w=int4/g32",
    "w=int4/g32 gptq", "w=int3/g32", "w=int3/g32 gptq", "w=int2/g32",
    "w=int8/channel a=int8/tensor", "w=int8/channel a=int8/token",
    "w=int8/channel a=int8/token outlier_columns", "smooth w=int8/channel a=int8/tensor",
    "w=int4/g32 a=int4/token", "hadamard w=int4/g32 a=int4/token",
    "smooth hadamard w=int4/g32 a=int4/token", "smooth hadamard w=int4/g32 gptq a=int4/token",
)  # fmt: skip


@dataclass(frozen=True)
class Protocol:
    """What is read and what is scored.

    Attributes:
        calibration: text that ranges and products come from.
        scored: text of a language model, or lines for an encoder.
        tokens: how many are read for calibration, at most.
        context: tokens at once.
        about: all of it in words.
    """

    calibration: str | bytes
    scored: Any
    tokens: int
    context: int
    about: str


def shipped_protocol(model: TextModel, scored: int = 32768) -> Protocol:
    """The protocol for a model on the shipped text: *Hamlet*, first half read, the end scored.

    Language models score the last `scored` bytes; encoders the longer lines of the last half.

    >>> from workbench import models
    >>> shipped_protocol(models.open_model("reference")).context
    256
    """
    from workbench import models

    text = models.held_out_text()
    half = len(text) // 2
    context = min(model.context, 512 if isinstance(model, LanguageModel) else 64)
    if isinstance(model, Encoder):
        lines = [line.strip() for line in text[half:].decode().splitlines()]
        chosen = [line for line in lines if len(line) > 40][:256]
        about = f"{len(chosen)} lines of the last half of *Hamlet*, each embedded by itself"
        return Protocol(text[:half], chosen, 8192, context, about)
    part = text[max(half, len(text) - scored) :]
    about = f"the last {len(part):,} bytes of *Hamlet*, windows of {context} tokens side by side"
    return Protocol(text[:half], part, 16384, context, about)


def recipe_rows(
    model: TextModel,
    recipes: Sequence[Any] = RECIPES,
    protocol: Protocol | None = None,
    report: Callable[[str], object] = lambda line: None,
) -> list[dict[str, Any]]:
    """One row a recipe on one model, the float model first.

    A language model has `loss`, `perplexity`, `kl` with `kl_low` and `kl_high`, and `agreement`; an
    encoder `cosine`, `cosine_low`, `cosine_high` and `retrieval`. Both have `model`, `recipe` and
    `bits` a weight. A recipe that the model refuses has its reason as `refused`.
    """
    from workbench.errors import WorkbenchError

    protocol = protocol or shipped_protocol(model)
    report(f"{model.name}: calibrating")
    known = calibrate(model, protocol.calibration, tokens=protocol.tokens, window=protocol.context)
    measure = _measure(model, protocol)
    rows = [{"model": model.name, "recipe": "float", "bits": 32.0} | measure(model)]
    for recipe in map(Recipe.of, recipes):
        report(f"{model.name}: {recipe}")
        row: dict[str, Any] = {"model": model.name, "recipe": str(recipe)}
        try:
            made = quantize(model, recipe, known)
        except WorkbenchError as refusal:
            rows.append(row | {"refused": str(refusal)})
            continue
        rows.append(row | {"bits": made.module.quantization.bits} | measure(made))
    return rows


def _measure(model: Any, protocol: Protocol) -> Callable[[Any], dict[str, float]]:
    """What tells how far a model is from the float one."""
    if isinstance(model, Encoder):
        exact = model.embed(protocol.scored)
        return lambda other: embedding_agreement(exact, other.embed(protocol.scored))
    remembered = Remembered(model)

    def measured(other: LanguageModel) -> dict[str, float]:
        found = evaluate(other, protocol.scored, remembered, context=protocol.context)
        low, high = found.interval("kl")
        return {
            "loss": found.loss, "perplexity": found.perplexity, "kl": found.kl, "kl_low": low,
            "kl_high": high, "agreement": found.agreement, "scored": found.scored,
        }  # fmt: skip

    return measured
