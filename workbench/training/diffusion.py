"""A small diffusion model of eight spots on a circle, whose layers can be quantized.

A denoising diffusion model (Ho et al., 2020) of points in the plane: 100 times, four linear layers.
The package ships its weights, which `python -m workbench.training.diffusion` makes in a minute.
"""

from __future__ import annotations

import argparse
import copy
import json
import math
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .._files import replacing
from ..errors import WorkbenchError
from ..kernels.threads import one_torch_thread
from ..models.quantized_linear import QuantizedLinear
from ..quantizers import Calibration, Recipe

SHIPPED = Path(__file__).parent / "data" / "diffusion.safetensors"
TIMES = 100
SPOTS, RADIUS, SPREAD = 8, 1.5, 0.1
WIDTH, WAVES = 128, 16
STEPS, BATCH, RATE = 6000, 512, 2e-3
LAYERS = ("first", "second", "third", "last")
DIRECTIONS = 64  # of the sliced distance


class Denoiser(nn.Module):
    """The noise in points of the plane at a time of diffusion: 34-128-128-128-2 with SiLU.

    Example:
        >>> Denoiser()(torch.zeros(3, 2), torch.tensor(5)).shape
        torch.Size([3, 2])
    """

    def __init__(self) -> None:
        super().__init__()
        sizes = (2 + 2 * WAVES, WIDTH, WIDTH, WIDTH, 2)
        for name, inputs, outputs in zip(LAYERS, sizes[:-1], sizes[1:], strict=True):
            setattr(self, name, nn.Linear(inputs, outputs))

    def forward(self, x: Tensor, time: Tensor) -> Tensor:
        """Noise (n, 2) of points (n, 2) at times, int64 (n,) or one for all."""
        x = torch.cat([x, waves(time).expand(len(x), -1)], dim=1)
        for name in LAYERS[:-1]:
            x = F.silu(getattr(self, name)(x))
        return self.last(x)


def waves(time: Tensor) -> Tensor:
    """Sines and cosines of times (...), with wavelengths from 6 to 600, float32 (..., 32).

    Example:
        >>> waves(torch.tensor([0, 7])).shape
        torch.Size([2, 32])
    """
    rates = torch.exp(-math.log(TIMES) * torch.arange(WAVES) / (WAVES - 1))
    angles = time[..., None] * rates
    return torch.cat([angles.sin(), angles.cos()], dim=-1)


@cache
def schedule() -> tuple[Tensor, Tensor]:
    """The variance that each time adds, and the share of the signal's that is left, (100,) both.

    Example:
        >>> added, left = schedule()
        >>> round(float(added[-1]), 3), bool(left[-1] < 1e-4)
        (0.2, True)
    """
    added = torch.linspace(1e-3, 0.2, TIMES)
    return added, torch.cumprod(1 - added, 0)


def _pull() -> Tensor:
    """What the sampler multiplies the noise of each time by, (100,)."""
    added, left = schedule()
    return added / ((1 - left) * (1 - added)).sqrt()


def points(count: int, generator: torch.Generator) -> Tensor:
    """Points of eight normal spots on a circle of radius 1.5, float32 (count, 2).

    Example:
        >>> x = points(1000, torch.Generator().manual_seed(0))
        >>> round(x.norm(dim=1).mean().item(), 1)
        1.5
    """
    angles = torch.randint(SPOTS, (count,), generator=generator) * (2 * math.pi / SPOTS)
    centres = RADIUS * torch.stack([angles.cos(), angles.sin()], dim=1)
    return centres + SPREAD * torch.randn(count, 2, generator=generator)


