"""The bit-field editor's state as text: query string, the static page's fragment, and Python.

Codes are hexadecimal, formats are parted by commas (those inside brackets belong to a name), and
the elements of a block stand in one word, as many hexadecimal digits each as their format needs.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, unquote_plus

from ..errors import WorkbenchError, unknown
from .bit_blocks import Block
from .bit_codes import bits_of

QUERY = {key: key for key in ("format", "code", "compare", "block", "scale", "elements", "theme")}
HASH = {"format": "f", "code": "c", "compare": "x", "block": "b", "scale": "s", "elements": "e",
        "theme": "t"}  # fmt: skip
_KEYS = {**{short: key for key, short in HASH.items()}, **QUERY}
_PLAIN = ",/*@()=.+"  # what may stand in the value of a link as it is, the plus sign encoded


def to_query(
    state: Mapping[str, Any], defaults: Mapping[str, Any], keys: Mapping[str, str], mark: str
) -> str:
    """What differs from the defaults, behind `mark`; the format comes with its code.

    Example:
        >>> defaults = {"format": "f32", "code": 0, "compare": ["f32"], "block": ""}
        >>> state = {**defaults, "format": "e4m3fn", "code": 0x44}
        >>> to_query(state, defaults, HASH, "#")
        '#f=e4m3fn&c=0x44'
    """
    kept = {key for key, value in state.items() if value != defaults[key]}
    if "format" in kept:
        kept.add("code")
    pairs = [
        f"{keys[key]}={quote(_text(key, value, state), safe=_PLAIN.replace('+', ''))}"
        for key, value in state.items()
        if key in kept
    ]
    return mark + "&".join(pairs) if pairs else ""


def from_query(link: str) -> dict[str, Any]:
    """The state that a query string or a fragment carries.

    A key that is not a part of the state, or codes that are none, raise `WorkbenchError`.

    Example:
        >>> from_query("?format=e4m3fn&code=0x44&compare=f32,bf16")
        {'format': 'e4m3fn', 'code': '0x44', 'compare': ['f32', 'bf16']}
    """
    state: dict[str, Any] = {}
    for pair in filter(None, link.lstrip("?#").split("&")):
        key, _, text = pair.partition("=")
        if key not in _KEYS:
            raise unknown("entry of a link", key, list(QUERY))
        state[_KEYS[key]] = unquote_plus(text)
    if "compare" in state:
        state["compare"] = split_names(state["compare"])
    if "elements" in state:
        state["elements"] = _elements(state["elements"], state.get("block", ""))
    return state


def split_names(text: str) -> list[str]:
    """Names parted by commas; a comma inside brackets belongs to its name.

    Example:
        >>> split_names("f32, e4m3fn(bias=8,nan)")
        ['f32', 'e4m3fn(bias=8,nan)']
    """
    return [name.strip() for name in re.split(r",(?![^(]*\))", text) if name.strip()]


def python_of(state: Mapping[str, Any], defaults: Mapping[str, Any]) -> str:
    """Python that opens the same editor and prints its numbers.

    Example:
        >>> defaults = {"format": "f32", "code": 0, "block": ""}
        >>> print(python_of({"format": "e4m3fn", "code": 0x44, "block": ""}, defaults))
        from workbench.explorers.bit_editor import BitEditor
        <BLANKLINE>
        editor = BitEditor(format='e4m3fn', code=0x44)
        print(editor.value, editor.rows())
    """
    kept = ["format", "code"] + [
        key
        for key, value in state.items()
        if value != defaults[key] and key not in ("format", "code", "theme")
    ]
    arguments = ", ".join(
        f"{key}={hex(state[key]) if key in ('code', 'scale') else repr(state[key])}" for key in kept
    )
    shown = "editor.value, editor.rows()" + (", editor.values()" if state["block"] else "")
    lines = [
        "from workbench.explorers.bit_editor import BitEditor",
        "",
        f"editor = BitEditor({arguments})",
        f"print({shown})",
    ]
    return "\n".join(lines)


def _text(key: str, value: Any, state: Mapping[str, Any]) -> str:
    """An entry of the state as a link holds it."""
    if key == "compare":
        return ",".join(value)
    if key in ("code", "scale"):
        bits = bits_of(state["format"] if key == "code" else Block.of(state["block"]).scale)
        return f"0x{value:0{-(-bits // 4)}x}"
    if key == "elements":
        digits = -(-bits_of(Block.of(state["block"]).element) // 4)
        return "".join(f"{code:0{digits}x}" for code in value)
    return str(value)


def _elements(text: str, block: str) -> list[int]:
    """The codes of a block from their one word."""
    if not block:
        raise WorkbenchError(f"elements={text}", "elements belong to a block", "write block=mxfp4")
    digits = -(-bits_of(Block.of(block).element) // 4)
    if not re.fullmatch(rf"(?:[0-9a-fA-F]{{{digits}}})+", text):
        why = f"each element is {digits} hexadecimal digit{'s' * (digits > 1)}"
        raise WorkbenchError(f"elements={text}", why, f"write elements={'0' * digits}...")
    return [int(text[i : i + digits], 16) for i in range(0, len(text), digits)]
