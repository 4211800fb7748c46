"""Sketches that the package ships: the first picture needs neither torch nor a forward pass.

One file a distinct tensor of the reference model: its weights, and the inputs of its linear layers
over held-out text. Layers that read the same tensor share a file.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from workbench.errors import WorkbenchError, unknown

if TYPE_CHECKING:
    from workbench.sketches import Sketch

INDEX = "index.json"


@dataclass(frozen=True)
class SketchInfo:
    """What the index says of one shipped sketch; the sketch itself has not been read.

    `kind` is `"weight"` or `"activation"`, `shape` that of the tensor it was made from, `about`
    says where an activation comes from.
    """

    name: str
    kind: str
    shape: tuple[int, ...]
    file: str
    about: str


class ShippedSketches(Mapping[str, "Sketch"]):
    """A read-only mapping from tensor name to sketch, each loaded once, when it is asked for.

    Weights have the module's parameter names, activations the linear layer's name with `.input`
    in place of `.weight`. An unknown name, a missing folder: a `WorkbenchError`.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        try:
            rows = json.loads((folder / INDEX).read_text("utf-8"))
        except FileNotFoundError:
            raise WorkbenchError(
                str(folder),
                "there are no sketches here",
                "run: python -m workbench.models.sketch_reference",
            ) from None
        self.infos = [SketchInfo(**row | {"shape": tuple(row["shape"])}) for row in rows]
        self._files = {info.name: folder / info.file for info in self.infos}

    def __getitem__(self, name: str) -> Sketch:
        if name not in self._files:
            raise unknown("shipped sketch", name, self._files)
        return _load(self._files[name])

    def __iter__(self) -> Iterator[str]:
        return iter(self._files)

    def __len__(self) -> int:
        return len(self._files)

    def __contains__(self, name: object) -> bool:
        return name in self._files

    def info(self, name: str) -> SketchInfo:
        """What the index says of one tensor; an unknown name is a `WorkbenchError`."""
        if name not in self._files:
            raise unknown("shipped sketch", name, self._files)
        return next(info for info in self.infos if info.name == name)


@cache
def _load(path: Path) -> Sketch:
    from workbench.sketches import Sketch

    return Sketch.load(path)
