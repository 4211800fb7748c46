"""Reproductions of what is trained end to end after the codes are chosen: figures by name."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

from ..quantizers.tunings import Distill

if TYPE_CHECKING:
    import torch

Figures = dict[str, float]

FEATURES, HIDDEN, OUTPUTS = 64, 128, 32
LOUD, GAIN = (5, 40), 60.0
ROWS, HELD_OUT, BATCH, STEPS = 8192, 1024, 512, 60

READ, SCORED, WINDOW = 2048, 1025, 128  # bytes
TUNINGS = {"w=int3/g32": "norms+biases", "w=int2/g32 low_rank(16)": "low_rank"}


def loud_network() -> tuple[Any, list[torch.Tensor], torch.Tensor]:
    """Three matrices with ReLU between; two of its inputs are 60 times as large as the others.

    Their weights are as much smaller, so that all inputs count alike.

    Returns:
        The network; batches to calibrate and tune on; held-out rows.

    Example:
        >>> network, batches, rows = loud_network()
        >>> len(network), len(batches), rows.shape
        (5, 16, torch.Size([1024, 64]))
    """
    import torch
    from torch import nn

    generator = torch.Generator().manual_seed(0)
    sizes = (FEATURES, HIDDEN, HIDDEN, OUTPUTS)
    layers: list[nn.Module] = []
    for inputs, outputs in pairwise(sizes):
        linear = nn.Linear(inputs, outputs)
        linear.weight.data = torch.randn(outputs, inputs, generator=generator)
        linear.weight.data *= (2 / inputs) ** 0.5
        linear.bias.data = 0.1 * torch.randn(outputs, generator=generator)
        layers += [linear, nn.ReLU()]
    network = nn.Sequential(*layers[:-1]).requires_grad_(False).eval()
    gains = torch.ones(FEATURES)
    gains[list(LOUD)] = GAIN
    network[0].weight.data /= gains
    rows = torch.randn(ROWS + HELD_OUT, FEATURES, generator=generator) * gains
    return network, list(rows[:ROWS].split(BATCH)), rows[ROWS:]


def mobile_ranges() -> Figures:
    """[129] Channel factors, clips and static ranges learned end to end: held-out squared errors.

    Example:
        >>> mobile_ranges()["8 bits, all over smooth"] < 0.9
        True
    """
    network, batches, rows = loud_network()
    figures: Figures = {}
    for bits in (8, 4):
        errors = _stages(network, batches, rows, bits)
        figures |= {f"{bits} bits, {name}": found for name, found in errors.items()}
        for start in ("smooth", "full ranges"):
            figures[f"{bits} bits, all over {start}"] = errors["all"] / errors[start]
    return figures


def _stages(network: Any, batches: list[torch.Tensor], rows: torch.Tensor, bits: int) -> Figures:
    """Errors with static 8-bit inputs and weights of some bits; all but `clips` from smooth on."""
    from ..models.distances import distance
    from ..models.plain import quantize_module
    from ..models.tune import tune

    def tuned(made: Any, train: str) -> Any:
        return tune(made, network, batches, Distill(train, steps=STEPS))

    base = f"w=int{bits}/channel a=int8/tensor static"
    plain, smooth = (quantize_module(network, t + base, batches) for t in ("", "smooth "))
    stages = {
        "full ranges": plain,
        "clips": tuned(plain, "clips"),
        "smooth": smooth,
        "channels and clips": tuned(smooth, "channels+clips"),
        "all": tuned(smooth, "channels+clips+ranges"),
    }
    return {
        name: distance("mse", network(rows), made(rows)).item() for name, made in stages.items()
    }


def norm_tuning() -> Figures:
    """[62] Statistics, norms and biases found again after the codes; low-rank factors too, as [75].

    Errors are squared and relative, divergences from the float model in nats a token; held out.

    Example:
        >>> figures = norm_tuning()
        >>> figures["w=int3/g32, norms+biases trained"] < 0.9 * figures["w=int3/g32"]
        True
    """
    return _statistics() | _divergences()


def _statistics() -> Figures:
    """Errors of a network with batch norms before and after it knows what it is given."""
    import torch
    from torch import nn

    from ..models.distances import distance
    from ..models.norms import reestimate_norms
    from ..models.plain import quantize_module

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        blocks = [(nn.Linear(64, 64), nn.BatchNorm1d(64), nn.ReLU()) for _ in range(3)]
        network = nn.Sequential(*(part for block in blocks for part in block), nn.Linear(64, 8))
        seen, rows = torch.randn(2, 1024, 64)
    reestimate_norms(network.eval(), [seen])
    made = quantize_module(network, "w=int3/channel")
    exact = network(rows)
    before = distance("mse", exact, made(rows)).item()
    reestimate_norms(made, [seen])
    after = distance("mse", exact, made(rows)).item()
    return {"batch norms, int3": before, "batch norms, int3, found again": after}


def _divergences() -> Figures:
    """Held-out divergence of the shipped model before and after each tuning."""
    from ..models import held_out_text
    from ..models.evaluate import Remembered, evaluate
    from ..models.quantize import quantize
    from ..models.runnable import shipped
    from ..models.tune import tune_model

    model, text = shipped("reference"), held_out_text()
    exact, windows = Remembered(model), model.encode(text[:READ]).split(WINDOW)
    figures: Figures = {}
    for recipe, trained in TUNINGS.items():
        made = quantize(model, recipe)
        part = Distill(trained, "kl", steps=16, rate=0.003)
        tuned = tune_model(made, model, windows, part)
        both = {recipe: made, f"{recipe}, {trained} trained": tuned}
        figures |= {name: evaluate(one, text[-SCORED:], exact).kl for name, one in both.items()}
    return figures
