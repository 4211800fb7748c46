"""Open a checkpoint by its path: a safetensors, GGUF or ONNX file, or a folder of shards.

Pickles are refused, because opening one runs whatever code it carries.
"""

from __future__ import annotations

import json
from pathlib import Path

from workbench.errors import WorkbenchError, nearest
from workbench.models import gguf_reader, onnx_reader, shards
from workbench.models.checkpoint import Checkpoint

PICKLES = {".pt", ".pth", ".bin", ".ckpt", ".pkl", ".pickle"}
ZIP = b"PK\x03\x04"  # what torch.save writes; as a safetensors header length it is impossible


def open_checkpoint(path: str | Path) -> Checkpoint:
    """Open a `.safetensors`, `.gguf` or `.onnx` file, or a folder of shards, without reading it.

    A missing path, a pickle, a truncated or corrupt file, a folder without checkpoint, a missing
    shard: each is one `WorkbenchError`.
    """
    path = Path(path).expanduser()
    if not path.exists():
        raise WorkbenchError(str(path), "there is no such file or folder", _near_path(path))
    if path.is_dir():
        return _open_folder(path)
    if path.name.endswith(".index.json"):
        return _open_index(path)
    start = _first_bytes(path)
    if start[:4] == b"GGUF":
        return gguf_reader.open_gguf(path)
    if path.suffix.lower() in PICKLES or start[:4] == ZIP:
        raise _pickle_error(path)
    if path.suffix.lower() == ".onnx":
        return onnx_reader.open_onnx(path)
    if path.suffix.lower() not in {".safetensors", ".gguf"}:
        raise WorkbenchError(
            str(path),
            "it is neither a safetensors nor a GGUF nor an ONNX file",
            "give a .safetensors, .gguf or .onnx file, or a folder of .safetensors files",
        )
    return shards.open_files(path, [path])


def _open_index(index: Path) -> Checkpoint:
    """The checkpoint that a `*.safetensors.index.json` describes, shard by shard."""
    try:
        names = json.loads(index.read_text("utf-8"))["weight_map"]
        files = [index.parent / name for name in sorted(set(names.values()))]
    except (ValueError, KeyError, TypeError, AttributeError):
        raise WorkbenchError(
            str(index), "it is not an index of safetensors shards", "fetch the index again"
        ) from None
    missing = [file.name for file in files if not file.is_file()]
    if missing:
        raise WorkbenchError(
            str(index), f"shard {', '.join(missing)} is missing", "fetch the missing shard"
        )
    checkpoint = shards.open_files(index.parent, files)
    lost = [name for name in names if name not in checkpoint]
    if lost:
        raise WorkbenchError(
            str(index), f"{lost[0]!r} is in no shard ({len(lost)} such)", "fetch the shards again"
        )
    return checkpoint


def _open_folder(folder: Path) -> Checkpoint:
    """The checkpoint in a folder: by its index if there is one, else all its safetensors files."""
    indexes = sorted(folder.glob("*.safetensors.index.json"))
    if len(indexes) == 1:
        return _open_index(indexes[0])
    files = sorted(folder.glob("*.safetensors"))
    if files:
        return shards.open_files(folder, files)
    for suffix, reader in (("gguf", gguf_reader.open_gguf), ("onnx", onnx_reader.open_onnx)):
        single = sorted(folder.glob(f"*.{suffix}"))
        if len(single) == 1:
            return reader(single[0])
    pickles = sorted(file for file in folder.iterdir() if file.suffix in PICKLES)
    if pickles:
        raise _pickle_error(pickles[0])
    raise WorkbenchError(
        str(folder), "the folder holds no .safetensors file", "give the folder of a checkpoint"
    )


def _pickle_error(path: Path) -> WorkbenchError:
    """The refusal of a pickle, with the two lines that turn it into safetensors."""
    return WorkbenchError(
        str(path),
        "it is a pickle, and opening a pickle runs the code inside it",
        "convert it once: safetensors.torch.save_file(torch.load(path, weights_only=True), "
        f"{path.stem + '.safetensors'!r})",
    )


def _first_bytes(path: Path, count: int = 8) -> bytes:
    """The first bytes of a file; one that cannot be read is a `WorkbenchError`."""
    try:
        with path.open("rb") as file:
            return file.read(count)
    except OSError as error:
        reason = error.strerror or str(error)
        raise WorkbenchError(
            str(path), f"it cannot be read ({reason})", "give a file you may read"
        ) from None


def _near_path(path: Path) -> str:
    folder = path.parent
    endings = {".safetensors", ".gguf", ".onnx", path.suffix}
    siblings = [file.name for file in folder.glob("*") if file.suffix in endings]
    close = nearest(path.name, siblings, 1)
    return f"write {str(folder / close[0])!r}" if close else "give the path of a checkpoint"
