"""The utilisation view draws true ellipses in a true box, and the curve of the metrics."""

from __future__ import annotations

import json
import math

import numpy as np
import plotly.graph_objects as go
import pytest

from workbench import metrics
from workbench.errors import WorkbenchError
from workbench.metrics.qsur import ellipsoid_radius
from workbench.views import QsurPath, qsur_view, style
from workbench.views.qsur_path import TRANSFORMS, shadow

TILTED = np.array([[4.0, 1.8], [1.8, 1.0]])


@pytest.fixture(scope="module")
def wide() -> np.ndarray:
    """A covariance of 16 channels, one of them large."""
    x = np.random.default_rng(0).standard_normal((400, 16)) @ np.diag([20.0, *np.ones(15)])
    x[:, 1] += 0.5 * x[:, 2]
    return np.cov(x.T)


@pytest.fixture(scope="module", params=list(TRANSFORMS))
def path(request, wide) -> QsurPath:
    return QsurPath.of(wide, request.param, (1, 0), steps=5)


def trace(view, key, value):
    return next(t for t in view.plot["data"] if t.get("meta", {}).get(key) == value)


def test_the_curve_is_that_of_the_metrics(path, wide):
    whole = TRANSFORMS[path.transform](wide)
    for t, part in zip(path.t, metrics.powers(whole, path.t), strict=True):
        after = metrics.transformed(wide, part)
        step = path.step(t)
        assert path.exact[step].ln == pytest.approx(metrics.qsur(after).ln)
        assert path.published[step].ln == pytest.approx(metrics.published_qsur(after).ln, abs=1e-3)


def test_each_transform_ends_at_its_limit(path):
    limit = {"whitening": "any transform"}.get(path.transform, path.transform)
    assert path.exact[-1].ln == pytest.approx(path.limits[limit].ln)
    line = trace(qsur_view(path), "limit", limit)
    assert line["y"] == [path.limits[limit].per_channel] * 2


def test_any_transform_that_has_parts_is_drawn(wide):
    factors = np.exp(np.linspace(-1, 1, 16))
    path = QsurPath.of(wide, factors, steps=3, name="smoothing")
    assert path.exact[-1].ln == pytest.approx(metrics.qsur_after(wide, factors).ln)
    assert qsur_view(path).caption.startswith("After the smoothing a channel fills ")


def test_before_the_transform_nothing_has_changed(path, wide):
    assert path.exact[0].ln == pytest.approx(metrics.qsur(wide).ln)
    view = qsur_view(path, 0.0)
    assert view.caption.startswith(f"Before the {path.transform} a channel fills ")
    assert [t["name"] for t in view.plot["data"]].count("99 % of the data, before") == 1


def test_the_ellipse_touches_the_box_where_its_channel_is_the_widest(wide):
    for transform in TRANSFORMS:
        path = QsurPath.of(wide, transform, (1, 0), steps=3)
        for step in (0, 2):
            drawn = trace(qsur_view(path, path.t[step]), "part", path.t[step])
            assert np.abs(drawn["y"]).max() <= 1 + 1e-3
            if step == 0:  # channel 0 is the widest before
                assert np.abs(drawn["y"]).max() == pytest.approx(1, abs=1e-3)
                assert np.abs(drawn["x"]).max() < 0.2
            if step == 2:  # afterwards all are as wide
                assert np.abs(drawn["x"]).max() == pytest.approx(1, abs=1e-3)


def test_a_point_of_the_ellipse_is_at_the_radius_that_holds_the_level():
    path = QsurPath.of(TILTED, "whitening", steps=2)
    drawn = trace(qsur_view(path, 0.0), "part", 0.0)
    inverse = np.linalg.inv(path.ellipses[0])
    points = np.array([drawn["x"], drawn["y"]])
    distance = np.sqrt(np.einsum("ip,ij,jp->p", points, inverse, points))
    assert distance == pytest.approx(ellipsoid_radius(0.99, 2))


def test_the_shadow_of_a_cube_holds_the_shadow_of_every_corner():
    axes = np.linalg.qr(np.random.default_rng(1).standard_normal((6, 2)))[0]
    polygon = shadow(axes)
    signs = np.array(np.meshgrid(*[[-1, 1]] * 6)).reshape(6, -1).T
    sides = np.roll(polygon, -1, axis=0) - polygon
    to_points = (signs @ axes)[:, None] - polygon[None]
    turned = sides[:, 0] * to_points[..., 1] - sides[:, 1] * to_points[..., 0]
    assert (turned >= -1e-9).all()
    corners = {tuple(corner) for corner in np.round(signs @ axes, 9)}
    assert {tuple(corner) for corner in np.round(polygon, 9)} <= corners


