"""Sketches that the package ships: the first picture needs neither torch nor a forward pass.

One compressed archive holds a file a distinct tensor of the reference model: its weights, and the
inputs of its linear layers over held-out text. Layers that read the same tensor share a file.
"""

from __future__ import annotations

import json
import tempfile
import threading
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
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
    in place of `.weight`. An unknown name, a missing or broken archive: a `WorkbenchError`.
    """

    def __init__(self, archive: Path) -> None:
        self.archive = archive
        rows = json.loads(self._bytes(INDEX))
        self.infos = [SketchInfo(**row | {"shape": tuple(row["shape"])}) for row in rows]
        self._by_name = {info.name: info for info in self.infos}
        self._loaded: dict[str, Sketch] = {}
        self._lock = threading.Lock()

    def __getitem__(self, name: str) -> Sketch:
        file = self.info(name).file
        with self._lock:
            if file not in self._loaded:
                self._loaded[file] = self._load(file)
            return self._loaded[file]

    def __iter__(self) -> Iterator[str]:
        return iter(self._by_name)

    def __len__(self) -> int:
        return len(self._by_name)

    def __contains__(self, name: object) -> bool:
        return name in self._by_name

    def info(self, name: str) -> SketchInfo:
        """What the index says of one tensor; an unknown name is a `WorkbenchError`."""
        if name not in self._by_name:
            raise unknown("shipped sketch", name, self._by_name)
        return self._by_name[name]

    def _load(self, file: str) -> Sketch:
        from workbench.sketches import Sketch

        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / file
            path.write_bytes(self._bytes(file))
            return Sketch.load(path)

    def _bytes(self, file: str) -> bytes:
        way_out = "run: python -m workbench.models.sketch_reference"
        try:
            with zipfile.ZipFile(self.archive) as archive:
                return archive.read(file)
        except FileNotFoundError:
            why = "there are no sketches here"
        except (zipfile.BadZipFile, KeyError, EOFError) as error:
            why = f"the archive is broken ({error})"
        raise WorkbenchError(str(self.archive), why, way_out)
