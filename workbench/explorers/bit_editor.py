"""The bit-field editor: one code of one format, the same value in others, and a block with a scale.

State is plain JSON values, so that it fits in a link; the drawing and every edit are the page's
own. Nothing here knows in what host it is shown.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import param

from ..errors import WorkbenchError
from . import bit_links
from .bit_blocks import NAMED, Block, default_block
from .bit_codes import as_hex, bits_of, canonical, checked_code, decode, encode, offered
from .bit_descriptors import F32, descriptor
from .state import State

MOST_COMPARED = 8
FIRST_VALUE = 3.14159


class BitEditor(State):
    """State of the bit-field editor, and what it shows as numbers.

    Args:
        format: the name of a format of at most 16 bits, or f32.
        code: a code of it, as a number or as text such as "0x44"; None keeps the value of the
            former state, rounded (3.14159 at first).
        compare: one to eight formats in which the same value is shown.
        block: "" or a scheme of blocks of at most 32 values with a stored scale, such as "mxfp4".
        scale: code of the block's scale; None takes that of an example.
        elements: codes of the block's values; None takes those of an example.
        theme: "light" or "dark".

    A value that cannot be is refused with a `WorkbenchError`, and the state stays as it was.

    Example:
        >>> editor = BitEditor(format="e4m3fn", code=0x44, compare=["e2m1", "int8"])
        >>> editor.value, editor.link()
        (3.0, '?format=e4m3fn&code=0x44&compare=e2m1,int8')
        >>> BitEditor.from_link("#f=e4m3fn&c=0x44").value
        3.0
    """

    format = param.String(F32)
    code = param.Integer(0x40490FD0, allow_None=True)
    compare = param.List([F32, "bf16", "e4m3fn", "e2m1"], item_type=str)
    block = param.String("")
    scale = param.Integer(None, allow_None=True)
    elements = param.List(None, item_type=int, allow_None=True)
    theme = param.Selector(default="light", objects=["light", "dark"])

    STATE: ClassVar[tuple[str, ...]] = (
        "format", "code", "compare", "block", "scale", "elements", "theme",
    )  # fmt: skip
    CALLED: ClassVar[str] = "editor"

    def __init__(self, **state: Any):
        super().__init__(**({"code": None} if "format" in state else {}) | state)

    @classmethod
    def _canonical(cls, state: dict[str, Any]) -> dict[str, Any]:
        format, code = canonical(state["format"]), state["code"]
        code = _nearest_code(format, FIRST_VALUE) if code is None else checked_code(format, code)
        compare = _compared(state["compare"])
        block = _block(state["block"], state["scale"], state["elements"])
        return {**state, "format": format, "code": code, "compare": compare, **block}

    def set(self, **changes: Any) -> str:
        """Change the state all at once, or not at all; returns why it was refused, or "".

        Another format without a code keeps the value, rounded; another block starts anew.

        Example:
            >>> editor = BitEditor(format="e4m3fn", code=0x44)
            >>> editor.set(code=0x144)
            '0x144 → e4m3fn has codes 0x00 to 0xff → write 0xff'
            >>> editor.set(format="int8"), editor.code
            ('', 3)
        """
        return self._take(lambda: self._checked({**self.state, **self._completed(changes)}))

    def _completed(self, changes: Mapping[str, Any]) -> dict[str, Any]:
        """A change with what follows from it: a format's code, a block's scale and elements."""
        completed = dict(changes)
        if {"format", "code"} & set(changes) and changes.get("code") is None:
            format = canonical(changes.get("format", self.format))
            completed["code"] = _nearest_code(format, self.value)
        if changes.get("block", self.block) != self.block:
            completed = {"scale": None, "elements": None} | completed
        return completed

    @property
    def value(self) -> float:
        """The value of the code."""
        return decode(self.format, self.code)

    def supplies(self, formats: Sequence[str] = (), blocks: Sequence[str] = ()) -> dict[str, Any]:
        """What a page must know to show this state, as JSON: formats, blocks, names, defaults.

        Args:
            formats: formats beside those of the state whose descriptors are wanted too.
            blocks: block schemes likewise, with the formats that they use.

        Example:
            >>> sorted(BitEditor(compare=["e2m1"]).supplies()["formats"])
            ['e2m1', 'f32']
        """
        shown = {name: Block.of(name) for name in [*filter(None, [self.block]), *blocks]}
        inside = [name for block in shown.values() for name in block.formats]
        wanted = dict.fromkeys([self.format, *self.compare, *inside, *formats])
        return {
            "formats": {name: descriptor(name) for name in wanted},
            "blocks": {name: block.plain() for name, block in shown.items()},
            "names": offered(),
            "blockNames": list(NAMED),
            "defaults": self._defaults(),
        }

    def rows(self) -> list[dict[str, Any]]:
        """The same value in every compared format: value, error, code and bits.

        Example:
            >>> BitEditor(compare=["bf16", "e2m1"]).rows()[1]
            {'format': 'e2m1', 'value': 3.0, 'error': -0.14159011840820312, 'code': 5, \
'bits': '0101'}
        """
        return [self._row(name) for name in self.compare]

    def _row(self, name: str) -> dict[str, Any]:
        code = encode(name, self.value)
        value = math.nan if code is None else decode(name, code)
        same = value == self.value
        return {
            "format": name,
            "value": value,
            "error": 0.0 if same else value - self.value,
            "code": code,
            "bits": "" if code is None else f"{code:0{bits_of(name)}b}",
        }

    def values(self) -> list[float]:
        """The values of the block: element times scale; none without a block.

        Example:
            >>> BitEditor(block="mxfp4", scale=128, elements=[1, 7] + [0] * 30).values()[:2]
            [1.0, 12.0]
        """
        if not self.block:
            return []
        block = Block.of(self.block)
        scale = decode(block.scale, self.scale)
        return [decode(block.element, code) * scale for code in self.elements]

    def describe(self) -> str:
        """What is seen, in words.

        Example:
            >>> print(BitEditor(format="e2m1", code=5, compare=["int4"]).describe())
            e2m1, code 0x5 = 0b0101, is 3.0. The same value in int4 is 3.0 (exact).
        """
        width = bits_of(self.format)
        words = [
            f"{self.format}, code {as_hex(self.format, self.code)} = 0b{self.code:0{width}b}, "
            f"is {self.value!r}."
        ]
        for row in self.rows():
            error = "exact" if row["error"] == 0 else f"error {row['error']:.3g}"
            words.append(f"The same value in {row['format']} is {row['value']!r} ({error}).")
        if self.block:
            words.append(f"The block of {self.block} holds {_listed(self.values())}.")
        return " ".join(words)

    def python(self) -> str:
        """Python that redoes it; `code` is the state's own word for the bits."""
        return bit_links.python_of(self.state, self._defaults())

    def link(self) -> str:
        """The state as the query string of a permalink; empty for the default state."""
        return bit_links.to_query(self.state, self._defaults(), bit_links.QUERY, "?")

    def hash(self) -> str:
        """The state as the fragment that the static page keeps in its address."""
        return bit_links.to_query(self.state, self._defaults(), bit_links.HASH, "#")

    @classmethod
    def _read(cls, link: str) -> dict[str, Any]:
        found = bit_links.from_query(link)
        return cls._defaults() | ({"code": None} if "format" in found else {}) | found


