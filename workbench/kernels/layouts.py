"""Named ways of storing codes other than one after another: split segments, nibbles, trits.

FP6 kernels (ZeroQuant(4+2), Xia et al., 2024) keep the upper two bits and the lower four bits of
every code apart, so that both are aligned, and turn codes into float16 by shifts alone.
"""

from __future__ import annotations

import numpy as np

from ..errors import WorkbenchError
from .packing import pack, unpack

TRITS = 5  # 3^5 = 243 codes fit one byte


def pack_split(codes: np.ndarray, widths: tuple[int, ...]) -> tuple[np.ndarray, ...]:
    """Codes cut into segments of these widths, from the top bit down, each packed by itself.

    FP6 takes (2, 4); a code of 7 bits (1, 2, 4).

    Example:
        >>> pack_split(np.array([0b110001, 0b000010], np.uint8), (2, 4))
        (array([3], dtype=uint8), array([33], dtype=uint8))
    """
    codes = np.asarray(codes)
    if codes.size and int(codes.max()) >> sum(widths):
        raise WorkbenchError(
            f"code {int(codes.max())}", f"it does not fit {sum(widths)} bits", "encode values first"
        )
    segments, below = [], sum(widths)
    for width in widths:
        below -= width
        part = (codes >> below) & ((1 << width) - 1)
        segments.append(pack(part.astype(np.uint8), width))
    return tuple(segments)


def unpack_split(
    segments: tuple[np.ndarray, ...], widths: tuple[int, ...], count: int
) -> np.ndarray:
    """The codes that `pack_split` cut, uint8 up to 8 bits, else uint16.

    Example:
        >>> unpack_split(pack_split(np.array([49, 2], np.uint8), (2, 4)), (2, 4), 2)
        array([49,  2], dtype=uint8)
    """
    codes = np.zeros(count, np.uint8 if sum(widths) <= 8 else np.uint16)
    for segment, width in zip(segments, widths, strict=True):
        codes = (codes << width) | unpack(segment, width, count).astype(codes.dtype)
    return codes


def float16_by_shift(codes: np.ndarray, exponent: int, mantissa: int) -> np.ndarray:
    """Float codes as float16 by moving bits, without branches: the values times 2^(bias - 15).

    The sign goes to bit 15 and the rest to the top of the fields of a float16, whose subnormals
    stand in for the codes' own; a multiplication by 2^(15 - bias) restores the values.

    Args:
        codes: of a float with a sign, without special codes, uint8.
        exponent: bits of its exponent field, 1 to 5.
        mantissa: bits of its mantissa field, 0 to 10.

    Example:
        >>> float16_by_shift(np.array([0b001100], np.uint8), 3, 2) * np.float16(4096)
        array([1.], dtype=float16)
    """
    if not (1 <= exponent <= 5 and 0 <= mantissa <= 10):
        raise WorkbenchError(
            f"e{exponent}m{mantissa}", "its fields do not fit a float16's", "use e3m2 or the like"
        )
    codes = np.asarray(codes).astype(np.uint16)
    sign = (codes >> (exponent + mantissa)) << 15
    rest = codes & ((1 << (exponent + mantissa)) - 1)
    return (sign | (rest << (10 - mantissa))).astype(np.uint16).view(np.float16)


def pack_nibbles(codes: np.ndarray, high_first: bool = False) -> np.ndarray:
    """Codes of 4 bits, two to a byte: the first in the low half, or in the high half.

    torch's float4_e2m1fn_x2 has the first low, bitsandbytes the first high.

    Example:
        >>> pack_nibbles(np.array([1, 2, 3], np.uint8), high_first=True)
        array([18, 48], dtype=uint8)
    """
    packed = pack(np.asarray(codes), 4)
    return (packed << 4) | (packed >> 4) if high_first else packed


def unpack_nibbles(packed: np.ndarray, count: int, high_first: bool = False) -> np.ndarray:
    """The codes that `pack_nibbles` packed.

    Example:
        >>> unpack_nibbles(np.array([18, 48], np.uint8), 3, high_first=True)
        array([1, 2, 3], dtype=uint8)
    """
    packed = np.asarray(packed, np.uint8)
    return unpack((packed << 4) | (packed >> 4) if high_first else packed, 4, count)


def pack_trits(codes: np.ndarray) -> np.ndarray:
    """Codes 0, 1, 2 of the format ternary, five to a byte: 1.6 bits a value.

    Example:
        >>> pack_trits(np.array([2, 0, 1, 0, 0, 1], np.uint8))
        array([11,  1], dtype=uint8)
    """
    codes = np.asarray(codes).reshape(-1)
    if codes.size and int(codes.max()) > 2:
        raise WorkbenchError(f"code {int(codes.max())}", "a trit is 0, 1 or 2", "encode to ternary")
    padded = np.zeros(-(-codes.size // TRITS) * TRITS, np.uint8)
    padded[: codes.size] = codes
    weights = 3 ** np.arange(TRITS)
    return (padded.reshape(-1, TRITS) @ weights).astype(np.uint8)


def unpack_trits(packed: np.ndarray, count: int) -> np.ndarray:
    """The first `count` codes that `pack_trits` packed.

    Example:
        >>> unpack_trits(np.array([11, 1], np.uint8), 6)
        array([2, 0, 1, 0, 0, 1], dtype=uint8)
    """
    packed = np.asarray(packed, np.uint8)
    need = -(-count // TRITS)
    if packed.size < need:
        raise WorkbenchError(
            f"{packed.size} bytes", f"{count} trits take {need}", "pass all of them"
        )
    digits = packed[:need, None] // 3 ** np.arange(TRITS) % 3
    return digits.reshape(-1)[:count].astype(np.uint8)
