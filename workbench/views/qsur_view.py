"""The utilisation view: the data's ellipse in the quantizer's range, and how much of it it fills.

Left a plane of the space, right the utilisation along the transform, exact and as published (Hu et
al. 2025, "OSTQuant"), with the most that each kind of transform attains.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ..metrics.qsur import LEVEL, Qsur, ellipsoid_radius
from . import style
from .axis import number
from .qsur_path import QsurPath
from .view import View, ViewSpec

# A transform's colour, marker and dash are those of one of the families.
LOOKS = {"scaling": "int", "rotation": "float", "whitening": "mx", "any transform": "mx"}


def qsur_view(
    path: QsurPath, t: float = 1.0, spec: ViewSpec | Mapping[str, Any] | None = None
) -> View:
    """Draw the ellipse in its box at part `t` of a transform, and the utilisation over all parts.

    Args:
        path: from no transform to the whole one.
        t: which part, 0 (before) to 1 (after); the next step of the path is drawn.
        spec: the theme; see `ViewSpec`.

    Example:
        >>> path = QsurPath.of([[4.0, 1.8], [1.8, 1.0]], "whitening", steps=3)
        >>> qsur_view(path).caption
        'After the whitening a channel fills 0.886 of its range, 1.1 bits more than before and as...
    """
    spec = ViewSpec.of(spec)
    at = path.step(t)
    look = style.identities([LOOKS.get(path.transform, "codebook")], spec.theme)[0]
    left = [
        _frame(path, at, spec),
        *_points(path, at, look, spec),
        *_ellipses(path, at, look, spec),
    ]
    right = [*_limits(path, spec), *_curves(path, at, look, spec)]
    return View(
        name="qsur_view",
        title="How much of the quantizer's range the data fill",
        plot={"data": [*left, *right], "layout": _layout(path, at, spec)},
        caption=_caption(path, at),
        provenance="model: a Gaussian with the data's covariance",
        table=lambda: _rows(path),
        description=_description(path),
        spec=spec,
    )


def _ellipse(covariance: np.ndarray) -> np.ndarray:
    """Points around the ellipse that holds `LEVEL` of two channels, `(2, 121)`."""
    angle = np.linspace(0, 2 * np.pi, 121)
    values, axes = np.linalg.eigh(covariance)
    reach = ellipsoid_radius(LEVEL, 2) * np.sqrt(np.maximum(values, 0))
    return (axes * reach) @ np.array([np.cos(angle), np.sin(angle)])


def _frame(path: QsurPath, at: int, spec: ViewSpec) -> dict[str, Any]:
    """The quantizer's range, or its shadow where the plane is not that of two channels."""
    corners, look = path.frames[at], style.theme(spec.theme)
    closed = np.vstack([corners, corners[:1]])
    return style.trace(
        "scatter", x=closed[:, 0], y=closed[:, 1], mode="lines", name="quantizer's range",
        fill="toself", fillcolor=style.clear(look.data, 0.3), hoverinfo="skip",
        line={"color": look.text, "width": 1.6}, legendgroup="range",
    )  # fmt: skip


def _ellipses(
    path: QsurPath, at: int, look: style.Identity, spec: ViewSpec
) -> list[dict[str, Any]]:
    """The ellipse before the transform as a dotted outline, and the one at this part of it."""
    quiet = style.theme(spec.theme).quiet
    traces = []
    if at:
        x, y = _ellipse(path.ellipses[0])
        traces.append(style.trace(
            "scatter", x=x, y=y, mode="lines", name="99 % of the data, before", hoverinfo="skip",
            line={"color": quiet, "width": 1.4, "dash": "dot"},
        ))  # fmt: skip
    x, y = _ellipse(path.ellipses[at])
    name = f"99 % of the data, {_part(path, at)}"
    traces.append(style.trace(
        "scatter", x=x, y=y, mode="lines", name=name, hoverinfo="skip", fill="toself",
        fillcolor=style.clear(look.colour, 0.18), line={"color": look.colour, "width": 2},
        meta={"part": float(path.t[at])},
    ))  # fmt: skip
    return traces


def _part(path: QsurPath, at: int) -> str:
    """Which part of the transform, in words."""
    if not at:
        return "before"
    return "after" if path.t[at] == 1 else f"at {path.t[at]:.0%}"


