"""The corner cases on which libraries are compared, and the names of the corners.

Whatever has been seen to differ between libraries has its inputs here: ties and their neighbours,
overflow thresholds, subnormals, signed zeros, NaN payloads, blocks at the ends of the exponents.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

import numpy as np

from ..formats import FloatFormat, Format
from ..formats import parse as parse_format
from .conformance_peers import BLOCK

BLOCKS = "mx"  # what the name of a scheme of blocks begins with
# Where an input lies, or for blocks what its block is made for; of several it counts in the first.
KINDS = (
    "NaN", "infinity", "zero or negative", "minus zero", "ties", "just below a tie",
    "just above a tie", "overflow", "top binade", "subnormals", "exact value", "interior",
)  # fmt: skip


@lru_cache(maxsize=1)
def corner_cases(subject: str) -> tuple[np.ndarray, np.ndarray]:
    """The inputs on which libraries are compared: float32 `(n,)`, and for blocks their kinds.

    All bfloat16 patterns; each value, midpoint and overflow threshold, with the float32 numbers
    beside them; the binade of the largest exponent field; 2^17 random patterns, and 2^16 within
    the format's range; none twice. Codebooks get those within ±1, and MX random and edge blocks.

    Example:
        >>> x, kinds = corner_cases("e2m1")
        >>> x.size > 200_000, kinds.size, bool(np.isin(np.float32(2.5), x))
        (True, 0, True)
    """
    if subject.startswith(BLOCKS):
        blocks = _blocks()
        kinds = np.repeat(list(blocks), [b.size for b in blocks.values()])
        return np.concatenate([b.reshape(-1) for b in blocks.values()]), kinds
    format, rng = parse_format(subject.partition(" ")[0]), np.random.default_rng(2025)
    with np.errstate(over="ignore"):
        grid = np.concatenate([format.values, format.middles, *_edges(format)]).astype(np.float32)
        low, high = np.array([format.smallest / 4, format.max * 2], np.float32).view(np.uint32)
    beside = grid.view(np.uint32)[:, None] + np.arange(-1, 2).astype(np.uint32)
    signs = np.array([[0], [1 << 31]], np.uint32)
    inside = rng.integers(low, high, (2, 1 << 15), np.uint32) | signs
    special = np.array([0x7F800001, 0x7FFFFFFF, 0x7FABCDEF, 1], np.uint32) | signs
    parts = (np.arange(1 << 16, dtype=np.uint32) << np.uint32(16), beside, inside, special,
             rng.integers(0, 1 << 32, 1 << 17, np.uint32))  # fmt: skip
    x = np.unique(np.concatenate([p.ravel() for p in parts])).view(np.float32)
    return (x[np.abs(x) <= 1] if format.family == "codebook" else x), np.empty(0, str)


def _edges(format: Format) -> Iterator[np.ndarray]:
    """Around the largest value of a float: the threshold, the next value, the top binade."""
    if isinstance(format, FloatFormat):
        step = 2.0 ** (format.max_exponent - format.mantissa)
        for sign in (1, -1):
            yield sign * (format.max + step * np.array([0.25, 0.5, 0.75, 1, 2]))
            yield sign * np.linspace(*_top_binade(format), 1 << 12)


def _top_binade(format: FloatFormat) -> tuple[float, float]:
    """From where to where the exponent field is all ones, whatever these codes mean."""
    top = 2.0 ** ((1 << format.exponent) - 1 - format.bias)
    return top, 2 * top


def _blocks() -> dict[str, np.ndarray]:
    """Blocks of 32 by kind: float32 `(n, 32)` each."""
    rng, f32 = np.random.default_rng(2025), np.float32
    spread = rng.normal(size=(384, BLOCK)) * np.exp2(rng.integers(-100, 100, (384, 1)))
    largest = (np.exp2(rng.integers(-20, 20, 64)) * (1 + np.arange(64) / 64)).astype(f32)
    largest = np.concatenate([largest, *(np.nextafter(largest, f32(e)) for e in (0, np.inf))])
    edges = rng.uniform(-1, 1, (192, BLOCK)).astype(f32)
    edges[:, 0] = 1
    full, ramp = np.ones((1, BLOCK), f32), np.linspace(-1, 1, BLOCK, dtype=f32)[None]
    both, third = np.concatenate([full, ramp]), np.arange(BLOCK)[None] == 3
    return {
        "random blocks": spread.astype(f32),
        "largest value beside a threshold": edges * largest[:, None],
        "just below a power of two": np.nextafter(full * np.array([[8], [1], [256]], f32), f32(0)),
        "zeros": np.concatenate([0 * full, -0.0 * full]),
        "smallest normals": both * f32(2.0**-126),
        "subnormals": both * f32(2.0**-133),
        "largest numbers": both * f32(3e38),
        "infinity": np.where(third, f32(np.inf), ramp),
        "NaN": np.where(third, f32(np.nan), ramp),
    }


def kinds_of(subject: str, x: np.ndarray, theirs: np.ndarray, ours: np.ndarray) -> np.ndarray:
    """In which corner each differing input lies, by the reference format."""
    format = parse_format(subject.partition(" ")[0])
    with np.errstate(all="ignore"):
        value, a, b = x.astype(np.float64), theirs.astype(np.float64), ours.astype(np.float64)
        size, turn = np.abs(value), np.abs((a + b) / 2)  # between both results, nearest turns
        above, below = np.nextafter(np.abs(x), np.inf), np.nextafter(np.abs(x), np.float32(0))
    low, high = _top_binade(format) if isinstance(format, FloatFormat) else (np.inf, np.inf)
    normal = 2.0 ** getattr(format, "least_exponent", -126)
    beyond, in_top = size > format.max, (size >= low) & (size < high)
    usual = np.isin(np.abs(a), (format.max, np.inf)) | np.isnan(a)
    corners = (
        np.isnan(x), np.isinf(x), (value <= 0) & (not format.signed), (a == 0) & (b == 0),
        turn == size, turn == above, turn == below, beyond & (usual | ~in_top), in_top,
        (size < normal) & (format.family != "codebook"), np.isin(value, format.values),
    )  # fmt: skip
    return np.array(KINDS)[np.select(corners, range(len(corners)), len(corners))]
