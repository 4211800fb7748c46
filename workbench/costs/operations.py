"""The operations of one step of a transformer: what is computed, and which values it touches.

Two operations a multiply-accumulate, the head included; keys and values count once a head of keys;
a softmax takes 5 operations a score, a norm 7 a value, an activation function 2 (the conventions of
LLM-Viewer, Yuan et al., 2024). Values become bytes in `roofline`, where a recipe says their widths.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from .architecture import Architecture
from .workload import Workload

SOFTMAX, NORM, ACTIVATION = 5, 7, 2
BACKWARD = 2  # a product of a linear layer has two more behind it in training
# Bytes a weight of Adam: two moments and a float32 copy; and the 16-bit weight anew.
OPTIMIZER_READ, OPTIMIZER_WRITTEN = 12, 14


@dataclass(frozen=True)
class Operation:
    """One operation of a step, with the values that it reads and writes.

    Attributes:
        name: such as "layers.3.mlp.up_proj"; a recipe's patterns match it.
        kind: "linear", "head", "attention", "norm", "activation", "embedding" or "optimizer".
        operations: additions and multiplications.
        weight: (outputs, features) of the weight it reads, or None.
        copies: how many such weights are read; a share where experts are, on average, not used.
        passes: how often each is read.
        rows: tokens that pass through a linear layer; through all of its experts together.
        inputs, outputs: values read and written that a format of activations is for.
        scores: values read and written at full width: scores that leave the chip, and gradients.
        cache_read, cache_written: keys and values.
        extra: bytes beside all that.

    Example:
        >>> from workbench.costs import Workload, architecture, operations
        >>> step = operations(architecture("llama-2-7b"), Workload("decode"))
        >>> [each.operations for each in step if each.name == "layers.0.self_attn.q_proj"]
        [33554432.0]
    """

    name: str
    kind: str
    operations: float
    weight: tuple[int, int] | None = None
    copies: float = 1
    passes: int = 1
    rows: float = 0
    inputs: float = 0
    outputs: float = 0
    scores: float = 0
    cache_read: float = 0
    cache_written: float = 0
    extra: float = 0

    @property
    def weights(self) -> float:
        """Values of its weights that are read, each pass counted once."""
        return self.copies * self.weight[0] * self.weight[1] if self.weight else 0

    @property
    def part(self) -> str:
        """Its name without the number of its block."""
        words = self.name.split(".")
        return ".".join(words[2:]) if words[0] == "layers" else self.name


def operations(model: Architecture, work: Workload) -> list[Operation]:
    """Every operation of one step, in its order.

    Args:
        model: whose sizes count.
        work: the phase, the batch and the tokens.

    Experts are read as often as tokens that choose at random would: of E experts, k a token, T
    tokens use E (1 - (1 - k/E)^T). The head reads the last token of a sequence, or in training all.

    Example:
        >>> from workbench.costs import Workload, architecture
        >>> work = Workload("prefill", tokens=2048)
        >>> total = sum(each.operations for each in operations(architecture("llama-2-7b"), work))
        >>> round(total / (2 * 2048 * architecture("llama-2-7b").block_parameters), 3)
        1.042
    """
    found = [_embedding(model, work)]
    for layer in range(model.layers):
        found += _block(model, work, f"layers.{layer}", model.window(layer))
    found.append(_norm("norm", model, work))
    if not model.encoder:
        found.append(_head(model, work))
    if work.phase == "train":
        found = [_both_ways(each) for each in found]
        found.append(_optimizer(model))
    return found


def _embedding(model: Architecture, work: Workload) -> Operation:
    """A row of the table for each token."""
    values = work.rows * model.width
    return Operation("embed_tokens", "embedding", 0, scores=values, outputs=values)


def _block(model: Architecture, work: Workload, at: str, window: int) -> Iterator[Operation]:
    """One block, in the order of its forward pass."""
    linear = {name: _linear(model, work, at, name) for name in model.linears}
    yield _norm(f"{at}.input_layernorm", model, work)
    yield from (linear.pop(f"self_attn.{name}") for name in ("q_proj", "k_proj", "v_proj"))
    yield _attention(model, work, f"{at}.self_attn.attention", window)
    yield linear.pop("self_attn.o_proj")
    yield _norm(f"{at}.post_attention_layernorm", model, work)
    yield from (each for name, each in linear.items() if not name.endswith("down_proj"))
    for place in dict.fromkeys(name.split(".")[0] for name in linear):
        yield _activation(model, work, at, place)
        yield linear[f"{place}.down_proj"]


def _linear(model: Architecture, work: Workload, at: str, name: str) -> Operation:
    outputs, features = model.linears[name]
    rows, copies = float(work.rows), 1.0
    if model.copies(name) > 1:
        share = model.experts_used / model.experts
        rows, copies = (
            work.rows * model.experts_used,
            model.experts * (1 - (1 - share) ** work.rows),
        )
    made = Operation(
        f"{at}.{name}", "linear", 2 * rows * outputs * features, (outputs, features), copies,
        rows=rows, inputs=rows * features, outputs=rows * outputs,
    )  # fmt: skip
    kept = rows * outputs if name.endswith(("k_proj", "v_proj")) else 0
    return replace(made, outputs=made.outputs - kept, cache_written=kept) if kept else made


def _attention(model: Architecture, work: Workload, name: str, window: int) -> Operation:
    """Scores, softmax and their mix of values, over all heads of queries."""
    pairs = work.batch * model.heads * work.pairs(window, not model.encoder)
    keys = work.batch * work.keys(window) * model.kv_heads * model.head_size
    values = work.rows * model.heads * model.head_size
    return Operation(
        name, "attention", pairs * (2 * 2 * model.head_size + SOFTMAX), inputs=values,
        outputs=values, scores=0 if work.fused else 4 * pairs, cache_read=2 * keys,
    )  # fmt: skip


def _norm(name: str, model: Architecture, work: Workload) -> Operation:
    values = work.rows * model.width
    return Operation(name, "norm", NORM * values, inputs=values, outputs=values)


def _activation(model: Architecture, work: Workload, at: str, place: str) -> Operation:
    """The function between the halves of a feed-forward network, and the gate's product."""
    hidden = model.linears[f"{place}.down_proj"][1]
    used = model.experts_used if model.experts and place == "mlp" else 1
    values = work.rows * used * hidden
    return Operation(
        f"{at}.{place}.act_fn", "activation", (ACTIVATION + model.gated) * values,
        inputs=(1 + model.gated) * values, outputs=values,
    )  # fmt: skip


