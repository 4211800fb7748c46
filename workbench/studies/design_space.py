"""Every small float and integer on one layer: its error by each way to round, bits and gates.

Source: Aggarwal et al., 2023 ("Shedding the Bits: Pushing the Boundaries of Quantization with
Minifloats on FPGAs"). Its cost model of an FPGA is not public; gates here are those of
`costs.gates`, a plain model of one multiply-accumulate.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..costs import gates
from ..errors import WorkbenchError
from ..formats import FloatFormat, Format, IntegerFormat
from ..quantizers import Calibration, Layer, Recipe

BITS = (3, 4, 5, 6, 7, 8)
SOLVERS = ("nearest", "gptq")
WEIGHTS, INPUTS = "channel", "token"  # what shares a scale


@dataclass(frozen=True)
class Design:
    """One format under one solver on one layer.

    Attributes:
        label: `E2M1` for floats, `INT4` for integers.
        format: its name here.
        family: "float" or "int".
        bits: of a value.
        exponent: bits of its exponent, 0 for integers.
        solver: how its codes were chosen.
        error: squared error of the layer's outputs over their square.
        gates: of one multiply-accumulate.
    """

    label: str
    format: str
    family: str
    bits: int
    exponent: int
    solver: str
    error: float
    gates: float

    @property
    def sqnr(self) -> float:
        """Signal to quantization noise of the outputs in dB; infinite without an error."""
        return float(-10 * np.log10(self.error)) if self.error > 0 else float("inf")


def minifloats(bits: Sequence[int] = BITS) -> list[FloatFormat]:
    """Every split of a sign, E >= 1 and M >= 0 bits, without codes for infinity and NaN.

    Example:
        >>> [f"E{one.exponent}M{one.mantissa}" for one in minifloats([3, 4])]
        ['E1M1', 'E2M0', 'E1M2', 'E2M1', 'E3M0']
    """
    _check(bits)
    return [
        FloatFormat(exponent, width - 1 - exponent, top="finite")
        for width in bits
        for exponent in range(1, width)
    ]


def design_space(
    layer: Layer,
    calibration: Calibration,
    scored: Calibration,
    bits: Sequence[int] = BITS,
    solvers: Sequence[str] = SOLVERS,
    inputs: str = INPUTS,
) -> list[Design]:
    """The error of a layer under every minifloat and integer of some widths and every solver.

    Both operands are rounded to the format, since the gates are those of multiplying two of them;
    weights have a float32 scale a row.

    Args:
        layer: what is quantized.
        calibration: of its inputs, for the solvers.
        scored: of inputs that the solvers have not seen.
        bits: of a value, 2 to 8.
        solvers: texts of a solver, with residuals where they are wanted: "gptq bias_correction".
        inputs: what inputs share a scale, such as "token" or "tensor"; "" leaves them in float.

    Returns:
        Integers first, then floats by width and exponent; under each format the solvers in order.

    Example:
        >>> x = np.random.default_rng(0).standard_normal((256, 16))
        >>> known, layer = Calibration.of(x), Layer(np.eye(4, 16, dtype=np.float32) + 0.1)
        >>> found = design_space(layer, known, known, [3], ["nearest"])
        >>> [(one.label, one.gates) for one in found]
        [('INT3', 199), ('E1M1', 184), ('E2M0', 230)]
    """
    _check(bits)
    formats: list[Format] = [IntegerFormat(width) for width in bits]
    return [
        _design(format, solver, layer, calibration, scored, inputs)
        for format in [*formats, *minifloats(bits)]
        for solver in solvers
    ]


def _design(
    format: Format, solver: str, layer: Layer, calibration: Calibration, scored: Calibration,
    inputs: str,
) -> Design:  # fmt: skip
    activations = f" a={format}/{inputs}" if inputs else ""
    recipe = Recipe.parse(f"w={format}/{WEIGHTS} {solver}{activations}")
    made = recipe.apply(layer, calibration)
    exponent, label = 0, f"INT{format.bits}"
    if isinstance(format, FloatFormat):
        exponent, label = format.exponent, f"E{format.exponent}M{format.mantissa}"
    return Design(
        label, format.name, "float" if exponent else "int", format.bits, exponent, solver,
        made.error(layer, scored), gates(format).total,
    )  # fmt: skip


def cheapest(designs: Sequence[Design], cost: str = "gates") -> list[Design]:
    """The designs that no other one of the same solver beats in error without costing more.

    Args:
        designs: of `design_space`.
        cost: "gates" or "bits".

    Example:
        >>> two = [Design("INT4", "int4", "int", 4, 0, "nearest", 0.1, 100),
        ...        Design("E2M1", "e2m1", "float", 4, 2, "nearest", 0.2, 150)]
        >>> [one.label for one in cheapest(two)]
        ['INT4']
    """
    kept: list[Design] = []
    for solver in dict.fromkeys(one.solver for one in designs):
        mine = [one for one in designs if one.solver == solver]
        least = float("inf")
        for one in sorted(mine, key=lambda d: (getattr(d, cost), d.error)):
            if one.error < least:
                kept.append(one)
                least = one.error
    return kept


def _check(bits: Sequence[int]) -> None:
    for width in bits:
        if not 2 <= width <= 8:
            raise WorkbenchError(
                f"{width} bits", "designs here have 2 to 8", "write bits=(3, 4, 5, 6, 7, 8)"
            )
