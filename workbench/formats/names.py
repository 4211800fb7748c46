"""Every name users know, read into a format; unknown names get the nearest ones.

The grammar is small: `[u]eXmY[fn|fnuz|ieee|finite][(bias=..,saturate|inf|nan,nosub,top=..)]`,
`[u]intN[n]`, `[u]qI.F[n]` (fixed point), `positN[(es=..)]`, `lnsI.F` (logarithmic), `powN(a=..)`
(power exponent), `bipolarN`, `khotN(k=..[,signed])`, `medianN`, `lloydN`, `codebook(..)` (values
typed in), `mix(..)` (a choice for each group), and the table of aliases and codebooks below.
"""

from __future__ import annotations

import re
from functools import lru_cache

from ..errors import WorkbenchError, unknown
from .base import Format
from .codebook import codebooks, typed_codebook
from .float import OVERFLOWS, TOPS, ExponentFormat, FloatFormat, usual_bias, usual_top
from .grids import binary, bipolar, gaussian_codes, k_hot, ternary
from .integer import IntegerFormat
from .mixture import MixtureFormat, bitmod
from .tapered import LogFormat, PositFormat
from .warped import BiasedFormat, PowerFormat

# What libraries and papers call them -> the name here. Library names keep the library's meaning:
# float8_e4m3 of ml_dtypes is the IEEE-like one, while people who write e4m3 mean OCP's e4m3fn.
ALIASES = {
    "bfloat16": "bf16", "fp16": "f16", "float16": "f16", "half": "f16", "binary16": "f16",
    "e8m7": "bf16", "e5m10": "f16",
    "fp8": "e4m3fn", "fp8_e4m3": "e4m3fn", "e4m3": "e4m3fn", "hf8": "e4m3fn",
    "float8_e4m3": "e4m3ieee", "bf8": "e5m2", "fp6": "e3m2", "fp4": "e2m1", "ocp_fp4": "e2m1",
    "ue4m3": "ue4m3fn",
    "float4_e2m1fn": "e2m1", "float4_e2m1fn_x2": "e2m1", "float6_e2m3fn": "e2m3",
    "float6_e3m2fn": "e3m2",
    "float8_e4m3b11fnuz": "e4m3fnuz(bias=11)",
    "e4m3b11fnuz": "e4m3fnuz(bias=11)", "float8_e8m0fnu": "e8m0", "ue8m0": "e8m0",
    "normalfloat4": "nf4", "bnb_nf4": "nf4", "fp4_bnb": "bnb_fp4", "bitsandbytes_fp4": "bnb_fp4",
    "dynamic_tree": "dynamic8", "dynamic_tree8": "dynamic8", "bnb_dynamic8": "dynamic8",
    "udynamic_tree": "udynamic8", "bnb_udynamic8": "udynamic8",
}  # fmt: skip

MIXTURES = ("bitmod3", "bitmod4")  # they need a group, so they are no formats on their own

_FLOAT = re.compile(r"(?:float\d+_|fp\d+_)?(u?)e(\d+)m(\d+)(fnuz|fn|ieee|finite)?(?:\((.*)\))?$")
_INTEGER = re.compile(r"(u?)int(\d+)(n?)$|([iusIUS])(\d+)$")
_FIXED = re.compile(r"(u?)q(-?\d+)\.(-?\d+)(n?)$")
_POSIT = re.compile(
    r"posit(?:(\d+)(?:_(\d+))?|[<(](\d+),\s*(\d+)[>)])(?:\((?:es=(\d+))?,?(saturate)?\))?$"
)
_LOGARITHMIC = re.compile(r"lns(\d+)\.(\d+)$")
_POWER = re.compile(r"pow(\d+)(?:\((?:a=)?(\d*\.?\d+)\))?$")
_RULED = re.compile(r"(bipolar|median|lloyd|bitmod)(\d+)(_[pn]\d+)?$")
_TILUS = re.compile(r"f(\d+)e(\d+)m(\d+)$")
_K_HOT = re.compile(r"khot(\d+)\((?:k=)?(\d+)(,signed)?\)$")
_TYPED = re.compile(r"codebook\((.*)\)$")
_MIXTURE = re.compile(r"mix\((.*)\)$")


