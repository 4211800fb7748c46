"""Matrices stored by vectors: nearest codes, exact round trips, counted bytes, files, refusals."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import load_file, save_file

from workbench.errors import WorkbenchError
from workbench.schemes import parse
from workbench.schemes.vectors import VectorTensor, fit_vectors, nearest_codes

RANDOM = np.random.default_rng(0)
TABLE = RANDOM.standard_normal((16, 4)).astype(np.float32)
MATRIX = RANDOM.standard_normal((6, 20)).astype(np.float32)


def made(scheme="f16", scales=None, table=TABLE, shape=MATRIX.shape):
    return fit_vectors(parse(scheme), shape, table, scales)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("count", [1, 63, 64, 5000])
def test_codes_are_those_of_least_distance(count, weighted):
    random = np.random.default_rng(count)
    x, table = random.standard_normal((count, 3)), random.standard_normal((32, 3))
    weights = random.uniform(0.1, 2, x.shape) if weighted else None
    each = np.ones_like(x) if weights is None else weights
    apart = (each[:, None] * (x[:, None] - table) ** 2).sum(-1)
    assert np.array_equal(nearest_codes(x, table, weights), apart.argmin(1))


def test_of_equal_codes_the_first_is_taken():
    table = np.repeat(TABLE[:2], 2, axis=0).astype(np.float64)
    assert nearest_codes(table, table).tolist() == [0, 0, 2, 2]


@pytest.mark.parametrize("scales", [None, np.float32([0.1, 1, 3, 7, 20, 400])])
def test_rounding_takes_the_nearest_vector_of_each_row(scales):
    fitted = made(scales=scales)
    x = MATRIX if scales is None else MATRIX * scales[:, None]
    each = np.ones(len(x)) if scales is None else scales
    table = TABLE.astype(np.float16).astype(np.float64)
    found = np.empty(x.shape)
    for row, scale in enumerate(each.astype(np.float64)):
        for start in range(0, x.shape[1], 4):
            vector = x[row, start : start + 4]
            apart = ((scale * table - vector) ** 2).sum(1)
            found[row, start : start + 4] = scale * table[apart.argmin()]
    np.testing.assert_allclose(fitted.round(x), found, rtol=1e-6)


@settings(max_examples=60, deadline=None)
@given(
    st.integers(1, 10), st.integers(1, 8), st.integers(1, 7), st.booleans(),
    st.sampled_from(["f16", "bf16", "e4m3fn", "int8/tensor", "e4m3fn/channel", "int4/g4+zp"]),
    st.integers(0, 2**32 - 1),
)  # fmt: skip
def test_what_lies_on_the_codebook_comes_back_bit_for_bit(bits, size, rows, scaled, scheme, seed):
    random = np.random.default_rng(seed)
    table = random.standard_normal((1 << bits, size if scheme[-3:] != "+zp" else 4))
    shape = (rows, 3 * table.shape[1])
    scales = np.exp(random.standard_normal(rows)) if scaled else None
    fitted = fit_vectors(parse(scheme), shape, table, scales)
    values = fitted.values(random.integers(0, 1 << bits, (rows, 3)))
    stored = fitted.quantize(values)
    assert np.array_equal(stored.dequantize(), values)
    assert np.array_equal(fitted.round(values), values)
    assert stored.packed.size == (3 * rows * bits + 7) // 8
    assert stored.nbytes == stored.packed.size + stored.codebook.nbytes + 4 * rows * scaled


def test_two_bits_a_weight_and_the_codebook():
    table = RANDOM.standard_normal((256, 4))
    stored = made(table=table, shape=(1536, 384)).quantize(np.zeros((1536, 384), np.float32))
    assert stored.nbytes == 1536 * 384 // 4 + 256 * 4 * 2
    assert stored.bits_per_value == pytest.approx(2 + 8 * 2048 / (1536 * 384))
    assert (stored.bits, str(stored.scheme), stored.codes.shape) == (8, "f16", (1536, 96))


@pytest.mark.parametrize("scheme", ["f16", "int8/tensor", "int4/g4+zp"])
@pytest.mark.parametrize("scales", [None, np.linspace(0.5, 2, 6)])
def test_a_file_gives_the_same_tensor_back(scheme, scales, tmp_path):
    stored = made(scheme, scales).quantize(MATRIX)
    stored.save(tmp_path / "w.safetensors")
    back = VectorTensor.load(tmp_path / "w.safetensors")
    assert np.array_equal(back.dequantize(), stored.dequantize())
    assert np.array_equal(back.codes, stored.codes)
    assert (back.nbytes, back.shape, str(back.scheme)) == (stored.nbytes, (6, 20), scheme)


@pytest.mark.parametrize("harm", ["packed", "shape", "codebook", "rows", "name"])
def test_a_broken_file_is_refused(harm, tmp_path):
    path = tmp_path / "w.safetensors"
    made(scales=np.ones(6)).quantize(MATRIX).save(path)
    parts, about = load_file(path), {"scheme": "f16", "shape": [6, 20], "of": [16, 4]}
    about |= {"whole": (1.0).hex()}
    if harm == "shape":
        about["shape"] = [6, 22]
    elif harm in parts:
        parts[harm] = parts[harm][:-1]
    name = "else" if harm == "name" else "workbench vectors"
    save_file(parts, path, {name: json.dumps(about)})
    with pytest.raises(WorkbenchError, match="no vectors of the workbench"):
        VectorTensor.load(path)


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(WorkbenchError, match="no vectors"):
        VectorTensor.load(tmp_path / "none.safetensors")


def test_what_does_not_fit_is_refused():
    with pytest.raises(WorkbenchError, match="whole vectors → write size=2"):
        made(shape=(6, 18))
    with pytest.raises(WorkbenchError, match="15 vectors"):
        made(table=TABLE[:15])
    with pytest.raises(WorkbenchError, match="1 vectors"):
        made(table=TABLE[:1])
    for scales in (np.ones(5), np.float32([1, 1, 1, 0, 1, 1]), np.full(6, np.nan)):
        with pytest.raises(WorkbenchError, match="each row has one"):
            made(scales=scales)
    with pytest.raises(WorkbenchError, match="not rounded by itself"):
        made().region(slice(None), slice(None))
    for call in (made().round, made().quantize):
        with pytest.raises(WorkbenchError, match="only have a nearest one"):
            call(MATRIX, "toward_zero")
