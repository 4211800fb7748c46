"""The roofline: what bounds each operation of a step on a device, and how long it takes.

Attainable = min(peak of the operands' arithmetic, intensity x bandwidth), after Williams, Waterman
and Patterson, 2009. Each operand is moved once; what does not fit the main memory comes over the
link behind it, and both move at the same time as the device computes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from ..errors import WorkbenchError
from .architecture import Architecture
from .hardware import Hardware, Memory
from .operands import Operands, Unit, conversions, unit_for
from .operations import Operation, operations
from .workload import Workload

Named = Callable[[str], Operands]
PLAIN = Operands()
PRODUCTS = ("linear", "head", "attention")  # the others run on the vector unit


@dataclass(frozen=True)
class Traffic:
    """Bytes that an operation moves, by what they are.

    Example:
        >>> Traffic(weights=3, cache=1).total
        4
    """

    weights: float = 0
    inputs: float = 0
    outputs: float = 0
    cache: float = 0
    other: float = 0

    @property
    def total(self) -> float:
        """All of them."""
        return self.weights + self.inputs + self.outputs + self.cache + self.other


@dataclass(frozen=True)
class Point:
    """One operation on the roofline of a device.

    Attributes:
        operation: what is computed.
        operations: additions and multiplications, with what a recipe adds.
        traffic: bytes.
        unit: the arithmetic, whose peak is its roof.
        conversions: values scaled or converted on the vector unit.
        seconds: by what takes them: "compute", "conversion", and each memory by its name.
    """

    operation: Operation
    operations: float
    traffic: Traffic
    unit: Unit
    conversions: float
    seconds: dict[str, float]

    @property
    def intensity(self) -> float:
        """Operations a byte."""
        return self.operations / self.traffic.total if self.traffic.total else float("inf")

    @property
    def bound(self) -> str:
        """What takes longest."""
        return max(self.seconds, key=self.seconds.__getitem__)

    @property
    def time(self) -> float:
        """Seconds, everything at the same time."""
        return self.seconds[self.bound]

    @property
    def attained(self) -> float:
        """Operations a second."""
        return self.operations / self.time if self.time else 0.0

    def explain(self) -> str:
        """The formula with its numbers filled in."""
        moved, peak = self.traffic.total, self.unit.peak.value
        head = (
            f"{self.operation.name}: {_si(self.operations)}op / {_si(moved)}B = "
            f"{self.intensity:.4g} op/B; at the {self.unit.name} peak of {_si(peak)}op/s "
            f"{_si(self.seconds['compute'])}s"
        )
        rest = [f"{name} {_si(each)}s" for name, each in self.seconds.items() if name != "compute"]
        return f"{head}; {', '.join(rest)}; so {self.bound} bounds it at {_si(self.attained)}op/s"


@dataclass(frozen=True)
class Step:
    """All operations of one step on a device.

    Attributes:
        model, work, device: of what, doing what, on what.
        points: one an operation, in order.
        weight_bytes: of all weights, stored.
        cache_bytes: of keys and values at the end of the step.
        offloaded: the share of weights that lies behind the link.
        provenance: that it is predicted.
    """

    model: Architecture
    work: Workload
    device: Hardware
    points: tuple[Point, ...]
    weight_bytes: float
    cache_bytes: float
    offloaded: float
    provenance: str = "model: roofline of published peaks"

    @cached_property
    def time(self) -> float:
        """Seconds of the step, one operation after the other."""
        return sum(point.time for point in self.points)

    @property
    def tokens_per_second(self) -> float:
        """New tokens, or tokens read, of all sequences a second."""
        return self.work.rows / self.time

    @property
    def traffic(self) -> float:
        """Bytes moved."""
        return sum(point.traffic.total for point in self.points)

    @property
    def bounds(self) -> dict[str, float]:
        """The share of time that each bound holds, the largest first."""
        shares: dict[str, float] = {}
        for point in self.points:
            shares[point.bound] = shares.get(point.bound, 0.0) + point.time / self.time
        return dict(sorted(shares.items(), key=lambda item: -item[1]))


def roofline(
    model: Architecture,
    work: Workload,
    device: Hardware,
    operands: Operands | Named = PLAIN,
) -> Step:
    """A step of a model on a device, under a recipe's widths.

    Args:
        model: its sizes.
        work: what it does.
        device: on what.
        operands: those of the linear layers inside blocks; a function of a layer's name where they
            differ. Embedding and head have their plain format.

    Moments, gradients and activations that training keeps are not held against the memory's size;
    for a model that it has no room for see `offload`. A device whose row lacks a peak or a
    bandwidth that is needed raises `WorkbenchError`.

    Example:
        >>> from workbench.costs import Operands, Workload, architecture, hardware, roofline
        >>> llama, a6000 = architecture("llama-2-7b"), hardware("rtx-a6000")
        >>> wide = roofline(llama, Workload("decode"), a6000)
        >>> narrow = roofline(llama, Workload("decode"), a6000, Operands("int4/g128"))
        >>> list(wide.bounds), 2.9 < wide.time / narrow.time < 3.1
        (['GDDR6'], True)
    """
    named = _named(operands)
    steps = operations(model, work)
    weights = _stored(model, named)
    cached = work.batch * _cache(model, work.seen, named)
    share = _behind(device, weights, cached)
    points = tuple(_point(each, named(each.name), model, device, share) for each in steps)
    return Step(model, work, device, points, weights, cached, share)


def _named(operands: Operands | Named) -> Named:
    """Operands by an operation's name, which are plain outside the blocks."""

    def of(name: str) -> Operands:
        found = operands if isinstance(operands, Operands) else operands(name)
        return found if name.startswith("layers.") else Operands(plain=found.plain)

    return of