def names() -> list[str]:
    """Canonical names of the formats in common use, in the order of a table.

    Example:
        >>> names()[:3]
        ['f16', 'bf16', 'e5m2']
    """
    floats = ["f16", "bf16", "e5m2", "e4m3fn", "e4m3ieee", "e5m2fnuz", "e4m3fnuz", "e3m4",
              "e3m2", "e2m3", "e2m1", "e3m0", "e1m2", "ue4m3fn", "e8m0"]  # fmt: skip
    integers = [f"{sign}int{bits}" for bits in (16, 8, 6, 5, 4, 3, 2, 1) for sign in ("", "u")]
    return [*floats, *integers, "int8n", "int4n", "q3.4", "uq4.4", "posit8", "posit16",
            "posit8(es=0)", "posit8(es=1)", "lns4.3", "pow4(a=0.5)", "ternary", "binary",
            "bipolar4", "khot8(k=2)", "median2", "lloyd2", *codebooks()]  # fmt: skip


@lru_cache(maxsize=1024)
def parse(name: str | Format) -> Format:
    """The format that `name` means; an unknown or impossible one raises `WorkbenchError`.

    A format is given back as it is.

    Example:
        >>> parse("float8_e4m3fn").name, parse("bfloat16").bits, parse("uint8").max
        ('e4m3fn', 16, 255.0)
    """
    if isinstance(name, Format):
        return name
    if not isinstance(name, str):
        raise WorkbenchError(repr(name), "a format is named by text", "write 'e4m3fn'")
    text = name.strip().lower().removeprefix("torch.").removeprefix("ml_dtypes.")
    text = ALIASES.get(text, text)
    if text in ("bf16", "f16"):
        return FloatFormat(8, 7) if text == "bf16" else FloatFormat(5, 10)
    if text == "e8m0":
        return ExponentFormat()
    if text in codebooks():
        return codebooks()[text]
    if text == "quarter":
        raise WorkbenchError(
            repr(name), "quarter turns are for complex numbers, and this takes real ones",
            "use wb.formats.QuarterFormat() on a complex array",
        )  # fmt: skip
    if text in ("binary", "ternary"):
        return binary() if text == "binary" else ternary()
    for pattern, build in _GRAMMAR:
        match = pattern.match(text)
        if match:
            return build(match, name)
    raise unknown("format", name, [*names(), *MIXTURES, *ALIASES])


def _float(match: re.Match, name: str) -> FloatFormat | BiasedFormat:
    """A float from the parts of its name."""
    unsigned, exponent, mantissa, suffix, options = match.groups()
    exponent, mantissa = int(exponent), int(mantissa)
    top = suffix or usual_top(exponent, mantissa)
    if suffix == "fn" and exponent + mantissa + 1 <= 6:
        top = "finite"  # the "fn" of 4- and 6-bit library types: finite, without NaN
    fields: dict = {"top": top, "sign": not unsigned}
    for option in filter(None, (part.strip() for part in (options or "").split(","))):
        fields |= _float_option(option, name)
    if isinstance(fields.get("bias"), float):
        return _biased(exponent, mantissa, fields, name)
    return FloatFormat(exponent, mantissa, **fields)


def _biased(exponent: int, mantissa: int, fields: dict, name: str) -> BiasedFormat:
    """A float with a real bias, which takes no other option."""
    plain = set(fields) == {"top", "sign", "bias"} and fields["sign"]
    if not plain or fields["top"] not in (usual_top(exponent, mantissa), "finite"):
        raise WorkbenchError(
            repr(name), "a real bias goes with a signed float without special codes",
            f"write e{exponent}m{mantissa}(bias={fields['bias']})",
        )  # fmt: skip
    return BiasedFormat(exponent, mantissa, fields["bias"])


def _float_option(option: str, name: str) -> dict:
    """One bracketed option of a float as a field."""
    key, _, value = option.partition("=")
    if key == "bias" and re.fullmatch(r"-?\d+", value):
        return {"bias": int(value)}
    if key == "bias" and re.fullmatch(r"-?\d*\.\d+|-?\d+\.\d*", value):
        return {"bias": float(value)}
    if key == "top" and value in TOPS:
        return {"top": value}
    if option in OVERFLOWS:
        return {"overflow": option}
    if option in ("sat", "nosub"):
        return {"overflow": "saturate"} if option == "sat" else {"subnormals": False}
    raise WorkbenchError(
        f"option {option!r} in {name!r}",
        "a float has the options bias=N, saturate, inf, nan, nosub, top=ieee|fn|fnuz|finite",
        "write for example e4m3fn(bias=8,nan)",
    )


