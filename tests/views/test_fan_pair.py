"""Two fans side by side stand on one axis and keep what each of them says."""

from __future__ import annotations

import json

import numpy as np
import plotly.graph_objects as go
import pytest

import workbench as wb
from workbench.metrics import equalizing_scales, moments
from workbench.sketches import ChannelHistogram
from workbench.views import Fan, fan_pair, grid_of, style
from workbench.views.browser import as_json
from workbench.views.channel_fan import COVERAGES


def fan(x) -> Fan:
    histogram, cover = ChannelHistogram.of(x.astype(np.float32)), np.array(COVERAGES)
    ends = histogram.quantiles((1 - cover) / 2), histogram.quantiles((1 + cover) / 2)
    return Fan(*ends, provenance="sketch")


def grids(x) -> list:
    scale = float(np.abs(x).max())
    return [
        grid_of(wb.format(name), scale / wb.format(name).max, name) for name in ("int8", "e2m1")
    ]


@pytest.fixture(scope="module")
def pair():
    x = np.random.default_rng(0).standard_normal((2000, 64)) * 0.1
    x[:, 9] *= 64
    y = x * equalizing_scales(moments(x)[1])
    return fan(x), fan(y), (grids(x), grids(y))


def test_both_fans_stand_on_one_value_axis(pair):
    layout = fan_pair(*pair).plot["layout"]
    assert layout["yaxis2"]["range"] == layout["yaxis4"]["range"]
    assert layout["yaxis2"]["tickvals"] == layout["yaxis4"]["tickvals"]
    assert layout["yaxis4"]["matches"] == "y2"


def test_every_ribbon_is_drawn_twice_and_named_once(pair):
    traces = fan_pair(*pair).plot["data"]
    left = [t for t in traces if t.get("xaxis", "x") == "x"]
    right = [t for t in traces if t.get("xaxis") == "x2"]
    assert [t["name"] for t in left] == [t["name"] for t in right]
    assert not any(t["showlegend"] for t in right)
    assert {t["yaxis"] for t in right} == {"y3", "y4"}


def test_the_caption_compares_largest_channels_and_bits(pair):
    before, after, (old, new) = pair
    ratios = [f.largest.max() / np.median(f.largest) for f in (before, after)]
    used = [np.median(f.used_bits(g[0])) for f, g in ((before, old), (after, new))]
    caption = fan_pair(*pair).caption
    assert caption.startswith(
        f"The largest channel is {ratios[0]:.3g} times the median one before and {ratios[1]:.3g} "
        f"times after; the median channel uses {used[0]:.1f} and then {used[1]:.1f} of 8 bits of "
    )
    assert ratios[1] < 2 < ratios[0]
    assert used[0] + 4 < used[1]


def test_the_table_says_of_which_tensor_a_row_is(pair):
    rows = fan_pair(*pair, names=("plain", "scaled")).data()
    assert [row["tensor"] for row in rows].count("plain") == len(rows) / 2 == 64
    assert all(row.keys() == rows[0].keys() for row in rows)
    assert rows[0]["channel"] == 9


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_figures_are_valid_and_small_with_every_mark(pair, theme):
    spec = {"theme": theme, "selection": (-0.1, 0.1), "probe": 0.2, "channel": 9, "sort": "index"}
    view = fan_pair(*pair, spec)
    assert {t.type for t in go.Figure(view.plot).data} <= set(style.TRACES)
    assert view.payload() <= 500_000
    json.loads(as_json(view.plot))
    shapes = view.plot["layout"]["shapes"]
    assert len(shapes) == 6
    assert {s["xref"] for s in shapes} == {"x domain", "x2 domain", "x", "x2"}
    assert {s["yref"] for s in shapes} == {"y2", "y4", "paper"}
    assert view.caption in view.describe()


def test_a_tensor_of_zeros_is_said():
    nothing = Fan(np.zeros((5, 3)), np.zeros((5, 3)))
    assert fan_pair(nothing, nothing).caption == "One of the two tensors is zero or empty."
