"""Blocks of values that share one stored scale, as far as the bit-field editor shows them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from ..errors import WorkbenchError
from ..schemes import parse
from .bit_codes import canonical

MOST = 32
NAMED = ("mxfp4", "mxfp6", "mxfp8", "mxint8", "nvfp4")


@dataclass(frozen=True)
class Block:
    """A block scheme: the format of its values, that of its scale, and how many values.

    Args:
        name: the scheme's canonical text.
        element: name of the format of the values.
        scale: name of the format of the stored scale.
        size: how many values share it.
        whole: whether the tensor has a float32 scale of its own above; the editor takes it as 1.
    """

    name: str
    element: str
    scale: str
    size: int
    whole: bool

    @classmethod
    def of(cls, text: str) -> Block:
        """The block of a scheme's text; a scheme without blocks raises `WorkbenchError`.

        Example:
            >>> Block.of("mxfp4").scale, Block.of("nvfp4").size
            ('e8m0', 16)
        """
        scheme = parse(text)
        scale = scheme.scale
        if scale is None or scale.granularity != "group" or scale.zero_point:
            raise WorkbenchError(
                scheme.name, "the editor shows blocks that share a scale", "write mxfp4 or nvfp4"
            )
        stored = scale.levels[0].format
        if stored is None or not 1 <= scale.size[0] <= MOST:
            raise WorkbenchError(
                scheme.name, f"the scale is a code of a format, for at most {MOST} values",
                "write e2m1/b32*e8m0",
            )  # fmt: skip
        element = canonical(str(scheme.format))
        return cls(scheme.name, element, str(stored), scale.size[0], len(scale.levels) == 2)

    @property
    def formats(self) -> list[str]:
        """The formats of the values and of the scale."""
        return [self.element, self.scale]

    def plain(self) -> dict[str, Any]:
        """The block as JSON, with the codes of the example."""
        scale, elements = default_block(self.name)
        return {"element": self.element, "scale": self.scale, "size": self.size,
                "whole": self.whole, "example": {"scale": scale, "elements": elements}}  # fmt: skip


@cache
def default_block(name: str) -> tuple[int, list[int]]:
    """Codes of an example: sixteen or so usual values and one outlier that sets the scale.

    Returns:
        The scale's code and the elements' codes. Tensor scales above the block's are 1.

    Example:
        >>> scale, elements = default_block("mxfp4")
        >>> scale, len(elements)
        (127, 32)
    """
    from ..formats import parse as parse_format

    block = Block.of(name)
    values = np.random.default_rng(4).standard_normal(block.size)
    values[block.size // 4] = 6.5
    element, scale = parse_format(block.element), parse_format(block.scale)
    wanted = np.abs(values).max() / element.max
    code = int(scale.encode(np.array([wanted]))[0])
    return code, [int(c) for c in element.encode(values / scale.decode([code])[0])]
