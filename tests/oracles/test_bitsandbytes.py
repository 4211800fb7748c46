"""Codebooks are those of bitsandbytes; block-wise NF4 and FP4 give its values."""

import warnings

import numpy as np
import pytest

import workbench as wb

torch = pytest.importorskip("torch", reason="NOT CROSS-CHECKED: torch is missing")


@pytest.fixture
def functional(library):
    module = library("bitsandbytes.functional")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield module


@pytest.mark.parametrize(("name", "theirs"), [("nf4", "nf4"), ("bnb_fp4", "fp4")])
def test_four_bit_tables_and_blocks(functional, name, theirs):
    x = np.random.default_rng(0).normal(size=(64, 256)).astype(np.float32)
    packed, state = functional.quantize_4bit(torch.from_numpy(x), blocksize=64, quant_type=theirs)
    assert np.array_equal(np.float32(wb.format(name).table), state.code.numpy())
    values = functional.dequantize_4bit(packed, state).numpy()
    ours = wb.scheme(f"{name}/b64").round(x)
    assert (ours != values).mean() < 1e-3  # there x is multiplied by 1/amax, here divided by amax
    step = np.abs(x).reshape(-1, 64).max(1)[:, None] * np.float32(0.34)
    assert (np.abs(ours - values).reshape(-1, 64) <= step).all()


@pytest.mark.parametrize(("name", "signed"), [("dynamic8", True), ("udynamic8", False)])
def test_dynamic_trees(functional, name, signed):
    theirs = functional.create_dynamic_map(signed).numpy()
    assert np.array_equal(np.float32(wb.format(name).values), theirs)
