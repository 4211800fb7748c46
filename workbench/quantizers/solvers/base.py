"""What a solver is given and gives: a weight under a scheme, and its values with their scales."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, partial
from typing import ClassVar, TypeVar

import numpy as np

from ...errors import WorkbenchError
from ...kernels.threads import one_blas_thread, together
from ...schemes import Scheme
from ...schemes.fitted import Fitted
from ..activations import NOTHING, Activations, Rounding
from ..calibration import Calibration
from ..parts import Part

T = TypeVar("T")


@dataclass(frozen=True, eq=False)
class Problem:
    """A weight to quantize.

    Attributes:
        weight: float32 (outputs, features).
        scheme: of the result; blocks run along the features.
        calibration: of the inputs, or None where nothing is known of them.
        seed: for what is drawn.
        rounding: what the recipe rounds the inputs under, for solvers that look at it.
    """

    weight: np.ndarray
    scheme: Scheme
    calibration: Calibration | None = None
    seed: int = 0
    rounding: Rounding = NOTHING

    @cached_property
    def fitted(self) -> Fitted:
        """The scheme with its scales as the scheme itself chooses them."""
        return self.scheme.fit(self.weight)

    def gram(self, name: str) -> np.ndarray:
        """Mean products of the inputs, float64 (features, features), for the solver `name`."""
        if self.calibration is None:
            raise WorkbenchError(
                name, "it looks at a layer's inputs, and none were given", "pass a calibration"
            )
        return self.calibration.gram

    def error(self, values: np.ndarray) -> float:
        """The squared error of the outputs for inputs as they are, on all rows of them."""
        gap = values.astype(np.float64) - self.weight
        return float(((gap @ self.gram("an error of outputs")) * gap).sum())


@dataclass(frozen=True, eq=False)
class Solved:
    """What a solver gives.

    Attributes:
        values: that the scheme has, float32 (outputs, features).
        fitted: the scales they lie on.
        activations: how inputs are rounded, where the solver chose that too; else None.
        bias: what it adds to the bias, float32 (outputs,), or None.
        note: what it should be known for, such as a range that was searched too narrowly.
    """

    values: np.ndarray
    fitted: Fitted
    activations: Activations | None = None
    bias: np.ndarray | None = None
    note: str = ""


class Solver(Part):
    """A way to choose codes."""

    kind: ClassVar[str] = "solver"
    needs_inputs: ClassVar[bool] = True
    lookup: ClassVar[bool] = False  # whether its codes are numbers of a table's entries

    def solve(self, problem: Problem) -> Solved:
        """The values of the weight under its scheme."""
        raise NotImplementedError

    def stored(self, scheme: Scheme, outputs: int, features: int) -> float:
        """Bytes of a weight that it has solved, known before it has."""
        return scheme.bits_per_value((outputs, features)) * outputs * features / 8


def by_rows(solve: Callable[[slice], T], rows: int, chunk: int) -> list[T]:
    """What `solve` returns for chunks of rows, which do not depend on each other, on all threads.

    The chunks are the same for any number of threads, and each runs its products on one.
    """
    parts = [slice(start, min(start + chunk, rows)) for start in range(0, rows, chunk)]
    with one_blas_thread():
        return together(*(partial(solve, part) for part in parts))
