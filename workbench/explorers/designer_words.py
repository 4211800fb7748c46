"""What the hosts of the format designer offer and say: one table for the page, the cell and the
file.
"""

from __future__ import annotations

import html
from typing import Any

from ..formats import names as format_names
from ..schemes import names as scheme_names
from . import sources

SHARED = ("tensor", "channel", "g16", "g32", "g64", "g128", "g32*e8m0", "g16*e4m3fn*f32",
          "tensor@std", "channel@std")  # fmt: skip
CLICKS = {"adds a value": "add", "moves the nearest value": "move",
          "removes the nearest value": "remove"}  # fmt: skip
SIGNS = {"signed": True, "unsigned": False}
TINY = {"subnormals": True, "zero alone": False}
AXES = {"linear": "linear", "powers of two": "symlog2"}
MADE = {"Lloyd-Max": "lloyd_max", "Best for this tensor": "best"}
OF_KIND = {
    "float": ("exponent", "mantissa", "bias_shift", "top", "signed", "subnormals"),
    "integer": ("width", "signed"),
    "codebook": ("values", "click"),
}
LABELS = {
    "source": "Tensor", "kind": "Design", "exponent": "Exponent bits", "mantissa": "Mantissa bits",
    "bias_shift": "Bias, more than usual", "width": "Integer bits", "top": "Largest codes",
    "signed": "Sign", "subnormals": "Below the normals", "values": "Values",
    "click": "A click in the grid", "granularity": "One scale for each", "axis": "Value axis",
    "theme": "Theme",
}  # fmt: skip
BESIDE = ("Beside it, first", "Beside it, second")
SPEC = "Spec string, for wb.scheme and every field that takes a scheme"


def tensors() -> list[str]:
    """The lines that name the tensors at hand.

    Example:
        >>> "weight:embed_tokens.weight" in tensors()
        True
    """
    known = [f"{kind}:{name}" for kind in ("weight", "activation") for name in sources.names(kind)]
    return known + [f"synthetic:{name},65536,0" for name in sources.names("synthetic")]


def beside() -> list[str]:
    """The schemes with names that may stand beside a design.

    Example:
        >>> beside()[:2]
        ['bf16', 'binary']
    """
    return sorted({*format_names(), *scheme_names()})


def values_text(values: list[float]) -> str:
    """The values of a codebook as a field shows them.

    Example:
        >>> values_text([-1.0, 0.0, 0.125])
        '-1, 0, 0.125'
    """
    return ", ".join(repr(value).removesuffix(".0") for value in values)


def figures(row: dict[str, Any]) -> list[tuple[str, str, str]]:
    """The figures of a design, each with its name and where it comes from.

    Args:
        row: of the design, as `FormatDesigner.rows` gives it.

    Example:
        >>> from workbench.explorers import FormatDesigner
        >>> row = FormatDesigner(source="synthetic:gaussian,65536,0").rows()[0]
        >>> figures(row)[1:3]
        [('bits a value', '5', 'scales included'), \
('gates a multiply-add', '261', 'estimate: gate model')]
    """
    known, gates = row["SQNR (dB)"], row["gates"]
    unused = "?" if row["unused"] is None else row["unused"]
    return [
        ("SQNR", "not known" if known is None else f"{known:.2f} dB", row["provenance"]),
        ("bits a value", f"{row['bits a value']:.4g}", "scales included"),
        ("gates a multiply-add", "not known" if gates is None else f"{gates:,}", row["gates from"]),
        ("unused values", f"{unused} of {row['values']}", "no datum rounds to them"),
    ]


def headline(designer: Any) -> str:
    """The tensor and the figures of the design, as HTML.

    Example:
        >>> from workbench.explorers import FormatDesigner
        >>> 'data-figure="SQNR"' in headline(FormatDesigner(source="synthetic:uniform,256,0"))
        True
    """
    tensor = designer.tensor
    shape = " × ".join(f"{n:,}" for n in tensor.shape) or "one value"
    shown = "".join(
        f'<div>{name}<b data-figure="{name}">{html.escape(value)}</b>'
        f"<i>{html.escape(origin)}</i></div>"
        for name, value, origin in figures(designer.rows()[0])
    )
    return (
        f'<div class="tensor">{html.escape(tensor.label)}</div>'
        f'<div class="quiet">{shape} · {tensor.count:,} values</div>'
        f'<div class="figures" role="status">{shown}</div>'
    )


HEADLINE_STYLE = """
.tensor { font-size: 17px; font-weight: 600; overflow-wrap: anywhere; }
.quiet { font-size: 13px; opacity: 0.85; }
.figures { display: flex; flex-wrap: wrap; gap: 6px 34px; margin: 10px 0 6px 0; }
.figures div { font-size: 12.5px; } .figures b { display: block; font-size: 22px; font-weight: 600;
  font-variant-numeric: tabular-nums; } .figures i { font-style: normal; opacity: 0.8; }
"""
