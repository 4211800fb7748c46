"""Groups of two widths in one matrix, laid out so that every few rows take the same bytes.

A band is a number of neighbouring rows. Every band holds the same count of wide groups, wherever
they lie in it: its narrow groups are stored one after another, then its wide ones, each under a
scheme of their own, and one bit a group says which of the two it is. Source: the 2-bit and 4-bit
groups of Li et al., 2023 (their layout is not published).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import WorkbenchError
from ..kernels.packing import pack, unpack
from .fitted import Fitted, Region

if TYPE_CHECKING:
    from .quantized import QuantizedTensor
    from .scheme import Scheme


@dataclass(frozen=True)
class TwoWidths:
    """Where the groups of a matrix lie, and which of them are wide.

    Attributes:
        narrow, wide: the schemes of the two kinds of groups, of one group size.
        band: rows that hold the same count of wide groups as any other band.
        wide_groups: that count.

    Groups of other sizes, or wide ones that are not wider, raise `WorkbenchError`.
    """

    narrow: Scheme
    wide: Scheme
    band: int
    wide_groups: int

    def __post_init__(self):
        for scheme in (self.narrow, self.wide):
            if scheme.scale is None or scheme.scale.granularity != "group":
                raise WorkbenchError(
                    f"two widths under {scheme}", "each group of a row has one of them",
                    f"write {scheme.format}/g16",
                )  # fmt: skip
        if self.wide.format.bits <= self.narrow.format.bits:
            raise WorkbenchError(
                f"{self.wide.format} beside {self.narrow.format}", "it is not wider",
                f"write int{min(16, 2 * self.narrow.format.bits)}",
            )  # fmt: skip

    @property
    def group(self) -> int:
        """Values of a group."""
        return self.narrow.scale.size[0]

    def across(self, shape: tuple[int, ...]) -> int:
        """Groups in a row of a matrix; one that does not fit raises `WorkbenchError`."""
        if len(shape) != 2 or shape[0] % self.band or shape[1] % self.group:
            raise WorkbenchError(
                f"bands of {self.band} rows and groups of {self.group} for a shape {shape}",
                "each band is as long as the others, and so is each group",
                f"use bands of {np.gcd(self.band, shape[0])} and groups of "
                f"{np.gcd(self.group, shape[-1])}",
            )  # fmt: skip
        return shape[1] // self.group

    def chosen(self, sizes: np.ndarray) -> np.ndarray:
        """Which groups are wide: those of largest size in every band, the first of equals.

        Args:
            sizes: (rows, groups).

        Example:
            >>> from workbench.schemes import parse
            >>> layout = TwoWidths(parse("int2/g16+zp"), parse("int4/g16+zp"), 2, 1)
            >>> layout.chosen(np.array([[1, 3], [2, 0], [5, 5], [0, 0]])).astype(int).tolist()
            [[0, 1], [0, 0], [1, 0], [0, 0]]
        """
        bands = sizes.reshape(len(sizes) // self.band, -1)
        order = np.argsort(-bands, axis=1, kind="stable")[:, : self.wide_groups]
        found = np.zeros(bands.shape, bool)
        np.put_along_axis(found, order, True, axis=1)
        return found.reshape(sizes.shape)

    def apart(self, x: np.ndarray, choice: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The narrow and the wide groups of a matrix, a row for each band."""
        groups = x.reshape(-1, self.group)
        rows = len(x) // self.band
        return tuple(groups[one.reshape(-1)].reshape(rows, -1) for one in (~choice, choice))

    def together(self, narrow: np.ndarray, wide: np.ndarray, choice: np.ndarray) -> np.ndarray:
        """The matrix whose groups `apart` took apart."""
        out = np.empty((choice.size, self.group), np.result_type(narrow, wide))
        for part, one in ((narrow, ~choice), (wide, choice)):
            out[one.reshape(-1)] = part.reshape(-1, self.group)
        return out.reshape(len(choice), -1)

    def bits_per_value(self, across: int) -> float:
        """Stored bits a value: b + (B - b) p, and what a group stores beside its codes over it.

        That is the scale, the zero point where there is one, and the bit that tells its width;
        p is the share of wide groups. A tensor's own scale of two levels is left out.

        Args:
            across: groups in a row.

        Example:
            >>> from workbench.schemes import parse
            >>> schemes = (parse(f"int{b}/g16*e4m3fn*f32+zp") for b in (2, 4))
            >>> print(f"{TwoWidths(*schemes, 16, 26).bits_per_value(16):.4f} bits a weight")
            2.9033 bits a weight
        """
        share = self.wide_groups / (self.band * across)
        narrow, wide = (
            scheme.format.bits
            + (scheme.scale.levels[0].bits + scheme.extra_bits) / self.group
            for scheme in (self.narrow, self.wide)
        )  # fmt: skip
        return narrow + (wide - narrow) * share + 1 / self.group


