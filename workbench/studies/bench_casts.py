"""`workbench bench casts`: casts, block schemes and sketches against peers and the copy limit.

Inputs are random; every output is compared with the definition (float64 arithmetic for casts, the
step-by-step path for schemes) in the same run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from ..formats import parse as format_of
from ..schemes import parse as scheme_of
from . import bench_peers as peers
from .bench import Candidate, Result, Row, as_json, measure_all

HOT, COLD = 1 << 20, 1 << 26
COLUMNS = 4096
CASTS = ("e4m3fn", "e5m2", "e3m2", "e2m1", "bf16")
SCHEMES = (  # spec, reach, times
    ("int4/g128", 0.65, 2.5),
    ("int4/g128+zp", 0.65, 2.5),
    ("mxfp4", 0.5, 30.0),
    ("nvfp4", 0.3, 30.0),
    ("nf4/b64", 0.26, 20.0),
)


def random_values(count: int, seed: int = 0) -> np.ndarray:
    """Normal float32 values in rows of 4096.

    Example:
        >>> random_values(8192).shape
        (2, 4096)
    """
    shape = max(1, count // COLUMNS), min(count, COLUMNS)
    values = _buffer(shape)
    np.random.default_rng(seed).standard_normal(shape, np.float32, values)
    return values


def like(x: np.ndarray) -> np.ndarray:
    """A buffer of the shape of `x`, laid out as every candidate's is.

    Example:
        >>> like(random_values(8192)).shape
        (2, 4096)
    """
    return _buffer(x.shape)


def _buffer(shape: tuple[int, ...]) -> np.ndarray:
    """Float32 at a multiple of 64 bytes, as tensors lie: NumPy's own begin anywhere."""
    import torch

    return torch.empty(shape).numpy()


def _same_bits(got: np.ndarray, want: np.ndarray) -> str:
    if not np.array_equal(got.view(np.int32), want.astype(np.float32).view(np.int32)):
        wrong = int((got.view(np.int32) != want.astype(np.float32).view(np.int32)).sum())
        raise AssertionError(f"{wrong} of {got.size} outputs differ from the definition")
    return "exact"


def _copy(x: np.ndarray, out: np.ndarray) -> Candidate:
    return Candidate("copy", "limit", lambda: np.copyto(out, x))


def _count(x: np.ndarray) -> str:
    return f"{x.size >> 20}M"


