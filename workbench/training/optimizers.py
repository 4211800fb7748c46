"""Adam with its states stored in eight bits, or in any other scheme.

Dettmers et al., "8-bit optimizers via block-wise quantization" (2022): both moments are kept as
codes of a dynamic map with one scale a block, decoded for a step, updated in float32 and stored
again. Small tensors stay in 32 bits, and so may whole groups of parameters, as embeddings do there.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

from ..errors import WorkbenchError
from ..schemes import QuantizedTensor, Scheme, parse

SMALLEST = 4096  # values: tensors of fewer stay in 32 bits
_STATES = ("first", "second")


class Adam8bit(torch.optim.Optimizer):
    """Adam (with decoupled weight decay) whose moments are stored under schemes.

    Every option may differ from group to group of parameters.

    Args:
        params: parameters or groups of them, on the processor.
        lr, betas, eps, weight_decay: as of `torch.optim.AdamW`, with no decay unless asked for.
        first, second: scheme of the first and of the second moment over the flattened tensor, as
            spec string or scheme; None keeps 32 bits. The second moment is never negative.
        smallest: tensors of fewer values keep 32 bits.

    Example:
        >>> w = torch.nn.Parameter(torch.ones(64, 64))
        >>> optimizer = Adam8bit([w], lr=0.1)
        >>> (w**2).sum().backward(); optimizer.step()
        >>> round(w.mean().item(), 6), round(optimizer.bits_per_value, 4)
        (0.9, 16.0312)
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        first: str | Scheme | None = "dynamic8/b2048",
        second: str | Scheme | None = "udynamic8/b2048",
        smallest: int = SMALLEST,
    ) -> None:
        defaults = {
            "lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay, "first": first,
            "second": second, "smallest": smallest,
        }  # fmt: skip
        super().__init__(params, defaults)
        for group in self.param_groups:
            if any(p.device.type != "cpu" for p in group["params"]):
                raise WorkbenchError(
                    "parameters outside the processor's memory",
                    "states are stored there",
                    "move the model with model.cpu()",
                )
            for name in _STATES:
                group[name] = None if group[name] is None else str(parse(group[name]))

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:
        """Update every parameter from its gradient; there is no closure to evaluate."""
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    self._update(parameter, group)

    def _update(self, parameter: Tensor, group: dict[str, Any]) -> None:
        """Decode both moments, take the step of Adam, and store them again."""
        state, gradient = self.state[parameter], parameter.grad.reshape(-1).float()
        first, second = (_decoded(state.get(name), gradient) for name in _STATES)
        step = state["step"] = state.get("step", 0) + 1
        a, b = group["betas"]
        first.lerp_(gradient, 1 - a)
        second.mul_(b).addcmul_(gradient, gradient, value=1 - b)
        spread = (second / (1 - b**step)).sqrt_().add_(group["eps"])
        parameter.mul_(1 - group["lr"] * group["weight_decay"])
        change = (first / spread).view_as(parameter)
        parameter.add_(change, alpha=-group["lr"] / (1 - a**step))
        for name, moment in zip(_STATES, (first, second), strict=True):
            small = parameter.numel() < group["smallest"]
            state[name] = moment if small else _stored(moment, group[name])

    @property
    def bits_per_value(self) -> float:
        """Stored bits of both moments for each value of a parameter, scales counted."""
        states = list(self.state.values())
        stored = sum(_bytes(state[name]) for state in states for name in _STATES)
        count = sum(p.numel() for p in self.state)
        if not count:
            raise WorkbenchError("no states", "they begin with the first step", "call step() first")
        return 8 * stored / count


def _decoded(state: Tensor | QuantizedTensor | None, like: Tensor) -> Tensor:
    """A moment as a flat float32 tensor that may be written to."""
    if state is None:
        return torch.zeros_like(like)
    return state if isinstance(state, Tensor) else torch.from_numpy(state.dequantize())


def _stored(moment: Tensor, scheme: str | None) -> Tensor | QuantizedTensor:
    """A moment as it is kept until the next step."""
    return moment if scheme is None else parse(scheme).quantize(moment)


def _bytes(state: Tensor | QuantizedTensor) -> int:
    return state.nbytes