def test_the_principal_plane_keeps_the_ellipse_and_turns_the_box():
    path = QsurPath.of(TILTED, "rotation", "principal", steps=3)
    for ellipse in path.ellipses:
        assert ellipse[0, 1] == pytest.approx(0, abs=1e-9)
        ratio = np.linalg.eigvalsh(TILTED)
        assert ellipse[0, 0] / ellipse[1, 1] == pytest.approx(ratio[1] / ratio[0])
    for frame in path.frames:
        assert np.hypot(*frame.T) == pytest.approx(math.sqrt(2))
    assert "longest principal axis" in qsur_view(path).plot["layout"]["xaxis"]["title"]["text"]


def test_rows_are_drawn_in_the_unit_of_the_box(wide):
    rows = np.random.default_rng(2).multivariate_normal(np.ones(16), wide, 2000)
    path = QsurPath.of(wide, "scaling", (1, 0), rows=rows, steps=2)
    assert path.points.shape == (2, 300, 2)
    half = ellipsoid_radius(0.99, 2) * math.sqrt(wide[0, 0])
    first = (rows[0] - rows.mean(axis=0))[[1, 0]] / half
    assert path.points[0, 0] == pytest.approx(first)
    outside = (np.abs(path.points[-1]) > 1).mean()
    assert outside < 0.01
    view = qsur_view(path)
    assert "300 rows" in [t["name"] for t in view.plot["data"]]


def test_by_default_the_widest_channel_stands_beside_a_median_one(wide):
    path = QsurPath.of(wide, steps=2)
    _, first, _, second = path.plane.split()
    assert int(second) == np.diag(wide).argmax()
    assert np.sum(np.diag(wide) > wide[int(first), int(first)]) == 8


def test_the_caption_says_how_much_fuller():
    path = QsurPath.of(TILTED, "rotation", steps=11)
    share = path.exact[-1].per_channel
    gained = path.exact[0].bits_under(path.exact[-1])
    short = path.exact[-1].bits_under(path.limits["any transform"])
    assert qsur_view(path, 1.0).caption == (
        f"After the rotation a channel fills {share:.3g} of its range, {gained:.2g} bits more than "
        f"before and {short:.2g} bits less than the most, 0.886."
    )
    assert qsur_view(path, 0.31).caption.startswith("At 30% of the rotation a channel fills ")


def test_the_table_has_a_row_a_part_and_a_limit(path):
    rows = qsur_view(path).data()
    assert len(rows) == 5 + 3
    assert rows[0]["QSUR (log2)"] == path.exact[0].log2
    assert rows[-1]["transform"] == "most by any transform"
    assert rows[-1]["bits a channel under the most"] == 0
    assert all(row.keys() == rows[0].keys() for row in rows)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_figures_are_valid_small_and_plain(path, theme):
    view = qsur_view(path, 0.5, {"theme": theme})
    figure = go.Figure(view.plot)
    assert {t.type for t in figure.data} <= set(style.TRACES)
    assert view.payload() < 100_000
    assert view.provenance.startswith("model")
    json.dumps(view.figure.to_plotly_json()["layout"]["meta"])
    assert view.caption in view.describe()
    names = [a["y"] for a in view.plot["layout"]["annotations"]]
    low, high = view.plot["layout"]["yaxis2"]["range"]
    gaps = np.diff(sorted(names))
    assert (gaps >= 0.05 * (high - low) - 1e-9).all()


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ({"transform": "shear"}, "no transform has this name"),
        ({"transform": [[1.0, 1.0], [0.0, 1.0]]}, "orthogonal"),
        ({"transform": [1.0, 2.0, 3.0]}, "acts on 2"),
        ({"plane": (0, 0)}, "two different channels"),
        ({"plane": (0, 2)}, "two different channels"),
        ({"plane": "main"}, "two different channels"),
        ({"plane": (0, 1, 2)}, "two different channels"),
        ({"steps": 1}, "two ends"),
        ({"rows": np.ones((3, 3))}, "of 2 channels"),
        ({"rows": [[np.nan, 1.0]]}, "of 2 channels"),
    ],
)
def test_what_cannot_be_drawn_is_refused(arguments, why):
    with pytest.raises(WorkbenchError, match=why):
        QsurPath.of(TILTED, **arguments)


def test_one_channel_and_a_part_beyond_the_end_are_refused():
    with pytest.raises(WorkbenchError, match="two axes"):
        QsurPath.of([[1.0]])
    with pytest.raises(WorkbenchError, match="part of the transform"):
        qsur_view(QsurPath.of(TILTED, steps=2), 1.5)
