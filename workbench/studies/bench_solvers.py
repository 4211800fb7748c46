"""`workbench bench solvers`: GPTQ on large layers, beside the published loop written in torch.

Both are given the same products of inputs; gathering those is a row of its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from ..quantizers.calibration import Calibration
from ..quantizers.solvers import GPTQ, Problem
from ..schemes import parse
from .bench import Candidate, Result, Row, as_json, measure_all

SIZES = (1024, 4096)
ROWS = 8192
BLOCK = 128


def rows(sizes: tuple[int, ...] = SIZES, count: int = ROWS) -> Iterator[Row]:
    """GPTQ to 4-bit integers with a scale a row, and the products it reads, for each width.

    Example:
        >>> [row.kernel for row in rows((8,), 64)]
        ['products of 64 inputs', 'gptq int4/channel']
    """
    for size in sizes:
        random = np.random.default_rng(0)
        mixing = random.standard_normal((size, 32), np.float32)
        x = random.standard_normal((count, size), np.float32)
        x += random.standard_normal((count, 32), np.float32) @ mixing.T
        weight = random.standard_normal((size, size), np.float32)
        yield from _rows_of(x, weight)


def _rows_of(x: np.ndarray, weight: np.ndarray) -> Iterator[Row]:
    """The rows of one layer."""
    import torch

    shape = f"{weight.shape[0]} x {weight.shape[1]}"
    ours = Candidate("workbench", "ours", lambda: Calibration.of(x), "float64, ranges, a sample")
    peer = Candidate("torch", "peer", lambda: torch.from_numpy(x).T @ torch.from_numpy(x),
                     "float32, products alone")  # fmt: skip
    problem = Problem(weight, parse("int4/channel"), Calibration.of(x))

    parts = np.array_split(x, max(1, len(x) // ROWS))

    def products() -> str:
        exact = sum(part[:, :8].T.astype(np.float64) @ part.astype(np.float64) for part in parts)
        if not np.allclose(problem.calibration.second[:8], exact, rtol=1e-9):
            raise AssertionError("the products are others")
        return "exact"

    yield Row(f"products of {len(x)} inputs", shape, (ours, peer), products, clock="wall")
    gram = problem.calibration.gram

    def error(values: np.ndarray) -> float:
        gap = (values - weight).astype(np.float64)
        return float(np.einsum("ij,ij->", gap @ gram, gap))

    def check() -> str:
        solved, loop = GPTQ().solve(problem).values, plain_loop(weight, gram)
        ratio = error(solved) / error(loop)
        if not 0.97 < ratio < 1.03:
            raise AssertionError(f"its error is {ratio:.3f} of the published loop's")
        return f"error {ratio:.4f} of the loop's"

    ours = Candidate("workbench", "ours", lambda: GPTQ().solve(problem))
    peer = Candidate("torch loop", "peer", lambda: plain_loop(weight, gram), "float32")
    yield Row("gptq int4/channel", shape, (ours, peer), check, clock="wall")


def plain_loop(weight: np.ndarray, gram: np.ndarray, damp: float = 0.01) -> Any:
    """GPTQ as it is published, column by column in torch, float32 (outputs, features).

    Source: Frantar et al., 2023, with blocks of 128 columns and a scale a row of 4 bits.
    """
    import torch

    w, h = torch.from_numpy(weight).clone(), torch.from_numpy(gram.astype(np.float32))
    h += torch.eye(len(h)) * damp * h.diagonal().mean()
    inverse = torch.cholesky_inverse(torch.linalg.cholesky(h))
    upper = torch.linalg.cholesky(inverse, upper=True)
    scale, out = w.abs().amax(1) / 7, torch.zeros_like(w)
    for start in range(0, w.shape[1], BLOCK):
        stop = min(start + BLOCK, w.shape[1])
        block, errors = w[:, start:stop].clone(), torch.zeros(len(w), stop - start)
        inner = upper[start:stop, start:stop]
        for i in range(stop - start):
            column = block[:, i]
            rounded = torch.clamp(torch.round(column / scale), -8, 7) * scale
            out[:, start + i] = rounded
            error = (column - rounded) / inner[i, i]
            block[:, i:] -= error[:, None] * inner[i, i:][None]
            errors[:, i] = error
        w[:, stop:] -= errors @ upper[start:stop, stop:]
    return out.numpy()


def main(rounds: int = 2, inputs: int = ROWS, json: bool = False) -> dict:
    """The command `workbench bench solvers`: prints the table, or nothing where JSON is wanted."""
    results: list[Result] = measure_all(
        rows(count=inputs), rounds, (lambda line: None) if json else print
    )
    return as_json(results)
