"""Calibration of a model's linear layers: one streaming pass over text, window by window.

Windows are read in parallel, each on one thread, and added up in their order, so the statistics
are the same for any number of threads. Layers that read the same tensor share one calibration.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor, nn

from workbench.errors import WorkbenchError
from workbench.models.language import TextModel
from workbench.models.windows import in_order
from workbench.quantizers import calibration as files
from workbench.quantizers.calibration import Calibration, Running

WINDOW = 512  # tokens, where the context is longer
TOKENS = 16384


@dataclass(frozen=True)
class Calibrations(Mapping[str, Calibration]):
    """Calibrations by layer name, in the order of the forward pass.

    Attributes:
        by_name: layers that read the same inputs hold one object.
        about: what was read, in words.
        windows: how many windows have been read.
        read: token numbers of each window, int64 (T,); none where they were read from a file.
    """

    by_name: Mapping[str, Calibration]
    about: str = ""
    windows: int = 0
    read: tuple[Tensor, ...] = field(default=(), repr=False, compare=False)

    def __getitem__(self, name: str) -> Calibration:
        return self.by_name[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.by_name)

    def __len__(self) -> int:
        return len(self.by_name)

    @property
    def groups(self) -> list[tuple[str, ...]]:
        """Names of layers that read the same inputs, in order.

        >>> from workbench import models
        >>> model = models.open_model("reference")
        >>> found = calibrate(model, models.held_out_text()[:600])
        >>> found.groups[0]
        ('layers.0.self_attn.q_proj', 'layers.0.self_attn.k_proj', 'layers.0.self_attn.v_proj')
        """
        found: dict[int, list[str]] = {}
        for name, one in self.by_name.items():
            found.setdefault(id(one), []).append(name)
        return [tuple(names) for names in found.values()]

    def save(self, path: str | Path) -> None:
        """Write one safetensors file, whole or not at all."""
        files.save(self.by_name, path)

    @staticmethod
    def load(path: str | Path) -> Calibrations:
        """Read what `save` wrote; any other file is a `WorkbenchError`."""
        return Calibrations(files.load(path), f"read from {path}")


def calibrate(
    model: TextModel,
    data: str | bytes | Tensor | Sequence[int],
    names: Sequence[str] | None = None,
    tokens: int = TOKENS,
    window: int | None = None,
    seed: int = 0,
    progress: Callable[[int, int], object] = lambda done, total: None,
    stop: Callable[[], bool] = lambda: False,
    resume: Calibrations | None = None,
) -> Calibrations:
    """Statistics of what linear layers read while the model reads text.

    Args:
        model: whose linear layers inside the blocks are listened to.
        data: text, bytes, or token numbers; its first `tokens` are read.
        names: layers; None for all.
        tokens: how many are read at most.
        window: tokens of a window; None for the context, at most 512. The last may be shorter.
        seed: of the samples of rows.
        progress: is told how many windows of how many are done.
        stop: asked after every window; where it says so, what was read is given back.
        resume: what an earlier call read from the same data; its windows are left out.

    An empty text is a `WorkbenchError`.
    """
    ids = token_numbers(model, data)[:tokens]
    window = min(model.context, WINDOW) if window is None else window
    if not 1 <= window <= model.context:
        raise WorkbenchError(
            f"window {window}", f"{model.name} reads 1 to {model.context} tokens at once",
            f"write window={min(model.context, WINDOW)}",
        )  # fmt: skip
    names = list(model.linears()) if names is None else list(names)
    parts = list(ids.split(window))
    running = {} if resume is None else _started(resume.by_name)
    done = 0 if resume is None else resume.windows
    for one in _read(model, parts, done, names, seed, window):
        _add(running, one, names)
        done += 1
        progress(done, len(parts))
        if stop():
            break
    about = f"{min(done * window, len(ids)):,} tokens in windows of {window}"
    return Calibrations(_finished(running), about, done, tuple(parts[:done]))


def token_numbers(model: TextModel, data: str | bytes | Tensor | Sequence[int]) -> Tensor:
    """Token numbers, int64 `(T,)`, of a text or of numbers that are given already."""
    if isinstance(data, str | bytes):
        return model.encode(data)
    ids = torch.as_tensor(data).flatten().to(torch.int64)
    if not len(ids):
        raise WorkbenchError("no token numbers", "there is nothing to read", "give some text")
    return ids


def _read(
    model: TextModel, parts: list[Tensor], done: int, names: list[str], seed: int, window: int
) -> Iterator[dict[str, Calibration]]:
    """The calibrations of each window from number `done` on, in order, read ahead in parallel."""
    store = threading.local()

    def one(number: int) -> dict[str, Calibration]:
        store.seen = {}
        model.run(parts[number][None])
        return _summed(store.seen, number * window, seed)

    with listening(model, names, lambda name, x: store.seen.setdefault(name, x)):
        yield from in_order(one, range(done, len(parts)))


@contextmanager
def listening(
    model: TextModel, names: Sequence[str], hear: Callable[[str, Tensor], object]
) -> Iterator[None]:
    """Have `hear` called with a layer's name and its input while the context is open."""
    linears = model.linears()

    def hook(name: str) -> Callable[[nn.Module, tuple], None]:
        return lambda module, inputs: (hear(name, inputs[0]), None)[1]

    handles = [linears[name].register_forward_pre_hook(hook(name)) for name in names]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _summed(seen: dict[str, Tensor], start: int, seed: int) -> dict[str, Calibration]:
    """The calibration of each layer's input in one window; the same tensor is read once."""
    made: dict[int, Calibration] = {}
    found = {}
    for name, x in seen.items():
        if x.data_ptr() not in made:
            try:
                made[x.data_ptr()] = Calibration.of(x, start, seed)
            except WorkbenchError as refusal:
                raise WorkbenchError(
                    f"{name}: {refusal.passed}", refusal.why, refusal.instead
                ) from None
        found[name] = made[x.data_ptr()]
    return found


def _started(found: Mapping[str, Calibration]) -> dict[str, Running]:
    """Running sums by layer; layers that share a calibration share theirs."""
    made = {id(one): Running(one) for one in found.values()}
    return {name: made[id(one)] for name, one in found.items()}


def _add(running: dict[str, Running], more: dict[str, Calibration], names: Sequence[str]) -> None:
    """Add the calibrations of a window, once for layers that share one."""
    if not running:
        running.update(_started({name: more[name] for name in names if name in more}))
        return
    first = {id(one): name for name, one in reversed(running.items())}
    for name in first.values():
        running[name].add(more[name])


def _finished(running: dict[str, Running]) -> dict[str, Calibration]:
    made = {id(one): one.done() for one in running.values()}
    return {name: made[id(one)] for name, one in running.items()}
