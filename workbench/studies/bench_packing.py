"""`workbench bench packing`: codes of every width packed and unpacked, beside NumPy and a copy.

Three-bit codes are promised at four billion a second on one core; a code comes out as a byte.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ..kernels.packing import pack, packed_size, unpack
from .bench import Candidate, Result, Row, as_json, measure_all

COUNT = 1 << 20


def rows(count: int = COUNT) -> Iterator[Row]:
    """Unpacking and packing of each width from 1 to 8 bits.

    Example:
        >>> next(rows(64)).kernel
        'unpack 1-bit codes'
    """
    rng = np.random.default_rng(0)
    for width in range(1, 9):
        yield from _rows_of(rng.integers(0, 1 << width, count).astype(np.uint8), width)


def _rows_of(codes: np.ndarray, width: int) -> Iterator[Row]:
    """The two rows of one width."""
    packed, out, shape = pack(codes, width), np.empty(codes.size, np.uint8), f"{codes.size:,}"
    copy = Candidate("copy", "limit", lambda: np.copyto(out, codes), "a byte a code")

    def check() -> str:
        if not np.array_equal(unpack(packed, width, codes.size), codes):
            raise AssertionError("codes do not come back")
        if packed.size != packed_size(codes.size, width):
            raise AssertionError("the packed codes have gaps")
        return "exact"

    ours = Candidate("workbench", "ours", lambda: unpack(packed, width, codes.size, out))
    bits = Candidate("numpy.unpackbits", "peer", lambda: _by_bits(packed, width, codes.size))
    yield Row(f"unpack {width}-bit codes", shape, (ours, bits, copy), check)
    ours = Candidate("workbench", "ours", lambda: pack(codes, width))
    yield Row(f"pack {width}-bit codes", shape, (ours, copy), check)


def _by_bits(packed: np.ndarray, width: int, count: int) -> np.ndarray:
    """The usual way without a kernel: all bits, then a weighted sum."""
    bits = np.unpackbits(packed, bitorder="little")[: count * width].reshape(-1, width)
    return np.packbits(bits, axis=1, bitorder="little")[:, 0]


def rates(results: list[Result]) -> str:
    """Billions of codes a second of every row, as text."""
    lines = []
    for result in results:
        ours = next(timing for timing in result.timings if timing.role == "ours")
        count = int(result.shape.replace(",", ""))
        lines.append(f"{result.kernel:<20} {count / ours.cpu / 1e9:6.2f} billion codes a second")
    return "\n".join(lines)


def main(rounds: int = 9, json: bool = False) -> dict:
    """The command `workbench bench packing`: prints the table, or nothing where JSON is wanted."""
    results = measure_all(rows(), rounds, (lambda line: None) if json else print)
    if not json:
        print(rates(results))
    return as_json(results)