def _points(path: QsurPath, at: int, look: style.Identity, spec: ViewSpec) -> list[dict[str, Any]]:
    """Rows of the data themselves, as they need not be Gaussian."""
    points = path.points[at]
    if not len(points):
        return []
    return [style.trace(
        "scatter", x=points[:, 0], y=points[:, 1], mode="markers", name=f"{len(points)} rows",
        hoverinfo="skip", marker={"size": 3, "color": style.theme(spec.theme).quiet},
    )]  # fmt: skip


def _curves(path: QsurPath, at: int, look: style.Identity, spec: ViewSpec) -> list[dict[str, Any]]:
    """The utilisation over the parts of the transform, the chosen part marked."""
    text = style.theme(spec.theme).text
    kinds = (("exact", path.exact, look.colour, "solid"),
             ("as published", path.published, style.theme(spec.theme).quiet, "dash"))  # fmt: skip
    traces = [
        style.trace(
            "scatter", x=path.t, y=[one.per_channel for one in values], mode="lines", name=name,
            xaxis="x2", yaxis="y2", line={"color": colour, "width": 2, "dash": dash},
            customdata=[[one.log2, path.channels] for one in values], meta={"curve": name},
            hovertemplate=f"{name}: %{{y:.4g}} of the range a channel<br>QSUR = 2^"
            "%{customdata[0]:.1f} of %{customdata[1]} channels<extra></extra>",
        )
        for name, values, colour, dash in kinds
    ]  # fmt: skip
    traces.append(style.trace(
        "scatter", x=[path.t[at]], y=[path.exact[at].per_channel], mode="markers", xaxis="x2",
        yaxis="y2", showlegend=False, name="here", hoverinfo="skip",
        marker={"symbol": look.marker, "size": 11, "color": look.colour,
                "line": {"width": 1.5, "color": text}},
    ))  # fmt: skip
    return traces


def _limits(path: QsurPath, spec: ViewSpec) -> list[dict[str, Any]]:
    """A line at the most that each kind of transform attains."""
    looks = style.identities([LOOKS[name] for name in path.limits], spec.theme)
    looks[-1] = style.Identity(style.theme(spec.theme).text, "", "")
    return [
        style.trace(
            "scatter", x=[0, 1], y=[limit.per_channel] * 2, mode="lines", xaxis="x2", yaxis="y2",
            showlegend=False, name=f"most by {name}", meta={"limit": name},
            line={"color": look.colour, "width": 1, "dash": "dot"},
            hovertemplate=f"most by {name}: %{{y:.4g}} of the range a channel<extra></extra>",
        )
        for (name, limit), look in zip(path.limits.items(), looks, strict=True)
    ]  # fmt: skip


def _layout(path: QsurPath, at: int, spec: ViewSpec) -> dict[str, Any]:
    """A square picture at the left, the curves at the right."""
    layout = style.base_layout(spec.theme, 440)
    first, second = _axis_names(path)
    reach = 1.06 * max(1.0, *(float(np.abs(frame).max()) for frame in path.frames))
    layout["xaxis"] = {
        "domain": [0, 0.46], "range": [-reach, reach], "title": {"text": first}, "zeroline": False,
    }  # fmt: skip
    layout["yaxis"] = {
        "range": [-reach, reach], "title": {"text": second}, "zeroline": False, "scaleanchor": "x",
        "constrain": "domain",
    }  # fmt: skip
    layout["xaxis2"] = {
        "domain": [0.58, 1], "range": [-0.03, 1.03], "anchor": "y2", "tickformat": ".0%",
        "title": {"text": f"part of the {path.transform}"}, "zeroline": False,
    }  # fmt: skip
    layout["yaxis2"] = {"anchor": "x2", **_share_axis(path)}
    layout["annotations"] = _limit_names(path, spec, layout["yaxis2"]["range"])
    layout["shapes"] = [{
        "type": "line", "xref": "x2", "yref": "y2 domain", "x0": path.t[at], "x1": path.t[at],
        "y0": 0, "y1": 1, "line": {"width": 1, "color": style.theme(spec.theme).quiet},
    }]  # fmt: skip
    layout["legend"] = {"x": 0, "y": 1.02, "yanchor": "bottom"}
    layout["margin"] = {"l": 60, "r": 16, "t": 46, "b": 44}
    return layout


