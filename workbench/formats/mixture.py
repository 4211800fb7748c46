"""Formats of several grids, of which every group of values takes the one that fits it best.

BitMoD (Chen et al., 2025) adds one of four special values, chosen for each group, to a small grid
whose code of -0 would otherwise be wasted.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import numpy as np

from ..errors import WorkbenchError
from .base import Format
from .codebook import CodebookFormat


@dataclass(frozen=True)
class MixtureFormat(Format):
    """Two to sixteen formats of one width; a shared scale chooses among them by squared error.

    On its own it rounds nothing: a scheme with a group, such as `bitmod3/g128`, chooses the grid of
    every group, the first of those that are equally good, and stores the choice with the scale.

    Args:
        label: its name.
        parts: the formats, all of the same width.

    Example:
        >>> bitmod(3).parts[0].values
        array([-4., -2., -1.,  0.,  1.,  2.,  3.,  4.])
    """

    family: ClassVar[str] = "mixture"
    label: str
    parts: tuple[Format, ...]

    def __post_init__(self):
        widths = sorted({part.bits for part in self.parts})
        if not 2 <= len(self.parts) <= 16 or len(widths) != 1:
            raise WorkbenchError(
                f"a mixture of {len(self.parts)} formats of {widths} bits",
                "it takes 2 to 16 formats of one width, so that codes are stored alike",
                "write mix(int4,e2m1)/g128",
            )
        if any(part.family in ("mixture", "exponent") for part in self.parts):
            raise WorkbenchError(
                self.label, "its parts are plain formats with a zero", "write mix(int4,e2m1)/g128"
            )

    @property
    def name(self) -> str:
        """The label."""
        return self.label

    @property
    def bits(self) -> int:
        """Bits of a code, without the choice."""
        return self.parts[0].bits

    @property
    def choice_bits(self) -> int:
        """Bits of a group's choice.

        Example:
            >>> bitmod(4).choice_bits
            2
        """
        return (len(self.parts) - 1).bit_length()

    @cached_property
    def values(self) -> np.ndarray:
        """The values of all parts together, ascending."""
        return np.unique(np.concatenate([part.values for part in self.parts]))

    @property
    def reach(self) -> float:
        """The largest magnitude of any part."""
        return max(part.reach for part in self.parts)

    @cached_property
    def has_nan(self) -> bool:
        """Whether every part has a code for NaN."""
        return all(part.has_nan for part in self.parts)

    @property
    def code_values(self) -> np.ndarray:
        """Refused: a code means something else in every part."""
        raise self._alone("decoded")

    @property
    def rounder(self):
        """Refused: without a group there is nothing to choose for."""
        raise self._alone("rounded to")

    def _alone(self, what: str) -> WorkbenchError:
        return WorkbenchError(
            f"{self.name} on its own", f"it is {what} only where a group chooses its grid",
            f"write wb.scheme('{self.name}/g128')",
        )  # fmt: skip


_BASES = {3: (0.0, 1.0, 2.0, 4.0), 4: (0.0, 1.0, 2.0, 3.0, 4.0, 6.0, 8.0, 12.0)}
_SPECIALS = {3: (3.0, 6.0), 4: (10.0, 16.0)}


def bitmod(width: int) -> MixtureFormat:
    """BitMoD's grids of 3 or 4 bits, in the order in which they are tried.

    The first two have extra resolution between their values, the others reach further on one side.

    Example:
        >>> [part.name for part in bitmod(3).parts]
        ['bitmod3_p3', 'bitmod3_n3', 'bitmod3_p6', 'bitmod3_n6']
    """
    if width not in _BASES:
        raise WorkbenchError(f"bitmod{width}", "BitMoD has 3 or 4 bits", "write bitmod3 or bitmod4")
    specials = [sign * special for special in _SPECIALS[width] for sign in (1, -1)]
    return MixtureFormat(f"bitmod{width}", tuple(_with_special(width, s) for s in specials))


def _with_special(width: int, special: float) -> CodebookFormat:
    """The small grid with the code of -0 given to a special value."""
    positive = _BASES[width]
    label = f"bitmod{width}_{'p' if special > 0 else 'n'}{abs(special):g}"
    return CodebookFormat(label, (*positive, special, *(-v for v in positive[1:])))