def cast_row(name: str, x: np.ndarray, compiled: bool) -> Row:
    """Rounding to a float and back against casts of other libraries and a copy.

    Example:
        >>> cast_row("e4m3fn", random_values(4096), False).kernel
        'round e4m3fn'
    """
    out, limit = like(x), like(x)
    format = format_of(name)

    def ours():
        return format.round(x, out=out)

    def check():
        part = x[: max(1, HOT // COLUMNS)]
        return _same_bits(format.round(part), format.round(part.astype(np.float64)))

    candidates = [
        Candidate("workbench", "ours", ours),
        *peers.casts(name, x, compiled),
        _copy(x, limit),
    ]
    return Row(f"round {name}", _count(x), tuple(candidates), check, 0.85, 2.0)


def any_float_row(x: np.ndarray) -> Row:
    """A float whose fields are chosen at run time, against the libraries that have any float."""
    out, limit, format = like(x), like(x), format_of("e6m4")
    want = format.round(x.astype(np.float64))
    candidates = [
        Candidate("workbench", "ours", lambda: format.round(x, out=out)),
        *peers.any_float(6, 4, x),
        _copy(x, limit),
    ]
    return Row(
        "round e6m4 chosen at run time", _count(x), tuple(candidates),
        lambda: _same_bits(out, want), 0.85, 100.0,
    )  # fmt: skip


def scheme_row(spec: str, reach: float, times: float, x: np.ndarray) -> Row:
    """Quantize and dequantize under a scheme, against libraries that can, and a copy."""
    out, limit, scheme = like(x), like(x), scheme_of(spec)
    others = peers.blocks(spec, x)
    if spec.startswith("int4"):
        others = peers.integers(x, 4, 128, "+zp" in spec)
    if spec.startswith("int8"):
        others = peers.integers(x, 8, x.size, False)
    candidates = [
        Candidate("workbench", "ours", lambda: scheme.round(x, out=out)), *others, _copy(x, limit),
    ]  # fmt: skip
    return Row(
        spec,
        _count(x),
        tuple(candidates),
        lambda: _same_bits(out, definition(spec, x)),
        reach,
        times,
    )


def definition(spec: str, x: np.ndarray) -> np.ndarray:
    """A scheme applied step by step: scales, divide, round in float64, multiply.

    Example:
        >>> definition("mxfp4", np.float32([[1.0, 5.0, 7.0]]))
        array([[1., 4., 6.]], dtype=float32)
    """
    from ..schemes import apply
    from ..schemes.layout import Layout

    scheme = scheme_of(spec)
    layout = Layout.of(x.shape, -1, scheme.scale)
    rows = layout.to_rows(x)
    scales, zeros, _ = apply.choose_scales(scheme, rows, layout)
    spread = None if zeros is None else layout.spread(zeros)
    scaled = (rows / layout.spread(scales)).astype(np.float32)
    if spread is None:
        rounded = scheme.element.round(scaled.astype(np.float64)).astype(np.float32)
        return layout.from_rows(apply.restore(scheme, rounded, layout.spread(scales), None))
    return layout.from_rows(apply.round_scaled(scheme, rows, layout.spread(scales), spread))


def static_int8_row(x: np.ndarray) -> Row:
    """int8 with a scale known before: no pass for the maximum."""
    from ..kernels import scaled
    from ..kernels.elements import element_of

    out, limit = like(x), like(x)
    flat, target = x.reshape(1, -1), out.reshape(1, -1)
    scale = np.float32(np.abs(x).max() / 127)
    scales, element = np.full((1, 1), scale), element_of(format_of("int8").rounder)

    def ours():
        scaled.round_given(flat, target, scales, x.size, element)

    def check():
        return _same_bits(out, format_of("int8").round((x / scale).astype(np.float64)) * scale)

    candidates = [
        Candidate("workbench", "ours", ours), *peers.static_int8(x, float(scale)), _copy(x, limit),
    ]  # fmt: skip
    return Row("int8/tensor, static scale", _count(x), tuple(candidates), check, 0.85, 2.5)


def stochastic_row(x: np.ndarray) -> Row:
    """Stochastic rounding to e4m3fn, the random numbers included."""
    out, limit, format = like(x), like(x), format_of("e4m3fn")
    want = format.round(x.astype(np.float64), "stochastic", seed=1)
    candidates = [
        Candidate("workbench", "ours", lambda: format.round(x, "stochastic", 1, out)),
        *peers.stochastic(x),
        _copy(x, limit),
    ]
    return Row("stochastic e4m3fn", _count(x), tuple(candidates),
               lambda: _same_bits(out, want), 0.45, 10.0)  # fmt: skip


def threads_row(spec: str, x: np.ndarray) -> Row:
    """Two threads against one, by wall time: the one-thread run stands as the peer."""
    from ..kernels import threads

    one, two, scheme = like(x), like(x), scheme_of(spec)

    def with_threads(count: int, out: np.ndarray) -> Callable[[], None]:
        def run():
            threads.set_threads(count)
            scheme.round(x, out=out)
            threads.set_threads(1)

        return run

    flat, limit = x.reshape(-1), like(x).reshape(-1)

    def copy():
        threads.set_threads(2)
        threads.over_chunks(lambda a, b: np.copyto(limit[a:b], flat[a:b]), x.size)
        threads.set_threads(1)

    candidates = (
        Candidate("two threads", "ours", with_threads(2, two)),
        Candidate("one thread", "peer", with_threads(1, one)),
        Candidate("copy by two threads", "limit", copy),
    )
    return Row(
        f"{spec}, two threads", _count(x), candidates, lambda: _same_bits(two, one), 0, 1.8, "wall"
    )


def sketch_rows(x: np.ndarray) -> Iterator[Row]:
    """Building the prefix histogram against NumPy's, and an error from a sketch against exact."""
    from ..kernels.histograms import prefix_histogram
    from ..metrics import error
    from ..sketches import sketch as sketch_of

    flat = x.reshape(-1)

    def counted():
        counts = prefix_histogram(flat)[0]
        want = np.bincount(flat.view(np.uint32) >> np.uint32(16), minlength=1 << 16)
        if not np.array_equal(counts, want):
            raise AssertionError("the histogram's counts differ")
        return "exact"

    read = Candidate("read", "limit", lambda: flat.sum(), "one read")
    yield Row(
        "prefix histogram", _count(x),
        (
            Candidate("workbench", "ours", lambda: prefix_histogram(flat)),
            Candidate("numpy.histogram", "peer", lambda: np.histogram(flat, 4096)),
            read,
        ),
        counted, 0.33, 20.0,
    )  # fmt: skip
    sketch, exact = sketch_of(x), error(x, scheme_of("e4m3fn"))

    def within():
        report = sketch.error("e4m3fn")
        apart = abs(report.sqnr - exact.sqnr)
        if apart > report.bound + 1e-9:
            raise AssertionError(f"{apart} dB apart, the bound is {report.bound}")
        return f"{apart:.4f} of {report.bound:.4f} dB"

    yield Row(
        "error of e4m3fn from a sketch", _count(x),
        (
            Candidate("sketch", "ours", lambda: sketch.error("e4m3fn")),
            Candidate("exact", "peer", lambda: error(x, scheme_of("e4m3fn"))),
        ),
        within,
    )  # fmt: skip


def rows(cold: bool = False, compiled: bool = True) -> Iterator[Row]:
    """The rows one after the other, so that only one holds its arrays at a time."""
    x = random_values(HOT)
    for name in CASTS:
        yield cast_row(name, x, compiled)
    yield any_float_row(x)
    yield static_int8_row(x)
    yield scheme_row("int8/tensor", 0, 2.5, x)
    for spec, reach, times in SCHEMES:
        yield scheme_row(spec, reach, times, x)
    yield stochastic_row(x)
    large = random_values(HOT << 4)
    yield threads_row("e4m3fn", large)
    yield threads_row("mxfp4", large)
    yield threads_row("nf4/b64", large)
    yield from sketch_rows(large)
    if cold:
        huge = random_values(COLD)
        for name in CASTS:
            yield cast_row(name, huge, compiled=False)


def run(
    cold: bool = False, compiled: bool = True, rounds: int = 9, say: Callable[[str], None] = print
) -> list[Result]:
    """Measure every row with one thread (where a row says no other) and print as it goes.

    Example:
        >>> run.__name__
        'run'
    """
    return measure_all(rows(cold, compiled), rounds, say)


def main(cold: bool = False, compiled: bool = True, rounds: int = 9, json: bool = False) -> dict:
    """The command `workbench bench casts`: prints the table, or nothing where JSON is wanted."""
    results = run(cold, compiled, rounds, (lambda line: None) if json else print)
    return as_json(results)
