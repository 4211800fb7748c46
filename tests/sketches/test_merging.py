"""Sketches add: counts exactly, sums to rounding; the same order gives the same bytes."""

from __future__ import annotations

import hypothesis.extra.numpy as arrays
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import workbench as wb
from workbench.errors import WorkbenchError
from workbench.kernels.threads import set_threads
from workbench.sketches import ChannelHistogram, Pyramid, Sketch
from workbench.sketches.prefix import PrefixSketch

ANY = st.floats(width=32, allow_nan=True, allow_infinity=True)
VALUES = arrays.arrays(np.float32, st.integers(0, 50), elements=ANY)
SCHEMES = ("nvfp4", "int4/g32", "int4/g128+zp")


def _same_values(one: PrefixSketch, other: PrefixSketch) -> None:
    for name in ("prefixes", "counts", "sums", "squares"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))
    names = ("low", "high", "n_zero", "n_nan", "n_pos_inf", "n_neg_inf", "n")
    assert [getattr(one, n) for n in names] == [getattr(other, n) for n in names]


@given(VALUES, VALUES, VALUES)
def test_prefix_sketches_add_exactly_and_in_any_order(a, b, c):
    both = PrefixSketch.of(np.concatenate([a, b, c]))
    a, b, c = (PrefixSketch.of(x) for x in (a, b, c))
    _same_values(a + b + c, both)
    _same_values(c + (b + a), both)


@given(VALUES)
def test_the_exact_counts_and_extremes(x):
    sketch, finite = PrefixSketch.of(x), x[np.isfinite(x)]
    assert sketch.n == finite.size
    assert sketch.n_zero == np.count_nonzero(x == 0)
    assert sketch.n_nan == np.count_nonzero(np.isnan(x))
    assert (sketch.n_pos_inf, sketch.n_neg_inf) == ((x == np.inf).sum(), (x == -np.inf).sum())
    if finite.size:
        assert (sketch.low, sketch.high) == (finite.min(), finite.max())
        exact = (finite.astype(np.float64) ** 2).sum()
        assert sketch.energy == pytest.approx(exact, rel=1e-12)


def test_block_sketches_add_to_the_sketch_of_both():
    x = np.random.default_rng(0).standard_t(3, (40, 256)).astype(np.float32)
    both, parts = wb.sketch(x, SCHEMES), wb.sketch(x[:13], SCHEMES) + wb.sketch(x[13:], SCHEMES)
    assert parts.shape == both.shape
    _same_values(parts.values, both.values)
    for key, part in parts.blocks.items():
        np.testing.assert_array_equal(part.index, both.blocks[key].index)
        np.testing.assert_array_equal(part.count, both.blocks[key].count)
        np.testing.assert_array_equal(part.sizes, both.blocks[key].sizes)
        np.testing.assert_allclose(part.moments, both.blocks[key].moments, rtol=1e-12)
    for scheme in ("e4m3fn", "int8", "mxfp4", *SCHEMES):
        assert parts.error(scheme).mse == pytest.approx(both.error(scheme).mse, rel=1e-9)


def test_sketches_of_different_blocks_do_not_add():
    x = np.ones(64, np.float32)
    with pytest.raises(WorkbenchError, match="same schemes="):
        wb.sketch(x) + wb.sketch(x, "int4/g32")


def test_the_same_order_of_merging_gives_the_same_bytes(tmp_path):
    x = np.random.default_rng(1).standard_normal((64, 512)).astype(np.float32)
    written = []
    for run in range(2):
        total = wb.sketch(x[:16], SCHEMES, channels=1)
        for start in range(16, 64, 16):
            total = total + wb.sketch(x[start : start + 16], SCHEMES, channels=1)
        total.save(tmp_path / f"{run}")
        written.append((tmp_path / f"{run}").read_bytes())
    assert written[0] == written[1]


def test_any_number_of_threads_gives_the_same_bytes(tmp_path):
    x = np.random.default_rng(2).standard_normal((2100, 1030)).astype(np.float32)
    for count in (1, 2, 3):
        set_threads(count)
        wb.sketch(x, ("int4/g32",), channels=-1).save(tmp_path / f"{count}")
    set_threads(None)
    first, *others = ((tmp_path / f"{count}").read_bytes() for count in (1, 2, 3))
    assert all(first == other for other in others)