def train(
    steps: int = STEPS, seed: int = 0, until: int | None = None
) -> tuple[Denoiser, list[float]]:
    """A model that has learned the spots, and the loss of every step: mean squared noise missed.

    Adam with a rate that falls as half a cosine; on one thread, from the seed alone.

    Args:
        steps: of the whole run, which the rate falls over.
        seed: of the weights and of all that is drawn.
        until: how many of the steps are taken; None for all.

    Example:
        >>> losses = train(until=30)[1]
        >>> losses[-1] < losses[0]
        True
    """
    generator, (_, left) = torch.Generator().manual_seed(seed), schedule()
    with one_torch_thread(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model, losses = Denoiser(), []
        optimizer = torch.optim.Adam(model.parameters(), RATE, fused=True)
        for step in range(steps if until is None else until):
            optimizer.param_groups[0]["lr"] = RATE * 0.5 * (1 + math.cos(math.pi * step / steps))
            x, noise = points(BATCH, generator), torch.randn(BATCH, 2, generator=generator)
            time = torch.randint(TIMES, (BATCH,), generator=generator)
            signal = left[time, None]
            noisy = signal.sqrt() * x + (1 - signal).sqrt() * noise
            loss = F.mse_loss(model(noisy, time), noise)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
    return model.eval(), losses


@torch.no_grad()
def sample(model: nn.Module, count: int, seed: int = 0) -> np.ndarray:
    """Points that a model makes, float32 (count, 2); models get the same noise for one seed.

    Example:
        >>> sample(load(), 4).shape
        (4, 2)
    """
    generator = torch.Generator().manual_seed(seed)
    added, pull = schedule()[0], _pull()
    with one_torch_thread():
        x = torch.randn(count, 2, generator=generator)
        for time in range(TIMES - 1, -1, -1):
            noise = model(x, torch.tensor(time))
            x = x / (1 - added[time]).sqrt() - pull[time] * noise
            if time:
                x = x + added[time].sqrt() * torch.randn(count, 2, generator=generator)
    return x.numpy()


def calibrations(
    model: Denoiser, count: int = 256, seed: int = 1, by_use: bool = True
) -> dict[str, Calibration]:
    """What each layer reads while the model makes some points.

    Args:
        model: the float model.
        count: of points.
        seed: of the noise.
        by_use: take fewer rows of times whose noise the sampler takes less of: in proportion to
            the square of what the noise is multiplied by, all points' at the time of the most.
            The last times, whose inputs are the largest, would rule the errors otherwise. False
            takes every row.

    Example:
        >>> found = calibrations(load(), count=4, by_use=False)
        >>> found["first"].count, found["last"].features
        (400, 128)
    """
    seen: dict[str, list[Tensor]] = {name: [] for name in LAYERS}
    kept = [count] * TIMES
    if by_use:
        use = _pull().square().flip(0)
        kept = torch.clamp((count * use / use.max()).round(), min=1).int().tolist()

    def listen(name: str) -> Any:
        return getattr(model, name).register_forward_pre_hook(
            lambda module, inputs: seen[name].append(inputs[0][: kept[len(seen[name])]])
        )

    handles = [listen(name) for name in LAYERS]
    try:
        sample(model, count, seed)
    finally:
        for handle in handles:
            handle.remove()
    return {name: Calibration.of(torch.cat(rows)) for name, rows in seen.items()}


def quantized(
    model: Denoiser,
    recipes: Mapping[str, Recipe | str],
    known: Mapping[str, Calibration] | None = None,
) -> Denoiser:
    """A copy of a model with layers that recipes made; the one given stays as it is.

    Args:
        model: the float model.
        recipes: by the layer's name, as text or as they are; layers without one stay float.
        known: what each layer reads, for recipes that look at it.

    A name that is no layer's raises `WorkbenchError`.

    Example:
        >>> quantized(load(), {"second": "w=int4/channel"}).second
        QuantizedLinear(in_features=128, out_features=128, int4/channel)
    """
    made = copy.deepcopy(model)
    for name, recipe in recipes.items():
        if name not in LAYERS:
            raise WorkbenchError(
                f"a recipe for {name!r}", "there is no such layer", f"name one of {LAYERS}"
            )
        layer = Recipe.of(recipe).apply(
            getattr(model, name), None if known is None else known[name]
        )
        setattr(made, name, QuantizedLinear(layer))
    return made


def sliced_distance(x: np.ndarray, y: np.ndarray) -> float:
    """The sliced 2-Wasserstein distance of two sets of points of the plane, (count, 2) both.

    The root mean square difference of sorted projections, over 64 directions. Source: Rabin et al.,
    2011.

    Example:
        >>> x = np.random.default_rng(0).standard_normal((100, 2))
        >>> round(sliced_distance(x, x + [3.0, 4.0]) ** 2, 6)
        12.5
    """
    angles = np.arange(DIRECTIONS) * (np.pi / DIRECTIONS)
    along = np.stack([np.cos(angles), np.sin(angles)])
    return float(np.sqrt(((np.sort(x @ along, axis=0) - np.sort(y @ along, axis=0)) ** 2).mean()))


def load(path: str | Path = SHIPPED) -> Denoiser:
    """The model that the package ships, or one that `write` wrote.

    Example:
        >>> sum(p.numel() for p in load().parameters())
        37762
    """
    from safetensors.torch import load_file

    model = Denoiser()
    model.load_state_dict(load_file(str(path)))
    return model.eval()


def about(path: str | Path = SHIPPED) -> dict[str, Any]:
    """How a file of weights was made: seed, steps, losses, command and licence.

    Example:
        >>> about()["seed"], about()["steps"]
        (0, 6000)
    """
    from safetensors import safe_open

    with safe_open(str(path), framework="pt") as file:
        return json.loads(file.metadata()["made"])


def write(path: str | Path = SHIPPED, steps: int = STEPS, seed: int = 0) -> None:
    """Train the model and write its weights with how they were made, whole or not at all."""
    from safetensors.torch import save

    model, losses = train(steps, seed)
    made = {
        "command": "python -m workbench.training.diffusion", "licence": "Apache-2.0",
        "steps": steps, "seed": seed, "torch": torch.__version__,
        "loss of the first 200 steps": round(float(np.mean(losses[:200])), 6),
        "loss of the last 500 steps": round(float(np.mean(losses[-500:])), 6),
    }  # fmt: skip
    with replacing(path) as spare:
        spare.write_bytes(save(model.state_dict(), {"made": json.dumps(made)}))


def main() -> None:
    """Command line: train the model and write what the package ships."""
    parser = argparse.ArgumentParser(description="Train the small diffusion model and write it.")
    parser.add_argument("--path", type=Path, default=SHIPPED)
    parser.add_argument("--steps", type=int, default=STEPS)
    arguments = parser.parse_args()
    write(arguments.path, arguments.steps)


if __name__ == "__main__":
    main()