@dataclass(frozen=True, eq=False)
class TwoWidthFitted(Fitted):
    """Groups of two widths with their scales chosen.

    Attributes:
        widths: how they are laid out.
        choice: bool (rows, groups), which are wide.
        narrow, wide: each kind's groups, a row for each band.
    """

    widths: TwoWidths
    choice: np.ndarray
    narrow: Fitted
    wide: Fitted

    def round(self, x: np.ndarray, rounding: str = "nearest_even", seed: int = 0) -> np.ndarray:
        """Values of an array of the same shape, rounded under the chosen scales."""
        narrow, wide = self.widths.apart(x, self.choice)
        rounded = self.narrow.round(narrow, rounding, seed), self.wide.round(wide, rounding, seed)
        return self.widths.together(*rounded, self.choice)

    def region(self, rows: slice, columns: slice) -> Region:
        """Refused: a part of the matrix has no scheme of its own."""
        raise WorkbenchError(
            f"{self.widths.narrow.format} and {self.widths.wide.format} groups",
            "each group has a grid of its own", "choose one of them, or round all of it",
        )  # fmt: skip

    def quantize(self, x: np.ndarray, rounding: str = "nearest_even", seed: int = 0) -> Any:
        """Bit-packed codes of both widths: a `TwoWidthTensor`."""
        narrow, wide = self.widths.apart(x, self.choice)
        parts = (
            self.narrow.quantize(narrow, rounding, seed),
            self.wide.quantize(wide, rounding, seed),
        )
        flags = pack(self.choice.astype(np.uint8).reshape(-1), 1)
        return TwoWidthTensor(self.widths, self.shape, *parts, flags)


def fit_widths(widths: TwoWidths, x: np.ndarray, sizes: np.ndarray) -> TwoWidthFitted:
    """Choose the wide groups of a matrix by their size, and the scales of all.

    Args:
        widths: the layout.
        x: (rows, columns), whole bands and whole groups.
        sizes: (rows, groups), the largest of which are made wide.

    A matrix that the layout does not fit raises `WorkbenchError`.

    Example:
        >>> from workbench.schemes import parse
        >>> x = np.float32([[0.1, 0.2, 4.0, 9.0]])
        >>> layout = TwoWidths(parse("int2/g2+zp"), parse("int4/g2+zp"), 1, 1)
        >>> fitted = fit_widths(layout, x, np.array([[0.1, 5.0]]))
        >>> fitted.round(x).astype(float).round(2), fitted.quantize(x).nbytes
        (array([[0.13, 0.2 , 4.2 , 9.  ]]), 13)
    """
    if sizes.shape != (len(x), widths.across(x.shape)):
        raise WorkbenchError(
            f"sizes of a shape {sizes.shape}", "each group of each row has one",
            f"give {(len(x), widths.across(x.shape))}",
        )  # fmt: skip
    choice = widths.chosen(sizes)
    narrow, wide = widths.apart(x, choice)
    fitted = widths.narrow.fit(narrow), widths.wide.fit(wide)
    return TwoWidthFitted(widths.narrow, x.shape, -1, None, widths, choice, *fitted)


@dataclass(frozen=True, eq=False)
class TwoWidthTensor:
    """A quantized matrix with groups of two widths; decodes exactly.

    Attributes:
        widths: how they are laid out.
        shape: (rows, columns).
        narrow, wide: codes and scales of each kind, a row for each band.
        flags: uint8, one bit a group in row order, set for wide ones.
    """

    widths: TwoWidths
    shape: tuple[int, ...]
    narrow: QuantizedTensor
    wide: QuantizedTensor
    flags: np.ndarray

    @property
    def scheme(self) -> Scheme:
        """The scheme of the narrow groups."""
        return self.widths.narrow

    @cached_property
    def choice(self) -> np.ndarray:
        """Which groups are wide, bool (rows, groups)."""
        shape = (self.shape[0], self.shape[1] // self.widths.group)
        return unpack(self.flags, 1, shape[0] * shape[1]).reshape(shape).astype(bool)

    @property
    def nbytes(self) -> int:
        """Stored bytes: codes, scales and zero points of both widths, and the flags."""
        return self.narrow.nbytes + self.wide.nbytes + self.flags.size

    @property
    def bits_per_value(self) -> float:
        """Stored bits a value, everything counted."""
        return 8 * self.nbytes / (self.shape[0] * self.shape[1])

    def dequantize(self) -> np.ndarray:
        """The values, float32 (rows, columns)."""
        parts = self.narrow.dequantize(), self.wide.dequantize()
        return self.widths.together(*parts, self.choice)
