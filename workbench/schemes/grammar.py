"""The spec string: FORMAT ["/" GRANULARITY] {"*" SCALE ["(" RULE ")"]} ["+zp"|"+mean"] ["@" RANGE].

`int4/g128*f16+zp@mse` is 4-bit integers, a float16 scale and a zero point for every 128 neighbours,
with ranges chosen by squared error. Bare floats are plain casts; bare integers and codebooks, which
have no range of their own, take one scale a tensor. `e2m1/g256*pow2(m2)` ties the groups of a row
together: one float32 a row, and a power of two a group. `mxfp4`, `nvfp4` and the like are names for
such strings; `bfp4/b64` is block floating point of any mantissa and block, and `dfp16` dynamic
fixed point, with one exponent a tensor.
"""

from __future__ import annotations

import re
from functools import lru_cache

from ..errors import WorkbenchError, nearest
from ..formats import names as format_names
from ..formats import parse as parse_format
from .scale import GRANULARITIES, RangeChoice, Scale, ScaleFormat
from .scheme import Scheme

NAMES = {
    "mxfp8": "e4m3fn/b32*e8m0",
    "mxfp8_e4m3": "e4m3fn/b32*e8m0",
    "mxfp8_e5m2": "e5m2/b32*e8m0",
    "mxfp6": "e3m2/b32*e8m0",
    "mxfp6_e3m2": "e3m2/b32*e8m0",
    "mxfp6_e2m3": "e2m3/b32*e8m0",
    "mxfp4": "e2m1/b32*e8m0",
    "mxfp4_e2m1": "e2m1/b32*e8m0",
    "mxint8": "q1.6/b32*e8m0",
    "nvfp4": "e2m1/b16*e4m3fn*f32",
}
EXAMPLES = "'int8/channel', 'int4/g128+zp' or 'e2m1/b32*e8m0'"

# families whose values carry their own range
_SCALE_FREE = ("float", "biased", "fixed", "exponent", "posit", "logarithmic")

_PART = re.compile(r"[/*+@](?:[^/*+@(]|\([^)]*\))*")
_HEAD = re.compile(r"(?:[^/*+@(]|\([^)]*\))*")
_SHARED = re.compile(r"(bfp|dfp)(\d+)")
_CALL = re.compile(r"([a-z0-9_.]+)(?:\(([^)]*)\))?$")


@lru_cache(maxsize=1024)
def _parse(text: str) -> Scheme:
    """The scheme of a stripped, lower-case text."""
    head = _HEAD.match(text).group()
    name = head.strip()
    if not name:
        raise WorkbenchError(repr(text), "a scheme begins with a format", f"write {EXAMPLES}")
    rest = text[len(head) :]
    shared = _SHARED.fullmatch(name)
    if shared:
        return _block_float(shared, rest, text)
    named = re.fullmatch(r"(\w+)(?:\((\w+)\))?", name)
    if named and named[1] in NAMES:
        return _extend(named, rest, text)
    format = _format(name, text)
    parts = _PART.findall(rest)
    if "".join(parts) != rest:
        raise _pointed(text, text.index(rest), "brackets do not match", f"write {EXAMPLES}")
    return _build(format, parts, text)


def _block_float(shared: re.Match, rest: str, text: str) -> Scheme:
    """`bfp4/b64` and `dfp16`: integers under one power of two for a block, or for the tensor."""
    integer = f"int{shared[2]}n"
    if shared[1] == "dfp":
        return _parse(f"{integer}/tensor*pow2(floor){rest}")
    block = re.match(r"/[^*+@]+", rest)
    if not block:
        why = "block floating point shares an exponent, so it says among how many"
        raise _pointed(text, len(text) - len(rest), why, f"write {shared[0]}/b64")
    return _parse(f"{integer}{block[0]}*e8m0{rest[block.end() :]}")


def _extend(named: re.Match, rest: str, text: str) -> Scheme:
    """A named scheme such as `mxfp4`, `mxfp4(even)` or `mxfp4@mse`."""
    base, rule = NAMES[named[1]], named[2]
    if rest and rest[0] in "/*":
        why = f"{named[0]} is short for {base}, which has its scale already"
        raise _pointed(text, len(text) - len(rest), why, f"change {base} instead")
    if rule and "e8m0" not in base:
        raise _pointed(text, len(named[1]), f"{base} has no rule to choose", f"write {named[1]}")
    return _parse((base.replace("e8m0", f"e8m0({rule})") if rule else base) + rest)


def _format(name: str, text: str):
    """The format of a scheme; unknown names are matched against schemes' names too."""
    try:
        return parse_format(name)
    except WorkbenchError as error:
        close = nearest(name, [*format_names(), *NAMES])
        if "no format has this name" not in error.why or not close:
            raise
        raise WorkbenchError(
            _arrow(text, 0),
            f"no format or scheme is called {name!r}",
            "write " + " or ".join(map(repr, close)),
        ) from None


