"""Colours can be told apart and read; the value axis is its own inverse and its ticks are true."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.errors import WorkbenchError
from workbench.views import style
from workbench.views.axis import ValueAxis, axis_for, number


@pytest.mark.parametrize("name", ["light", "dark"])
def test_text_has_contrast_of_at_least_4_5(name):
    look = style.theme(name)
    assert style.contrast(look.text, look.paper) >= 4.5
    assert style.contrast(look.quiet, look.paper) >= 4.5


@pytest.mark.parametrize("name", ["light", "dark"])
def test_lines_of_families_have_contrast_of_at_least_3(name):
    look = style.theme(name)
    for identity in style.identities(list(style.FAMILIES), name):
        assert style.contrast(identity.colour, look.paper) >= 3, identity


def test_families_differ_in_colour_marker_and_dash():
    looks = style.identities(["int", "float", "mx", "nvfp", "codebook"])
    for part in ("colour", "marker", "dash"):
        assert len({getattr(look, part) for look in looks}) == 5


def test_members_of_one_family_differ():
    looks = style.identities(["float", "float", "float", "float"])
    assert len({look.colour for look in looks}) == len({look.dash for look in looks}) == 4


def test_a_trace_that_a_host_draws_wrong_is_refused():
    with pytest.raises(WorkbenchError, match="quiver"):
        style.trace("quiver", x=[1])


def test_no_cloud_button():
    assert style.CONFIG["showSendToCloud"] is False
    assert style.CONFIG["displaylogo"] is False


@given(st.floats(-1e30, 1e30), st.integers(-40, 40), st.sampled_from(["symlog2", "linear"]))
def test_axis_is_its_own_inverse(value, linear, kind):
    axis = ValueAxis(-1.0, 1.0, linear, kind)
    back = float(axis.value(axis.position(value)))
    assert back == pytest.approx(value, rel=1e-12, abs=1e-300)


@given(st.lists(st.floats(-1e20, 1e20), min_size=2, max_size=20), st.integers(-40, 20))
def test_axis_keeps_the_order_of_values(values, linear):
    axis = ValueAxis(-1.0, 1.0, linear)
    places = axis.position(np.sort(values))
    assert (np.diff(places) >= 0).all()


@pytest.mark.parametrize("largest", [1e-20, 0.3, 1.0, 448.0, 3.4e38])
@pytest.mark.parametrize("kind", ["symlog2", "linear"])
def test_ticks_say_the_value_they_stand_at(largest, kind):
    axis = axis_for(largest, largest / 50, kind)
    places, texts = axis.ticks()
    assert 3 <= len(places) <= 20
    for place, text in zip(places, texts, strict=True):
        assert _read(text) == pytest.approx(float(axis.value(place)), rel=1e-5)


def _read(text: str) -> float:
    """The number that a tick's text means."""
    sign, text = (-1, text[1:]) if text.startswith("−") else (1, text)
    if text[0] == "2" and len(text) > 1 and text[1] in "⁻⁰¹²³⁴⁵⁶⁷⁸⁹":
        plain = text[1:].translate(str.maketrans("⁻⁰¹²³⁴⁵⁶⁷⁸⁹", "-0123456789"))
        return sign * 2.0 ** int(plain)
    return sign * float(text.replace("−", "-"))


@pytest.mark.parametrize("ends", [(1.0, 1.0), (2.0, 1.0), (0.0, np.inf), (np.nan, 1.0)])
def test_an_axis_without_extent_is_refused(ends):
    with pytest.raises(WorkbenchError):
        ValueAxis(*ends)


@pytest.mark.parametrize("data", [(0.0, 0.0), (np.inf, 1.0), (np.nan, np.nan), (1e-300, 0.0)])
def test_axis_for_data_without_extent_still_has_one(data):
    axis = axis_for(*data)
    assert axis.low < axis.high


def test_numbers_read_as_people_write_them():
    assert [number(v) for v in (0.0, -0.5, np.nan, -np.inf)] == ["0", "−0.5", "NaN", "−∞"]
