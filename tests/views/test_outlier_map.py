"""The outlier map shows the largest value of every cell, and names the channels that set scales."""

from __future__ import annotations

import json

import numpy as np
import plotly.graph_objects as go
import pytest

from workbench.errors import WorkbenchError
from workbench.sketches import Pyramid
from workbench.views import outlier_map, style
from workbench.views.browser import as_json
from workbench.views.outlier_cells import MOST_COLUMNS, MOST_ROWS, cells_of


@pytest.fixture(scope="module")
def x() -> np.ndarray:
    """Gaussian tokens x channels with two outlier channels and one large token."""
    x = np.random.default_rng(0).standard_normal((300, 200)).astype(np.float32)
    x[:, [17, 121]] *= 64
    x[40] *= 2
    return x


@pytest.fixture(scope="module")
def pyramid(x) -> Pyramid:
    return Pyramid.of(x)


def trace(view, name):
    return [t for t in view.plot["data"] if t["name"] == name][-1]


def brute(x, rows, columns):
    """The largest magnitude of each group of rows and columns."""
    return [[np.abs(x[a:b, c:d]).max() for c, d in columns] for a, b in rows]


@pytest.mark.parametrize("shape", [(1, 1), (300, 200), (97, 513), (2000, 1100), (5000, 3)])
def test_every_cell_is_the_largest_of_its_values(shape):
    x = np.random.default_rng(1).standard_normal(shape).astype(np.float32)
    cells = cells_of(Pyramid.of(x))
    assert cells.sizes.shape[0] <= MOST_ROWS
    assert cells.sizes.shape[1] <= MOST_COLUMNS
    assert cells.sizes == pytest.approx(np.array(brute(x, cells.rows, cells.columns)))
    for groups, count in ((cells.rows, shape[0]), (cells.columns, shape[1])):
        assert groups[0, 0] == 0
        assert groups[-1, 1] == count
        assert (groups[1:, 0] == groups[:-1, 1]).all()


@pytest.mark.parametrize("window", [(0, 300, 0, 200), (100, 180, 3, 90), (299, 300, 199, 200)])
def test_a_window_is_shown_as_finely_as_the_pyramid_knows(x, pyramid, window):
    cells = cells_of(pyramid, window)
    top, bottom, left, right = window
    assert cells.rows[0, 0] <= top < bottom <= cells.rows[-1, 1]
    assert cells.columns[0, 0] <= left < right <= cells.columns[-1, 1]
    assert cells.sizes == pytest.approx(np.array(brute(x, cells.rows, cells.columns)))
    assert cells.size == ((4, 1) if window[0] == 0 else (1, 1))


def test_columns_are_sorted_by_their_largest_value(x, pyramid):
    cells = cells_of(pyramid, sort="size")
    size = np.abs(x).max(axis=0)
    assert cells.columns[:, 0].tolist() == np.argsort(-size, kind="stable").tolist()
    assert cells.column_max == pytest.approx(np.sort(size)[::-1])
    assert cells.sizes == pytest.approx(np.array(brute(x, cells.rows, cells.columns)))


def test_the_outlier_channels_are_named(pyramid, x):
    view = outlier_map(pyramid, {"sort": "index"})
    order = [17, 121] if np.abs(x[:, 17]).max() > np.abs(x[:, 121]).max() else [121, 17]
    assert view.caption.startswith(
        f"2 of 200 channels ({order[0]}, {order[1]}) exceed 8 times the median channel's largest "
        "value; one scale for the tensor leaves the median cell "
    )
    named = {a["text"]: a["x"] for a in view.plot["layout"]["annotations"]}
    assert named == {"<b>17</b>": 17, "<b>121</b>": 121}
    rows = view.data()
    assert [row["channel"] for row in rows if row["outlier"]] == [17, 121]
    assert rows[5]["largest |x|"] == pytest.approx(np.abs(x[:, 5]).max())
    assert [row["channel"] for row in outlier_map(pyramid).data()[:2]] == order


def test_sorted_channels_are_named_in_one_text(pyramid):
    (name,) = outlier_map(pyramid, {"sort": "size"}).plot["layout"]["annotations"]
    assert {"17", "121"} == set(name["text"].strip("<b>/").split(", "))
    assert name["x"] == 0


def test_a_fixed_threshold_counts_all_channels_beyond_it(x, pyramid):
    beyond = int((np.abs(x).max(axis=0) > 6).sum())
    view = outlier_map(pyramid, threshold=6.0)
    assert view.caption.startswith(f"{beyond} of 200 channels")
    assert "exceed a magnitude of 6;" in view.caption
    (line,) = view.plot["layout"]["shapes"]
    assert line["y0"] == pytest.approx(np.log2(6))
    assert outlier_map(pyramid, threshold=1e6).caption.startswith("No channel exceeds")


@pytest.mark.parametrize("reading", ["tensor", "channel", "token"])
def test_each_reading_is_against_its_own_largest_value(x, pyramid, reading):
    view = outlier_map(pyramid, {"sort": "index"}, reading=reading)
    cells = cells_of(pyramid)
    own = {
        "tensor": 1.0,
        "channel": np.abs(x).max(axis=0),
        "token": np.array([[np.abs(x[a:b]).max()] for a, b in cells.rows]),
    }[reading]
    heat = trace(view, "largest |x|")
    levels = np.log2(cells.sizes / own)
    assert heat["z"] == pytest.approx(np.clip(levels, heat["zmin"], heat["zmax"]), abs=1e-5)
    unused = levels.max() - np.median(levels)
    assert f"leaves the median cell {unused:.1f} bits of its range unused" in view.caption


