"""Floats for a layer's weights and inputs: the split of their bits and their real-valued biases.

LLM-FP4 (Liu et al., 2023) takes turns: a format for the weights with a bias for each output, the
inputs being rounded as they are by then, and a format for the inputs with one bias for the tensor,
the weights being rounded as they are by then; both by the squared error of the layer's outputs.
As in its code, multiples of a bias are tried: a bias below 0, which the inputs of largest outliers
have, is brought near to 0 and not beyond.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from ..errors import WorkbenchError
from ..formats import BiasedFormat, FloatFormat, bias_for, parse
from ..kernels.threads import one_blas_thread
from ..schemes import Scheme
from ..schemes import parse as parse_scheme
from .calibration import Calibration
from .layer import Layer
from .recipe import Recipe
from .solvers import Problem
from .solvers.goal import Goal
from .solvers.range_search import RangeSearch

PLACES = 4  # decimals of a bias, so that its text is short
ROUGH = 4  # one multiple in so many is tried where formats are compared


@dataclass(frozen=True)
class FloatSearch:
    """What a search for floats found.

    Attributes:
        recipe: formats and the inputs' bias as text; applied to the layer it finds the biases of
            the outputs again.
        error: the squared error of the layer's outputs over their square, on the rows that were
            looked at.
        settled: whether neither turn would change anything any more.
        usual: the error of the middle format with the full ranges.
        tried: every recipe that was come to, with its error and whether it would stay.
    """

    recipe: Recipe
    error: float
    settled: bool
    usual: float
    tried: tuple[tuple[Recipe, float, bool], ...]

    @property
    def unshifted(self) -> Recipe:
        """The best recipe that leaves the inputs' channels as they are."""
        return min((t for t in self.tried if not t[0].transforms), key=lambda t: t[1])[0]


def splits(bits: int) -> tuple[FloatFormat, ...]:
    """The floats of this width without special codes that are tried, most exponent bits first.

    Two bits of mantissa or more from 8 bits on, and at least one bit of exponent.

    Example:
        >>> [str(f) for f in splits(4)], [str(f) for f in splits(8)][:2]
        (['e3m0', 'e2m1', 'e1m2'], ['e5m2finite', 'e4m3finite'])
    """
    if bits not in range(3, 9):
        raise WorkbenchError(f"{bits} bits", "floats are searched with 3 to 8", "write 4")
    least = max(0, bits - 6)
    return tuple(FloatFormat(bits - 1 - m, m, top="finite") for m in range(least, bits - 1))


