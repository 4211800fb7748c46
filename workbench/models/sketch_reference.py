"""Make the shipped sketches: `python -m workbench.models.sketch_reference`.

Sketches every weight of the reference model and the input of every linear layer over the first
4,096 bytes of the held-out text; takes seconds.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from workbench import models
from workbench.models.capture import capture_inputs
from workbench.models.shipped_sketches import INDEX
from workbench.sketches import sketch

TOKENS = 4096


def tensors(model_name: str) -> Iterator[tuple[str, str, str, np.ndarray]]:
    """Name, kind, origin and values of all weights and all linear inputs of a shipped model."""
    for name, array in models.tensors(model_name).items():
        yield name, "weight", "", array
    about = f"{TOKENS} tokens of held-out Hamlet, windows of 256"
    captured = capture_inputs(models.load(model_name), models.held_out_text(), tokens=TOKENS)
    for name, array in captured.items():
        yield f"{name}.input", "activation", about, array


def write(folder: Path, model_name: str = "reference") -> list[dict]:
    """Write the sketches of a shipped model into `folder`, replacing what is there, and the index.

    Returns the rows of the index. A tensor that several layers read is stored once.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    rows: list[dict] = []
    stored: dict[int, tuple[str, np.ndarray]] = {}  # holds the arrays, so that no id comes twice
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".sketches-") as temporary:
        new = Path(temporary) / "new"
        new.mkdir()
        for name, kind, about, array in tensors(model_name):
            if id(array) not in stored:
                stored[id(array)] = f"{name}.safetensors", array
                sketch(array).save(new / f"{name}.safetensors")
            file, _ = stored[id(array)]
            row = {"name": name, "kind": kind, "shape": list(array.shape), "file": file}
            rows.append(row | {"about": about})
        (new / INDEX).write_text(json.dumps(rows, indent=1) + "\n")
        if folder.exists():
            shutil.rmtree(folder)
        os.replace(new, folder)
    return rows


def main() -> None:
    """Command line: write the sketches into the package, or into `--folder`."""
    parser = argparse.ArgumentParser(description="Sketch the reference model's tensors.")
    parser.add_argument("--folder", type=Path, default=models.SKETCHES)
    folder = parser.parse_args().folder
    rows = write(folder)
    size = sum(file.stat().st_size for file in folder.iterdir())
    print(f"{len(rows)} tensors, {size:,} bytes in {folder}")


if __name__ == "__main__":
    main()
