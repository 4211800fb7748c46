"""Tensors that were quantized before are found, with groups and levels; floats never are."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from workbench import formats, models, schemes
from workbench.models.lattice import Lattice, detect
from workbench.models.lattice_looks import significant_bits

RNG = np.random.default_rng(0)
WEIGHTS = {
    "gaussian": (RNG.normal(size=(256, 768)) * 0.02).astype(np.float32),
    "heavy tails": (RNG.standard_t(3, size=(512, 576)) * 0.02).astype(np.float32),
    "small": RNG.normal(size=(64, 128)).astype(np.float32),
}
FOUND = {  # scheme: kind, group size, most levels, bits, evenly spaced
    "int4/g32": ("group", 32, 15, 4, True),
    "int4/g32+zp": ("group", 32, 16, 4, True),
    "int4/g32*f16": ("group", 32, 15, 4, True),
    "int3/g32": ("group", 32, 7, 3, True),
    "int2/g32": ("group", 32, 3, 2, True),
    "int5/g32": ("group", 32, 31, 5, True),
    "int8/g32": ("group", 32, 255, 8, True),
    "int8/channel": ("channel", None, 255, 8, True),
    "int4/channel": ("channel", None, 15, 4, True),
    "ternary/channel": ("channel", None, 3, 2, True),
    "int8/tensor": ("tensor", None, 255, 8, True),
    "nf4/b64": ("group", 64, 16, 4, False),
    "nf4/b32": ("group", 32, 16, 4, False),
    "mxfp4": ("group", 32, 15, 4, False),
    "nvfp4": ("group", 16, 15, 4, False),
    "e4m3fn/tensor": ("tensor", None, 254, 8, False),
}


def bf16(values):
    return formats.parse("bf16").round(values)


@pytest.mark.parametrize("weights", WEIGHTS)
@pytest.mark.parametrize("scheme", FOUND)
def test_a_scheme_leaves_its_lattice(scheme, weights):
    kind, size, levels, bits, even = FOUND[scheme]
    values = WEIGHTS[weights]
    found = detect(schemes.parse(scheme).round(values))
    assert (found.kind, found.even, found.bits) == (kind, even, bits)
    expected = {"channel": values.shape[1], "tensor": values.size}.get(kind, size)
    assert found.group_size == expected
    assert 0.8 * levels <= found.levels <= levels or scheme == "e4m3fn/tensor"


@pytest.mark.parametrize("scheme", [s for s, row in FOUND.items() if row[3] <= 4])
def test_storing_it_as_bfloat16_hides_nothing_of_four_bits(scheme):
    rounded = schemes.parse(scheme).round(WEIGHTS["gaussian"])
    exact, stored = detect(rounded), detect(bf16(rounded), "bf16")
    assert (stored.kind, stored.group_size, stored.bits) == (
        exact.kind,
        exact.group_size,
        exact.bits,
    )


@pytest.mark.parametrize("name", ["e4m3fn", "e5m2", "bf16", "f16"])
def test_a_cast_is_told_by_its_format(name):
    found = detect(formats.parse(name).round(WEIGHTS["small"]))
    assert (found.kind, found.format) == ("cast", name)
    assert str(found).startswith(f"Every value is a value of {name}: it has at most")


def test_a_cast_to_the_stored_type_is_no_news():
    for name, stored in (("bf16", "bf16"), ("f16", "f16"), ("e4m3fn", "f8_e4m3")):
        rounded = formats.parse(name).round(WEIGHTS["small"])
        assert detect(rounded, stored) is None
    assert detect(formats.parse("e4m3fn").round(WEIGHTS["small"]), "bf16").format == "e4m3fn"


FLOATS = {
    "float32": lambda w: w,
    "pruned": lambda w: w * (RNG.random(w.shape) < 0.3),
    "nearly all pruned": lambda w: w * (RNG.random(w.shape) < 0.03),
    "rectified": lambda w: np.maximum(w, 0),
    "gains": lambda w: 1 + w[0],
    "rows again": lambda w: np.repeat(w[:8], 16, axis=0),
    "one hot": lambda w: np.eye(128, dtype=np.float32),
    "constant": lambda w: np.full_like(w, 0.5),
    "few": lambda w: w[0, :40],
    "sines": lambda w: np.sin(np.outer(np.arange(200), np.arange(1, 65) / 7)).astype(np.float32),
}


@pytest.mark.parametrize("weights", WEIGHTS)
@pytest.mark.parametrize("kind", FLOATS)
def test_floats_lie_on_no_lattice(kind, weights):
    values = FLOATS[kind](WEIGHTS[weights])
    assert detect(values) is None
    assert detect(bf16(values), "bf16") is None


def test_shipped_weights_lie_on_no_lattice():
    checkpoint = models.tensors("reference")
    assert all(detect(checkpoint[name]) is None for name in list(checkpoint)[:12])


def test_what_has_no_answer_gives_none():
    values = WEIGHTS["small"].copy()
    values[0, 0] = np.nan
    assert detect(values) is None
    assert detect(np.arange(100)) is None
    assert detect(np.zeros((0, 4), np.float32)) is None
    assert detect(np.float32(3)) is None


def test_tensors_of_torch_and_kernels_of_convolutions():
    rounded = schemes.parse("int8/channel").round(RNG.normal(size=(64, 144)).astype(np.float32))
    found = detect(torch.from_numpy(rounded.reshape(64, 16, 3, 3)))
    assert (found.kind, found.group_size) == ("channel", 144)
    assert detect(torch.from_numpy(rounded).to(torch.float64)) == found


@pytest.mark.parametrize(("values", "bits"), [([1.0], 1), ([3.0, 0.375], 2), ([1 + 2**-23], 24)])
def test_significant_bits_are_counted(values, bits):
    assert significant_bits(np.float32([*values, 0.0, np.nan, np.inf])) == bits


def test_the_sentence_says_what_to_make_of_it():
    says = str(Lattice("group", 32, 16, 4, True))
    assert says == (
        "Every group of 32 values along a row takes at most 16 distinct values, evenly spaced: "
        "the weights were quantized to 4 bits before, and errors are measured against that."
    )
    assert Lattice("channel", 768, 255, 8, True).short == "channel, 255 levels"
    assert Lattice("cast", 0, 0, 7, False).short == "7 significant bits"