def test_channel_histograms_add():
    x = np.random.default_rng(3).standard_normal((50, 7)).astype(np.float32)
    both, parts = ChannelHistogram.of(x), ChannelHistogram.of(x[:9]) + ChannelHistogram.of(x[9:])
    for name in ("keys", "counts", "low", "high"):
        np.testing.assert_array_equal(getattr(parts, name), getattr(both, name))
    with pytest.raises(WorkbenchError, match="same layer"):
        ChannelHistogram.of(x) + ChannelHistogram.of(x[:, :3])


@pytest.mark.parametrize("split", [1, 300, 700])
def test_pyramids_keep_every_large_value_when_they_add(split):
    x = np.random.default_rng(4).standard_t(2, (900, 600)).astype(np.float32)
    both, parts = Pyramid.of(x), Pyramid.of(x[:split]) + Pyramid.of(x[split:])
    for name in ("row_max", "column_max", "top", "top_values"):
        np.testing.assert_array_equal(getattr(parts, name), getattr(both, name))
    assert parts.pooled.shape[0] <= 512
    ends = [*parts.row_starts[1:], 900]
    for cells, start, stop in zip(parts.pooled, parts.row_starts, ends, strict=True):
        columns = np.abs(x[start:stop]).max(axis=0)
        expected = np.maximum.reduceat(columns, np.arange(0, 600, parts.width))
        np.testing.assert_array_equal(cells, expected)


def test_a_sketch_survives_its_file(tmp_path):
    x = np.random.default_rng(5).standard_normal((33, 70))
    sketch = wb.sketch(x, SCHEMES, channels=0, source="a test")
    sketch.save(tmp_path / "x.sketch")
    back = Sketch.load(tmp_path / "x.sketch")
    _same_values(back.values, sketch.values)
    assert (back.shape, back.axis, back.source) == ((33, 70), -1, "a test")
    assert back.values.rounded
    for scheme in ("e4m3fn", "int8/tensor+zp", "mxfp4", *SCHEMES):
        assert back.error(scheme) == sketch.error(scheme)
    shares = [0.1, 0.999]
    np.testing.assert_array_equal(
        back.channels.quantiles(shares), sketch.channels.quantiles(shares)
    )
    assert sorted(p.name for p in tmp_path.iterdir()) == ["x.sketch"]


def test_foreign_and_corrupt_files_are_refused(tmp_path):
    path = tmp_path / "x.sketch"
    with pytest.raises(WorkbenchError, match="no such file"):
        Sketch.load(path)
    wb.sketch(np.ones(100)).save(path)
    whole = path.read_bytes()
    for data in (b"", b"not a file", whole[: len(whole) // 2], whole[:20]):
        path.write_bytes(data)
        with pytest.raises(WorkbenchError, match="not a sketch"):
            Sketch.load(path)
    Pyramid.of(np.ones((2, 2))).save(path)
    with pytest.raises(WorkbenchError, match="not a sketch"):
        Sketch.load(path)
    assert Pyramid.load(path).top_values.tolist() == [1, 1, 1, 1]
    path.write_bytes(whole.replace(b'\\"version\\": 2', b'\\"version\\": 9'))
    with pytest.raises(WorkbenchError, match="version is 9"):
        Sketch.load(path)
    ChannelHistogram.of(np.ones((2, 3))).save(path)
    assert ChannelHistogram.load(path).channels == 3
    with pytest.raises(WorkbenchError, match="not a pyramid"):
        Pyramid.load(path)


def test_a_sketch_is_small(tmp_path):
    x = np.random.default_rng(6).standard_normal(1 << 20).astype(np.float32)
    sketch = wb.sketch(x)
    Sketch(sketch.values, shape=sketch.shape).save(tmp_path / "values")
    assert (tmp_path / "values").stat().st_size < 150_000
    sketch.save(tmp_path / "both")
    assert (tmp_path / "both").stat().st_size < 500_000
