"""Solvers that choose the format itself, of the family that the recipe names."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

from ...errors import WorkbenchError
from ...formats import BiasedFormat, FloatFormat, PowerFormat
from ...kernels.packing import packed_size
from ...schemes import Scheme, parse
from ..activations import Activations
from .base import Problem, Solved, Solver


@dataclass(frozen=True)
class FloatSearch(Solver):
    """The split of a float's bits and its real-valued biases, of weights and inputs in turns.

    The scheme gives the width: `e2m1/channel` tries every float of four bits. Inputs, where the
    recipe rounds them, get a float of the same width with one bias for the tensor. Source: the
    search of LLM-FP4 (Liu et al., 2023).

    Args:
        rounds: turns of each at most.
        tokens: rows of the sample that the inputs' bias is chosen on.
        columns: bits of a power of two for each column of the weights, which goes with
            `exponent_shift`; inputs then keep the format that the recipe gives them. 0 for none.

    Schemes without a float of 3 to 8 bits a channel raise `WorkbenchError`.

    Example:
        >>> import numpy as np
        >>> from workbench.quantizers import Calibration, Recipe
        >>> random = np.random.default_rng(0)
        >>> x = random.standard_normal((256, 16)) * np.exp(random.standard_normal(16))
        >>> recipe = Recipe.parse("w=e2m1/channel float_search a=e2m1/tensor")
        >>> made = recipe.apply(np.float32(random.standard_normal((8, 16))), Calibration.of(x))
        >>> str(made.activations.scheme)[:10], made.weight.scheme.format.bits
        ('e2m1(bias=', 4)
    """

    rounds: int = 3
    tokens: int = 512
    columns: int = 0
    name: ClassVar[str] = "float_search"

    def __post_init__(self):
        if self.rounds < 1 or self.tokens < 1 or not 0 <= self.columns <= 8:
            raise WorkbenchError(
                str(self), "a round and a token or more are needed, and 0 to 8 bits a column",
                "write float_search(rounds=3, tokens=512)",
            )  # fmt: skip

    def stored(self, scheme: Scheme, outputs: int, features: int) -> float:
        """Bytes of the weight and, at most, of its columns' exponents."""
        exponents = packed_size(features, self.columns) if self.columns else 0
        return super().stored(scheme, outputs, features) + exponents

    def solve(self, problem: Problem) -> Solved:
        """The weight under the best of the floats, and how its inputs are rounded."""
        from ..float_search import rewritten_floats, splits
        from ..layer import Layer
        from .range_search import RangeSearch

        problem.gram(self.name)
        scheme, inputs = problem.scheme, problem.rounding.activations
        if not isinstance(scheme.format, FloatFormat) or str(scheme.scale) != "/channel":
            raise WorkbenchError(
                f"{self.name} for {scheme}", "it chooses among floats with a scale a channel",
                "write e2m1/channel",
            )  # fmt: skip
        if not inputs:
            return min(
                (self._ranged(problem, f) for f in splits(scheme.format.bits)),
                key=lambda solved: problem.error(solved.values),
            )
        formats = (_float_of(inputs),) if self.columns else splits(_float_of(inputs).bits)
        layer = Layer(problem.weight)
        found = rewritten_floats(
            layer, problem.calibration, scheme.format.bits, formats, self.columns, self.rounds,
            self.tokens,
        )  # fmt: skip
        chosen = replace(problem, scheme=parse(found.weights))
        solver = found.solver
        assert isinstance(solver, RangeSearch)
        return replace(solver.solve(chosen), activations=Activations.of(found.activations))

    def _ranged(self, problem: Problem, format: FloatFormat) -> Solved:
        """The weight under one float with searched ranges, for inputs as they are."""
        from .range_search import RangeSearch

        scheme = Scheme(format, problem.scheme.scale)
        return RangeSearch(columns=self.columns).solve(replace(problem, scheme=scheme))


def _float_of(inputs: str) -> FloatFormat:
    """The split of the float that inputs are rounded to; another format is refused."""
    scheme = parse(inputs)
    tensor = scheme.scale is None or str(scheme.scale) == "/tensor"
    if tensor and isinstance(scheme.format, FloatFormat | BiasedFormat):
        return FloatFormat(scheme.format.exponent, scheme.format.mantissa, top="finite")
    raise WorkbenchError(
        f"float_search with inputs in {inputs}", "it chooses one bias for all inputs of a float",
        "write a=e2m1/tensor",
    )  # fmt: skip


@dataclass(frozen=True)
class PowerSearch(Solver):
    """The exponent of a power format by the weight's own error, without any data.

    Source: PowerQuant (Yvinec et al., 2023).

    Example:
        >>> import numpy as np
        >>> w = np.float32(np.random.default_rng(0).standard_normal((8, 256)))
        >>> solved = PowerSearch().solve(Problem(w, parse("pow4(a=1.0)/channel")))
        >>> 0.6 < solved.fitted.scheme.format.power < 0.85
        True
    """

    name: ClassVar[str] = "power_search"
    needs_inputs: ClassVar[bool] = False

    def solve(self, problem: Problem) -> Solved:
        """The weight rounded to nearest under the best of the exponents."""
        from ..power import best_power

        scheme = problem.scheme
        plain = scheme.scale is not None and str(scheme.scale) in ("/tensor", "/channel", "/token")
        if not isinstance(scheme.format, PowerFormat) or not plain:
            raise WorkbenchError(
                f"{self.name} for {scheme}", "it chooses the exponent of a power format",
                "write pow4(a=0.5)/channel",
            )  # fmt: skip
        found = best_power(problem.weight, scheme.format.bits, scheme.scale.granularity)
        fitted = found.scheme.fit(problem.weight)
        note = f"the exponent {found.power} is the last that was tried" if found.at_end else ""
        return Solved(fitted.round(problem.weight), fitted, note=note)
