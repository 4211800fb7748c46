"""The fast paths give the bits of the exact paths: lanes and tails, threads, one kernel for all."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import workbench as wb
from workbench.kernels import threads
from workbench.kernels.casts import keys_of

FORMATS = ["e4m3fn", "e4m3fn(nan)", "e5m2", "e4m3fnuz", "bf16", "f16", "e2m1", "int8", "q3.4",
           "nf4", "bnb_fp4", "dynamic8", "e8m0", "ue4m3fn", "e3m0"]  # fmt: skip


def bits_of(y):
    bits = np.ascontiguousarray(y, np.float32).view(np.int32)
    return np.where((bits & 0x7FFFFFFF) > 0x7F800000, 0x7FC00000, bits)


@pytest.mark.parametrize("name", FORMATS)
def test_every_length_and_every_offset(name):
    """Eight lanes at a time and a tail: no value depends on where it lies."""
    rng = np.random.default_rng(0)
    x = np.concatenate([rng.normal(size=50) * 8, [np.nan, np.inf, -np.inf, 0.0, -0.0]])
    x = rng.permutation(x).astype(np.float32)
    format = wb.format(name)
    want = bits_of([format.round(v) for v in x])
    for start in range(9):
        for stop in range(start, x.size + 1, 3):
            assert np.array_equal(bits_of(format.round(x[start:stop])), want[start:stop])


@pytest.mark.parametrize("name", FORMATS)
def test_the_fast_path_equals_exact_float64(name):
    format, rng = wb.format(name), np.random.default_rng(1)
    x = rng.integers(0, 1 << 32, 300_000, dtype=np.uint32).view(np.float32)
    x = np.where(np.isnan(x), np.float32(np.nan), x)
    ties = 0.5 * format.values[:-1] + 0.5 * format.values[1:]
    with np.errstate(over="ignore"):
        x = np.concatenate([x, rng.choice(ties, 3000).astype(np.float32)])
        wide = format.round(x.astype(np.float64)).astype(np.float32)
    assert np.array_equal(bits_of(format.round(x)), bits_of(wide))


@pytest.mark.parametrize("name", ["e4m3fn", "e5m2", "e2m1", "e3m2"])
def test_fast_stochastic_rounding_takes_the_decisions_of_the_exact_one(name):
    format = wb.format(name)
    x = np.random.default_rng(2).standard_t(2, size=200_003).astype(np.float32) * np.float32(4)
    x[:5] = np.nan, np.inf, -np.inf, 0.0, -0.0
    wide = format.round(x.astype(np.float64), "stochastic", seed=9)
    assert np.array_equal(bits_of(format.round(x, "stochastic", seed=9)), bits_of(wide))


@pytest.mark.parametrize("spec", ["e4m3fn", "nf4", "mxfp4", "nvfp4", "int4/g128+zp", "int8/tensor",
                                  "int8/channel", "int4/g100"])  # fmt: skip
def test_any_number_of_threads_gives_the_same_bits(spec):
    x = np.random.default_rng(3).normal(size=(37, 1 << 16)).astype(np.float32)
    x[3, 5] = np.nan
    results = []
    for count in (1, 2, 5):
        threads.set_threads(count)
        results.append(bits_of(wb.scheme(spec).round(x)))
    threads.set_threads(None)
    assert np.array_equal(results[0], results[1])
    assert np.array_equal(results[0], results[2])


def test_threads_come_from_the_environment(monkeypatch):
    monkeypatch.setenv("WORKBENCH_THREADS", "3")
    assert threads.thread_count() == 3
    threads.set_threads(2)
    assert threads.thread_count() == 2
    threads.set_threads(None)


def test_one_compiled_kernel_serves_all_formats():
    """Parameters are run-time values: another format compiles nothing."""
    from workbench.kernels import blocks, casts

    x = np.linspace(-1, 1, 64, dtype=np.float32)
    for kernel, specs in (
        (casts._fast32, ["e4m3fn", "e5m2", "e3m2(bias=9)", "bf16", "e6m5"]),
        (casts._any_float, ["e4m3fn", "e3m0", "e8m0ieee"]),
        (blocks._round_blocks, ["mxfp4", "nvfp4", "int4/g8", "nf4/b16", "dynamic8/g4*f16"]),
    ):
        compiled = []
        for spec in specs:
            wb.scheme(spec).round(x)
            wb.scheme(spec).round(x, rounding="up")
            compiled.append(len(kernel.signatures))
        assert min(compiled) == max(compiled) >= 1


def test_keys_differ_and_any_seed_is_taken():
    assert len({keys_of(seed) for seed in (*range(100), -1, 2**63, 2**64 - 2)}) == 103


@given(st.lists(st.floats(width=32), max_size=40), st.sampled_from(FORMATS))
def test_rounding_twice_is_rounding_once(values, name):
    format = wb.format(name)
    once = format.round(np.array(values, np.float32))
    if name not in ("e8m0", "ue4m3fn"):
        assert np.array_equal(bits_of(format.round(once)), bits_of(once))


@given(
    st.lists(st.floats(width=32, allow_nan=False), min_size=1, max_size=40),
    st.sampled_from(FORMATS),
)
def test_rounding_is_monotone(values, name):
    x = np.sort(np.array(values, np.float32))
    y = wb.format(name).round(x)
    y = y[~np.isnan(y)]
    assert (y[1:] >= y[:-1]).all()
