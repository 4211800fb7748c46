"""The cells that a page gets answer for any format under any of its ways to share scales."""

from __future__ import annotations

import base64

import numpy as np
import pytest

import workbench as wb
from workbench.errors import WorkbenchError
from workbench.explorers import sources
from workbench.explorers.designer_cells import shared_of, tensor_of
from workbench.explorers.designer_supplies import supplies
from workbench.explorers.designer_words import SHARED
from workbench.explorers.format_designer import FormatDesigner
from workbench.sketches.cells import Cells
from workbench.sketches.ladder import ladder_of

FORMATS = ("e2m1", "e4m3fn", "int4", "uint3", "nf4", "codebook(-0.9,-0.2,0.1,0.3,1)")


@pytest.fixture(scope="module")
def source(tensor) -> sources.Source:
    return sources.find(sources.keep(tensor, "cells"))


def numbers(packed: dict[str, str]) -> np.ndarray:
    return np.frombuffer(base64.b64decode(packed["bdata"]), f"<{packed['dtype']}").astype(float)


def unpacked(packed: dict) -> Cells:
    parts = {name: numbers(array) for name, array in packed.items()}
    moments = np.ascontiguousarray(parts["moments"].reshape(-1, 3))
    side = parts["side"].astype(np.int64)
    return Cells(parts["low"], parts["width"], side, moments, parts["count"])


def scale(found: dict, reach: float) -> float:
    """The scale of a format with that reach, by the rule that goes with the cells."""
    return {
        "tensor": lambda: found["reach"] / reach,
        "unit": lambda: found["reach"],
        "block": lambda: 1 / (reach * found.get("lift", 1.0)),
        "units": lambda: 1 / found["lift"],
        "power": lambda: 2.0 ** (1 - int(np.frexp(reach)[1])),
    }[found["rule"]]()


@pytest.mark.parametrize("shared", [*SHARED, "g32@percentile(99)", "channel@absmean", "t16x16"])
@pytest.mark.parametrize("text", FORMATS)
def test_the_cells_give_the_exact_error_of_any_format(source, shared, text):
    found = shared_of(source, shared)
    scheme = wb.scheme(f"{text}/{shared}")
    cells = unpacked(found.get("cells") or tensor_of(source)["cells"])
    errors = cells.errors(ladder_of(scheme.element), scale(found, scheme.largest))
    exact = wb.metrics.error(source.array, scheme)
    sqnr = 10 * np.log10(source.sketch.values.energy / errors[:, :3].sum())
    assert sqnr == pytest.approx(exact.sqnr, abs=0.005)
    assert cells.count.sum() == pytest.approx(source.count)
    assert scheme.bits_per_value(source.shape) == scheme.format.bits + found["extra"]


REFUSED = ("g32*f16", "g16*e4m3fn", "tensor@mse", "g32@mse", "g32*e8m0(even)", "g32*pow2",
           "channel+mean@std", "t16x16@std", "g16*e4m3fn*f32@std", "g32+zp", "rows")  # fmt: skip


@pytest.mark.parametrize("shared", REFUSED)
def test_scales_that_depend_on_the_format_are_refused(source, shared):
    with pytest.raises(WorkbenchError):
        shared_of(source, shared)


def test_a_rounded_scale_at_a_tie_widens_the_bound():
    ties = np.full((4, 16), 1.0625, np.float32)  # half-way between two scales of e4m3fn
    ties[0] = 448
    loose = shared_of(sources.find(sources.keep(ties, "ties")), "g16*e4m3fn*f32")["loose"]
    assert 0 <= loose < np.linalg.norm(ties)


def test_blocks_that_a_nan_takes_along_are_counted():
    x = np.ones((2, 64), np.float32)
    x[0, 3] = np.nan
    hurt = sources.find(sources.keep(x, "hurt"))
    assert shared_of(hurt, "g32*e8m0")["lost"] == 31
    assert shared_of(hurt, "g32")["lost"] == 0


def test_what_the_state_needs_is_held_in_one_spelling(source):
    designer = FormatDesigner(source=source.text, granularity="b16", schemes=["mxfp4", "posit8"])
    found = supplies(designer, ["tensor", "/tensor"], [1])
    assert list(found["shared"]) == ["tensor", "g16", "g32*e8m0"]
    assert found["tables"]["posit8"]["alone"]
    assert not found["tables"]["nf4"]["alone"]


def test_codebooks_are_those_of_the_designer(source):
    designer = FormatDesigner(source=source.text, kind="integer", width=3, granularity="g16")
    made = supplies(designer, ["g16"], [3])["made"]["g16"]
    found = designer.suggestions()
    assert {name: made[name]["3"]["values"] for name in made} == {
        name: state["values"] for name, state in found.items()
    }


@pytest.mark.parametrize("bits", [0, 7])
def test_bits_of_no_codebook_are_refused(source, bits):
    with pytest.raises(WorkbenchError, match="1 to 6 bits"):
        supplies(FormatDesigner(source=source.text), ["tensor"], [bits])


def test_a_tensor_of_nothing_but_nan_is_refused():
    designer = FormatDesigner(source=sources.keep(np.full(64, np.nan, np.float32), "nothing"))
    with pytest.raises(WorkbenchError, match="no finite value"):
        supplies(designer, ["tensor"], [2])
