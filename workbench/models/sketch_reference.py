"""Make the shipped sketches: `python -m workbench.models.sketch_reference`.

Sketches every weight of the reference model and the input of every linear layer over the first
4,096 bytes of the held-out text. The same model gives the same archive, byte for byte.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from workbench import models
from workbench._files import replacing
from workbench.models.capture import capture_inputs
from workbench.models.shipped_sketches import INDEX
from workbench.sketches import Sketch, sketch

TOKENS = 4096


def weights() -> Iterator[tuple[str, np.ndarray]]:
    """Name and values of every weight of the reference model."""
    yield from models.tensors("reference").items()


def activations() -> Iterator[tuple[str, np.ndarray]]:
    """Name, ending in `.input`, and values `(4096, features)` of every linear layer's input.

    Layers that read the same tensor give the same array.
    """
    text = models.held_out_text()
    for name, array in capture_inputs(models.load("reference"), text, tokens=TOKENS).items():
        yield f"{name}.input", array


def sketched(name: str, array: np.ndarray) -> Sketch:
    """The sketch that ships: output channels of a weight, features of an activation.

    Activations also keep the blocks of NVFP4, since making them anew needs a forward pass.
    """
    if name.endswith(".input"):
        return sketch(array, ("nvfp4",), channels=-1, source=name)
    return sketch(array, channels=0 if array.ndim > 1 else None, source=name)


def write(archive: Path) -> list[dict]:
    """Write the sketches of the reference model and their index; returns the index.

    A tensor that several layers read is stored once. The archive is renamed into its place.
    """
    rows: list[dict] = []
    stored: dict[int, tuple[str, np.ndarray]] = {}  # holds the arrays, so that no id comes twice
    archive.parent.mkdir(parents=True, exist_ok=True)
    with (
        replacing(archive) as whole,
        tempfile.TemporaryDirectory() as temporary,
        zipfile.ZipFile(whole, "w") as file,
    ):
        for kind, source in (("weight", weights()), ("activation", activations())):
            for name, array in source:
                if id(array) not in stored:
                    stored[id(array)] = f"{name}.safetensors", array
                    _add(file, f"{name}.safetensors", _saved(sketched(name, array), temporary))
                rows.append(_row(name, kind, array, stored[id(array)][0]))
        _add(file, INDEX, json.dumps(rows).encode())
    return rows


def _row(name: str, kind: str, array: np.ndarray, file: str) -> dict:
    about = f"{TOKENS} tokens of held-out Hamlet, windows of 256" if kind == "activation" else ""
    return {"name": name, "kind": kind, "shape": array.shape, "file": file, "about": about}


def _saved(one: Sketch, folder: str) -> bytes:
    """Its bytes, with moments of blocks to 18 bits (0.00002 dB), which pack tighter."""
    blocks = {
        key: replace(part, moments=_rounded(part.moments)) for key, part in one.blocks.items()
    }
    path = Path(folder) / "one"
    replace(one, blocks=blocks).save(path)
    return path.read_bytes()


def _rounded(moments: np.ndarray) -> np.ndarray:
    mantissa, exponent = np.frexp(moments)
    return np.ldexp(np.round(mantissa * 2.0**18), exponent - 18)


def _add(archive: zipfile.ZipFile, name: str, data: bytes) -> None:
    """Add a member whose bytes depend on nothing but its name and data."""
    member = zipfile.ZipInfo(name)
    member.external_attr = 0o644 << 16
    archive.writestr(member, data, zipfile.ZIP_LZMA)


def main() -> None:
    """Command line: write the sketches into the package, or into `--archive`."""
    parser = argparse.ArgumentParser(description="Sketch the reference model's tensors.")
    parser.add_argument("--archive", type=Path, default=models.SKETCHES)
    archive = parser.parse_args().archive
    rows = write(archive)
    print(f"{len(rows)} tensors, {archive.stat().st_size:,} bytes in {archive}")


if __name__ == "__main__":
    main()
