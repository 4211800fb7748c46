"""Where a tensor comes from, written as one line of text so that a link can carry it.

`weight:NAME` and `activation:NAME` are the reference model's, `synthetic:KIND,COUNT,SEED` is drawn
here, `file:PATH#TENSOR` is in a checkpoint of the user's, `array:NAME` was passed in a notebook.
"""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache
from threading import RLock
from typing import Any

import numpy as np

from ..errors import WorkbenchError, unknown
from ..kernels.arrays import to_numpy

KINDS = ("weight", "activation", "synthetic", "file", "array")
SYNTHETIC: dict[str, Callable[[np.random.Generator, int], np.ndarray]] = {
    "gaussian": lambda rng, n: rng.standard_normal(n, np.float32),
    "laplace": lambda rng, n: rng.laplace(size=n).astype(np.float32),
    "student_t3": lambda rng, n: rng.standard_t(3, n).astype(np.float32),
    "lognormal": lambda rng, n: rng.lognormal(size=n).astype(np.float32),
    "uniform": lambda rng, n: rng.random(n, np.float32) * 2 - 1,
}
MOST_SYNTHETIC = 1 << 24
MOST_CHANNELS = 1 << 14
_arrays: dict[str, np.ndarray] = {}
_stamps = itertools.count(1)
_lock = RLock()


@dataclass(frozen=True)
class Source:
    """A tensor that can be looked at: its sketch at once, its values when they are needed.

    Args:
        text: the line that names it.
        label: what a heading calls it.
        shape: of the tensor.
        load: reads or computes the values; may take long.
        shipped: gives the sketch that came with the package, if there is one.
        stamp: tells an array of a notebook from the next one of the same name.
    """

    text: str
    label: str
    shape: tuple[int, ...]
    load: Callable[[], np.ndarray] = field(repr=False, compare=False)
    shipped: Callable[[], Any] | None = field(default=None, repr=False, compare=False)
    stamp: int = 0

    @cached_property
    def array(self) -> np.ndarray:
        """The values, read once; of a floating type."""
        with _lock:
            return to_numpy(self.load())

    @cached_property
    def sketch(self) -> Any:
        """The sketch: the shipped one, or one pass over the values; with channels."""
        shipped = self.shipped() if self.shipped is not None else None
        if shipped is not None and self._fits(shipped.channels):
            return shipped
        from ..sketches import ChannelHistogram, sketch

        with _lock:
            if len(self.shape) > 1:
                return sketch(self.array, channels=self.channel_axis, source=self.label)
            whole = ChannelHistogram.of(self.array.reshape(1, -1), 0)
            return replace(sketch(self.array, source=self.label), channels=whole)

    def _fits(self, channels: Any) -> bool:
        """Whether a shipped sketch's channels are the ones shown."""
        dims = len(self.shape)
        return channels is not None and (channels.axis - self.channel_axis) % dims == 0

    def sketch_with(self, geometry: Any) -> Any:
        """The sketch with the blocks of a geometry, added by a pass over the values if need be.

        `WorkbenchError` where the values are not at hand without a forward pass.
        """
        from ..sketches.blocks import BlockSketch

        with _lock:
            sketch = self.sketch
            if str(geometry) not in sketch.blocks:
                if not self.quick:
                    raise WorkbenchError(
                        str(geometry),
                        "the shipped sketch lacks these blocks",
                        "wait for the values",
                    )
                sketch.blocks[str(geometry)] = BlockSketch.of(self.array, geometry)
            return sketch

    @property
    def channels(self) -> int:
        """How many channels there are; a vector is one."""
        return self.shape[self.channel_axis] if len(self.shape) > 1 else 1

    @property
    def channel_axis(self) -> int:
        """The axis whose indices are channels: features of activations, outputs of weights."""
        by_token = self.text.startswith(("activation:", "synthetic:"))
        many = bool(self.shape) and self.shape[0] > MOST_CHANNELS
        return -1 if by_token or many else 0

    @property
    def count(self) -> int:
        """How many values there are."""
        return int(np.prod(self.shape, dtype=np.int64))

    @property
    def quick(self) -> bool:
        """Whether the values are at hand without a forward pass."""
        return not self.text.startswith("activation:") or "array" in self.__dict__


def keep(array: Any, name: str = "x") -> str:
    """Keep an array of the notebook under `name`, and give the text that names it.

    Example:
        >>> keep(np.ones(3), "ones")
        'array:ones'
    """
    with _lock:
        _arrays[name] = to_numpy(array)
        find.cache_clear()
    return f"array:{name}"


