"""Reproductions of quantized training: each returns its figures by name."""

from __future__ import annotations

import numpy as np

from ..formats import parse as parse_format
from ..training import rounded_normal, with_noise
from .data import gaussian


def gaussian_sampling() -> dict[str, float]:
    """[98] The noise of Gaussian weight sampling, and how many bfloat16 weights it leaves exact.

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
    return figures
