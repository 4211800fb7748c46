"""Bit packing: codes of any width from 1 to 16 bits, one after another without gaps.

Bit 0 of the first code is bit 0 of the first byte; a code may straddle bytes. n codes of w bits
take exactly ceil(n * w / 8) bytes, and the bits left over are zero.
"""

from __future__ import annotations

from functools import cache

import numpy as np

from ..errors import WorkbenchError
from .cache import jit
from .words import gather_words, spread_words


@jit
def _pack(codes, width, out):
    held, bits, at = np.uint64(0), np.uint64(0), 0
    for i in range(codes.size):
        held |= np.uint64(codes[i]) << bits
        bits += np.uint64(width)
        while bits >= np.uint64(8):
            out[at] = np.uint8(held & np.uint64(0xFF))
            held >>= np.uint64(8)
            bits -= np.uint64(8)
            at += 1
    if bits > np.uint64(0):
        out[at] = np.uint8(held & np.uint64(0xFF))


@jit
def _unpack(packed, width, out):
    held, bits, at = np.uint64(0), np.uint64(0), 0
    mask = (np.uint64(1) << np.uint64(width)) - np.uint64(1)
    for i in range(out.size):
        while bits < np.uint64(width):
            held |= np.uint64(packed[at]) << bits
            bits += np.uint64(8)
            at += 1
        out[i] = held & mask
        held >>= np.uint64(width)
        bits -= np.uint64(width)


@cache
def _steps(width: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """For each of the three steps of eight codes: what stays, what moves up, and how far.

    The first step leaves four codes in either half of the word, the second two in each quarter,
    the third one in each byte.
    """
    low, high, shifts = [], [], []
    for codes in (4, 2, 1):
        lane, kept = 16 * codes, (1 << (codes * width)) - 1
        starts = range(0, 64, lane)
        low.append(sum(kept << start for start in starts))
        high.append(sum(kept << (start + codes * width) for start in starts) & ((1 << 64) - 1))
        shifts.append(8 * codes - codes * width)
    return tuple(np.array(column, np.uint64) for column in (low, high, shifts))


def _groups(count: int, width: int) -> int:
    """How many groups of eight codes may be read and written as whole words."""
    spare = -(-(8 - width) // width)  # groups at the end, from which a word would reach beyond
    return max(0, count // 8 - spare) if width <= 8 else 0


def _check(width: int) -> None:
    if not 1 <= width <= 16:
        raise WorkbenchError(f"codes of {width} bits", "codes have 1 to 16 bits", "use 1 to 16")


def packed_size(count: int, width: int) -> int:
    """Bytes that `count` codes of `width` bits take.

    Example:
        >>> packed_size(3, 3)
        2
    """
    _check(width)
    return (count * width + 7) // 8


def pack(codes: np.ndarray, width: int) -> np.ndarray:
    """Codes (any shape, unsigned, below 2**width) as a flat uint8 array without gaps.

    Example:
        >>> pack(np.array([1, 2, 3], np.uint8), 4)
        array([33,  3], dtype=uint8)
    """
    out = np.zeros(packed_size(codes.size, width), np.uint8)
    if codes.size and int(codes.max()) >> width:
        raise WorkbenchError(
            f"code {int(codes.max())}", f"it does not fit {width} bits", "encode the values first"
        )
    flat = np.ascontiguousarray(codes).reshape(-1)
    groups = _groups(flat.size, width) if flat.dtype == np.uint8 else 0
    if groups:
        gather_words(flat, groups, width, *_steps(width), out)
    _pack(flat[8 * groups :], width, out[groups * width :])
    return out


def unpack(packed: np.ndarray, width: int, count: int, out: np.ndarray | None = None) -> np.ndarray:
    """The first `count` codes of packed bytes, as uint8 up to 8 bits, else uint16.

    They are written to `out` where one is given: flat, contiguous, of that type and length.

    Example:
        >>> unpack(pack(np.array([5, 0, 7], np.uint8), 3), 3, 3)
        array([5, 0, 7], dtype=uint8)
    """
    if packed.size < packed_size(count, width):
        raise WorkbenchError(
            f"{packed.size} bytes",
            f"{count} codes of {width} bits take {packed_size(count, width)}",
            "pass all of them",
        )
    kind = np.uint8 if width <= 8 else np.uint16
    out = np.empty(count, kind) if out is None else out
    if out.shape != (count,) or out.dtype != kind or not out.flags.c_contiguous:
        raise WorkbenchError(
            f"out of shape {out.shape} and type {out.dtype}",
            f"{count} codes of {width} bits are written to {kind.__name__} without gaps",
            f"pass np.empty({count}, np.{kind.__name__})",
        )
    packed = np.ascontiguousarray(packed, np.uint8).reshape(-1)
    groups = _groups(count, width)
    if groups:
        spread_words(packed, groups, width, *_steps(width), out)
    _unpack(packed[groups * width :], width, out[8 * groups :])
    return out