def _integer(match: re.Match, name: str) -> IntegerFormat:
    """An integer from the parts of its name."""
    unsigned, width, narrow, letter, short = match.groups()
    sign = (letter.lower() != "u") if letter else not unsigned
    return IntegerFormat(int(short or width), sign=sign, narrow=bool(narrow))


def _fixed(match: re.Match, name: str) -> IntegerFormat:
    """A fixed-point number from the parts of its name."""
    unsigned, whole, fraction, narrow = match.groups()
    width = int(whole) + int(fraction) + (not unsigned)
    if int(fraction) == 0:
        raise WorkbenchError(repr(name), "no bit is right of the point", f"write int{width}")
    return IntegerFormat(width, sign=not unsigned, narrow=bool(narrow), fraction=int(fraction))


def _posit(match: re.Match, name: str) -> PositFormat:
    """A posit from the parts of its name: the standard's two exponent bits unless it says."""
    width, short, inner, es, option, overflow = match.groups()
    exponent = next((v for v in (short, option, es) if v is not None), 2)
    return PositFormat(int(width or inner), int(exponent), overflow or "nan")


def _logarithmic(match: re.Match, name: str) -> LogFormat:
    """A logarithmic number from the parts of its name."""
    return LogFormat(*map(int, match.groups()))


def _power(match: re.Match, name: str) -> PowerFormat:
    """A power format from the parts of its name; the exponent is 0.5 unless it says."""
    return PowerFormat(int(match[1]), float(match[2] or 0.5))


def _ruled(match: re.Match, name: str) -> Format:
    """A grid that follows from its name's word and width."""
    width = int(match[2])
    if match[3]:
        parts = bitmod(width).parts if match[1] == "bitmod" else ()
        if match[0] not in map(str, parts):
            raise unknown("format", name, [*names(), *map(str, parts)])
        return next(part for part in parts if str(part) == match[0])
    if match[1] in ("bipolar", "bitmod"):
        return {"bipolar": bipolar, "bitmod": bitmod}[match[1]](width)
    return gaussian_codes(width, 1 if match[1] == "median" else 2)


def _k_hot(match: re.Match, name: str) -> Format:
    """A k-hot grid from the parts of its name."""
    return k_hot(int(match[1]), int(match[2]), bool(match[3]))


def _typed(match: re.Match, name: str) -> Format:
    """A codebook whose values are typed in."""
    return typed_codebook(match[1])


def _mixture(match: re.Match, name: str) -> MixtureFormat:
    """A mixture from the names of its parts."""
    parts = tuple(parse(part) for part in re.findall(r"(?:[^,(]|\([^)]*\))+", match[1]))
    return MixtureFormat(f"mix({','.join(map(str, parts))})", parts)


def _tilus(match: re.Match, name: str) -> FloatFormat:
    """A float by its width and fields, as Tilus writes it: special codes only with E = 5."""
    width, exponent, mantissa = map(int, match.groups())
    if width != 1 + exponent + mantissa:
        raise WorkbenchError(
            repr(name), f"a sign, {exponent} and {mantissa} bits are {1 + exponent + mantissa}",
            f"write f{1 + exponent + mantissa}e{exponent}m{mantissa}",
        )  # fmt: skip
    return FloatFormat(exponent, mantissa, top="ieee" if exponent == 5 else "finite")


_GRAMMAR = (
    (_TILUS, _tilus), (_FLOAT, _float), (_INTEGER, _integer), (_FIXED, _fixed), (_POSIT, _posit),
    (_LOGARITHMIC, _logarithmic), (_POWER, _power), (_RULED, _ruled), (_K_HOT, _k_hot),
    (_TYPED, _typed), (_MIXTURE, _mixture),
)  # fmt: skip

__all__ = ["ALIASES", "names", "parse", "usual_bias"]