def best_floats(
    layer: Any,
    calibration: Calibration,
    bits: int = 4,
    shifted: bool = True,
    rounds: int = 3,
    tokens: int = 512,
) -> FloatSearch:
    """The recipe of least output error that taking turns between weights and inputs finds.

    Args:
        layer: a `Layer`, a torch linear module, or a matrix (outputs, features).
        calibration: of its inputs.
        bits: of the weights and the inputs, 3 to 8.
        shifted: also try to bring the inputs' channels up by octaves first, once for each of their
            formats; the weights then have exponents for their columns.
        rounds: turns of each at most.
        tokens: rows of the calibration's sample that the inputs' bias is chosen on.

    Returns:
        The recipe with what it gives; biases of inputs have four decimals.

    Example:
        >>> random = np.random.default_rng(0)
        >>> x = random.standard_normal((256, 16)) * np.exp(random.standard_normal(16))
        >>> found = best_floats(random.standard_normal((8, 16)), Calibration.of(x))
        >>> found.error < 0.7 * found.usual, found.recipe.transforms[0].name
        (True, 'exponent_shift')
    """
    if rounds < 1 or tokens < 1:
        raise WorkbenchError(
            f"{rounds} rounds on {tokens} tokens", "there is one of each or more",
            "write rounds=3, tokens=512",
        )  # fmt: skip
    layer, formats = Layer.of(layer), splits(bits)
    middle = formats[len(formats) // 2]
    with one_blas_thread():
        plain = _Turns(Recipe(), layer, calibration, formats, middle, tokens)
        searches = [plain]
        for f in formats if shifted else ():
            base = Recipe.parse(f"exponent_shift(inputs={f})")
            searches.append(_Turns(base, layer, calibration, (f,), f, tokens, f.exponent))
        found = [state for turns in searches for state in turns.states(bits, rounds)]
        usual = Recipe(weights=f"{middle}/channel", activations=plain.start)
        best = min(found, key=lambda state: state[1])
        return FloatSearch(*best, plain.made(usual)[1], tuple(found))


def rewritten_floats(
    layer: Layer,
    calibration: Calibration,
    bits: int,
    formats: tuple[FloatFormat, ...],
    columns: int,
    rounds: int,
    tokens: int,
) -> Recipe:
    """The recipe of least error for a layer whose transforms are done: no transform is added.

    Args:
        layer: after all transforms.
        calibration: of the inputs that it is then given.
        bits: of the weights.
        formats: of the inputs that are tried, the one to begin with in the middle.
        columns: bits of a power of two for each column of the weights, or 0.
        rounds: turns of each at most.
        tokens: rows that the inputs' bias is chosen on.
    """
    middle = formats[len(formats) // 2]
    turns = _Turns(Recipe(), layer, calibration, formats, middle, tokens, columns)
    return min(turns.states(bits, rounds), key=lambda state: state[1])[0]


class _Turns:
    """One layer after its transforms, and the turns that are taken on it."""

    def __init__(
        self, base: Recipe, layer: Layer, calibration: Calibration, formats, first, tokens,
        columns: int = 0,
    ):  # fmt: skip
        self.base, self.formats, self.columns = base, formats, columns
        self.rewritten = base.rewrite([layer], calibration)
        rows = self.rewritten.calibration.rows
        self.rows = rows[:: max(1, len(rows) // tokens)]
        self.outputs = self.rows.astype(np.float64) @ self.weight.T.astype(np.float64)
        self.reach = float(self.rewritten.calibration.reach.max())
        if not self.reach > 0:
            raise WorkbenchError(
                layer.name, "its inputs are all zero, so they have no range", "calibrate with text"
            )
        self.start = self._named(first, 1.0)

    @property
    def weight(self) -> np.ndarray:
        """The rewritten weight."""
        return self.rewritten.layers[0].weight

    def _named(self, format: FloatFormat, multiple: float) -> str:
        """A format for inputs, with this multiple of the bias of their full range."""
        bias = bias_for(format.exponent, format.mantissa, self.reach)
        return BiasedFormat(format.exponent, format.mantissa, round(multiple * bias, PLACES)).name

    def states(self, bits: int, rounds: int) -> Iterator[tuple[Recipe, float, bool]]:
        """The recipes of the turns, with their errors and whether they would stay."""
        inputs = self.start
        for _ in range(rounds):
            recipe, matrix = self._best_weights(inputs, bits)
            better = self._best_inputs(matrix)
            yield recipe, self._error(matrix, inputs), better == inputs
            if better == inputs:
                return
            inputs = better

    def _best_weights(self, inputs: str, bits: int) -> tuple[Recipe, np.ndarray]:
        """The recipe of the best format of weights for inputs that are rounded so, and its matrix.

        Formats are compared at every fourth multiple of their biases; the best has all of them.
        """
        full = RangeSearch(inputs=inputs, columns=self.columns)
        rough = replace(full, steps=(full.steps - 1) // ROUGH + 1)
        problem = Problem(self.weight, Scheme(splits(bits)[0]), self.rewritten.calibration)
        goal = Goal.of(problem, inputs, "float_search")

        def solved(solver: RangeSearch, scheme: str) -> np.ndarray:
            return solver.towards(goal, replace(problem, scheme=parse_scheme(scheme))).values

        schemes = [f"{format}/channel" for format in splits(bits)]
        best = min(schemes, key=lambda one: self._error(solved(rough, one), inputs))
        recipe = replace(self.base, weights=best, activations=inputs, solver=full)
        return recipe, solved(full, best)

    def made(self, recipe: Recipe) -> tuple[np.ndarray, float]:
        """The quantized weight under a recipe, and the relative squared error of the outputs."""
        layer, calibration = self.rewritten.layers[0], self.rewritten.calibration
        matrix = recipe.solve(layer, calibration).matrix
        return matrix, self._error(matrix, recipe.activations)

    def _error(self, matrix: np.ndarray, inputs: str) -> float:
        gap = parse(inputs).round(self.rows) @ matrix.T - self.outputs
        return float((gap**2).sum() / max(self._size, 1e-300))

    @cached_property
    def _size(self) -> float:
        return float((self.outputs**2).sum())

    def _best_inputs(self, matrix: np.ndarray) -> str:
        """The format and bias of inputs with the least error for these weights."""
        multiples = [1.0, *RangeSearch().multiples]
        names = [self._named(format, m) for format in self.formats for m in multiples]
        return min(dict.fromkeys(names), key=lambda name: self._error(matrix, name))
