"""Compile every kernel before anybody waits for it: `python -m workbench.schemes.warm`.

Compiled code is kept on disk, so this takes a minute once and a second afterwards. Parameters of
formats are run-time values: warming one format of each kind warms all formats.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator

import numpy as np
from numba.core.dispatcher import Dispatcher

from ..formats import parse as parse_format
from ..kernels.histograms import prefix_histogram
from .grammar import parse as parse_scheme

KERNELS = "workbench.kernels."

SPECS = (
    "e4m3fn", "e5m2", "e4m3fnuz", "bf16", "e3m0", "int8", "nf4", "dynamic8", "e8m0", "int8/token",
    "int4/g3", "int4/g128", "int4/g128+zp", "int8/tensor+zp", "mxfp4", "nvfp4", "nf4/b64",
    "dynamic8/b64", "int4/g32*f16", "int4/g32@mse", "int4/g32@percentile(99)", "int8/t16x16",
)  # fmt: skip
ROUNDINGS = ("nearest_even", "up", "stochastic")
LARGE = (1 << 16) + 8  # values of a row that is rounded with a given scale


def warm() -> None:
    """Run every kernel on tiny inputs of all types in use, in place and not.

    Example:
        >>> warm()
    """
    for spec in SPECS:
        scheme = parse_scheme(spec)
        for x in _inputs():
            for rounding in ROUNDINGS:
                scheme.round(x, rounding=rounding)
            scheme.round(x.copy(), out=x.copy())
            same = x.copy()
            scheme.round(same, out=same)
        if spec != "e8m0":
            scheme.quantize(_inputs()[0]).dequantize()
    for name in ("e4m3fn", "f16", "int16", "nf4", "dynamic8"):
        for x in _inputs():
            parse_format(name).encode(x)
    row = np.ones((1, LARGE), np.float32)
    parse_scheme("int8/channel").round(row)
    _warm_sketches(row.reshape(2, -1))


def _inputs() -> tuple[np.ndarray, ...]:
    x = np.linspace(-2, 2, 300, dtype=np.float32).reshape(3, 100)
    return x, x.astype(np.float64), x[:1], x[:, ::2], x.T


def _warm_sketches(x: np.ndarray) -> None:
    """Histograms, for what draws from sketches; kernels that take arrays alone."""
    prefix_histogram(x.reshape(-1))
    prefix_histogram(x.reshape(-1).astype(np.float64))


def dispatchers() -> Iterator[Dispatcher]:
    """Every compiled function of the kernel modules that are loaded.

    Example:
        >>> all(hasattr(d, "signatures") for d in dispatchers())
        True
    """
    for name, module in sorted(sys.modules.items()):
        if name.startswith(KERNELS) and module is not None:
            for value in vars(module).values():
                if isinstance(value, Dispatcher) and value.py_func.__module__ == name:
                    yield value


def compiled_count() -> int:
    """How many signatures of all kernels are compiled or loaded in this process.

    Example:
        >>> compiled_count() >= 0
        True
    """
    return sum(len(dispatcher.signatures) for dispatcher in dispatchers())


def main() -> None:
    """Warm everything and print how long it took."""
    start = time.perf_counter()
    warm()
    seconds = time.perf_counter() - start
    print(f"{compiled_count()} kernels ready in {seconds:.1f} s")


if __name__ == "__main__":
    main()
