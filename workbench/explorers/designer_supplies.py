"""All that a page without Python needs to be a format designer, as plain JSON.

Floats, integers and codebooks follow from their parts; other formats come as the table of their
codes. Codebooks made for the tensor are made here, once.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from ..costs.gates import PROVENANCE, USUAL, gates
from ..errors import WorkbenchError
from ..formats import Format
from ..formats import names as format_names
from ..formats import parse as parse_format
from ..formats.names import ALIASES
from ..quantizers.codebooks import MOST_BITS
from ..schemes import Scheme, parse
from ..schemes.grammar import NAMES
from ..views import style
from ..views.summaries import grid_of
from . import designer_parts, designer_words
from .designer_cells import PROBE, base64_of, shared_of, tensor_of
from .format_designer import BOUNDS, FormatDesigner

MOST_TABLE_BITS = 8
BITS = (2, 3, 4, 5)
_OWN_STEPS = ("codebook", "posit", "logarithmic")  # the step depends on the sign too
_BY_PARTS = ("float", "integer", "exponent")


def supplies(
    designer: FormatDesigner,
    granularities: Sequence[str] = designer_words.SHARED,
    bits: Sequence[int] = BITS,
) -> dict[str, Any]:
    """Everything behind a designer's page: tensor, formats, costs, words, looks and codebooks.

    Args:
        designer: whose tensor is held and whose state it opens on.
        granularities: ways of sharing scales that are held, beside those of the state.
        bits: of the codebooks that are made for the tensor, 1 to 6 each.

    A tensor without finite values, a granularity that no file can hold, or other bits raise
    `WorkbenchError`.

    Example:
        >>> designer = FormatDesigner(source="synthetic:gaussian,4096,0")
        >>> found = supplies(designer, ["tensor"], [2])
        >>> list(found["shared"]), len(found["made"]["g32"]["best"]["2"]["values"])
        (['tensor', 'g32'], 4)
    """
    wrong = [each for each in bits if each not in range(1, MOST_BITS + 1)]
    if wrong:
        raise WorkbenchError(
            f"{wrong[0]} bits", f"codebooks are made with 1 to {MOST_BITS} bits", "write 4"
        )
    source = designer.tensor
    tensor = tensor_of(source)
    if not tensor["n"]:
        raise WorkbenchError(
            designer.source, "it has no finite value to design for", "choose another tensor"
        )
    schemes = [parse(f"{PROBE}/{text.lstrip('/')}") for text in granularities]
    schemes += [designer.spec, *map(parse, designer.schemes)]
    held = dict.fromkeys(_shared(scheme) for scheme in schemes if scheme.scale is not None)
    shared = {text: shared_of(source, text) for text in held}
    return {
        "tensor": tensor, "shared": shared, "tables": _tables(), "aliases": ALIASES,
        "names": NAMES, "start": designer.state, "defaults": FormatDesigner().state,
        "bounds": BOUNDS, "kinds": designer_parts.KINDS, "tops": designer_parts.TOPS,
        "most": {"values": designer_parts.MOST_VALUES, "label": designer_parts.MOST_LABEL,
                 "beside": designer_parts.MOST_REFERENCES, "bits": MOST_BITS,
                 "places": designer_parts.PLACES},
        "gates": {**asdict(USUAL), "origin": PROVENANCE}, "words": _words(),
        "looks": {name: _look(name) for name in style.THEMES},
        "made": {text: _made(designer, text, bits) for text in held},
    }  # fmt: skip


def _shared(scheme: Scheme) -> str:
    """How a scheme shares its scales, in one spelling: blocks are written as groups."""
    return re.sub(r"^b(?=\d)", "g", str(scheme.scale)[1:])


def _made(designer: FormatDesigner, shared: str, bits: Sequence[int]) -> dict[str, Any]:
    """The codebooks for one granularity, by maker and bits: their values, or why there are none."""
    return {
        name: {str(each): _codebook(designer, name, shared, each) for each in bits}
        for name in designer_parts.MAKERS
    }


def _codebook(designer: FormatDesigner, name: str, shared: str, bits: int) -> dict[str, Any]:
    scheme = parse(f"int{bits}/tensor")  # of these bits; how scales are shared is told apart
    try:
        values = designer_parts.suggested(name, designer.tensor, scheme, shared)
    except WorkbenchError as refusal:
        return {"refusal": str(refusal)}
    return {"values": values}


def _tables() -> dict[str, dict[str, Any]]:
    """The formats that do not follow from a few parts, of up to `MOST_TABLE_BITS` bits."""
    known = {parse_format(name) for name in format_names()}
    known |= {parse(text).format for text in NAMES.values()}
    chosen = sorted(known, key=str)
    return {
        format.name: _table(format)
        for format in chosen
        if format.family not in _BY_PARTS and format.bits <= MOST_TABLE_BITS
    }


def _table(format: Format) -> dict[str, Any]:
    """One format by its codes; `steps` says how the distance between neighbours is found."""
    halves = 0.5 * format.values[:-1] + 0.5 * format.values[1:]
    step = getattr(format, "step", None)
    try:
        cost = round(gates(format).total)
    except WorkbenchError:
        cost = None
    return {
        "name": format.name, "family": format.family, "bits": format.bits,
        "codes": base64_of(format.code_values, "f8"),
        "middles": None if np.array_equal(halves, format.middles)
        else base64_of(format.middles, "f8"),
        "specials": grid_of(format).specials, "step": step, "gates": cost,
        "reach": parse(f"{format}/g32").largest,
        "steps": "signed" if format.family in _OWN_STEPS else "magnitude",
        "alone": parse(format.name).scale is None,
    }  # fmt: skip


def _words() -> dict[str, Any]:
    """What the controls are called, and what they offer."""
    names = ("CLICKS", "SIGNS", "TINY", "AXES", "MADE", "OF_KIND", "LABELS", "BESIDE", "SPEC")
    offered = [*designer_words.beside()]
    return {name.lower(): getattr(designer_words, name) for name in names} | {"known": offered}


def _look(name: str) -> dict[str, Any]:
    """The colours of a theme, and how up to four members of each family are drawn."""
    look = style.theme(name)
    drawn = {
        family: [
            asdict(one) | {"pale": style.mix(one.colour, look.paper, 0.68)}
            for one in style.identities([family] * 4, name)
        ]
        for family in style.FAMILIES
    }
    return asdict(look) | {
        "drawn": drawn, "base": style.base_layout(name, 0), "fill": style.clear(look.data, 0.75),
    }  # fmt: skip
