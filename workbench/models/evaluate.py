"""How well a byte-level model predicts text, and how far a quantized one is from it.

Protocol: windows of the model's context, a stated stride, every byte but the first scored exactly
once; loss in nats a byte. KL(float || quantized) is the primary measure: it falls with every bit,
where differences of loss at four bits and more are noise.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from workbench.errors import WorkbenchError
from workbench.models.reference import ReferenceModel

WEIGHT_SCHEMES = (
    "int8/channel",
    "e4m3fn",
    "nf4/b64",
    "int4/g32",
    "nvfp4",
    "mxfp4",
    "int3/g32",
    "int2/g32",
)


@dataclass(frozen=True)
class Evaluation:
    """Losses of one model on a text, with the protocol they were measured by.

    `loss` and `kl` are nats a byte, `kl_error` the standard error of `kl` over windows,
    `agreement` the share of bytes whose most likely prediction is the float model's.
    Without a model to compare with, `kl` is 0 and `agreement` 1.
    """

    loss: float
    kl: float
    kl_error: float
    agreement: float
    scored: int
    context: int
    stride: int


def windows(text: bytes, context: int, stride: int) -> Iterator[tuple[Tensor, int]]:
    """Windows of at most `context + 1` bytes (int64) and how many of their last bytes are new.

    >>> [(w.tolist(), new) for w, new in windows(b"abcdef", 3, 2)]
    [([97, 98, 99, 100], 3), ([99, 100, 101, 102], 2)]
    """
    data = torch.from_numpy(np.frombuffer(text, np.uint8).astype(np.int64))
    scored = 1
    for start in range(0, len(data) - 1, stride):
        window = data[start : start + context + 1]
        end = start + len(window)
        if end > scored:
            yield window, end - scored
        scored = max(scored, end)


@torch.inference_mode()
def evaluate(
    model: ReferenceModel,
    text: bytes,
    compared: Callable[[Tensor], Tensor] | None = None,
    stride: int | None = None,
) -> Evaluation:
    """Loss of `model` on `text`, and its distance from the float model `compared`.

    `stride` is in bytes and defaults to the context: windows that do not overlap. A longer
    stride, or a text of fewer than two bytes, is a `WorkbenchError`.

    >>> from workbench import models
    >>> model = models.load("reference")
    >>> evaluate(model, models.held_out_text()[:513]).scored
    512
    """
    context = model.config.context
    stride = context if stride is None else stride
    _check(text, context, stride)
    sums = [_score(model, compared, window, new) for window, new in windows(text, context, stride)]
    losses, divergences, matches, counts = np.array(sums, np.float64).reshape(-1, 4).T
    scored = counts.sum()
    kl = divergences.sum() / scored
    spread = np.std(divergences / counts, ddof=1) if len(counts) > 1 else 0.0
    return Evaluation(
        loss=float(losses.sum() / scored),
        kl=float(kl),
        kl_error=float(spread / np.sqrt(len(counts))),
        agreement=float(matches.sum() / scored),
        scored=int(scored),
        context=context,
        stride=stride,
    )


class Remembered:
    """A model whose logits are kept by window, so that many comparisons run it once.

    Keeps `256 * 4` bytes a byte of text.

    >>> logits = Remembered(lambda tokens: tokens.float())
    >>> logits(torch.ones(1, 2, dtype=torch.long)) is logits(torch.ones(1, 2, dtype=torch.long))
    True
    """

    def __init__(self, model: Callable[[Tensor], Tensor]) -> None:
        self.model = model
        self._kept: dict[bytes, Tensor] = {}

    def __call__(self, tokens: Tensor) -> Tensor:
        """Logits of int64 `(1, time)` tokens."""
        key = tokens.numpy().tobytes()
        if key not in self._kept:
            self._kept[key] = self.model(tokens)
        return self._kept[key]


def _check(text: bytes, context: int, stride: int) -> None:
    if not 1 <= stride <= context:
        raise WorkbenchError(
            f"stride {stride}", "bytes would be left out", f"write 1 to {context}, the context"
        )
    if len(text) < 2:
        raise WorkbenchError(
            f"a text of {len(text)} bytes", "no byte has one before it", "give more"
        )


def _score(
    model: ReferenceModel, compared: Callable[[Tensor], Tensor] | None, window: Tensor, new: int
) -> tuple[float, float, float, int]:
    """Sums over the new bytes of a window: loss, KL, agreements; and their number."""
    log_q = F.log_softmax(model(window[None, :-1])[0, -new:], dim=-1)
    loss = F.nll_loss(log_q, window[-new:], reduction="sum").item()
    if compared is None:
        return loss, 0.0, float(new), new
    log_p = F.log_softmax(compared(window[None, :-1])[0, -new:], dim=-1)
    kl = F.kl_div(log_q.double(), log_p.double(), reduction="sum", log_target=True).item()
    matches = (log_p.argmax(-1) == log_q.argmax(-1)).sum().item()
    return loss, kl, matches, new


def block_linears(model: nn.Module) -> dict[str, nn.Linear]:
    """The linear layers inside the decoder blocks by name: neither embedding nor head.

    >>> from workbench import models
    >>> len(block_linears(models.load("reference")))
    28
    """
    return {
        name: module
        for name, module in model.named_modules()
        if isinstance(module, nn.Linear) and ".layers." in f".{name}"
    }


def with_weights(model: ReferenceModel, scheme: str) -> ReferenceModel:
    """A copy of `model` whose block-linear weights went through a scheme and back.

    Blocks and groups run along the inputs (the last axis); `channel` is an output row.
    """
    parsed = _scheme(scheme)
    quantized = copy.deepcopy(model)
    for linear in block_linears(quantized).values():
        linear.weight.data = parsed.round(linear.weight.data, axis=-1)
    return quantized


@contextmanager
def with_inputs(model: ReferenceModel, scheme: str) -> Iterator[ReferenceModel]:
    """Round the input of every block linear through a scheme while the context is open.

    Each window of a batch is rounded by itself, its range taken from that window as it passes
    (dynamic): `tensor` shares one scale over a window's tokens, `token` has one a token.
    """
    parsed = _scheme(scheme)

    def hook(module: nn.Module, inputs: tuple[Tensor]) -> tuple[Tensor]:
        return (torch.stack([parsed.round(window, axis=-1) for window in inputs[0]]),)

    handles = [linear.register_forward_pre_hook(hook) for linear in block_linears(model).values()]
    try:
        yield model
    finally:
        for handle in handles:
            handle.remove()


def weight_table(
    schemes: Sequence[str] = WEIGHT_SCHEMES,
    text: bytes | None = None,
    model: ReferenceModel | None = None,
    report: Callable[[str], object] = lambda line: None,
) -> list[dict]:
    """Loss, KL and agreement of the reference model under weight schemes, float32 first.

    Rows have `scheme`, `bits` (bits a value with scales), `loss`, `kl`, `kl_error`, `agreement`.
    `text` defaults to the whole held-out slice. An unknown scheme is a `WorkbenchError`.
    """
    from workbench import models

    model = model or models.load("reference")
    text = models.held_out_text() if text is None else text
    exact = Remembered(model)
    rows = [_row("float32", 32.0, evaluate(model, text))]
    for scheme in schemes:
        report(f"weights as {scheme}")
        result = evaluate(with_weights(model, scheme), text, exact)
        rows.append(_row(scheme, weight_bits(model, scheme), result))
    return rows


def activation_table(
    text: bytes | None = None, report: Callable[[str], object] = lambda line: None
) -> list[dict]:
    """W8A8 of the reference model and its outlier twin: one scale a window, and one a token.

    Weights are `int8/channel`. Rows have `model`, `weights`, `activations` and what
    `weight_table` has; KL is to the float32 model, which is the twin's function too.
    """
    from workbench import models

    text = models.held_out_text() if text is None else text
    exact = Remembered(models.load("reference"))
    rows = []
    for name in ("reference", "reference-twin"):
        quantized = with_weights(models.load(name), "int8/channel")
        for scheme in ("int8/tensor", "int8/token"):
            report(f"{name}: int8/channel weights, {scheme} activations")
            with with_inputs(quantized, scheme):
                result = evaluate(quantized, text, exact)
            label = {"model": name, "weights": "int8/channel", "activations": scheme}
            rows.append(label | _row(scheme, 8.0, result))
    return rows


def weight_bits(model: nn.Module, scheme: str) -> float:
    """Mean bits a block-linear weight takes under a scheme, scales included."""
    parsed = _scheme(scheme)
    weights = [linear.weight for linear in block_linears(model).values()]
    bits = sum(parsed.bits_per_value(tuple(w.shape)) * w.numel() for w in weights)
    return bits / sum(w.numel() for w in weights)


def _row(scheme: str, bits: float, result: Evaluation) -> dict:
    row = {"scheme": scheme, "bits": bits, "loss": result.loss, "kl": result.kl}
    return row | {"kl_error": result.kl_error, "agreement": result.agreement}


def _scheme(text: str):
    from workbench import schemes

    return schemes.parse(text)