def _head(model: Architecture, work: Workload) -> Operation:
    rows = work.rows if work.phase != "prefill" else work.batch
    shape = (model.vocabulary, model.width)
    return Operation(
        "lm_head", "head", 2 * rows * shape[0] * shape[1], shape, rows=rows,
        inputs=rows * model.width, outputs=rows * model.vocabulary,
    )  # fmt: skip


def _both_ways(forward: Operation) -> Operation:
    """Forward and back: weights are read twice and their gradients written once.

    Inputs and outputs are read again, and a gradient of each passes; keys and values stay values.
    """
    gradients = forward.inputs + forward.outputs + forward.weights + forward.cache_written
    return replace(
        forward, operations=(1 + BACKWARD) * forward.operations, passes=2,
        inputs=2 * forward.inputs + forward.cache_read, cache_read=0, cache_written=0,
        outputs=2 * forward.outputs + forward.cache_written,
        scores=(1 + BACKWARD) * forward.scores + gradients,
    )  # fmt: skip


def _optimizer(model: Architecture) -> Operation:
    """Adam: moments and a float32 copy are read and written, and the weights written anew."""
    count = model.parameters
    return Operation(
        "optimizer", "optimizer", 12 * count, extra=(OPTIMIZER_READ + OPTIMIZER_WRITTEN) * count
    )
