"""Train the reference model from its seed: `python -m workbench.models.train_reference`.

Every step is a pure function of (seed, step), a checkpoint resumes bit for bit, and the two halves
of a batch run in two threads whose gradients are added in a fixed order. Constant rate for most of
the steps, then linear to 2 %. The held-out play is read once, after the last step.
"""

from __future__ import annotations

import argparse
import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from workbench.models import train_data, train_export, train_optimizer
from workbench.models.evaluate import evaluate
from workbench.models.reference import ReferenceConfig, ReferenceModel

VALIDATED = 32768


@dataclass(frozen=True)
class Settings:
    """Everything that decides the weights, besides the text."""

    seed: int = 7
    steps: int = 3000
    constant: float = 0.6
    final_rate: float = 0.02
    warmup: int = 50
    batch: int = 16
    shards: int = 2
    modern_share: float = 0.75
    muon_rate: float = 0.02
    adam_rate: float = 3e-3


def rate(step: int, settings: Settings) -> float:
    """Learning rate of a step as a share of its peak.

    >>> [round(rate(step, Settings(steps=1000, warmup=10)), 3) for step in (4, 500, 1000)]
    [0.5, 1.0, 0.02]
    """
    if step < settings.warmup:
        return (step + 1) / settings.warmup
    start = settings.constant * settings.steps
    share = max(0.0, (step - start) / (settings.steps - start))
    return 1 - (1 - settings.final_rate) * share


def draw(corpus: train_data.Corpus, step: int, settings: Settings, context: int) -> Tensor:
    """The int64 windows `(batch, context + 1)` of a step, a fixed share from modern editions."""
    generator = np.random.default_rng([settings.seed, step])
    windows = []
    for _ in range(settings.batch):
        modern = generator.random() < settings.modern_share
        text = corpus.modern if modern else corpus.folio
        start = int(generator.integers(len(text) - context))
        windows.append(np.frombuffer(text, np.uint8, context + 1, start))
    return torch.from_numpy(np.stack(windows).astype(np.int64))


def initialize(config: ReferenceConfig, seed: int) -> ReferenceModel:
    """A model with random weights from `seed`; projections that write the residual start at 0."""
    generator = torch.Generator().manual_seed(seed)
    model = ReferenceModel(config)
    for name, parameter in model.named_parameters():
        if parameter.ndim == 2:
            fan_in = 1.0 if name.startswith("embed") else parameter.shape[1]
            torch.nn.init.normal_(parameter, std=0.5 * fan_in**-0.5, generator=generator)
        if name.endswith(("o_proj.weight", "down_proj.weight", "lm_head.weight")):
            torch.nn.init.zeros_(parameter)
    return model


def loss_of(model: ReferenceModel, windows: Tensor) -> Tensor:
    """Mean next-byte cross entropy over windows `(n, time + 1)`, in nats a byte."""
    logits = model(windows[:, :-1])
    return F.cross_entropy(logits.flatten(0, 1), windows[:, 1:].flatten())


def gradients(
    model: ReferenceModel, windows: Tensor, shards: int, pool: ThreadPoolExecutor
) -> float:
    """Set every parameter's gradient from all shards of a batch; returns the mean loss."""
    parameters = list(model.parameters())

    def one(shard: Tensor) -> tuple[float, tuple[Tensor, ...]]:
        loss = loss_of(model, shard) / shards
        return loss.item(), torch.autograd.grad(loss, parameters)

    parts = list(pool.map(one, windows.chunk(shards)))
    for index, parameter in enumerate(parameters):
        parameter.grad = parts[0][1][index]
        for _, other in parts[1:]:
            parameter.grad.add_(other[index])
    return sum(loss for loss, _ in parts)


def train(
    corpus: train_data.Corpus,
    settings: Settings,
    folder: Path,
    config: ReferenceConfig | None = None,
    every: int = 100,
    stop: int | None = None,
) -> ReferenceModel:
    """Run or resume training in `folder`, which gets `checkpoint.pt` and `curve.jsonl`.

    A checkpoint and a row of the curve are written `every` steps; `stop` ends the run early.
    """
    model = initialize(config or ReferenceConfig(), settings.seed)
    optimizers = train_optimizer.build(model, settings.muon_rate, settings.adam_rate)
    step = _resume(model, optimizers, folder)
    recent = []
    with ThreadPoolExecutor(settings.shards) as pool:
        while step < (stop or settings.steps):
            windows = draw(corpus, step, settings, model.config.context)
            recent.append(gradients(model, windows, settings.shards, pool))
            _update(optimizers, rate(step, settings))
            step += 1
            if step % every == 0 or step == settings.steps:
                row = {"step": step, "train": round(float(np.mean(recent)), 4)}
                if step % (5 * every) == 0 or step == settings.steps:
                    row["validation"] = round(_validate(model, corpus), 4)
                _log(folder, row)
                _save(model, optimizers, step, folder)
                recent = []
    return model


def _update(optimizers: list[torch.optim.Optimizer], share: float) -> None:
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["lr"] = group["peak"] * share
        optimizer.step()


def _validate(model: ReferenceModel, corpus: train_data.Corpus) -> float:
    return evaluate(model, corpus.validation[:VALIDATED]).loss


def _log(folder: Path, row: dict) -> None:
    print(json.dumps(row), flush=True)
    with (folder / "curve.jsonl").open("a") as file:
        file.write(json.dumps(row) + "\n")


def _save(model: ReferenceModel, optimizers: list, step: int, folder: Path) -> None:
    state = {"step": step, "model": model.state_dict()}
    state["optimizers"] = [optimizer.state_dict() for optimizer in optimizers]
    torch.save(state, folder / "checkpoint.tmp")
    (folder / "checkpoint.tmp").replace(folder / "checkpoint.pt")


def _resume(model: ReferenceModel, optimizers: list, folder: Path) -> int:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "checkpoint.pt"
    if not path.exists():
        return 0
    state = torch.load(path, weights_only=True)
    model.load_state_dict(state["model"])
    for optimizer, saved in zip(optimizers, state["optimizers"], strict=True):
        optimizer.load_state_dict(saved)
    return state["step"]


def main() -> None:
    """Command line: fetch the text, train or resume, export the files that the package ships."""
    parser = argparse.ArgumentParser(description="Train the reference model and export it.")
    parser.add_argument("--folder", type=Path, default=Path("build/reference"))
    parser.add_argument("--steps", type=int, default=Settings.steps)
    parser.add_argument("--export", type=Path, default=None, help="default: workbench/models/data")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    settings = Settings(steps=arguments.steps)
    archive = train_data.fetch(arguments.folder)
    corpus = train_data.split(train_data.read_works(archive))
    model = train(corpus, settings, arguments.folder)
    lines = (arguments.folder / "curve.jsonl").read_text().splitlines()
    curve = [json.loads(line) for line in lines]
    train_export.export(model, corpus, asdict(settings), curve, arguments.export)


if __name__ == "__main__":
    main()
