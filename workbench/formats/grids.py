"""Codebooks that follow from a rule: binary, ternary, bipolar, k-hot, and the Gaussian's own codes.

Ternary is the grid of TriLM (Spectra, Kaushal et al., 2024), bipolar integers that of bit-plane
products, k-hot that of multiplier-free fixed point (QFX, 2024), and the Gaussian codes those of
1-bit adapters (Jie et al., 2023: L1) and of Lloyd and Max (1960: L2).
"""

from __future__ import annotations

from functools import lru_cache
from statistics import NormalDist

import numpy as np

from .codebook import CodebookFormat
from .tapered import needs

NORMAL = NormalDist()


def binary() -> CodebookFormat:
    """-1 and 1 in one bit.

    Example:
        >>> binary().round([-3.0, 0.2])
        array([-1.,  1.])
    """
    return CodebookFormat("binary", (-1.0, 1.0))


def ternary() -> CodebookFormat:
    """-1, 0 and 1, whose codes 0, 1 and 2 pack five to a byte.

    Example:
        >>> ternary().encode([-3.0, 0.2, 0.9])
        array([0, 1, 2], dtype=uint8)
    """
    return CodebookFormat("ternary", (-1.0, 0.0, 1.0))


def bipolar(width: int) -> CodebookFormat:
    """Odd integers 2q - (2^width - 1): every bit of the code q is worth plus or minus its weight.

    Example:
        >>> bipolar(2).table
        (-3.0, -1.0, 1.0, 3.0)
    """
    needs(1 <= width <= 8, f"bipolar{width}", "bipolar integers have 1 to 8 bits", "write bipolar4")
    most = (1 << width) - 1
    return CodebookFormat(f"bipolar{width}", tuple(range(-most, most + 1, 2)))


def k_hot(width: int, k: int, signed: bool = False) -> CodebookFormat:
    """Integers whose magnitudes have at most `k` bits set, so products are `k` shifts and adds.

    Args:
        width: bits of the magnitude, 1 to 12.
        k: how many terms, 1 to `width`.
        signed: each term has a sign of its own, and may be 2^width: k terms reach more integers.

    Example:
        >>> [k for k in k_hot(4, 1).table if k >= 0]
        [0.0, 1.0, 2.0, 4.0, 8.0]
    """
    name = f"khot{width}(k={k}{',signed' if signed else ''})"
    needs(1 <= width <= 12, name, "magnitudes have 1 to 12 bits", "write khot8(k=2)")
    needs(1 <= k <= width, name, f"k lies in 1 to {width}", f"write khot{width}(k=1)")
    powers = [1 << i for i in range(width + signed)]
    signs = (1, -1) if signed else (1,)
    reached = {0}
    for _ in range(k):
        reached |= {start + sign * power for start in reached for power in powers for sign in signs}
    most = (1 << width) - 1
    magnitudes = {abs(v) for v in reached if abs(v) <= most}
    if not signed:
        magnitudes = {v for v in magnitudes if v.bit_count() <= k}
    return CodebookFormat(name, tuple(sorted({s * v for v in magnitudes for s in (1, -1)})))


@lru_cache(maxsize=16)
def gaussian_codes(width: int, norm: int) -> CodebookFormat:
    """The 2^width values with the least expected error of a standard normal number.

    Args:
        width: bits, 1 to 8.
        norm: 1 for the least absolute error (each value the median of its cell: `median2`), 2 for
            the least squared error (the mean: `lloyd2`).

    Example:
        >>> np.round(gaussian_codes(1, 1).table, 5), np.round(gaussian_codes(1, 2).table, 5)
        (array([-0.67449,  0.67449]), array([-0.79788,  0.79788]))
    """
    name = f"{'median' if norm == 1 else 'lloyd'}{width}"
    needs(1 <= width <= 6, name, "Gaussian codes have 1 to 6 bits", f"write {name[:-1]}4")
    count = 1 << width
    values = np.array([NORMAL.inv_cdf((i + 0.5) / count) for i in range(count)])
    centre = _medians if norm == 1 else _means
    while True:
        better = centre(0.5 * (values[:-1] + values[1:]))
        if np.abs(better - values).max() < 1e-13:
            break
        values = better
    half = values[count // 2 :]
    return CodebookFormat(name, (*-half[::-1], *half))


def _medians(edges: np.ndarray) -> np.ndarray:
    """The median of the normal density in each cell."""
    below = np.array([0.0, *map(NORMAL.cdf, edges), 1.0])
    return np.array([NORMAL.inv_cdf(p) for p in 0.5 * (below[:-1] + below[1:])])


def _means(edges: np.ndarray) -> np.ndarray:
    """The mean of the normal density in each cell."""
    below = np.array([0.0, *map(NORMAL.cdf, edges), 1.0])
    height = np.array([0.0, *map(NORMAL.pdf, edges), 0.0])
    return -np.diff(height) / np.diff(below)
