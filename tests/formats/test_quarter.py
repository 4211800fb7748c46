"""The complex format of quarter turns against angles, and its product against the dense one."""

from __future__ import annotations

import math

import numpy as np
import pytest

import workbench as wb
from workbench.errors import WorkbenchError
from workbench.formats.quarter import QuarterFormat, product


def _normal(shape, seed=0):
    rng = np.random.default_rng(seed)
    return rng.standard_normal(shape) + 1j * rng.standard_normal(shape)


def test_codes_are_sectors_of_the_phase():
    z = _normal(100_000)
    phase = np.angle(z)
    q = math.pi / 4
    want = np.select(
        [(-q <= phase) & (phase < q), (q <= phase) & (phase < 3 * q),
         (-3 * q <= phase) & (phase < -q)], [0, 1, 3], 2,
    )  # fmt: skip
    assert np.array_equal(QuarterFormat().encode(z), want)


def test_boundaries_and_zero_are_decided():
    z = np.array([1 + 1j, -1 + 1j, -1 - 1j, 1 - 1j, 0, complex(-0.0, -0.0)])
    assert QuarterFormat().encode(z).tolist() == [1, 2, 3, 0, 0, 0]


def test_isotropic_weights_use_all_codes_at_the_known_scale_and_error():
    z = _normal(400_000)
    q = QuarterFormat().quantize(z)
    assert np.bincount(q.codes) / z.size == pytest.approx([0.25] * 4, abs=0.02)
    assert [q.real, q.imaginary] == pytest.approx([2 / math.sqrt(math.pi)] * 2, rel=0.01)
    relative = (np.abs(q.values - z) ** 2).mean() / (np.abs(z) ** 2).mean()
    assert relative == pytest.approx(1 - 2 / math.pi, rel=0.01)
    x = z.real  # a bit for each real number comes to the same error
    binary = ((wb.scheme("binary/tensor@absmean").round(x) - x) ** 2).mean() / (x**2).mean()
    assert relative == pytest.approx(binary, rel=0.01)


def test_turning_the_weights_turns_the_codes():
    z = _normal(10_000, 3)
    codes = QuarterFormat().encode(z)
    assert np.array_equal(QuarterFormat().encode(1j * z), (codes + 1) % 4)


def test_the_product_needs_no_multiplication_by_weights():
    x, w = _normal((9, 64), 1), QuarterFormat().quantize(_normal((7, 64), 2))
    assert product(x, w) == pytest.approx(x.conj() @ w.values.T, abs=1e-4)


def test_decode_gives_the_units_back():
    f = QuarterFormat()
    assert np.array_equal(f.decode(f.encode(f.decode(np.arange(4)))), f.decode(np.arange(4)))


def test_empty_and_tiny_weights_keep_a_positive_scale():
    q = QuarterFormat().quantize(np.zeros(3, complex))
    assert q.real == q.imaginary == 1e-5


def test_real_arrays_and_real_paths_are_refused():
    with pytest.raises(WorkbenchError, match="complex numbers"):
        QuarterFormat().round(np.ones(3))
    with pytest.raises(WorkbenchError, match="complex"):
        wb.scheme("quarter/tensor")
    with pytest.raises(WorkbenchError, match="quarter turns are 0 to 3"):
        QuarterFormat().decode([4])
