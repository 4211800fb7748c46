"""A format as plain JSON, so that a page decodes and rounds by Python's own numbers.

The page gets the value of every code and the places where rounding turns; it has no rules of its
own to disagree with. binary32, whose codes are too many to send, is in every browser already.
"""

from __future__ import annotations

import base64
import math
import struct
from collections.abc import Callable
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from ..formats import Format, parse
from .bit_codes import F32, canonical, code_in

SCRIPTS = ("formats", "exact", "entries", "parts", "tables", "block", "editor")
_INFINITIES = {math.inf: "Infinity", -math.inf: "-Infinity"}


def script(*names: str) -> str:
    """JavaScript that defines `bitEditor`; a host appends its own few lines.

    Args:
        names: of the parts that are wanted; all of them where there are none.

    Example:
        >>> "function bitEditor" in script(), "function bitEditor" in script("formats")
        (True, False)
    """
    return "".join((_folder() / f"bit_{name}.js").read_text("utf-8") for name in names or SCRIPTS)


def style_sheet() -> str:
    """The style of the editor, the same in all hosts.

    Example:
        >>> ".bits-cell" in style_sheet()
        True
    """
    return (_folder() / "bit_editor.css").read_text("utf-8")


def _folder() -> Path:
    """The folder of the notebook widgets, whose script the other hosts share; nothing is run."""
    return Path(find_spec("workbench.widgets").origin).parent


@cache
def descriptor(name: str | Format) -> dict[str, Any]:
    """A format as plain JSON values: layout of the bits, values, rounding, and places to jump to.

    Args:
        name: any name of a format, or the format; more than 16 bits, other than f32, or values
            that are no real numbers raise `WorkbenchError`.

    Returns:
        `values` and `middles` are base64 of little-endian floats, or None where the page knows
        better (f32) or computes the same half-way points; `ties` lists the codes of the middles
        where they are not the even ones; `above` and `below` say from where on values leave the
        format, and for which code.

    Example:
        >>> d = descriptor("e5m2")
        >>> d["layout"]["exponent"], d["above"], [j["name"] for j in d["jumps"]][-2:]
        (5, {'at': '61440.0', 'code': 124}, ['infinity', 'NaN'])
    """
    name = canonical(str(name))
    if name == F32:
        layout = {"kind": "float", "sign": 1, "exponent": 8, "mantissa": 23, "bias": 127,
                  "top": "ieee", "subnormals": True}  # fmt: skip
        return {"name": F32, "bits": 32, "family": "float", "layout": layout, "values": None,
                "nan": 0x7FC00000, "hasNaN": True, "jumps": _f32_jumps()}  # fmt: skip
    format = parse(name)
    halves = 0.5 * format.values[:-1] + 0.5 * format.values[1:]
    same = np.array_equal(halves, format.middles)
    return {
        "name": name,
        "bits": format.bits,
        "family": format.family,
        "layout": _layout(format),
        "values": _packed(format.code_values),
        "middles": None if same else _packed(format.middles),
        "ties": _ties(format),
        "above": _end(format, format.max, math.inf),
        "below": _end(format, format.min, -math.inf),
        "nan": code_in(format, math.nan),
        "hasNaN": format.has_nan,
        "negativeZero": code_in(format, -0.0),
        "jumps": _jumps(format),
    }


def _layout(format: Any) -> dict[str, Any]:
    """What each bit of a code is for; plain index bits where a family has no fields."""
    if format.family == "float":
        fields = {key: getattr(format, key) for key in ("exponent", "mantissa", "bias", "top")}
        return {"kind": "float", "sign": int(format.sign), **fields,
                "subnormals": format.subnormals}  # fmt: skip
    if format.family in ("integer", "fixed"):
        return {"kind": "integer", "sign": int(format.signed), "fraction": format.fraction}
    if format.family == "posit":
        return {"kind": "posit", "es": format.es}
    if format.family == "exponent":
        return {"kind": "exponent", "bias": (1 << format.bits >> 1) - 1}
    if format.family == "logarithmic":
        return {"kind": "logarithmic", "whole": format.whole, "fraction": format.fraction}
    return {"kind": "index", "count": int(format.code_values.size)}


def _packed(values: np.ndarray) -> dict[str, str]:
    """Floats as base64, in four bytes each where that is exact."""
    values = np.asarray(values, "<f8")
    with np.errstate(over="ignore"):
        narrow = values.astype("<f4")
    exact = np.array_equal(narrow.astype("<f8"), values, equal_nan=True)
    data = (narrow if exact else values).tobytes()
    return {"dtype": "f4" if exact else "f8", "bdata": base64.b64encode(data).decode()}


def _ties(format: Format) -> list[int] | None:
    """The code that each middle rounds to; None where it is the even one of its neighbours."""
    lower, upper = format.code_of_value[:-1], format.code_of_value[1:]
    even = np.where(lower % 2 == 0, lower, upper)
    actual = format.encode(format.middles)
    values = format.code_values
    agree = (actual == even) | ((values[actual] == 0) & (values[even] == 0))
    return None if agree.all() else [int(code) for code in actual]


def _end(format: Format, last: float, limit: float) -> dict[str, Any] | None:
    """From which number on the code is no longer that of the last finite value."""
    home, beyond = code_in(format, last), code_in(format, limit)
    if beyond is None or beyond == home:
        return None
    at = _first(lambda x: code_in(format, x) != home, last, limit)
    return {"at": _INFINITIES.get(at, repr(at)), "code": beyond}


def _first(there: Callable[[float], bool], start: float, stop: float) -> float:
    """The float64 nearest to `start` on the way to `stop` at which a condition holds."""
    low, high = _rank(start), _rank(stop)
    while abs(high - low) > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if there(_unrank(middle)) else (middle, high)
    return _unrank(high)


def _rank(x: float) -> int:
    """The place of a float64 among all of them in order."""
    whole = struct.unpack("<q", struct.pack("<d", abs(x)))[0]
    return -whole if x < 0 else whole


def _unrank(rank: int) -> float:
    value = struct.unpack("<d", struct.pack("<q", abs(rank)))[0]
    return -value if rank < 0 else value


def _jumps(format: Any) -> list[dict[str, Any]]:
    """Codes worth a button, by name: those that exist."""
    values = format.code_values
    found: dict[str, int | None] = {"zero": _at(values == 0)}
    if format.family == "float":
        field = np.arange(values.size) >> format.mantissa & ((1 << format.exponent) - 1)
        usual = np.isfinite(values) & (values > 0)
        found["smallest subnormal"] = _at(usual & (field == 0))
        found["smallest normal"] = _at(usual & (field > 0))
    else:
        found["smallest"] = _at(values == format.smallest)
    found |= {"one": _at(values == 1), "largest": _at(values == format.max),
              "lowest": _at(values == format.min) if format.signed else None,
              "infinity": _at(np.isposinf(values)), "NaN": code_in(format, math.nan)}  # fmt: skip
    return [{"name": name, "code": code} for name, code in found.items() if code is not None]


def _at(mask: np.ndarray) -> int | None:
    """The first code of a mask, or None."""
    places = np.flatnonzero(mask)
    return int(places[0]) if places.size else None


def _f32_jumps() -> list[dict[str, Any]]:
    codes = {"zero": 0, "smallest subnormal": 1, "smallest normal": 0x00800000, "one": 0x3F800000,
             "largest": 0x7F7FFFFF, "lowest": 0xFF7FFFFF, "infinity": 0x7F800000,
             "NaN": 0x7FC00000}  # fmt: skip
    return [{"name": name, "code": code} for name, code in codes.items()]