def _build(format, parts: list[str], text: str) -> Scheme:
    """A scheme from its format and the parts behind it, each beginning with its sign."""
    granularity: tuple | None = None
    levels: list[ScaleFormat] = []
    zero_point, mean, chosen = False, False, RangeChoice()
    position = len(text) - sum(map(len, parts))
    for part in parts:
        sign, word = part[0], part[1:].strip()
        shifted = zero_point or mean
        if sign == "/" and granularity is None and not levels and not shifted:
            granularity = _granularity(word, text, position)
        elif sign == "*" and len(levels) < 2 and not shifted:
            levels.append(_scale_format(word, text, position))
        elif part.strip() in ("+zp", "+mean") and not shifted:
            zero_point, mean = part.strip() == "+zp", part.strip() == "+mean"
        elif sign == "@" and part is parts[-1]:
            chosen = _range(word, text, position)
        else:
            raise _pointed(text, position, f"{part!r} does not belong here", f"write {EXAMPLES}")
        position += len(part)
    if not parts and format.family in _SCALE_FREE:
        return Scheme(format, None)
    kind, size, letter = granularity or ("tensor", (), "g")
    scale = Scale(kind, size, tuple(levels) or (ScaleFormat(),), zero_point, chosen, letter, mean)
    return Scheme(format, scale)


def _granularity(word: str, text: str, position: int) -> tuple[str, tuple[int, ...], str]:
    """`channel`, `g128`, `b32` or `t128x128` as (granularity, sizes, letter)."""
    match = re.fullmatch(r"([gb])(\d+)", word)
    if match:
        return "group", (int(match[2]),), match[1]
    match = re.fullmatch(r"t(\d+)x(\d+)", word)
    if match:
        return "tile", (int(match[1]), int(match[2])), "t"
    if word in ("tensor", "channel", "token"):
        return word, (), "g"
    close = nearest(word, GRANULARITIES, 1)
    instead = f"write /{close[0]}" if close and close[0] not in ("group", "tile") else "write /g128"
    why = "scales are shared by tensor, channel, token, gN, bN or tMxN"
    raise _pointed(text, position, why, instead)


def _scale_format(word: str, text: str, position: int) -> ScaleFormat:
    """`f16` or `e8m0(even)` as a ScaleFormat."""
    match = _CALL.fullmatch(word)
    name = {"fp32": "f32", "float32": "f32"}.get(match[1], match[1]) if match else ""
    if name in ("f32", "e8m0", "pow2"):
        return ScaleFormat(name, match[2] or "")
    try:
        format = parse_format(word)
    except WorkbenchError:
        format = None
    if format is None or format.family != "float":
        why = f"no scale format is called {word!r}"
        close = nearest(word, ["f32", "f16", "bf16", "e8m0", "e4m3fn", "pow2"], 2) or ["f32"]
        raise _pointed(text, position, why, "write " + " or ".join(f"*{n}" for n in close))
    return ScaleFormat(format.name)


def _range(word: str, text: str, position: int) -> RangeChoice:
    """`mse` or `percentile(99.9)` as a RangeChoice."""
    match = _CALL.fullmatch(word)
    if match and match[1] in ("absmax", "mse", "absmean", "std") and match[2] is None:
        return RangeChoice(match[1])
    if match and match[1] == "percentile":
        try:
            return RangeChoice("percentile", float(match[2] or "nan"))
        except (ValueError, WorkbenchError):
            why, instead = "a percentile lies in (0, 100]", "write @percentile(99.9)"
            raise _pointed(text, position, why, instead) from None
    why = "ranges are chosen by absmax, percentile(p), mse, absmean or std"
    raise _pointed(text, position, why, "write @mse or @percentile(99.9)")


def _arrow(text: str, position: int) -> str:
    """The text with a mark where reading stopped."""
    return repr(text[:position] + "▸" + text[position:])


def _pointed(text: str, position: int, why: str, instead: str) -> WorkbenchError:
    return WorkbenchError(_arrow(text, position), why, instead)


def parse(text: str | Scheme) -> Scheme:
    """The scheme that a spec string or a name means; a malformed one raises `WorkbenchError`.

    Example:
        >>> str(parse("mxfp4")), str(parse("INT4/g128 + zp"))
        ('e2m1/b32*e8m0', 'int4/g128+zp')
    """
    if isinstance(text, Scheme):
        return text
    if not isinstance(text, str):
        raise WorkbenchError(repr(text), "a scheme is named by text", f"write {EXAMPLES}")
    return _parse(re.sub(r"\s+", "", text).lower())


def names() -> list[str]:
    """The named schemes.

    Example:
        >>> "nvfp4" in names()
        True
    """
    return list(NAMES)