def _nearest_code(format: str, value: float) -> int:
    """The code of a value in another format; that of zero where it has none for NaN."""
    code = encode(format, value)
    return (encode(format, 0.0) or 0) if code is None else code


def _compared(names: Any) -> list[str]:
    """Canonical names of one to eight formats, each once."""
    if isinstance(names, str) or not isinstance(names, Sequence) or not names:
        raise WorkbenchError(f"compare {names!r}", "it is a list of formats", "write ['bf16']")
    found = list(dict.fromkeys(canonical(name) for name in names))
    if len(found) > MOST_COMPARED:
        raise WorkbenchError(
            f"{len(found)} formats", f"at most {MOST_COMPARED} are compared", "leave some out"
        )
    return found


def _block(name: str, scale: Any, elements: Any) -> dict[str, Any]:
    """The block's part of the state, an example's where codes are not given."""
    if not name:
        return {"block": "", "scale": None, "elements": None}
    if elements is not None and not isinstance(elements, list | tuple):
        raise WorkbenchError(f"elements {elements!r}", "they are a list of codes", "write [0, 1]")
    block = Block.of(name)
    example = default_block(block.name)
    scale = example[0] if scale is None else checked_code(block.scale, scale)
    elements = example[1] if elements is None else [
        checked_code(block.element, code) for code in elements
    ]  # fmt: skip
    if len(elements) != block.size:
        raise WorkbenchError(
            f"{len(elements)} elements", f"a block of {block.name} has {block.size}",
            f"give {block.size} codes",
        )  # fmt: skip
    return {"block": block.name, "scale": scale, "elements": elements}


def _listed(values: list[float]) -> str:
    return ", ".join(f"{value:g}" for value in values)
