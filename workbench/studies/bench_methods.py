"""`workbench bench methods`: how long each published method takes on a layer, on all cores.

The layer is made up: inputs share a few directions, and some of their channels are far larger than
the others, which is what gives the methods work to do.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from ..quantizers import Calibration, Layer
from ..quantizers.papers import PAPERS, Paper
from .bench import Candidate, Result, Row, as_json, measure_all

OUTPUTS, FEATURES = 384, 1536
ROWS, DIRECTIONS, LOUD = 8192, 64, 6
SECONDS = 20.0  # that a method may take on the layer, unless it is trained across a model


def rows(outputs: int = OUTPUTS, features: int = FEATURES, count: int = ROWS) -> Iterator[Row]:
    """Each published method on a layer (outputs, features) that was seen on `count` inputs.

    Example:
        >>> [row.kernel for row in rows(8, 256, 64)][:3]
        ['round to nearest', 'GPTQ', 'SmoothQuant']
    """
    layer, seen, held_out = _layer(outputs, features, count)
    plain = PAPERS[0].recipe.apply(layer, seen).error(layer, held_out)
    for paper in PAPERS:
        if not paper.recipe.tunings:
            yield _row(paper, layer, seen, held_out, plain)


def _layer(outputs: int, features: int, count: int) -> tuple[Layer, Calibration, Calibration]:
    random = np.random.default_rng(0)
    directions = random.standard_normal((DIRECTIONS, features), np.float32)
    x = random.standard_normal((2 * count, features), np.float32)
    x += random.standard_normal((2 * count, DIRECTIONS), np.float32) @ directions
    x[:, random.choice(features, LOUD, replace=False)] *= 20
    weight = random.standard_normal((outputs, features), np.float32) / features**0.5
    producer = random.standard_normal((features, 64), np.float32)
    layer = Layer(weight, np.zeros(outputs, np.float32), "layer", producer)
    return layer, Calibration.of(x[:count]), Calibration.of(x[count:])


def _row(paper: Paper, layer: Layer, seen: Calibration, held_out: Calibration, plain: float) -> Row:
    def check() -> str:
        error = paper.recipe.apply(layer, seen).error(layer, held_out)
        return f"error {error / plain:.3g} of nearest's, held out"

    ours = Candidate("workbench", "ours", lambda: paper.recipe.apply(layer, seen))
    shape = f"{layer.weight.shape[0]} x {layer.weight.shape[1]}"
    return Row(paper.name, shape, (ours,), check, clock="wall", within=SECONDS)


def main(rounds: int = 1, json: bool = False) -> dict[str, Any]:
    """The command `workbench bench methods`: prints the table, or nothing where JSON is wanted."""
    say = (lambda line: None) if json else print
    results: list[Result] = measure_all(rows(), rounds, say, cores=None)
    return as_json(results)
