"""What each layer of a model costs when it is quantized: the summary the sensitivity map draws."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from ..errors import WorkbenchError

KINDS = ("q", "k", "v", "o", "gate", "up", "down")
MODES = ("isolated", "accumulated")
OTHERS = "other"  # the row of layers that are in no numbered block


@dataclass(frozen=True, eq=False)
class Sensitivity:
    """A figure for each layer and scheme, with that layer alone quantized, and with all up to it.

    Args:
        schemes: canonical texts.
        blocks: names of the blocks in depth order.
        kinds: names of the layers in a block, such as "q" and "down".
        names: full name of each layer, `[block][kind]`; "" where a block has no such layer.
        isolated: float64 `(schemes, blocks, kinds)`, only this layer quantized; NaN: not measured.
        accumulated: the same with every layer up to it quantized, or None.
        figure, unit: what was measured, such as "KL" and "nats a byte".
        ratio: whether figures are compared by their ratio (KL) and not by difference (dB).
        worse: "high" or "low", which figures are worse.
        provenance: where the figures come from, such as "measured on 16,384 bytes".
    """

    schemes: tuple[str, ...]
    blocks: tuple[str, ...]
    kinds: tuple[str, ...]
    names: tuple[tuple[str, ...], ...] = field(repr=False)
    isolated: np.ndarray = field(repr=False)
    accumulated: np.ndarray | None = field(repr=False, default=None)
    figure: str = "layer error"
    unit: str = "dB"
    ratio: bool = False
    worse: str = "high"
    provenance: str = "exact"

    def __post_init__(self):
        shape = len(self.schemes), len(self.blocks), len(self.kinds)
        for name in self.modes:
            found = np.shape(getattr(self, name))
            if found != shape:
                raise WorkbenchError(
                    f"{name} figures of shape {found}",
                    f"there are {shape[0]} schemes, {shape[1]} blocks and {shape[2]} kinds",
                    f"pass {shape}, NaN where nothing was measured",
                )
        if self.worse not in ("high", "low"):
            raise WorkbenchError(
                f"worse={self.worse!r}", "either high or low figures are worse", "write 'high'"
            )

    @classmethod
    def of(cls, records: Iterable[Mapping[str, Any]], **about: Any) -> Sensitivity:
        """From one record a layer and scheme.

        Args:
            records: mappings with `scheme`, `layer` (its full name, whose first number is the
                block's and whose last part is the kind), `isolated`, and if measured
                `accumulated`; a figure of None was not measured.
            about: figure, unit, ratio, worse and provenance, as of the class.

        Example:
            >>> rows = [{"scheme": "int4", "layer": f"layers.{i}.self_attn.q_proj",
            ...          "isolated": -20.0 - i} for i in (0, 1)]
            >>> found = Sensitivity.of(rows)
            >>> found.blocks, found.kinds, found.isolated[0, :, 0].tolist()
            (('0', '1'), ('q',), [-20.0, -21.0])
        """
        records = list(records)
        places = _places(dict.fromkeys(row["layer"] for row in records))
        blocks = sorted({block for block, _ in places.values()}, key=_depth)
        kinds = sorted(dict.fromkeys(kind for _, kind in places.values()), key=_rank)
        schemes = list(dict.fromkeys(row["scheme"] for row in records))
        names = [["" for _ in kinds] for _ in blocks]
        for layer, (block, kind) in places.items():
            names[blocks.index(block)][kinds.index(kind)] = layer
        figures = np.full((2, len(schemes), len(blocks), len(kinds)), np.nan)
        for row in records:
            block, kind = places[row["layer"]]
            at = schemes.index(row["scheme"]), blocks.index(block), kinds.index(kind)
            for mode, name in enumerate(MODES):
                value = row.get(name)
                figures[(mode, *at)] = np.nan if value is None else value
        several = np.isfinite(figures[1]).any()
        return cls(
            tuple(schemes), tuple(blocks), tuple(kinds), tuple(map(tuple, names)), figures[0],
            figures[1] if several else None, **about,
        )  # fmt: skip

    @property
    def modes(self) -> tuple[str, ...]:
        """Which of the two modes there are."""
        return MODES if self.accumulated is not None else MODES[:1]

    def figures(self, mode: str) -> np.ndarray:
        """The figures of one mode, float64 `(schemes, blocks, kinds)`."""
        return np.asarray(getattr(self, mode), np.float64)

    @cached_property
    def damage(self) -> dict[str, np.ndarray]:
        """How bad each figure is, for each mode: higher is worse, in octaves where ratios count."""
        return {mode: self._damage(self.figures(mode)) for mode in self.modes}

    def _damage(self, figures: np.ndarray) -> np.ndarray:
        figures = np.where(np.isfinite(figures), figures, np.nan)
        if self.ratio:  # a layer that costs nothing lies an octave under the least that costs
            least = min(figures[figures > 0], default=1.0)
            figures = np.log2(np.where(figures <= 0, least / 2, figures))
        return figures if self.worse == "high" else -figures

    def value(self, damage: float) -> float:
        """The figure that is as bad as `damage` says."""
        signed = damage if self.worse == "high" else -damage
        return 2.0**signed if self.ratio else signed

    @cached_property
    def range(self) -> tuple[float, float]:
        """The least and the most damage of all panels; (0, 1) where nothing was measured."""
        every = np.concatenate([damage.ravel() for damage in self.damage.values()])
        every = every[np.isfinite(every)]
        if not every.size:
            return 0.0, 1.0
        low, high = float(every.min()), float(every.max())
        return (low, high) if low < high else (low - 1, high)

    def worst(self, mode: str) -> tuple[int, int, int] | None:
        """Scheme, block and kind of the most damage, None where nothing was measured."""
        damage = self.damage[mode]
        if not np.isfinite(damage).any():
            return None
        scheme, block, kind = np.unravel_index(np.nanargmax(damage), damage.shape)
        return int(scheme), int(block), int(kind)


def place_of(layer: str) -> tuple[str, str]:
    """The block's number and the kind of a layer, as its name says.

    Example:
        >>> place_of("model.layers.11.mlp.down_proj.weight"), place_of("lm_head")
        (('11', 'down'), ('other', 'lm_head'))
    """
    name = layer.removesuffix(".weight")
    kind = name.rpartition(".")[2].removesuffix("_proj")
    number = re.search(r"(?:^|\.)(\d+)\.", name)
    return (number[1], kind) if number else (OTHERS, name)


def _places(layers: Iterable[str]) -> dict[str, tuple[str, str]]:
    """Block and kind of each layer; kinds that two layers of one block share are told apart."""
    places = {layer: place_of(layer) for layer in layers}
    seen = Counter(places.values())
    shared = {kind for (_, kind), count in seen.items() if count > 1}
    return {
        layer: (block, _tail(layer) if kind in shared else kind)
        for layer, (block, kind) in places.items()
    }


def _tail(layer: str) -> str:
    """What follows the block's number, without endings that say nothing."""
    found = re.search(r"(?:^|\.)\d+\.(.+)$", layer.removesuffix(".weight"))
    return (found[1] if found else layer).removesuffix(".dense").removesuffix("_proj")


def _depth(block: str) -> tuple[bool, int]:
    return (block == OTHERS, 0 if block == OTHERS else int(block))


def _rank(kind: str) -> tuple[int, str]:
    """The usual order of a decoder's layers, any other kind behind them by name."""
    return (KINDS.index(kind), "") if kind in KINDS else (len(KINDS), kind)
