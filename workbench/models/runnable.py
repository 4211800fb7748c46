"""Runnable models by name or path: the one place that knows which builder opens what."""

from __future__ import annotations

from pathlib import Path

from workbench.errors import WorkbenchError
from workbench.models import opening
from workbench.models.language import LanguageModel, TextModel
from workbench.models.tokens import Bytes


def shipped(name: str) -> LanguageModel:
    """The shipped model of that name, which reads bytes.

    >>> shipped("reference-twin").context
    256
    """
    from workbench import models

    module = models.load(name)
    sizes = module.config
    about = models.SHIPPED[name]
    return LanguageModel(name, module, Bytes(), sizes.vocabulary, sizes.context, about)


def open_path(path: Path, name: str) -> TextModel:
    """A runnable model from a GGUF file, a folder, or the safetensors file of a folder.

    What is not there, broken, or no network that is known here: each is a `WorkbenchError`.
    """
    path = path.expanduser()
    opening.open_checkpoint(path)  # whatever is missing, truncated or pickled is said by it
    gguf = _gguf_file(path)
    if gguf is not None:
        from workbench.models.llama_gguf import open_llama

        return open_llama(gguf, name)
    folder = path if path.is_dir() else path.parent
    if path.suffix == ".onnx" or not (folder / "config.json").is_file():
        raise WorkbenchError(
            name,
            "its tensors do not say what network they belong to",
            f"look at them with models.tensors({name!r}), or give a folder with a config.json",
        )
    from workbench.models.hugging_face import open_folder

    return open_folder(folder, name)


def _gguf_file(path: Path) -> Path | None:
    """The GGUF file that a path means, if it means one."""
    if path.is_dir():
        files = sorted(path.glob("*.gguf"))
        return files[0] if len(files) == 1 and not any(path.glob("*.safetensors")) else None
    with path.open("rb") as file:
        return path if file.read(4) == b"GGUF" else None