def _stored(model: Architecture, named: Named) -> float:
    """Bytes of all weights, embedding and head included."""
    table = named("embed_tokens").plain_bytes(model.embedding_parameters)
    return table + sum(
        model.copies(name) * named(f"layers.{layer}.{name}").stored(shape)
        for layer in range(model.layers)
        for name, shape in model.linears.items()
    )


def _cache(model: Architecture, tokens: int, named: Named) -> float:
    """Bytes of the keys and values of one sequence."""
    found = 0.0
    for layer in range(model.layers):
        seen = min(tokens, model.window(layer) or tokens)
        values = seen * model.kv_heads * model.head_size
        for part in ("k_proj", "v_proj"):
            operands = named(f"layers.{layer}.self_attn.{part}")
            found += operands.cache_bytes(values, model.kv_heads * model.head_size)
    return found


def _behind(device: Hardware, weights: float, cached: float) -> float:
    """The share of weights that the main memory has no room for; what fits nowhere is an error."""
    size = device.main.size
    if size is None or weights + cached <= size.value:
        return 0.0
    link = _link(device)
    missing = weights + cached - size.value
    if link is None or missing > weights:
        raise WorkbenchError(
            f"{_si(weights)}B of weights and {_si(cached)}B of keys and values on {device.name}",
            f"its {device.main.name} holds {_si(size.value)}B"
            + ("" if link is None else ", and keys and values do not leave it"),
            "take fewer sequences or tokens, a narrower format, or a larger device",
        )  # fmt: skip
    return missing / weights


def _link(device: Hardware) -> Memory | None:
    """The memory behind the main one, where its bandwidth is known."""
    known = (each for each in device.memories if each.role == "offload" and each.bandwidth)
    return next(known, None)


def _point(
    operation: Operation, operands: Operands, model: Architecture, device: Hardware, share: float
) -> Point:
    traffic = _traffic(operation, operands, model)
    unit, converted, added = _arithmetic(operation, operands, device)
    computed = operation.operations + added
    seconds = {"compute": computed / unit.peak.value}
    if converted:
        vector = device.peaks.get("float32", unit.peak)
        seconds["conversion"] = converted / vector.value
    assert device.main.bandwidth is not None
    away = share * traffic.weights
    seconds[device.main.name] = (traffic.total - away) / device.main.bandwidth.value
    link = _link(device)
    if away and link is not None and link.bandwidth is not None:
        seconds[link.name] = away / link.bandwidth.value
    return Point(operation, computed, traffic, unit, converted, seconds)


def _arithmetic(
    operation: Operation, operands: Operands, device: Hardware
) -> tuple[Unit, float, float]:
    """The unit of an operation, the values it converts, and the operations that are added."""
    plain = operands.plain
    if operation.kind not in PRODUCTS and "float32" in device.peaks:
        return Unit("float32", device.peak("float32"), False), 0.0, 0.0
    if operation.kind != "linear" or operation.weight is None:
        decoded = operation.cache_read if operands.cache else 0.0
        return unit_for(device, "", "", plain), decoded, 0.0
    unit = unit_for(device, operands.weights, operands.activations, plain)
    unit = replace(unit, converts=unit.converts or operands.lookup)
    converted = conversions(
        operands.weights, unit, operation.rows / operation.copies, operation.weight, device
    )
    outputs, features = operation.weight
    rows = operation.operations / (2 * outputs * features)  # in training each three times
    extra = operands.added(outputs, features).operations
    return unit, operation.copies * operation.passes * converted, rows * extra


def _traffic(operation: Operation, operands: Operands, model: Architecture) -> Traffic:
    weight, weights, features = operation.weight, 0.0, 0
    if weight is not None:
        weights = operation.copies * operation.passes * operands.read(weight)
        features = weight[1]
    linear = operation.kind == "linear"
    inputs = operation.inputs
    return Traffic(
        weights,
        operands.activation_bytes(inputs, features) if linear else operands.plain_bytes(inputs),
        operands.plain_bytes(operation.outputs),
        operands.cache_bytes(
            operation.cache_read + operation.cache_written, model.kv_heads * model.head_size
        ),
        operands.plain_bytes(operation.scores) + operation.extra,
    )


def grouped(points: Iterable[Point]) -> dict[str, list[Point]]:
    """Points of the same part of every block together, such as all "mlp.up_proj"."""
    found: dict[str, list[Point]] = {}
    for point in points:
        found.setdefault(point.operation.part, []).append(point)
    return found


def _si(value: float) -> str:
    """A number with a prefix, and a space before the unit that follows."""
    prefixes: Sequence[tuple[float, str]] = (
        (1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"), (1, ""), (1e-3, "m"),
        (1e-6, "µ"), (1e-9, "n"),
    )  # fmt: skip
    size, prefix = next((each for each in prefixes if abs(value) >= each[0]), (1e-9, "n"))
    return "0 " if not value else f"{value / size:.4g} {prefix}"