def _axis_names(path: QsurPath) -> tuple[str, str]:
    """What stands under and beside the picture."""
    unit = "(1 = end of a channel's range)"
    if path.plane.startswith("channels"):
        _, first, _, second = path.plane.split()
        return f"channel {first} {unit}", f"channel {second}"
    return f"longest principal axis {unit}", "second axis"


def _share_axis(path: QsurPath) -> dict[str, Any]:
    """A log axis over all curves and limits, ticks at powers of two."""
    every = [*path.exact, *path.published, *path.limits.values()]
    logs = [one.log2 / one.dimension for one in every]
    low, high = min(logs) - 0.3, max(logs) + 0.1 * np.ptp(logs) + 0.2
    step = max(1, int(np.ceil((high - low) / 9)))
    ticks = [e for e in range(int(np.ceil(low)), int(np.floor(high)) + 1) if e % step == 0]
    return {
        "type": "log", "range": [low * np.log10(2), high * np.log10(2)], "tickmode": "array",
        "tickvals": [2.0**e for e in ticks], "ticktext": [style.power(e) for e in ticks],
        "title": {"text": "share of its range that a channel fills"},
    }  # fmt: skip


def _limit_names(path: QsurPath, spec: ViewSpec, ends: list[float]) -> list[dict[str, Any]]:
    """The names of the limits on their lines, moved up where they would touch."""
    look, least = style.theme(spec.theme), 0.05 * (ends[1] - ends[0])
    above, annotations = -np.inf, []
    for name, limit in sorted(path.limits.items(), key=lambda item: item[1].ln):
        above = max(float(np.log10(limit.per_channel)), above + least)
        annotations.append({
            "text": f"most by {name}", "x": 0, "xref": "x2", "y": above, "yref": "y2",
            "xanchor": "left", "yanchor": "bottom", "showarrow": False, "borderpad": 0,
            "font": {"size": 11, "color": look.text},
        })  # fmt: skip
    return annotations


def _caption(path: QsurPath, at: int) -> str:
    """How full the range is, against before and against the most there can be."""
    now, before, most = path.exact[at], path.exact[0], path.limits["any transform"]
    where = {"before": f"Before the {path.transform}", "after": f"After the {path.transform}"}.get(
        _part(path, at), f"At {path.t[at]:.0%} of the {path.transform}"
    )
    text = f"{where} a channel fills {number(now.per_channel, 3)} of its range"
    parts = [] if not at else [_compared(before.bits_under(now), "than before")]
    short = now.bits_under(most)
    parts.append("as much as any transform can" if short < 0.005 else f"{short:.2g} bits less than "
                 f"the most, {number(most.per_channel, 3)}")  # fmt: skip
    return f"{text}, {' and '.join(parts)}."


def _compared(bits: float, than: str) -> str:
    return f"{abs(bits):.2g} bits {'more' if bits >= 0 else 'less'} {than}"


def _rows(path: QsurPath) -> list[dict[str, Any]]:
    """One row a part of the transform, then one a limit."""
    rows = [
        _row(path, f"{part:.0%} of the {path.transform}", exact, published)
        for part, exact, published in zip(path.t, path.exact, path.published, strict=True)
    ]
    return rows + [
        _row(path, f"most by {name}", limit, None) for name, limit in path.limits.items()
    ]


def _row(path: QsurPath, name: str, exact: Qsur, published: Qsur | None) -> dict[str, Any]:
    return {
        "transform": name,
        "channels": path.channels,
        "QSUR (log2)": exact.log2,
        "share of its range a channel fills": exact.per_channel,
        "bits a channel under the most": exact.bits_under(path.limits["any transform"]),
        "QSUR as published (log2)": None if published is None else published.log2,
        "share a channel, as published": None if published is None else published.per_channel,
    }


def _description(path: QsurPath) -> str:
    return (
        f"Left, {path.plane} of {path.channels}: the ellipse that holds 99 % of two channels of a "
        "Gaussian with the data's covariance, before the transform and at a part of it, inside the "
        "range of the quantizer. Right, the share of its range that a channel fills (the "
        f"{path.channels}-th root of QSUR) over the parts of the {path.transform}, exact and by "
        "the published approximation, with a dotted line at the most that each kind of transform "
        "attains."
    )
