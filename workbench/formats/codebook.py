"""Codebooks: formats given by the list of their values.

NF4 is from QLoRA (Dettmers et al., 2023), the FP4 table and the dynamic tree from bitsandbytes
(8-bit Optimizers via Block-wise Quantization, Dettmers et al., 2022).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import numpy as np

from ..errors import WorkbenchError
from .base import Format


@dataclass(frozen=True)
class CodebookFormat(Format):
    """A format that lists the value of each code; ties go to the even code, the ends saturate.

    Args:
        label: its name.
        table: the value of code 0, 1, ...; distinct finite numbers, two or more.

    Example:
        >>> CodebookFormat("thirds", (-1.0, 0.0, 1/3, 1.0)).round([0.2, 9.0])
        array([0.33333333, 1.        ])
    """

    family: ClassVar[str] = "codebook"
    label: str
    table: tuple[float, ...]

    def __post_init__(self):
        object.__setattr__(self, "table", tuple(float(v) for v in self.table))
        values = np.array(self.table)
        if values.size < 2 or values.size > 1 << 16:
            raise WorkbenchError(
                f"a codebook of {values.size} values", "it needs 2 to 65536", "list more values"
            )
        if not np.isfinite(values).all() or np.unique(values.view(np.int64)).size < values.size:
            raise WorkbenchError(
                f"codebook {self.label!r}",
                "its values must be finite and distinct",
                "remove NaN, infinities and repetitions",
            )

    @property
    def name(self) -> str:
        """The label."""
        return self.label

    @property
    def bits(self) -> int:
        """Enough bits for every entry."""
        return max(1, (len(self.table) - 1).bit_length())

    @property
    def reach(self) -> float:
        """The largest magnitude of the table, whichever its sign."""
        return max(abs(self.min), abs(self.max))

    @cached_property
    def code_values(self) -> np.ndarray:
        """The table itself."""
        return np.array(self.table)

    @cached_property
    def rounder(self):
        """The table kernel."""
        from ..kernels.casts import table_rounder

        return table_rounder(self.values, self.code_of_value % 2)


_NF4 = (
    -1.0, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453, -0.28444138169288635,
    -0.18477343022823334, -0.09105003625154495, 0.0, 0.07958029955625534, 0.16093020141124725,
    0.24611230194568634, 0.33791524171829224, 0.44070982933044434, 0.5626170039176941,
    0.7229568362236023, 1.0,
)  # fmt: skip


def _bitsandbytes_fp4() -> tuple[float, ...]:
    """Sign and three bits whose magnitudes are twelfths, in float32, with no regular pattern."""
    positive = np.array([0, 0.0625, 8, 12, 4, 6, 2, 3]) / 12
    positive = positive.astype(np.float32).astype(np.float64)
    negative = -positive  # code 8 is -0
    return (*positive, *negative)


def _float32_steps(parts: int) -> np.ndarray:
    """0.1 to 1 in equal parts as float32, each from its nearer end with one rounding.

    It is how torch.linspace computes them, and so how the published table came about.
    """
    low, index = np.float32(0.1), np.arange(parts + 1)
    step = np.float64((np.float32(1) - low) / np.float32(parts))
    from_low, from_high = np.float64(low) + step * index, 1 - step * (parts - index)
    return np.where(index < (parts + 1) // 2, from_low, from_high).astype(np.float32)


def dynamic_tree(signed: bool) -> tuple[float, ...]:
    """The 256 values of the 8-bit dynamic tree: decades, each cut into twice as many parts.

    Example:
        >>> len(dynamic_tree(True)), min(dynamic_tree(False))
        (256, 0.0)
    """
    values = [0.0, 1.0]
    for decade in range(7):
        edges = _float32_steps(2 ** (decade if signed else decade + 1))
        means = (edges[:-1] + edges[1:]) / np.float32(2)
        scaled = (np.float32(10.0 ** (decade - 6)) * means).astype(np.float64)
        values += [*scaled, *(-scaled if signed else ())]
    return tuple(sorted(values))


def typed_codebook(values: str) -> CodebookFormat:
    """A codebook from the text of its values, ascending and separated by commas.

    Example:
        >>> typed_codebook("-1, 0, .5, 1").name
        'codebook(-1,0,0.5,1)'
    """
    try:
        numbers = [float(part) for part in values.split(",")]
    except ValueError as error:
        raise WorkbenchError(
            f"codebook({values})", f"{error}", "write codebook(-1,-0.5,0,0.5,1)"
        ) from None
    label = f"codebook({','.join(map(_shortest, numbers))})"
    if sorted(numbers) != numbers:
        raise WorkbenchError(label, "its values must ascend", "sort them")
    return CodebookFormat(label, tuple(numbers))


def _shortest(value: float) -> str:
    """The shortest text that reads back as the same number."""
    return f"{value:g}" if float(f"{value:g}") == value else repr(value)


def codebooks() -> dict[str, CodebookFormat]:
    """The codebooks known by name.

    Example:
        >>> sorted(codebooks())
        ['bnb_fp4', 'dynamic8', 'nf4', 'udynamic8']
    """
    tables = {
        "nf4": _NF4,
        "bnb_fp4": _bitsandbytes_fp4(),
        "dynamic8": dynamic_tree(True),
        "udynamic8": dynamic_tree(False),
    }
    return {name: CodebookFormat(name, table) for name, table in tables.items()}
