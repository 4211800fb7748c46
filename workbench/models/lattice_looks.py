"""How few values the groups of a weight tensor take, beside what floats would: see `lattice`."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

GROUPS = (16, 32, 64, 128, 256, 512, 1024, 2048)
LOOK = 1 << 17  # values looked at for each size of groups
COARSE = 12  # significant bits below which floats themselves take few values
DISTINCT = 0.66  # of what floats would show; more than this is no lattice


@dataclass(frozen=True)
class Look:
    """What groups of one size show.

    `distinct` values at most, which is this `share` of what floats would take; `gap` is the usual
    distance between neighbours, in spacings of the floats; `steps` lie between the ends of a group
    where all values are multiples of one.
    """

    kind: str
    size: int
    distinct: int
    share: float
    gap: float
    steps: int | None

    @property
    def rare(self) -> bool:
        """Whether floats of this precision would hardly take so few values."""
        return self.share <= DISTINCT and self.gap >= 3


def looks_of(rows: np.ndarray, bits: int, few: int) -> list[Look]:
    """One look at groups of each size, largest first: the tensor, its rows, parts of rows.

    `rows` is float32 `(rows, columns)`, `bits` the significant bits of its values; groups of more
    than `few` values that are not many times as large are not compared with floats.

    >>> looks = looks_of(np.tile(np.float32([1, 2, 3, 4]), (8, 16)), 2, 16)
    >>> [(look.kind, look.size, look.distinct) for look in looks]
    [('tensor', 512, 4), ('channel', 64, 4), ('group', 32, 4), ('group', 16, 4)]
    """
    return [_look(kind, groups, bits, few) for kind, groups in _groupings(rows)]


def significant_bits(values: np.ndarray) -> int:
    """The most bits from the leading to the last one in any float32 value, 1 to 24.

    Zeros, subnormals, NaN and infinities are left out.

    >>> significant_bits(np.float32([1.0, 1.5, 0.375, 448.0]))
    3
    """
    pattern = np.ascontiguousarray(values, np.float32).reshape(-1).view(np.uint32)
    exponent = (pattern >> 23) & 0xFF
    used = pattern[(exponent > 0) & (exponent < 255)] & 0x7FFFFF
    mantissa = int(np.bitwise_or.reduce(used)) | 1 << 23
    return 24 - ((mantissa & -mantissa).bit_length() - 1)


def _groupings(rows: np.ndarray) -> list[tuple[str, np.ndarray]]:
    """Groups of every size, largest first: the tensor, its rows, and parts of rows."""
    width = rows.shape[1]
    found = [("tensor", rows.reshape(1, -1))]
    if rows.shape[0] > 1 and width >= GROUPS[0]:
        found.append(("channel", rows))
    for size in reversed(GROUPS):
        if size < width:
            whole = rows[:, : width // size * size]  # the ragged tail of a row says nothing new
            found.append(("group", whole.reshape(-1, size)))
    return found


def _look(kind: str, groups: np.ndarray, bits: int, few: int) -> Look:
    # all groups would say no more than these; a lattice has to hold in each of them
    count = max(1, min(4096, LOOK // groups.shape[1]))
    chosen = groups[np.linspace(0, len(groups) - 1, min(len(groups), count)).astype(np.int64)]
    chosen = np.sort(chosen, axis=1)
    levels = (np.diff(chosen, axis=1) != 0).sum(axis=1) + 1
    size, most = groups.shape[1], int(levels.max())
    share, gap = 1.0, 0.0
    if most <= few or size >= 2 * most:  # else it makes no difference, and takes long
        zero = (chosen == 0).any(axis=1)
        expected = _expected_distinct(chosen, bits)
        share = float((levels - zero).sum() / max(expected.sum(), 1.0))
        gap = _usual_gap(chosen, bits)
    return Look(kind, size, most, share, gap, _steps(chosen, bits))


def _usual_gap(groups: np.ndarray, bits: int) -> float:
    """Median distance between neighbours in spacings of the floats; inf where those are fine."""
    gaps = np.diff(groups, axis=1)
    new = gaps != 0
    if bits >= COARSE or not new.any():
        return math.inf
    larger = np.maximum(np.abs(groups[:, 1:]), np.abs(groups[:, :-1]))[new]
    return float(np.median(gaps[new] / np.ldexp(1.0, np.frexp(larger)[1] - bits)))


def _expected_distinct(groups: np.ndarray, bits: int) -> np.ndarray:
    """How many distinct non-zero values each group would have if only its precision were limited.

    Floats of `bits` significant bits take `2^(bits - 1)` places in an octave of one sign, fewer
    where the values fill a part of it only; a place is taken by each value alike.
    """
    filled = groups != 0
    if bits >= COARSE:
        return filled.sum(axis=1).astype(float)
    exponent = np.frexp(groups)[1]
    top = int(exponent[filled].max())
    cell = (np.clip(top - exponent, 0, 31) * 2 + (groups < 0))[filled]
    places = np.minimum(2.0 ** (bits - 1), _filled_places(groups[filled], top, bits))
    index = cell + 64 * np.repeat(np.arange(len(groups)), filled.sum(axis=1))
    counts = np.bincount(index, minlength=64 * len(groups)).reshape(-1, 64)
    return (places * (1 - (1 - 1 / places) ** counts)).sum(axis=1)


def _filled_places(values: np.ndarray, top: int, bits: int) -> np.ndarray:
    """Floats from the smallest to the largest value in each octave below `2^top`, by sign."""
    places = np.ones((32, 2))
    for sign, part in enumerate((values[values > 0], -values[values < 0])):
        part = np.sort(part).astype(np.float64)
        cuts = np.searchsorted(part, np.ldexp(1.0, top - np.arange(33)))
        for octave in np.flatnonzero(cuts[:-1] > cuts[1:]):
            inside = part[cuts[octave] - 1] - part[cuts[octave + 1]]
            places[octave, sign] = inside / np.ldexp(1.0, top - octave - bits) + 1
    return places.reshape(-1)


def _steps(groups: np.ndarray, bits: int) -> int | None:
    """The most steps between the ends of a group, if each one's values are multiples of one step.

    A step has to be far above the spacing of the floats, or every float would be on a lattice.
    """
    few = groups[np.linspace(0, len(groups) - 1, min(len(groups), 32)).astype(np.int64)]
    if few.shape[1] > 256:
        inner = np.linspace(0, few.shape[1] - 1, 256).astype(np.int64)  # sorted: the ends stay
        few = few[:, inner]
    most = 0
    for group in few:
        steps = _steps_of(group.astype(np.float64), bits)
        if steps is None:
            return None
        most = max(most, steps)
    return most or None


def _steps_of(group: np.ndarray, bits: int) -> int | None:
    """Steps between the ends of one sorted group, 0 where it has too few values, None for none."""
    distinct = np.unique(group)
    if distinct.size < 3:
        return 0
    span, largest = distinct[-1] - distinct[0], np.abs(distinct).max()
    rounding = largest * 2.0**-bits
    finest = min(255, int(span / (8 * 2 * rounding)))
    counts = np.arange(distinct.size - 1, finest + 1)
    if not counts.size:
        return None
    places = (distinct - distinct[0]) / span * counts[:, None]
    slack = 1e-3 + 2 * rounding / span * counts
    fits = (np.abs(places - np.round(places)) <= slack[:, None]).all(axis=1)
    return int(counts[fits][0]) if fits.any() else None
