"""Codes and values by the names of formats; binary32 is the one wider than 16 bits."""

from __future__ import annotations

import math
import struct
from typing import Any

import numpy as np

from ..errors import WorkbenchError
from ..formats import Format, parse
from ..formats import names as format_names

F32 = "f32"
F32_NAMES = ("f32", "fp32", "float32", "binary32", "torch.float32")
MOST_BITS = 16


def canonical(name: str) -> str:
    """The canonical name of a format that the editor can show; another raises `WorkbenchError`.

    Example:
        >>> canonical("float32"), canonical("fp8")
        ('f32', 'e4m3fn')
    """
    if isinstance(name, str) and name.strip().lower() in F32_NAMES:
        return F32
    found = parse(name)
    if found.bits > MOST_BITS:
        raise WorkbenchError(
            found.name, f"the editor shows formats of at most {MOST_BITS} bits, and f32",
            "write bf16",
        )  # fmt: skip
    if found.code_values.dtype.kind != "f":
        raise WorkbenchError(found.name, "its values are no real numbers", "write e4m3fn")
    return found.name


def bits_of(name: str) -> int:
    """How many bits a code of a canonical name has.

    Example:
        >>> bits_of("f32"), bits_of("e2m1")
        (32, 4)
    """
    return 32 if name == F32 else parse(name).bits


def decode(name: str, code: int) -> float:
    """The value of a code; NaN too for a code that means nothing.

    Example:
        >>> decode("f32", 0x3F800000), decode("e4m3fn", 0x44)
        (1.0, 3.0)
    """
    if name == F32:
        return struct.unpack("<f", struct.pack("<I", code))[0]
    values = parse(name).code_values
    return float(values[code]) if code < values.size else math.nan


def encode(name: str, value: float) -> int | None:
    """The code nearest to a float64, as the format rounds; None for a NaN it has no code for.

    Example:
        >>> hex(encode("f32", 1.0)), encode("e2m1", 100.0), encode("int4", float("nan"))
        ('0x3f800000', 7, None)
    """
    if name == F32:
        with np.errstate(over="ignore"):
            return int(np.array(value, np.float32).view(np.uint32))
    return code_in(parse(name), value)


def code_in(format: Format, value: float) -> int | None:
    """The code of one float64 in a format, or None for a NaN that has none.

    Example:
        >>> code_in(parse("e2m1"), 2.9)
        5
    """
    try:
        return int(format.encode(np.array([value]))[0])
    except WorkbenchError:
        return None


def offered() -> list[str]:
    """The formats that a page offers by name; more can be typed.

    Example:
        >>> offered()[:3]
        ['f32', 'f16', 'bf16']
    """
    found = [F32]
    for name in format_names():
        try:
            found.append(canonical(name))
        except WorkbenchError:
            continue  # not a format of real numbers by itself
    return found


def as_hex(format: str, code: int) -> str:
    """A code in hexadecimal, as many digits as the format's codes have.

    Example:
        >>> as_hex("bf16", 1)
        '0x0001'
    """
    return f"0x{code:0{-(-bits_of(format) // 4)}x}"


def checked_code(format: str, code: Any) -> int:
    """A code as a number; text is read as Python reads numbers, so 0x44 and 0b100 are codes.

    Example:
        >>> checked_code("e4m3fn", "0x44")
        68
    """
    last = (1 << bits_of(format)) - 1
    try:
        number = int(code, 0) if isinstance(code, str) else int(code)
        whole = isinstance(code, str) or (number == code and not isinstance(code, bool))
    except (TypeError, ValueError):
        whole = False
    if not whole:
        why, instead = "a code is a whole number", f"write {as_hex(format, last // 2)}"
        raise WorkbenchError(f"code {code!r}", why, instead)
    if not 0 <= number <= last:
        passed = as_hex(format, number) if number >= 0 else str(number)
        end = 0 if number < 0 else last
        raise WorkbenchError(
            passed, f"{format} has codes {as_hex(format, 0)} to {as_hex(format, last)}",
            f"write {as_hex(format, end)}",
        )  # fmt: skip
    return number