@lru_cache(maxsize=4)
def find(text: str) -> Source:
    """The source that a line names; anything unknown or malformed raises `WorkbenchError`.

    Example:
        >>> find("synthetic:gaussian,1000,0").shape
        (1000,)
    """
    kind, colon, rest = str(text).partition(":")
    if not colon or kind not in KINDS:
        raise WorkbenchError(
            repr(text),
            "a source is " + ", ".join(f"{k}:..." for k in KINDS),
            "write for example 'synthetic:gaussian,65536,0'",
        )
    return _FINDERS[kind](text, rest)


def names(kind: str) -> list[str]:
    """What may follow `kind:`, for those kinds whose names are known.

    Example:
        >>> names("synthetic")
        ['gaussian', 'laplace', 'student_t3', 'lognormal', 'uniform']
    """
    if kind == "weight":
        from .. import models

        return [i.name for i in models.tensors("reference").infos if len(i.shape) > 1]
    if kind == "activation":
        from .. import models

        return [name for name in models.reference_sketches() if name.endswith(".input")]
    if kind == "array":
        return list(_arrays)
    return list(SYNTHETIC) if kind == "synthetic" else []


def _weight(text: str, name: str) -> Source:
    from .. import models

    checkpoint = models.tensors("reference")
    info, sketch = checkpoint.info(name), None
    with contextlib.suppress(WorkbenchError):  # without shipped sketches, one pass makes them
        shipped = models.reference_sketches()
        sketch = (lambda: shipped[name]) if name in shipped else None
    return Source(text, name, info.shape, lambda: checkpoint[name], sketch)


def _activation(text: str, name: str) -> Source:
    from .. import models

    shipped = models.reference_sketches()
    if name not in names("activation"):
        raise unknown("activation of the reference model", name, names("activation"))
    return Source(
        text, name, shipped.info(name).shape, lambda: _captured(name), lambda: shipped[name]
    )


def _captured(name: str) -> np.ndarray:
    """The inputs of a layer on the held-out text: a forward pass, which needs torch."""
    layer = name.removesuffix(".input")
    from .. import models
    from ..models.capture import capture_inputs

    model, text = models.load("reference"), models.held_out_text()
    return capture_inputs(model, text, [layer])[layer]


def _synthetic(text: str, rest: str) -> Source:
    kind, _, numbers = rest.partition(",")
    if kind not in SYNTHETIC:
        raise unknown("distribution", kind, SYNTHETIC)
    try:
        count, seed = (int(n) for n in (numbers or "65536,0").split(","))
    except ValueError:
        raise WorkbenchError(
            repr(text), "a distribution has a count and a seed", f"write synthetic:{kind},65536,0"
        ) from None
    if not 1 <= count <= MOST_SYNTHETIC or seed < 0:
        raise WorkbenchError(
            repr(text),
            f"the count is 1 to {MOST_SYNTHETIC} and the seed not negative",
            f"write synthetic:{kind},65536,0",
        )
    shape = (count // 256, 256) if count % 256 == 0 else (count,)
    label = f"{kind}, {count:,} values"
    return Source(
        text, label, shape,
        lambda: SYNTHETIC[kind](np.random.default_rng(seed), count).reshape(shape),
    )  # fmt: skip


def _file(text: str, rest: str) -> Source:
    from .. import models

    path, mark, name = rest.rpartition("#")
    if not mark:
        path, name = rest, ""
    checkpoint = models.tensors(path)
    if not name:
        chosen = max(checkpoint.infos, key=lambda info: info.size, default=None)
        if chosen is None:
            raise WorkbenchError(repr(path), "it holds no tensor", "choose another file")
        name = chosen.name
    info = checkpoint.info(name)
    return Source(f"file:{path}#{name}", name, info.shape, lambda: checkpoint[name])


def _array(text: str, name: str) -> Source:
    if name not in _arrays:
        raise WorkbenchError(
            repr(text),
            "arrays of a notebook live in that notebook alone",
            "pass it again with wb.explore(x), or save it as .safetensors and use file:PATH#NAME",
        )
    array = _arrays[name]
    return Source(text, name, array.shape, lambda: array, stamp=next(_stamps))


_FINDERS = {
    "weight": _weight,
    "activation": _activation,
    "synthetic": _synthetic,
    "file": _file,
    "array": _array,
}
