"""More bits for the groups that reach farthest."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from ...errors import WorkbenchError
from ...formats import parse
from ...schemes import Scheme
from ...schemes.two_widths import TwoWidths, fit_widths
from .base import Problem, Solved, Solver


@dataclass(frozen=True)
class WideGroups(Solver):
    """Groups of the largest range in every band of rows take a wider format, the rest the scheme's.

    Values are rounded to nearest. The range of a group is largest less smallest, zero included
    where there are zero points, and twice the largest magnitude where there are none. Source: the
    range-aware 2-bit quantization of Li et al., 2023; that every band holds the same count is our
    reading of its alignment, and its sparse outliers are not here.

    Args:
        share: of the groups that are wide, between 0 and 1; every band holds as many of them as
            come nearest to it.
        wide: their format.
        rows: of a band.

    A count of none or of all, a scheme without groups, or a matrix that is not made of whole bands
    and groups, raises `WorkbenchError`.

    Example:
        >>> from workbench.schemes import parse
        >>> w = np.float32(np.random.default_rng(0).standard_normal((16, 64)))
        >>> solved = WideGroups(share=0.25).solve(Problem(w, parse("int2/g16+zp")))
        >>> int(solved.fitted.choice.sum()), solved.fitted.quantize(w).nbytes
        (16, 604)
    """

    share: float = 0.1
    wide: str = "int4"
    rows: int = 16
    name: ClassVar[str] = "wide_groups"
    needs_inputs: ClassVar[bool] = False

    def __post_init__(self):
        if not 0 < self.share < 1 or self.rows < 1:
            raise WorkbenchError(
                str(self), "a share lies between 0 and 1, and a band has a row or more",
                "write wide_groups(share=0.1, rows=16)",
            )  # fmt: skip
        if "," in self.wide:
            raise WorkbenchError(
                f"wide_groups(wide={self.wide})", "a comma ends a parameter of a part", "write int4"
            )
        object.__setattr__(self, "wide", parse(self.wide).name)

    def stored(self, scheme: Scheme, outputs: int, features: int) -> float:
        """Bytes of groups of both widths, and a bit for each."""
        widths = self.layout(scheme, (outputs, features))
        wholes = 8 if scheme.scale.two_level else 0  # a tensor's own scale, of either width
        bits = widths.bits_per_value(widths.across((outputs, features)))
        return bits * outputs * features / 8 + wholes

    def solve(self, problem: Problem) -> Solved:
        """The weight rounded to nearest, wide groups under the wide format."""
        widths = self.layout(problem.scheme, problem.weight.shape)
        fitted = fit_widths(widths, problem.weight, spans(problem.weight, widths))
        return Solved(fitted.round(problem.weight), fitted)

    def layout(self, scheme: Scheme, shape: tuple[int, int]) -> TwoWidths:
        """How many groups of every band are wide, of a weight's scheme and shape."""
        wide = replace(scheme, format=parse(self.wide))
        one = TwoWidths(scheme, wide, self.rows, 1)
        groups = self.rows * one.across(shape)
        count = round(self.share * groups)
        if not 0 < count < groups:
            raise WorkbenchError(
                f"{self.share:g} of {groups} groups in a band", f"it is {count} of them",
                f"write wide_groups(share={max(1, groups // 2) / groups:g}, rows={self.rows})",
            )  # fmt: skip
        return replace(one, wide_groups=count)


def spans(weight: np.ndarray, widths: TwoWidths) -> np.ndarray:
    """The range of every group, float32 (rows, groups).

    Example:
        >>> from workbench.schemes import parse
        >>> spans(np.float32([[1, 3, -2, 5]]), TwoWidths(*map(parse, ("int2/g2", "int4/g2")), 1, 1))
        array([[ 6., 10.]], dtype=float32)
    """
    groups = weight.reshape(len(weight), -1, widths.group)
    if not widths.narrow.scale.zero_point:
        return 2 * np.abs(groups).max(axis=-1)
    return np.maximum(groups.max(axis=-1), 0) - np.minimum(groups.min(axis=-1), 0)
