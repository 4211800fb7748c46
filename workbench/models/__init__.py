"""Models to look at: the shipped reference and its outlier twin, real ones, and your own files.

Everything is imported when used: listing tensors needs NumPy alone, a module needs torch.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.errors import unknown

if TYPE_CHECKING:
    from workbench.models.checkpoint import Checkpoint
    from workbench.models.language import TextModel
    from workbench.models.shipped_sketches import ShippedSketches

DATA = Path(__file__).parent / "data"
SKETCHES = DATA / "sketches.zip"
SHIPPED = {
    "reference": "byte-level Llama-type language model, 2.75M parameters, float32",
    "reference-twin": "the same function with known outliers, made from it when loaded",
}


def load(name: str | Path) -> Any:
    """Load a shipped model as a torch module in eval mode, or open any other checkpoint lazily.

    `"reference"` and `"reference-twin"` give a `ReferenceModel`; `"smollm2"`, `"minilm"`,
    `"efficientnet-lite0"` (once fetched), a `.safetensors`, `.gguf` or `.onnx` path and a folder
    give a `Checkpoint`: a mapping whose tensors are listed without being read. An unknown name, a
    missing, broken or pickled file is a `WorkbenchError`.

    >>> load("reference").training
    False
    """
    return _module(str(name)) if str(name) in SHIPPED else tensors(name)


def tensors(name: str | Path) -> Checkpoint:
    """Open the tensors of a model by name or path as a `Checkpoint`; torch is not needed.

    >>> tensors("reference").info("lm_head.weight").shape
    (256, 256)
    """
    from workbench.models import opening, twin
    from workbench.models.checkpoint import from_arrays

    if name == "reference":
        return opening.open_checkpoint(DATA / "reference.safetensors")
    if name == "reference-twin":
        return from_arrays(name, twin.twin_arrays(tensors("reference"), layers=4))
    return opening.open_checkpoint(_path(name))


def open_model(name: str | Path) -> TextModel:
    """Open a model that runs: text in, logits or embeddings out, with its vocabulary.

    Args:
        name: `"reference"`, `"reference-twin"`; `"smollm2"`, `"minilm"` (once fetched); the path of
            a Llama-type GGUF file, or of a folder with a causal language model or an encoder.

    Gives a `LanguageModel` or an `Encoder`, in float32, made from local files alone. What cannot
    be run (an unknown architecture, weights that are NaN or packed) is a `WorkbenchError`; its
    tensors can be looked at with `tensors`. All but the shipped ones need the extra `models`.

    >>> model = open_model("reference")
    >>> model.linears()["layers.0.mlp.down_proj"].weight.shape
    torch.Size([256, 512])
    """
    from workbench.models import extras

    extras.need("torch", repr(str(name)))
    from workbench.models import runnable

    if str(name) in SHIPPED:
        return runnable.shipped(str(name))
    return runnable.open_path(_path(name), str(name))


def from_module(module: Any, name: str = "module") -> Checkpoint:
    """The weights of a torch module as a `Checkpoint`, read when asked for, as they are then.

    Args:
        module: any `torch.nn.Module`, on any device, its weights of any mixture of types.
        name: what the checkpoint calls itself.

    A weight that two layers share is listed once; its other names are its `aliases`. Something
    that is no module is a `WorkbenchError`.

    >>> checkpoint = from_module(load("reference"))
    >>> checkpoint["norm.weight"].shape
    (256,)
    """
    from workbench.models import extras

    extras.need("torch", repr(name))
    from workbench.models.module_reader import open_module

    return open_module(module, name)


def names() -> list[str]:
    """Names that `load` knows, shipped ones first.

    >>> names()[:2]
    ['reference', 'reference-twin']
    """
    from workbench.models import optional

    return [*SHIPPED, *optional.MODELS]


def available() -> list[dict]:
    """One row a model: name, what it is, licence, state, and the command that fetches it.

    >>> available()[0]["state"]
    'shipped'
    """
    from workbench.models import optional

    rows = [
        {"name": name, "about": about, "licence": "Apache-2.0", "state": "shipped", "command": ""}
        for name, about in SHIPPED.items()
    ]
    for model in optional.MODELS.values():
        row = {"name": model.name, "about": model.about, "licence": model.licence}
        row["state"] = "fetched" if model.fetched else f"not fetched ({model.megabytes} MB)"
        rows.append(row | {"command": f"workbench models get {model.name}"})
    return rows


def get(name: str) -> Path:
    """Fetch an optional model into the user's cache and give the path of its checkpoint."""
    from workbench.models import optional

    return optional.fetch(name)


def held_out_text() -> bytes:
    """The 131,072 bytes of *Hamlet* that the reference model never saw in training.

    >>> len(held_out_text())
    131072
    """
    return (DATA / "held_out.txt").read_bytes()


def recipe() -> dict:
    """How the reference model was made: seed, steps, loss curve, source, licence, losses.

    >>> recipe()["licence"]["weights"]
    'Apache-2.0'
    """
    return json.loads((DATA / "recipe.json").read_text("utf-8"))


@cache
def reference_sketches() -> ShippedSketches:
    """Shipped sketches of the reference model's weights and activations, loaded when asked for.

    Keys are parameter names (`layers.0.mlp.down_proj.weight`) and linear inputs
    (`layers.0.mlp.down_proj.input`); torch is not needed.

    >>> reference_sketches().info("layers.0.mlp.down_proj.input").shape
    (4096, 512)
    """
    from workbench.models.shipped_sketches import ShippedSketches

    return ShippedSketches(SKETCHES)


@cache
def _arrays(name: str) -> Checkpoint:
    return tensors(name)


def _module(name: str) -> Any:
    from workbench.models import extras

    torch = extras.need("torch", repr(name))
    from workbench.models.reference import ReferenceModel

    model = ReferenceModel()
    state = {key: torch.tensor(array) for key, array in _arrays(name).items()}
    model.load_state_dict(state)
    return model.eval()


def _path(name: str | Path) -> Path:
    """Path of a fetched model, or the path that was given."""
    from workbench.models import optional

    if name in optional.MODELS:
        return optional.require(str(name))
    if isinstance(name, str) and not _is_path(name):
        raise unknown("model", name, [*SHIPPED, *optional.MODELS])
    return Path(name)


def _is_path(name: str) -> bool:
    return Path(name).expanduser().exists() or "/" in name or bool(Path(name).suffix)
