"""Where a tensor comes from, written as one line of text so that a link can carry it.

`weight:NAME` and `activation:NAME` are the reference model's, `synthetic:KIND,COUNT,SEED` is drawn
here, `file:PATH#TENSOR` is in a checkpoint of the user's, `array:NAME` was passed in a notebook.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass, field
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
        shipped: the sketch that came with the package, if there is one.
        stamp: tells an array of a notebook from the next one of the same name.
    """

    text: str
    label: str
    shape: tuple[int, ...]
    load: Callable[[], np.ndarray] = field(repr=False, compare=False)
    shipped: Any = field(default=None, repr=False, compare=False)
    stamp: int = 0

    @cached_property
    def array(self) -> np.ndarray:
        """The values, read once; of a floating type."""
        with _lock:
            return to_numpy(self.load())

    @cached_property
    def sketch(self) -> Any:
        """The sketch: the shipped one, or one pass over the values."""
        if self.shipped is not None:
            return self.shipped
        from ..sketches import sketch

        with _lock:
            return sketch(self.array)

    @property
    def channels(self) -> int:
        """How many channels: the last axis of an activation, the first of any other tensor."""
        if not self.shape:
            return 1
        return self.shape[self.channel_axis] if len(self.shape) > 1 else 1

    @property
    def channel_axis(self) -> int:
        """The axis whose indices are channels."""
        return -1 if self.text.startswith("activation:") else 0

    @property
    def count(self) -> int:
        """How many values there are."""
        return int(np.prod(self.shape, dtype=np.int64))

    @property
    def quick(self) -> bool:
        """Whether the values are at hand without a forward pass."""
        return self.shipped is None or not self.text.startswith("activation:")


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
        >>> find("synthetic:gaussian,1024,0").shape
        (1024,)
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
        weights = set(_reference_weights())
        return [name for name in _reference_sketches() if name not in weights]
    return list({"synthetic": SYNTHETIC, "array": _arrays}.get(kind, ()))


@lru_cache(maxsize=1)
def _reference_sketches() -> dict[str, Any]:
    from .. import models

    return dict(models.reference_sketches())


def _reference_weights() -> list[str]:
    from .. import models

    return list(models.tensors("reference"))


def _weight(text: str, name: str) -> Source:
    from .. import models

    checkpoint = models.tensors("reference")
    info = checkpoint.info(name)
    return Source(text, name, info.shape, lambda: checkpoint[name])


def _activation(text: str, name: str) -> Source:
    sketches = _reference_sketches()
    if name not in names("activation"):
        raise unknown("activation of the reference model", name, names("activation"))
    shipped = sketches[name]
    return Source(text, f"input of {name}", tuple(shipped.shape), lambda: _captured(name), shipped)


def _captured(name: str) -> np.ndarray:
    """The inputs of a layer on the held-out text: a forward pass, which needs torch."""
    from .. import models
    from ..models.capture import capture_inputs

    model, text = models.load("reference"), models.held_out_text()
    return capture_inputs(model, text, [name])[name]


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