def test_a_scale_for_each_channel_leaves_less_unused_than_one_for_each_token(pyramid):
    unused = {
        reading: float(outlier_map(pyramid, reading=reading).caption.split(" bits of")[0][-3:])
        for reading in ("tensor", "channel", "token")
    }
    assert unused["channel"] < 2 < unused["token"] < unused["tensor"]


def test_the_largest_values_are_ringed_with_their_signs(x, pyramid):
    points = trace(outlier_map(pyramid, {"sort": "index"}), "largest values")
    assert len(points["x"]) == 16
    for rank, row, channel, value in points["customdata"]:
        assert value == x[row, channel]
        assert np.count_nonzero(np.abs(x) > abs(value)) == rank - 1
    assert set(points["x"]) <= {"17", "121"}


def test_hover_says_tokens_channels_and_magnitude(pyramid):
    heat = trace(outlier_map(pyramid, {"sort": "index"}, row="output"), "largest |x|")
    assert heat["hovertemplate"].startswith("output %{y}, channel %{x}<br>largest |x| = 2^")
    assert heat["y"][0] == "0–3"
    assert heat["x"][:2] == ["0", "1"]


def test_the_chosen_channel_is_framed_where_it_is_drawn(pyramid):
    for sort, place in (("index", 121), ("size", None)):
        view = outlier_map(pyramid, {"sort": sort, "channel": 121})
        frame = view.plot["layout"]["shapes"][-1]
        column = int(frame["x0"] + 0.5)
        assert trace(view, "largest |x|")["x"][column] == "121"
        assert column == place or sort == "size"
    hidden = outlier_map(pyramid, {"channel": 121}, window=(0, 300, 0, 100))
    assert len(hidden.plot["layout"]["shapes"]) == 1


def test_a_chosen_range_of_values_darkens_the_others(x, pyramid):
    view = outlier_map(pyramid, {"sort": "index", "selection": (10.0, 1000.0)})
    heat, sizes = trace(view, "largest |x|"), cells_of(pyramid).sizes
    assert ((heat["z"] == heat["zmin"]) == (sizes < 10)).all()
    assert "not between 10 and 1000 are dark" in view.caption


def test_special_values_are_crosses_and_never_the_scale(x):
    broken = x.copy()
    broken[7, 3], broken[200, 90] = np.nan, -np.inf
    view = outlier_map(Pyramid.of(broken), {"sort": "index"})
    crosses = trace(view, "NaN or infinity")
    assert list(zip(crosses["y"], crosses["x"], strict=True)) == [("4–7", "3"), ("200–203", "90")]
    assert "2 cells hold NaN or infinities" in view.caption
    assert np.isfinite(trace(view, "largest |x|")["z"]).all()
    assert view.data()[3]["bits unused under one scale"] is None
    json.loads(as_json(view.plot))


@pytest.mark.parametrize("shape", [(0, 8), (4, 0), (3, 5)])
def test_nothing_to_see_is_said(shape):
    view = outlier_map(Pyramid.of(np.zeros(shape, np.float32)))
    assert view.caption == "Every value is zero, or there is none."
    assert len(view.data()) == shape[1]
    assert go.Figure(view.plot)


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("shape", [(300, 200), (2048, 4096), (9, 700)])
def test_figures_are_valid_small_and_of_allowed_traces(shape, theme):
    x = np.random.default_rng(2).standard_normal(shape).astype(np.float32)
    view = outlier_map(Pyramid.of(x), {"theme": theme, "channel": 5})
    figure = go.Figure(view.plot)
    assert {t.type for t in figure.data} <= set(style.TRACES)
    assert view.payload() <= 500_000
    assert len(as_json(view.plot)) <= 500_000
    assert figure.layout.uirevision
    assert view.caption in view.describe()
    assert "<table" in view.table_html()
    assert view.csv().startswith("channel,largest |x|")


def test_provenance_says_what_a_cell_holds(pyramid):
    assert outlier_map(pyramid).provenance == "exact, the largest of 4 tokens in each cell"
    assert outlier_map(Pyramid.of(np.ones((3, 3), np.float32))).provenance == "exact"
    large = np.random.default_rng(3).standard_normal((1000, 1000)).astype(np.float32)
    both = outlier_map(Pyramid.of(large), row="output").provenance
    assert both == "exact, the largest of 12 outputs × 2 channels in each cell"


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ({"reading": "group"}, "write 'tensor', 'channel' or 'token'"),
        ({"threshold": 0.0}, "positive magnitude"),
        ({"threshold": np.nan}, "positive magnitude"),
        ({"window": (0, 301, 0, 200)}, "300 tokens and 200 channels"),
        ({"window": (5, 5, 0, 200)}, "300 tokens and 200 channels"),
        ({"spec": {"sort": "name"}}, "by size or by index"),
    ],
)
def test_what_cannot_be_drawn_is_refused(pyramid, arguments, why):
    with pytest.raises(WorkbenchError, match=why):
        outlier_map(pyramid, **arguments)
