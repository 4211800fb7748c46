"""Weights with noise as wide as a rounding step in place of rounding: pseudo-quantization.

Gaussian weight sampling (2025) draws the noise as normal numbers halved and rounded, most of which
are zero, so that a cast to bfloat16 afterwards leaves most weights exactly as they are.
"""

from __future__ import annotations

from statistics import NormalDist
from typing import Any

import numpy as np

from ..errors import WorkbenchError
from ..kernels import arrays
from ..schemes import Layout, Scale

STEPS = 5  # |R| beyond it has a chance of 10^-27


def rounded_normal(shape: tuple[int, ...], seed: int = 0) -> np.ndarray:
    """round(n / 2) of standard normal n, drawn by comparing random bits, int8.

    One bit of a 32-bit word is the sign, the other 31 are compared with the chances of each
    magnitude. The same seed gives the same numbers.

    Args:
        shape: of the result.
        seed: of the counter-based generator (Philox).

    Example:
        >>> r = rounded_normal((100_000,))
        >>> round(float((r == 0).mean()), 2), int(abs(r).max()) >= 2
        (0.68, True)
    """
    words = np.random.Generator(np.random.Philox(seed)).integers(0, 1 << 32, shape, np.uint32)
    normal = NormalDist()
    below = [2 * normal.cdf(2 * k + 1) - 1 for k in range(STEPS)]  # |n| < 1, 3, 5, ...
    limits = np.array([round(p * 2**31) for p in below])
    size = np.searchsorted(limits, (words >> 1).astype(np.int64), side="right").astype(np.int8)
    return np.where(words & 1, -size, size).astype(np.int8)


def with_noise(w: Any, bits: Any, block: int = 32, seed: int = 0) -> np.ndarray:
    """Weights plus noise of `2^(1 - bits)` times the largest magnitude of their square block.

    Args:
        w: array or tensor (outputs, inputs), float32 or float64.
        bits: how many bits the noise stands for: a number, or one for each block
            (blocks down, blocks across); it need not be whole.
        block: rows and columns of a block; the last ones may be smaller.
        seed: of the noise.

    Example:
        >>> w = np.ones((4, 4), np.float32)
        >>> sorted(set(with_noise(w, 3.0, block=2).ravel().tolist()))[1:3]
        [1.0, 1.25]
    """
    values = arrays.to_numpy(w)
    layout, amax = block_amax(values, block)
    bits = np.broadcast_to(np.asarray(bits, np.float64), layout.scale_shape)
    step = layout.spread((amax * np.exp2(1 - bits)).astype(values.dtype))
    return values + rounded_normal(values.shape, seed) * step


def block_amax(values: np.ndarray, block: int) -> tuple[Layout, np.ndarray]:
    """Where the square blocks of a matrix lie, and the largest magnitude of each.

    Example:
        >>> block_amax(np.float32([[1, -2], [3, 4]]), 1)[1].tolist()
        [[1.0, 2.0], [3.0, 4.0]]
    """
    if values.ndim != 2:
        raise WorkbenchError(
            f"weights of shape {values.shape}", "blocks are squares of a matrix",
            "pass (outputs, inputs)",
        )  # fmt: skip
    layout = Layout.of(values.shape, -1, Scale("tile", (block, block)))
    starts = np.arange(0, layout.cols, layout.size)
    return layout, layout.reduce(np.maximum.reduceat(np.abs(values), starts, axis=1), np.maximum)
