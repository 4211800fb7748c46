"""The look of every picture: who is which colour, marker and dash, and the two themes.

Identity is an Okabe-Ito colour together with a marker and a dash, so that it survives grey print
and colour blindness; magnitude is cividis; a signed error is blue, white, orange about zero.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from ..errors import unknown

# Plotly's share button sends to a cloud and its logo links there: a page here stays offline.
CONFIG: dict[str, Any] = {
    "displaylogo": False,
    "showSendToCloud": False,
    "plotlyServerURL": "",
    "responsive": True,
    "modeBarButtonsToRemove": ["sendDataToCloud", "lasso2d", "autoScale2d"],
}

# These draw the same under plotly.js 4.1 (notebook, report) and 3.1 (Panel); scattergl is silent
# without a GPU and newer types silently become lines in the older one.
TRACES = ("bar", "heatmap", "histogram", "scatter")

FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"
SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
SIGNED = [[0.0, "#0072B2"], [0.5, "#FFFFFF"], [1.0, "#E69F00"]]
MAGNITUDE = "Cividis"
CIVIDIS = ("#00224E", "#35456C", "#666970", "#948E77", "#C8B866", "#FDE737")


@dataclass(frozen=True)
class Identity:
    """How one scheme is drawn everywhere: colour, marker symbol and dash."""

    colour: str
    marker: str
    dash: str


FAMILIES = {
    "int": Identity("#0072B2", "square", "solid"),
    "float": Identity("#D55E00", "circle", "dash"),
    "mx": Identity("#B5609A", "triangle-up", "dot"),
    "nvfp": Identity("#B07900", "diamond", "dashdot"),
    "codebook": Identity("#2B8CC4", "x", "longdash"),
    "reference": Identity("#000000", "circle-open", "solid"),
}
_DARK = {
    "int": "#4FA8E0", "float": "#F08A3C", "mx": "#D98CBF", "nvfp": "#E6B93C",
    "codebook": "#7CC8F2", "reference": "#FFFFFF",
}  # fmt: skip

CAUSES = {
    "rounding": ("#8A94A6", ""),
    "clipping": ("#E69F00", "/"),
    "underflow": ("#56B4E9", "."),
    "scale": ("#8E6BBF", "x"),
}
CAUSE_TEXT = {
    "rounding": "rounding",
    "clipping": "clipping (beyond the largest value)",
    "underflow": "underflow (to zero)",
    "scale": "rounding of the scale",
}


@dataclass(frozen=True)
class Theme:
    """The neutral colours of one theme; text has a contrast of at least 4.5:1 on `paper`."""

    name: str
    paper: str
    plot: str
    text: str
    quiet: str
    grid: str
    data: str
    mark: str


THEMES = {
    "light": Theme(
        "light", "#FFFFFF", "#FFFFFF", "#1C2530", "#56616F", "#E3E7EC", "#C3CBD6", "#1C2530"
    ),
    "dark": Theme(
        "dark", "#14181E", "#14181E", "#E8ECF1", "#A9B4C0", "#2A323C", "#46525F", "#E8ECF1"
    ),
}


def theme(name: str) -> Theme:
    """The theme of that name, "light" or "dark"; another name gets the nearest.

    Example:
        >>> theme("dark").paper
        '#14181E'
    """
    if name not in THEMES:
        raise unknown("theme", name, THEMES)
    return THEMES[name]


def identities(families: Sequence[str], theme_name: str = "light") -> list[Identity]:
    """One identity for each scheme in order; members of one family get shades and open markers.

    Args:
        families: the family of each scheme, as `scheme.family` gives it.
        theme_name: "light" or "dark".

    Example:
        >>> [i.marker for i in identities(["int", "float", "float"])]
        ['square', 'circle', 'circle-open']
    """
    seen: dict[str, int] = {}
    result = []
    for family in families:
        base = FAMILIES.get(family, FAMILIES["reference"])
        colour = _DARK[family] if theme_name == "dark" and family in _DARK else base.colour
        order = seen[family] = seen.get(family, -1) + 1
        marker = base.marker + ("-open" if order % 2 and not base.marker.endswith("-open") else "")
        towards = "#FFFFFF" if theme_name == "dark" else "#000000"
        result.append(Identity(mix(colour, towards, 0.22 * order), marker, _dash(base.dash, order)))
    return result


def _dash(dash: str, order: int) -> str:
    """Another dash for each further member of a family, the family's own one first."""
    dashes = ["solid", "dash", "dot", "dashdot", "longdash", "longdashdot"]
    return dashes[(dashes.index(dash) + order) % len(dashes)]


