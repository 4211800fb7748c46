"""The shipped sketches are of the shipped model, small, and as exact as they say."""

from __future__ import annotations

import subprocess
import sys

import pytest

import workbench as wb
from workbench import metrics, models
from workbench.errors import WorkbenchError
from workbench.models.capture import capture_inputs, linear_names
from workbench.models.shipped_sketches import ShippedSketches

SCHEMES = ["e4m3fn", "int8", "int4", "mxfp4", "e2m1"]


@pytest.fixture(scope="module")
def sketches():
    return models.reference_sketches()


def test_every_weight_and_every_linear_input_is_there(sketches):
    inputs = {f"{name}.input" for name in linear_names(models.load("reference"))}
    assert set(sketches) == set(models.tensors("reference")) | inputs
    for name, tensor in models.tensors("reference").items():
        assert sketches.info(name).shape == tensor.shape


def test_they_are_small_and_shared(sketches):
    assert models.SKETCHES.stat().st_size <= 10_000_000
    q, k = (sketches.info(f"layers.0.self_attn.{name}_proj.input") for name in "qk")
    assert q.file == k.file
    assert sketches[q.name] is sketches[k.name]


@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_weight_sketch_reads_the_exact_error_within_its_bound(sketches, scheme):
    name = "layers.2.mlp.down_proj.weight"
    exact = metrics.error(models.tensors("reference")[name], wb.scheme(scheme))
    read = sketches[name].error(wb.scheme(scheme))
    assert abs(read.sqnr - exact.sqnr) <= read.bound + 1e-6


@pytest.mark.parametrize("scheme", SCHEMES)
def test_an_activation_sketch_is_of_the_model_that_ships(sketches, scheme):
    name = "layers.0.mlp.down_proj"
    model = models.load("reference")
    values = capture_inputs(model, models.held_out_text(), [name], tokens=4096)[name]
    exact = metrics.error(values, wb.scheme(scheme))
    read = sketches[f"{name}.input"].error(wb.scheme(scheme))
    assert abs(read.sqnr - exact.sqnr) <= read.bound + 0.05


def test_the_first_picture_needs_no_pass_over_values(sketches):
    """Channels and the blocks of the schemes that the explorer opens with are in the sketch."""
    for name, axis in (("layers.0.mlp.down_proj.input", -1), ("lm_head.weight", 0)):
        one = sketches[name]
        assert (one.channels.axis - axis) % 2 == 0
        assert one.shape == sketches.info(name).shape
    assert sketches["layers.0.mlp.down_proj.input"].error(wb.scheme("nvfp4")).bound >= 0


def test_torch_is_not_needed():
    code = (
        "import sys; from workbench import models;"
        "s = models.reference_sketches(); s[next(iter(s))]; assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_what_is_not_there_is_refused(sketches, tmp_path):
    with pytest.raises(WorkbenchError, match=r"write 'layers\.0\.mlp\.down_proj\.input'"):
        sketches["layers.0.mlp.down_proj.inputs"]
    with pytest.raises(WorkbenchError, match=r"workbench\.models\.sketch_reference"):
        ShippedSketches(tmp_path / "sketches.zip")
    broken = tmp_path / "broken.zip"
    broken.write_bytes(models.SKETCHES.read_bytes()[:1000])
    with pytest.raises(WorkbenchError, match="the archive is broken"):
        ShippedSketches(broken)
