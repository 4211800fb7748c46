"""Reproductions of quantized training: each returns its figures by name.

Networks are trained for these figures when they are asked for: on STREAM64 from one seed for 200
steps, a quarter of a whole run, so that an answer takes seconds. The figures' names say so.
"""

from __future__ import annotations

from functools import cache, partial
from typing import TYPE_CHECKING

import numpy as np

from ..formats import parse as parse_format
from ..formats.fixed_arithmetic import OVERFLOWS, QUANTIZATIONS, FixedType, multiply
from ..training import logit_sharpness, rounded_normal, with_noise
from . import formats
from .data import gaussian

if TYPE_CHECKING:
    from ..training.linear import Quantizers
    from ..training.loop import Score

Figures = dict[str, float]

STEPS = 200
AFTER = f"{STEPS} steps"


@cache
def _trained(quantizers: Quantizers) -> Score:
    """The score of one network on STREAM64 after `STEPS`; the same quantizers train once."""
    from ..training import stream

    return stream.run(quantizers, (0,), STEPS)[1][0]


def _losses(quantizers: dict[str, Quantizers]) -> Figures:
    """The held-out loss after training with each of some quantizers."""
    return {f"loss after {AFTER}, {name}": _trained(q).loss for name, q in quantizers.items()}


def bit_reduction() -> Figures:
    """[5] The bias of masking, and training with masked and clipped operands; sharpness of logits.

    Example:
        >>> round(bit_reduction()["first order, times 2^M"], 4)
        -0.3607
    """
    from ..training import papers

    sizes = {"E8M7": (8, 7), "E8M1": (8, 1), "E8M0": (8, 0), "E3M7": (3, 7)}
    figures = _losses({name: papers.bit_reduction(*size) for name, size in sizes.items()})
    z = 3 * gaussian(50, 20).astype(np.float64)
    figures["sharpness of random logits, percent"] = logit_sharpness(z, np.arange(50) % 20)
    return formats.bit_reduction() | figures


def dynamic_fixed_point() -> Figures:
    """[16] Products of 16-bit mantissas and their overflow; training with all three rounded."""
    from ..training import papers
    from ..training.linear import PLAIN

    widths = {f"dfp{bits}": papers.dynamic_fixed_point(bits) for bits in (16, 8, 6)}
    return formats.dynamic_fixed_point() | _losses({"float32": PLAIN} | widths)


@cache
def _learned_points() -> tuple[float, ...]:
    """The loss after training with eight bits, and the learned fractions of both weights."""
    from ..training import LearnedPoint, papers, stream

    model, (score,) = stream.run(papers.qfx(8), (0,), STEPS)
    weights = (model.first.quantize_weight, model.second.quantize_weight)
    found = [m.fraction.item() for w in weights for m in w.modules() if isinstance(m, LearnedPoint)]
    return score.loss, *found


def learned_binary_point() -> Figures:
    """[22] K-hot grids; learned binary points; tensors that compute what the hardware does."""
    from ..training.fixed_point import fit_fraction, usual_fraction
    from ..training.linear import PLAIN

    x = gaussian(64, 1024)
    loss, first, second = _learned_points()
    return formats.k_hot_grids() | {
        "fractional bits by the maximum, N(0, 1)": float(usual_fraction(float(np.abs(x).max()))),
        "fractional bits learned, N(0, 1)": float(fit_fraction(x)),
        "hardware products that tensors miss": _missed_products(),
        f"loss after {AFTER}, float32": _trained(PLAIN).loss,
        f"loss after {AFTER}, 8 bits": loss,
        "fractional bits of the first weight": first,
        "fractional bits of the second weight": second,
    }


def _missed_products() -> float:
    """How many of 28 000 products in floating point are not the codes of integer arithmetic."""
    rng, missed = np.random.default_rng(0), 0
    types = FixedType(12, 4), FixedType(10, 6)
    a, b = (rng.integers(t.low, t.high + 1, 1000) for t in types)
    x, y = (t.decode(codes) for t, codes in zip(types, (a, b), strict=True))
    for quantization in QUANTIZATIONS:
        for overflow in OVERFLOWS:
            out = FixedType(9, 5, True, quantization, overflow)
            missed += int((out.encode(x * y) != multiply(a, b, types, out)).sum())
    return float(missed)