def mix(colour: str, other: str, share: float) -> str:
    """`colour` with `share` (0 to 1) of `other` mixed in, both `#RRGGBB`.

    Example:
        >>> mix("#000000", "#FFFFFF", 0.5)
        '#808080'
    """
    pairs = zip(channels(colour), channels(other), strict=True)
    return "#" + "".join(f"{round(a + (b - a) * share + 1e-9):02X}" for a, b in pairs)


def channels(colour: str) -> tuple[int, int, int]:
    """Red, green and blue of `#RRGGBB`, each 0 to 255."""
    return tuple(int(colour[i : i + 2], 16) for i in (1, 3, 5))  # type: ignore[return-value]


def clear(colour: str, opacity: float) -> str:
    """`colour` as an rgba() of that opacity.

    Example:
        >>> clear("#0072B2", 0.5)
        'rgba(0,114,178,0.5)'
    """
    return f"rgba({','.join(map(str, channels(colour)))},{opacity:g})"


def contrast(first: str, second: str) -> float:
    """The contrast of two colours, 1 to 21, by WCAG 2.2.

    Example:
        >>> round(contrast("#000000", "#FFFFFF"))
        21
    """
    low, high = sorted((_luminance(first), _luminance(second)))
    return (high + 0.05) / (low + 0.05)


def _luminance(colour: str) -> float:
    parts = [c / 255 for c in channels(colour)]
    linear = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def cividis(level: float) -> str:
    """The colour of a magnitude from 0, dark, to 1, light; beyond them the end's.

    Example:
        >>> cividis(0.0), cividis(1.0)
        ('#00224E', '#FDE737')
    """
    at = min(max(level, 0.0), 1.0) * (len(CIVIDIS) - 1)
    low = min(int(at), len(CIVIDIS) - 2)
    return mix(CIVIDIS[low], CIVIDIS[low + 1], at - low)


def cividis_scale() -> list[list[Any]]:
    """The same colours as a plotly colour scale.

    Example:
        >>> cividis_scale()[0]
        [0.0, '#00224E']
    """
    return [[i / (len(CIVIDIS) - 1), colour] for i, colour in enumerate(CIVIDIS)]


def ink(ground: str) -> str:
    """Black or white, whichever is read better on `ground`.

    Example:
        >>> ink("#00224E"), ink("#FDE737")
        ('#FFFFFF', '#000000')
    """
    return max(("#FFFFFF", "#000000"), key=lambda colour: contrast(colour, ground))


def power(exponent: int) -> str:
    """2 to that exponent as text; near one, the number itself.

    Example:
        >>> power(-9), power(2)
        ('2⁻⁹', '4')
    """
    if 0 <= exponent <= 4:
        return str(2**exponent)
    return "2" + str(exponent).translate(SUPERSCRIPTS)


@cache
def template(name: str) -> dict[str, Any]:
    """The plotly template of a theme: quiet grid, left titles, no colours of plotly's own."""
    t = theme(name)
    axis = {
        "gridcolor": t.grid,
        "zerolinecolor": t.grid,
        "linecolor": t.quiet,
        "tickcolor": t.quiet,
        "ticks": "outside",
        "ticklen": 4,
        "tickfont": {"size": 11, "color": t.text},
        "title": {"font": {"size": 12, "color": t.text}, "standoff": 8},
        "automargin": True,
        "ticklabeloverflow": "allow",  # not to measure every label on every move of a slider
    }
    return {
        "layout": {
            "font": {"family": FONT, "size": 12, "color": t.text},
            "paper_bgcolor": t.paper,
            "plot_bgcolor": t.plot,
            "xaxis": axis,
            "yaxis": axis,
            "hoverlabel": {
                "bgcolor": t.paper, "bordercolor": t.quiet,
                "font": {"family": FONT, "size": 12, "color": t.text},
            },
            "legend": {
                "orientation": "h", "x": 0, "y": 1.0, "yanchor": "bottom", "font": {"size": 11},
            },
            "margin": {"l": 60, "r": 20, "t": 34, "b": 40},
            "modebar": {
                "bgcolor": "rgba(0,0,0,0)", "color": t.quiet, "activecolor": t.text,
            },
            "colorway": [identity.colour for identity in FAMILIES.values()],
        }
    }  # fmt: skip


def trace(kind: str, **settings: Any) -> dict[str, Any]:
    """A plotly trace as plain values; one that a host would not draw right is refused.

    Example:
        >>> trace("bar", x=[1])
        {'type': 'bar', 'x': [1]}
    """
    if kind not in TRACES:
        raise unknown("trace that every host draws", kind, TRACES)
    return {"type": kind, **settings}


def base_layout(name: str, height: int) -> dict[str, Any]:
    """What every figure sets: its template, its height, and that zooms survive an update."""
    return {
        "template": template(name),
        "height": height,
        "uirevision": "keep",
        "hovermode": "closest",
        "bargap": 0,
    }
