"""How well a language model predicts text, and how far a quantized one is from it.

Protocol: windows of a stated context, a stated stride, every token but the first scored exactly
once; loss in nats a token. KL(float || quantized) is the primary measure: it falls with every bit,
where differences of loss at four bits and more are noise.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from workbench.errors import WorkbenchError
from workbench.metrics.bootstrap import RESAMPLES, ends, resampled
from workbench.models.calibrate import WINDOW, token_numbers
from workbench.models.language import LanguageModel, TextModel
from workbench.models.tokens import Bytes
from workbench.models.windows import in_order, overlapping


@dataclass(frozen=True)
class Evaluation:
    """Losses of one model on a text, with the protocol they were measured by.

    `loss` and `kl` are nats a token, `kl_error` the standard error of `kl` over windows,
    `agreement` the share of tokens whose most likely prediction is the float model's.
    Without a model to compare with, `kl` is 0 and `agreement` 1. `sums` holds, a window a row,
    the sums of loss, KL and agreements, and how many tokens were scored.
    """

    loss: float
    kl: float
    kl_error: float
    agreement: float
    scored: int
    context: int
    stride: int
    sums: np.ndarray = field(repr=False, compare=False, default_factory=lambda: np.zeros((0, 4)))

    @property
    def perplexity(self) -> float:
        """The exponential of the loss."""
        return float(np.exp(self.loss))

    def interval(self, name: str = "kl", share: float = 0.95) -> tuple[float, float]:
        """Ends of a bootstrap interval over windows of "loss", "kl" or "agreement"."""
        return ends(_means(self.sums)[:, _COLUMNS[name]], share)

    def difference(
        self, other: Evaluation, name: str = "loss", share: float = 0.95
    ) -> tuple[float, float, float]:
        """How much more than `other` it is, and the interval of a paired bootstrap.

        Both have to be of the same text and protocol, or it is a `WorkbenchError`.
        """
        if not np.array_equal(self.sums[:, 3], other.sums[:, 3]):
            raise WorkbenchError(
                f"evaluations of {self.scored} and {other.scored} tokens",
                "they are compared window by window", "evaluate both on one text",
            )  # fmt: skip
        column = _COLUMNS[name]
        mine, theirs = (_means(one.sums)[:, column] for one in (self, other))
        whole = (self.sums[:, column] - other.sums[:, column]).sum() / self.scored
        return float(whole), *ends(mine - theirs, share)


_COLUMNS = {"loss": 0, "kl": 1, "agreement": 2}


def _means(sums: np.ndarray) -> np.ndarray:
    """Means a token over windows drawn again and again."""
    totals = resampled(sums)
    return totals[:, :3] / totals[:, 3:]


def evaluate(
    model: LanguageModel | nn.Module,
    text: str | bytes | Tensor,
    compared: Callable[[Tensor], Tensor] | LanguageModel | None = None,
    stride: int | None = None,
    context: int | None = None,
) -> Evaluation:
    """Loss of a model on a text, and its distance from the float model `compared`.

    Args:
        model: a language model, or a module such as `load("reference")` gives.
        text: text, bytes, or token numbers.
        compared: what gives the float model's logits for `(1, T)` tokens.
        stride: in tokens; None for the context: windows that do not overlap.
        context: tokens that are read at once; None for the model's, at most 512.

    A longer stride, or a text of fewer than two tokens, is a `WorkbenchError`.

    >>> from workbench import models
    >>> model = models.load("reference")
    >>> evaluate(model, models.held_out_text()[:513]).scored
    512
    """
    model = _language(model)
    exact = compared.logits if isinstance(compared, LanguageModel) else compared
    context = min(model.context, WINDOW) if context is None else context
    stride = context if stride is None else stride
    ids = token_numbers(model, text) if len(text) else torch.zeros(0)
    _check(len(ids), model, context, stride)
    work = in_order(lambda one: _score(model, exact, *one), overlapping(ids, context, stride))
    sums = np.array(list(work), np.float64)
    losses, divergences, matches, counts = sums.T
    scored = counts.sum()
    spread = np.std(divergences / counts, ddof=1) if len(counts) > 1 else 0.0
    return Evaluation(
        loss=float(losses.sum() / scored),
        kl=float(divergences.sum() / scored),
        kl_error=float(spread / np.sqrt(len(counts))),
        agreement=float(matches.sum() / scored),
        scored=int(scored),
        context=context,
        stride=stride,
        sums=sums,
    )


def _language(model: LanguageModel | nn.Module) -> LanguageModel:
    """The language model of a module that reads bytes."""
    if isinstance(model, LanguageModel):
        return model
    sizes: Any = getattr(model, "config", None)
    if not hasattr(sizes, "vocabulary"):
        raise WorkbenchError(
            type(model).__name__, "it does not say how it reads text",
            "pass models.open_model(name), or replace(model, module=yours)",
        )  # fmt: skip
    return LanguageModel("module", model, Bytes(), sizes.vocabulary, sizes.context)


class Remembered:
    """A model whose logits are kept by window, so that many comparisons run it once.

    Keeps `4 * vocabulary` bytes a token of text.

    >>> logits = Remembered(lambda tokens: tokens.float())
    >>> logits(torch.ones(1, 2, dtype=torch.long)) is logits(torch.ones(1, 2, dtype=torch.long))
    True
    """

    def __init__(self, model: Callable[[Tensor], Tensor] | LanguageModel) -> None:
        self.model = model.logits if isinstance(model, LanguageModel) else model
        self._kept: dict[bytes, Tensor] = {}

    def __call__(self, tokens: Tensor) -> Tensor:
        """Logits of int64 `(1, time)` tokens."""
        key = tokens.numpy().tobytes()
        if key not in self._kept:
            with torch.no_grad():
                self._kept[key] = self.model(tokens)
        return self._kept[key]


def _check(count: int, model: LanguageModel, context: int, stride: int) -> None:
    if not 1 <= context <= model.context:
        raise WorkbenchError(
            f"context {context}", f"{model.name} reads 1 to {model.context} tokens at once",
            f"write context={min(model.context, WINDOW)}",
        )  # fmt: skip
    if not 1 <= stride <= context:
        raise WorkbenchError(
            f"stride {stride}", "tokens would be left out", f"write 1 to {context}, the context"
        )
    if count < 2:
        raise WorkbenchError(f"a text of {count} tokens", "no token has one before it", "give more")


def _score(
    model: LanguageModel, exact: Callable[[Tensor], Tensor] | None, window: Tensor, new: int
) -> tuple[float, float, float, int]:
    """Sums over the new tokens of a window: loss, KL, agreements; and their number."""
    log_q = F.log_softmax(model.logits(window[None, :-1])[0, -new:], dim=-1)
    loss = F.nll_loss(log_q, window[-new:], reduction="sum").item()
    if exact is None:
        return loss, 0.0, float(new), new
    with torch.no_grad():
        log_p = F.log_softmax(exact(window[None, :-1])[0, -new:], dim=-1)
    kl = F.kl_div(log_q.double(), log_p.double(), reduction="sum", log_target=True).item()
    matches = (log_p.argmax(-1) == log_q.argmax(-1)).sum().item()
    return loss, kl, matches, new


def accumulated(
    model: TextModel, quantized: TextModel, ids: Tensor, layers: bool = False
) -> dict[str, float]:
    """How far the outputs inside a model are from the float model's, all errors before included.

    Args:
        model: in float.
        quantized: the same after a recipe.
        ids: int64 `(T,)`, at most the context.
        layers: whether of every linear layer, not of every block.

    Returns:
        Squared difference over the square, by name.

    >>> from workbench import models
    >>> model = models.open_model("reference")
    >>> accumulated(model, model, model.encode("to be"))["layers.3"]
    0.0
    """
    exact, other = (_outputs(one, ids, layers) for one in (model, quantized))
    return {
        name: float(((other[name] - x).double() ** 2).sum() / (x.double() ** 2).sum())
        for name, x in exact.items()
    }


def _outputs(model: TextModel, ids: Tensor, layers: bool) -> dict[str, Tensor]:
    """What every block, or linear layer, gives for one window."""
    found: dict[str, Tensor] = {}

    def keep(name: str) -> Callable[..., None]:
        def hook(module: nn.Module, inputs: tuple, output: Any) -> None:
            found[name] = output if isinstance(output, Tensor) else output[0]

        return hook

    heard = model.linears() if layers else model.blocks()
    handles = [module.register_forward_hook(keep(name)) for name, module in heard.items()]
    try:
        model.run(ids[None])
    finally:
        for handle in handles:
            handle.remove()
    return found


def embedding_agreement(exact: Tensor, other: Tensor) -> dict[str, float]:
    """How near the embeddings of a quantized encoder are to those of the float one.

    Args:
        exact: float32 `(N, D)`, each of length one.
        other: the same texts by the other encoder.

    Returns:
        `cosine`, its mean with the ends of a bootstrap interval as `cosine_low`, `cosine_high`;
        and `retrieval`, the share of texts whose nearest other text is the same in both.

    >>> e = F.normalize(torch.eye(3) + 0.1, dim=-1)
    >>> embedding_agreement(e, e)["retrieval"]
    1.0
    """
    cosines = (exact * other).sum(-1).double().numpy()
    drawn = np.random.default_rng(0).integers(0, len(cosines), (RESAMPLES, len(cosines)))
    low, high = ends(cosines[drawn].mean(1), 0.95)
    same = (_nearest(exact) == _nearest(other)).double().mean().item()
    return {
        "cosine": float(cosines.mean()), "cosine_low": low, "cosine_high": high, "retrieval": same,
    }  # fmt: skip


def _nearest(embeddings: Tensor) -> Tensor:
    """The place of the nearest other embedding to each."""
    products = embeddings @ embeddings.T
    return products.fill_diagonal_(-2).argmax(-1)


def accuracy(model: Callable[[Tensor], Tensor], inputs: Tensor, labels: Sequence[int]) -> float:
    """The share of inputs whose largest logit is that of their label.

    >>> accuracy(lambda x: x, torch.eye(4), [0, 1, 2, 0])
    0.75
    """
    with torch.no_grad():
        found = model(inputs).argmax(-1)
    return float((found == torch.as_tensor(labels)).double().mean())