@cache
def _zipf_loss(first: str | None, second: str | None) -> float:
    from ..training import Adam8bit, zipf

    return zipf.run(partial(Adam8bit, first=first, second=second), 0, STEPS).loss


def eight_bit_adam() -> Figures:
    """[64] The dynamic map, what it keeps of second moments, and an embedding trained with it."""
    states = {
        "float32": (None, None), "dynamic8/b2048": ("dynamic8/b2048", "udynamic8/b2048"),
        "dynamic8/tensor": ("dynamic8/tensor", "udynamic8/tensor"),
        "int8/b2048": ("int8/b2048", "uint8/b2048"),
    }  # fmt: skip
    return formats.dynamic_tree() | {
        f"embedding's loss after {AFTER}, {name}": _zipf_loss(*pair)
        for name, pair in states.items()
    }


def trilm() -> Figures:
    """[83] Ternary weights by their mean magnitude: errors, and trained beside other widths."""
    from ..training import papers
    from ..training.linear import PLAIN, Quantizers

    widths = {
        "float32": PLAIN, "int3": Quantizers(weight="int3/channel"), "ternary": papers.trilm(),
        "binary": papers.bilm(),
    }  # fmt: skip
    return formats.trilm() | _losses(widths)


def gaussian_sampling() -> Figures:
    """[98] The noise of Gaussian weight sampling, what it leaves exact, and bits learned under it.

    Example:
        >>> round(gaussian_sampling()["share of zeros"], 2)
        0.68
    """
    r, bf16 = rounded_normal((1_000_000,)), parse_format("bf16")
    w = bf16.round(gaussian(512, 512))
    figures = {
        "share of zeros": float((r == 0).mean()),
        "share of one step": float((np.abs(r) == 1).mean()),
        "variance": float(r.astype(np.float64).var()),
    }
    rng = np.random.default_rng(1)
    for bits in (4, 6, 8):
        uniform = rng.uniform(-0.5, 0.5, w.shape) * np.abs(w).max() * 2.0 ** (1 - bits)
        noisy = bf16.round(with_noise(w, bits))
        plain = bf16.round((w + uniform).astype(np.float32))
        figures[f"weights exact at {bits} bits"] = float((noisy == w).mean())
        figures[f"weights exact at {bits} bits, uniform noise"] = float((plain == w).mean())
    return figures | _learned_bits()


@cache
def _bits_after_training() -> tuple[float, float]:
    """The loss after training under noise, and the mean of the bits that began at 6."""
    from ..training import LearnedBits, papers, stream
    from ..training.loop import score, train
    from ..training.noisy_weights import mean_excess

    model = stream.Network(papers.gaussian_sampling(6, 4), (0,))
    data = stream.batches((0,), STEPS)
    train(model, data, STEPS, stream.RATE, penalty=lambda m: 0.1 * mean_excess(m), replicas=1)
    bits = [float(m.bits.mean()) for m in model.modules() if isinstance(m, LearnedBits)]
    return score(model, *stream.held_out())[0].loss, float(np.mean(bits))


def _learned_bits() -> Figures:
    from ..training.linear import PLAIN

    loss, bits = _bits_after_training()
    return {
        f"loss after {AFTER}, float32": _trained(PLAIN).loss,
        f"loss after {AFTER}, noise of learned bits": loss,
        f"mean bits after {AFTER}, from 6 towards 4": bits,
    }


@cache
def _adapter_accuracy(hidden: int, weight: str | None) -> float:
    from ..training import stream
    from ..training.adapters import AdaptedFeatures
    from ..training.loop import score, train

    model = AdaptedFeatures(stream.FEATURES, 256, stream.CLASSES, hidden, weight)
    data = ((x[0], y[0]) for x, y in stream.batches((0,), STEPS))
    train(model, data, STEPS, stream.RATE)
    return score(model, *stream.held_out()).accuracy


def binary_adapters() -> Figures:
    """[107] Codes of 1-bit adapters and their errors, and adapters trained on frozen features."""
    from ..training.adapters import BINARY

    kinds = {
        "1 bit": (32, BINARY), "float32": (32, None), "float32 of the same bytes": (1, None),
        "no adapter": (0, None),
    }  # fmt: skip
    return formats.adapter_codes() | {
        f"accuracy after {AFTER}, {name}": _adapter_accuracy(*kind) for name, kind in kinds.items()
    }
