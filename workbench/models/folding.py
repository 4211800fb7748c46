"""Where a rewrite of a layer's inputs can go into the layer before, so that it costs nothing.

A scaling of single channels goes into the gains of the norm before, or into the rows of the linear
layer that writes them, where nothing else reads what they write. Everything else is done to the
inputs as they come, and the reason is given.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import nn

from workbench.quantizers.rewrites import Rewrite, Scaling

# the last names of layers that read the same inputs -> the module that writes those, by its path
# from the readers' block; and whether that is a linear layer
WRITERS = {
    ("q_proj", "k_proj", "v_proj"): "input_layernorm",
    ("gate_proj", "up_proj"): "post_attention_layernorm",
    ("down_proj",): "mlp.up_proj",
    ("o_proj",): "self_attn.v_proj",
}
POST_NORM = "its norm also feeds the sum after it"


@dataclass(frozen=True)
class Writer:
    """What writes the inputs of some layers.

    Attributes:
        name: of the module.
        module: a norm with gains, or a linear layer; None where a rewrite cannot be folded.
        why: why not; empty where it can be.
    """

    name: str = ""
    module: nn.Module | None = None
    why: str = ""

    @property
    def linear(self) -> bool:
        """Whether a linear layer writes them."""
        return isinstance(self.module, nn.Linear)


def writer_of(network: nn.Module, block: str, readers: Sequence[str]) -> Writer:
    """The writer of what these layers of a block read.

    Args:
        network: the whole network.
        block: the name of the block they are in.
        readers: names of all layers that read the same inputs.

    >>> from workbench import models
    >>> network = models.load("reference")
    >>> writer_of(network, "layers.0", ["layers.0.mlp.down_proj"]).name
    'layers.0.mlp.up_proj'
    """
    last = tuple(name.rpartition(".")[2] for name in readers)
    if last not in WRITERS:
        return Writer(why="what writes these inputs is not known here, or writes for others too")
    name = f"{block}.{WRITERS[last]}"
    module = dict(network.named_modules()).get(name)
    if module is None or getattr(module, "weight", None) is None:
        return Writer(why=f"{name} has no gains")
    rows, columns = module.weight.shape[0], network.get_submodule(readers[0]).weight.shape[1]
    if rows != columns:
        return Writer(name, None, f"{name} writes {rows} channels, which {columns} are read from")
    return Writer(name, module)


@torch.no_grad()
def fold(rewrite: Rewrite, writer: Writer) -> tuple[Rewrite, str]:
    """Put the leading scalings of a rewrite into the writer.

    Returns:
        What is left of the rewrite, and why; nothing and "" where all of it went.
    """
    steps = list(rewrite.steps)
    if not steps:
        return rewrite, ""
    if writer.module is None:
        return rewrite, writer.why
    while steps and isinstance(first := steps[0], Scaling):
        factors = torch.from_numpy(first.factors)
        steps.pop(0)
        weight = writer.module.weight
        weight.div_(factors[:, None] if weight.ndim == 2 else factors)
        bias = getattr(writer.module, "bias", None)
        if bias is not None:
            bias.div_(factors)
    if not steps:
        return Rewrite(), ""
    kind = type(steps[0]).__name__.lower()
    return Rewrite(tuple(steps)), f"a {kind} of the inputs cannot go into {writer.name}"
