"""What a model gives for some tokens, kept so that changed copies can be compared with it.

A figure says how far a copy is: of its hidden states, of its predictions, or of its loss.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from workbench.errors import WorkbenchError, unknown
from workbench.kernels.threads import one_torch_thread
from workbench.models.calibrate import token_numbers
from workbench.models.language import LanguageModel, TextModel
from workbench.models.layer_costs import replaced
from workbench.quantizers.layer import QuantizedLayer

ORDERS = {"hidden": 2, "kl": 2, "loss": 1}  # with which power of a small change a figure grows

Units = Mapping[str, Sequence[str]]  # what is changed at once: names of layers by the unit's name


def by_layer(model: TextModel) -> dict[str, tuple[str, ...]]:
    """Every linear layer as a unit of its own.

    >>> from workbench import models
    >>> len(by_layer(models.open_model("reference")))
    28
    """
    return {name: (name,) for name in model.linears()}


def by_block(model: TextModel) -> dict[str, tuple[str, ...]]:
    """The linear layers of each block together.

    >>> from workbench import models
    >>> len(by_block(models.open_model("reference"))["layers.0"])
    7
    """
    return {
        block: tuple(name for name in model.linears() if name.startswith(f"{block}."))
        for block in model.blocks()
    }


class Watched:
    """A float model on some tokens, and how far changed copies of it are from what it gives.

    The figure is "hidden": squared change of the last block's outputs over their square; for a
    language model also "kl": KL(float || changed) in nats a token, or "loss": by how many nats a
    token the loss grows. The float model runs once.

    Args:
        model: in float.
        data: text, bytes or token numbers; what does not fill a window is left out.
        tokens: how many are read at most.
        window: tokens that are read at once, side by side.
        figure: one of `ORDERS`.

    A text shorter than a window, and another figure for an encoder, raise `WorkbenchError`.

    >>> from workbench import models
    >>> watched = Watched(models.open_model("reference"), models.held_out_text(), 256, figure="kl")
    >>> watched.of({})
    0.0
    """

    def __init__(
        self, model: TextModel, data: Any, tokens: int = 512, window: int = 64,
        figure: str = "hidden",
    ) -> None:  # fmt: skip
        if figure not in ORDERS:
            raise unknown("figure", figure, ORDERS)
        if figure != "hidden" and not isinstance(model, LanguageModel):
            raise WorkbenchError(
                f"the {figure} of {model.name}", "it predicts no tokens", "write figure='hidden'"
            )
        self.model, self.figure = model, figure
        self.ids = side_by_side(model, data, tokens, window)
        self._exact = self._read(model)

    def of(self, layers: Mapping[str, QuantizedLayer]) -> float:
        """The figure with these layers in the place of the model's own."""
        return self.distance(replaced(self.model, layers))

    def distance(self, other: TextModel) -> float:
        """The figure of another model with the same vocabulary."""
        return _distance(self.figure, self._exact, self._read(other), self.ids)

    def _read(self, model: TextModel) -> Tensor:
        """What the figure is made of: hidden states, or logarithms of probabilities."""
        name, last = list(model.blocks().items())[-1]
        with one_torch_thread(), outputs_of({name: last}) as found:
            output = model.run(self.ids)
        if self.figure == "hidden":
            return found[name].double()
        return F.log_softmax(output.double(), dim=-1)


def side_by_side(model: TextModel, data: Any, tokens: int, window: int) -> Tensor:
    """Whole windows of a text, int64 (windows, tokens); none at all is a `WorkbenchError`.

    >>> from workbench import models
    >>> side_by_side(models.open_model("reference"), b"to be or not", 10, 4).shape
    torch.Size([2, 4])
    """
    ids = token_numbers(model, data)[:tokens]
    if not 1 <= window <= len(ids):
        raise WorkbenchError(
            f"windows of {window} tokens", f"there are {len(ids)} tokens", "give a longer text"
        )
    return ids[: len(ids) // window * window].view(-1, window)


def _distance(figure: str, exact: Tensor, other: Tensor, ids: Tensor) -> float:
    """A figure of what two models gave."""
    if figure == "hidden":
        return float(((other - exact) ** 2).sum() / (exact**2).sum())
    if figure == "kl":
        return float((exact.exp() * (exact - other)).sum(-1).mean())
    gap = (exact - other)[:, :-1]
    return float(gap.gather(-1, ids[:, 1:, None]).mean())


@contextmanager
def outputs_of(modules: Mapping[str, nn.Module]) -> Iterator[dict[str, Tensor]]:
    """What modules give while the context is open, by the names they have here.

    >>> layer = nn.Linear(2, 3)
    >>> with outputs_of({"mine": layer}) as found:
    ...     _ = layer(layer.weight)
    >>> found["mine"].shape
    torch.Size([3, 3])
    """
    found: dict[str, Tensor] = {}

    def hook(name: str) -> Callable[..., None]:
        def keep(module: nn.Module, inputs: tuple, output: Any) -> None:
            found[name] = output if isinstance(output, Tensor) else output[0]

        return keep

    handles = [module.register_forward_hook(hook(name)) for name, module in modules.items()]
    try:
        yield found
    finally:
        for handle in handles:
            handle.remove()
