"""Models that read text, behind one small interface for quantization and evaluation.

`workbench.models.open_model` makes them: the shipped reference, Llama-type GGUF files, and folders
with a causal language model or a sentence encoder.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from workbench.errors import WorkbenchError
from workbench.models.quantized_linear import QuantizedLinear
from workbench.models.tokens import Tokenizer


@dataclass(frozen=True, eq=False)
class TextModel:
    """A torch module that reads text, with its vocabulary.

    Args:
        name: what the user calls it.
        module: the network, float32, in eval mode; `dataclasses.replace` puts another in its place.
        tokenizer: turns text into token numbers and back.
        vocabulary: how many token numbers there are.
        context: the most tokens it reads at once.
        about: in words, where its weights come from and in what type they are stored.
    """

    name: str
    module: nn.Module = field(repr=False)
    tokenizer: Tokenizer = field(repr=False)
    vocabulary: int
    context: int
    about: str = ""

    def encode(self, text: str | bytes) -> Tensor:
        """Token numbers of a text, int64 `(T,)`; an empty text is a `WorkbenchError`.

        A language model gets the text alone, an encoder also its own tokens around it. Bytes are
        read as UTF-8; the shipped models take them as they are.

        >>> from workbench import models
        >>> models.open_model("reference").encode("to be").tolist()
        [116, 111, 32, 98, 101]
        """
        if not text:
            raise WorkbenchError("an empty text", "there is nothing to read", "give some words")
        return torch.tensor(self.tokenizer.encode(text), dtype=torch.int64)

    def decode(self, ids: Tensor | Sequence[int]) -> str:
        """The text of token numbers `(T,)`."""
        return self.tokenizer.decode(ids.tolist() if isinstance(ids, Tensor) else list(ids))

    @property
    def device(self) -> torch.device:
        """Where its weights are; token numbers are brought there."""
        return next(self.module.parameters()).device

    def blocks(self) -> dict[str, nn.Module]:
        """The blocks whose outputs are the residual stream, by name, in order.

        >>> from workbench import models
        >>> list(models.open_model("reference").blocks())
        ['layers.0', 'layers.1', 'layers.2', 'layers.3']
        """
        return blocks_of(self.module)

    def linears(self) -> dict[str, nn.Module]:
        """The linear layers inside the blocks by name, in the order of the forward pass.

        Neither embedding nor head is among them. Names stay when a layer is replaced by another
        module; blocks without `torch.nn.Linear` are a `WorkbenchError`.

        >>> from workbench import models
        >>> list(models.open_model("reference").linears())[:3]
        ['layers.0.self_attn.q_proj', 'layers.0.self_attn.k_proj', 'layers.0.self_attn.v_proj']
        """
        return {name: self.module.get_submodule(name) for name in self._linear_names}

    @cached_property
    def _linear_names(self) -> list[str]:
        """Names in the order in which one token passes; those it does not pass come last."""
        inside = tuple(f"{name}." for name in self.blocks())
        found = {
            module: name
            for name, module in self.module.named_modules()
            if isinstance(module, nn.Linear | QuantizedLinear) and name.startswith(inside)
        }
        if not found:
            raise WorkbenchError(
                repr(self.name),
                "its blocks hold no torch.nn.Linear",
                "look at its tensors with models.from_module(model.module)",
            )
        passed: dict[str, None] = {}

        def note(module: nn.Module, inputs: tuple) -> None:
            passed.setdefault(found[module])

        handles = [module.register_forward_pre_hook(note) for module in found]
        try:
            self.run(torch.zeros(1, 1, dtype=torch.int64))
        finally:
            for handle in handles:
                handle.remove()
        return list(passed | dict.fromkeys(found.values()))

    def run(self, ids: Tensor, mask: Tensor | None = None) -> Tensor:
        """What the network gives for int64 `ids (B, T)`: logits or hidden states, no gradient kept.

        `mask` is 1 where a token is and 0 where a row is filled up. Token numbers of another shape,
        out of range, or longer than the context are a `WorkbenchError`.
        """
        self._check(ids)
        more = {} if mask is None else {"attention_mask": mask.to(self.device)}
        with torch.no_grad():
            output = self.module(ids.to(self.device), **more)
        if isinstance(output, Tensor):
            return output
        return output.logits if "logits" in output else output.last_hidden_state

    def _check(self, ids: Tensor) -> None:
        if ids.ndim != 2 or ids.dtype != torch.int64 or not ids.numel():
            given = f"token numbers {str(ids.dtype).removeprefix('torch.')} {tuple(ids.shape)}"
            raise WorkbenchError(
                given, "a model reads int64 (1, T)", "write model.encode(text)[None]"
            )
        if ids.shape[1] > self.context:
            raise WorkbenchError(
                f"{ids.shape[1]} tokens",
                f"{self.name} reads {self.context} at once",
                f"cut them: ids.split({self.context})",
            )
        low, high = int(ids.min()), int(ids.max())
        if low < 0 or high >= self.vocabulary:
            raise WorkbenchError(
                f"token numbers {low} to {high}",
                f"{self.name} knows 0 to {self.vocabulary - 1}",
                "write model.encode(text)",
            )


@dataclass(frozen=True, eq=False)
class LanguageModel(TextModel):
    """A causal language model: token numbers in, logits of the next token out.

    >>> from workbench import models
    >>> model = models.open_model("reference")
    >>> model.logits(model.encode("to be or not")[None]).shape
    torch.Size([1, 12, 256])
    """

    def logits(self, ids: Tensor) -> Tensor:
        """Float32 logits `(1, T, V)` in nats of the token after each of `ids (1, T)`."""
        return self.run(ids).float()


@dataclass(frozen=True, eq=False)
class Encoder(TextModel):
    """A sentence encoder: mean of the last hidden states over the tokens, scaled to length one."""

    def hidden(self, ids: Tensor) -> Tensor:
        """Float32 last hidden states `(1, T, D)` of `ids (1, T)`."""
        return self.run(ids).float()

    def embed(self, texts: Sequence[str], batch: int = 32) -> Tensor:
        """Embeddings of texts, float32 `(N, D)`, each of length one, so that a product is a cosine.

        A text longer than the context is cut there. No texts, or an empty one, is a
        `WorkbenchError`; so is a single string.
        """
        if isinstance(texts, str) or not texts:
            raise WorkbenchError(
                "a string" if isinstance(texts, str) else "no texts",
                "an encoder reads a list of texts",
                'write model.embed(["one", "two"])',
            )
        rows = [self.encode(text)[: self.context] for text in texts]
        parts = [self._pooled(rows[at : at + batch]) for at in range(0, len(rows), batch)]
        return torch.cat(parts)

    def _pooled(self, rows: list[Tensor]) -> Tensor:
        ids = nn.utils.rnn.pad_sequence(rows, batch_first=True)
        lengths = torch.tensor([len(row) for row in rows])
        mask = (torch.arange(ids.shape[1]) < lengths[:, None]).long()
        hidden = self.run(ids, mask).float()
        weights = mask.to(hidden)[:, :, None]
        return F.normalize((hidden * weights).sum(1) / weights.sum(1), dim=-1)


def blocks_of(module: nn.Module) -> dict[str, nn.Module]:
    """The repeated blocks of a network by name: its `ModuleList` with the most parameters.

    A list inside another one, such as experts, does not count; without any, the dict is empty.

    >>> list(blocks_of(nn.Sequential(nn.ModuleList([nn.Linear(2, 2), nn.Linear(2, 2)]))))
    ['0.0', '0.1']
    """
    lists: dict[str, nn.ModuleList] = {}
    for name, child in module.named_modules():
        inner = any(name.startswith(f"{outer}.") for outer in lists)
        if isinstance(child, nn.ModuleList) and not inner:
            lists[name] = child
    if not lists:
        return {}
    name = max(lists, key=lambda key: sum(p.numel() for p in lists[key].parameters()))
    front = f"{name}." if name else ""
    return {f"{front}{index}": block for index, block in lists[name].named_children()}


def check_finite(name: str, module: nn.Module) -> None:
    """Refuse a network with a NaN or an infinity in a weight, since every output would have one."""
    for key, weight in module.named_parameters():
        if not torch.isfinite(weight).all():
            bad = int((~torch.isfinite(weight)).sum())
            raise WorkbenchError(
                name,
                f"{key} has {bad} values that are NaN or infinite, so every output would be NaN",
                f"look at them with: workbench models scan {name}",
            )
