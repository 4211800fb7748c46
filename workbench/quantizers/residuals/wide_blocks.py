"""Blocks of input channels that are rounded to more bits than the others."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ...costs import Added
from ...errors import WorkbenchError
from ...schemes import Scheme, parse
from .base import Correction, Remainder, Residual


@dataclass(frozen=True, eq=False)
class Wide(Correction):
    """Input channels that meet the quantized weight under a scheme of their own.

    Attributes:
        columns: float32 (outputs, features), the quantized weight, which is stored already.
        channels: which they are, int64, ascending.
        scheme: what they are rounded under.
        blocks: how many blocks there are, each of which has a bit that says whether it is wide.
    """

    columns: np.ndarray
    channels: np.ndarray
    scheme: Scheme
    blocks: int

    @property
    def nbytes(self) -> int:
        """Bytes of those bits."""
        return -(-self.blocks // 8)

    @property
    def share(self) -> float:
        """The share of the channels that are wide."""
        return self.channels.size / self.columns.shape[1]

    def split(self, x):
        """The inputs without those channels, and what the channels give."""
        rest = x.copy()
        rest[:, self.channels] = 0
        return rest, self.scheme.round(x[:, self.channels]) @ self.columns[:, self.channels].T


@dataclass(frozen=True)
class WideBlocks(Residual):
    """The blocks of input channels that reach farthest are rounded to more bits.

    They are known beforehand, from the calibration, and meet the quantized weights as all others
    do, in a product of their own. Source: the mixed precision of COMET (Liu et al., 2025), whose
    permutation is `sort`; what it takes for a block with outliers is not published, so a share of
    blocks is given here.

    Args:
        share: of the blocks, as many as it has room for; at least one.
        block: channels of a block; the last may be smaller.
        inputs: the scheme of wide blocks.

    A layer without known inputs raises `WorkbenchError`.

    Example:
        >>> from workbench.quantizers import Calibration, Recipe
        >>> x = np.float32([[1, 2, 3, 90], [2, 1, 0, -80]])
        >>> recipe = Recipe.parse("w=int8/channel a=int4/g2 wide_blocks(block=2, inputs=int8/g2)")
        >>> [wide] = recipe.apply(np.ones((1, 4), np.float32), Calibration.of(x)).corrections
        >>> wide.channels.tolist(), wide.share, wide.nbytes
        ([2, 3], 0.5, 1)
    """

    share: float = 0.125
    block: int = 128
    inputs: str = "int8/g128"
    name: ClassVar[str] = "wide_blocks"

    def __post_init__(self):
        if not 0 < self.share <= 1 or self.block < 1:
            raise WorkbenchError(
                str(self), "a share is above 0 and at most 1, of blocks of a channel or more",
                "write wide_blocks(share=0.125, block=128)",
            )  # fmt: skip
        if "," in self.inputs:
            raise WorkbenchError(
                f"wide_blocks(inputs={self.inputs})", "a comma ends a parameter of a part",
                "name a scheme without one, such as wide_blocks(inputs=int8/g128)",
            )  # fmt: skip
        object.__setattr__(self, "inputs", parse(self.inputs).name)

    def added(self, outputs: int, features: int) -> Added:
        """A bit for each block."""
        return Added(math.ceil(math.ceil(features / self.block) / 8))

    def fit(self, remainder: Remainder) -> Wide:
        """The blocks of a layer that are wide."""
        reach = remainder.known(self.name).reach
        most = np.maximum.reduceat(reach, np.arange(0, reach.size, self.block))
        count = max(1, int(self.share * most.size))
        wide = np.zeros(most.size, bool)
        wide[np.argsort(-most, kind="stable")[:count]] = True
        channels = np.flatnonzero(wide.repeat(self.block)[: reach.size])
        return Wide(remainder.quantized - remainder.added, channels, parse(self.inputs), most.size)
