"""A sketch of a tensor: everything a slider needs, in about a hundred kilobytes.

It holds the values by the upper half of their float32 pattern, the blocks of the geometries asked
for, and, where wanted, a histogram of every channel. Sketches add.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import WorkbenchError
from ..formats import Format
from ..kernels import arrays
from ..schemes import Scheme, parse
from ..schemes.report import ErrorReport
from .blocks import BlockSketch
from .channels import ChannelHistogram
from .geometry import Geometry, geometry_of
from .prefix import PrefixSketch
from .profile import ErrorProfile, profile_of
from .reading import FLOAT32, MOST_OPEN, Reading, read_blocks, read_values

USUAL = ("mxfp4",)
_UNIT_NAMES = {
    "power": "power of two under the block's largest magnitude",
    "fine": "power of two under the block's largest magnitude",
    "amax": "block's largest magnitude",
    "span": "width of the block's range",
}


@dataclass(frozen=True, eq=False)
class Sketch:
    """A small, mergeable summary of a tensor, from which the error of any scheme is read.

    Args:
        values: the prefix sketch.
        blocks: block sketches by the text of their geometry.
        shape: of the tensor; of a sum, with the first axes added where the others agree.
        axis: the axis along which blocks lie.
        channels: a histogram of every channel, or None.
        source: in words, where the tensor comes from.
    """

    values: PrefixSketch
    blocks: dict[str, BlockSketch] = field(default_factory=dict)
    shape: tuple[int, ...] = ()
    axis: int = -1
    channels: ChannelHistogram | None = None
    source: str = ""

    @property
    def n(self) -> int:
        """How many finite values there are."""
        return self.values.n

    @property
    def amax(self) -> float:
        """The largest finite magnitude; 0 where there is none."""
        return self.values.amax

    @property
    def min(self) -> float:
        """The smallest finite value; inf where there is none."""
        return self.values.low

    @property
    def max(self) -> float:
        """The largest finite value; -inf where there is none."""
        return self.values.high

    @property
    def rms(self) -> float:
        """The root of the mean square; 0 where there is nothing finite."""
        return math.sqrt(self.values.energy / self.n) if self.n else 0.0

    def __add__(self, other: Sketch) -> Sketch:
        """The sketch of both tensors, one after the other along the first axis."""
        if not isinstance(other, Sketch):
            return NotImplemented
        if self.blocks.keys() != other.blocks.keys() or self.axis != other.axis:
            raise WorkbenchError(
                f"sketches of {sorted(self.blocks)} and {sorted(other.blocks)}",
                "their blocks differ",
                "build both with the same schemes= and axis=",
            )
        both = self.channels is not None and other.channels is not None
        return Sketch(
            self.values + other.values,
            {key: part + other.blocks[key] for key, part in self.blocks.items()},
            _joined(self.shape, other.shape),
            self.axis,
            self.channels + other.channels if both else None,
            self.source if self.source == other.source else f"{self.source} + {other.source}",
        )

    def error(self, scheme: Scheme | Format | str) -> ErrorReport:
        """The error of a scheme, and in dB how far the exact SQNR may be from this one.

        A scheme whose blocks the sketch does not hold raises `WorkbenchError` with the `schemes=`
        to build it with; so does one that no sketch can answer for.

        Example:
            >>> import numpy as np
            >>> s = sketch(np.float32([1.0, -0.3, 0.02, 0.7] * 8))
            >>> s.error("mxfp4").sqnr > 15, s.error("e4m3fn").provenance
            (True, 'sketch')
        """
        scheme = as_scheme(scheme)
        lost = self._lost(scheme)
        if lost:
            return self._report(math.inf, 0.0, math.inf, {"clipping": math.inf})
        reading = self._read(scheme)
        sums, n = reading.sums, max(1, self.n)
        total = max(0.0, sums.total)
        lower, upper = self._bounds(scheme, reading)
        causes = {"rounding": sums.rounding, "clipping": sums.clipping}
        causes |= {"underflow": sums.underflow, "scale": sums.scale}
        largest = sums.worst * self._unit(scheme)
        largest += (reading.wobble + FLOAT32) * self.amax if total else 0.0
        causes = {name: value / n for name, value in causes.items()}
        return self._report(total / n, _width(lower, total, upper), largest, causes)

    def _report(self, mse: float, bound: float, largest: float, causes: dict) -> ErrorReport:
        values = self.values
        names = ("rounding", "clipping", "underflow", "scale")
        return ErrorReport(
            n=values.n,
            signal=values.energy / max(1, values.n),
            mse=mse,
            max_error=largest,
            causes={name: causes.get(name, 0.0) for name in names},
            bound=bound,
            provenance="sketch",
            n_nan=values.n_nan,
            n_inf=values.n_pos_inf + values.n_neg_inf,
        )

    def _lost(self, scheme: Scheme) -> bool:
        """Whether some finite value becomes NaN or infinite."""
        values, scale = self.values, scheme.scale
        if scale is None:
            ends = [values.low, values.high] + [0.0] * bool(values.n_zero)
            return bool(values.n) and not np.isfinite(scheme.format.round(np.array(ends))).all()
        if scale.levels[0].name != "e8m0":
            return False
        geometry = geometry_of(scheme)
        if geometry is None:
            return bool(values.n and values.n_nan + values.n_pos_inf + values.n_neg_inf)
        return self._held(scheme, geometry).lost > 0

    def _held(self, scheme: Scheme, geometry: Geometry) -> BlockSketch:
        if str(geometry) not in self.blocks:
            held = ", ".join(sorted(self.blocks)) or "no blocks"
            raise WorkbenchError(
                str(scheme),
                f"this sketch holds {held}",
                f"build it with wb.sketch(x, schemes=({str(scheme)!r},))",
            )
        return self.blocks[str(geometry)]

    def _read(self, scheme: Scheme) -> Reading:
        geometry = geometry_of(scheme)
        if geometry is None:
            return read_values(self.values, scheme)
        reading = read_blocks(self.values, self._held(scheme, geometry), scheme)
        if reading.open > MOST_OPEN * self.values.energy:
            raise WorkbenchError(
                str(scheme),
                "the tensor's blocks lie where its scales are subnormal or at their end",
                "use wb.metrics.error(x, scheme), which is exact",
            )
        return reading

    def _unit(self, scheme: Scheme) -> float:
        """What the unit of the cells that answer for a scheme does not exceed."""
        geometry = geometry_of(scheme)
        if geometry is None:
            return 1.0
        held = self.blocks[str(geometry)]
        return held.largest_unit / (2 if geometry.unit in ("power", "fine") else 1)

    def _bounds(self, scheme: Scheme, reading: Reading) -> tuple[float, float]:
        """The squared errors between which the exact one lies.

        By Minkowski's inequality: moving a grid by a relative w moves the root of the squared error
        by no more than w times the norm of the rounded values, and so does rounding in float32.
        """
        sums, energy = reading.sums, self.values.energy
        slack = FLOAT32 if scheme.scale is not None else 0.0
        slack += 2.0**-23 if self.values.rounded else 0.0
        moved = reading.wobble * (math.sqrt(energy) + math.sqrt(sums.upper))
        moved += slack * math.sqrt(energy)
        lower = max(0.0, math.sqrt(sums.lower) - moved) ** 2 - reading.open
        upper = (math.sqrt(sums.upper) + moved) ** 2 + reading.open
        return max(0.0, lower) * (1 - 1e-9), upper * (1 + 1e-9)

    def error_by_value(self, scheme: Scheme | Format | str) -> ErrorProfile:
        """The error of a scheme by value, in local steps and by cause; see `ErrorProfile`.

        For shared scales, values are in the unit of their block.

        Example:
            >>> import numpy as np
            >>> profile = sketch(np.float32([0.3, 1.0, 9.0])).error_by_value("e2m1")
            >>> profile.becomes.tolist(), profile.cause.tolist()
            ([0.5, 1.0, 6.0], [0, 0, 1])
        """
        scheme = as_scheme(scheme)
        geometry = geometry_of(scheme)
        unit = "x" if geometry is None else f"x / {_UNIT_NAMES[geometry.unit]}"
        return profile_of(self._read(scheme), unit, self.n)

    def unused_codes(self, scheme: Scheme | Format | str) -> float:
        """The share of a format's values that no value of the tensor becomes, from 0 to 1.

        A bin that a threshold cuts counts for both sides, so a few values may count as used that
        are not.

        Example:
            >>> import numpy as np
            >>> sketch(np.float32([1.0, -1.0, 0.0])).unused_codes("int2")
            0.25
        """
        scheme = as_scheme(scheme)
        reading = self._read(scheme)
        pieces = reading.cells.pieces(reading.ladder, reading.scale)
        sides = reading.cells.side[pieces[:, 0].astype(np.int64)]
        place = pieces[:, 6].astype(np.int64)
        mirrored = reading.ladder.values.size - 1 - place
        used = np.unique(np.where(sides == 1, mirrored, place))
        return max(0.0, 1.0 - used.size / len(scheme.element))

    def bins(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Lower ends, upper ends and counts of all non-empty bins, ascending by value.

        Zeros alone are a bin of no width. Bins are a 128th of an octave or finer.
        """
        return self.values.bins

    def histogram(self, per_octave: int = 8) -> tuple[np.ndarray, np.ndarray]:
        """Edges and shares of the finite values in bins even in log2 |x|, negative ones first.

        Args:
            per_octave: bins an octave: a power of two up to 128.

        Returns:
            Ascending edges (bins + 1,) from the smallest to the largest bin that holds something,
            with one bin around zero, and the share of the values in each (bins,).

        Example:
            >>> import numpy as np
            >>> edges, share = sketch(np.float32([1.0, 1.5, 3.0])).histogram(per_octave=1)
            >>> edges.tolist()[-3:], share.tolist()[-2:]
            ([1.0, 2.0, 4.0], [0.66..., 0.33...])
        """
        from .density import density

        return density(self.values, per_octave)

    def share(self, low: float, high: float) -> float:
        """The share of the finite values in [low, high), taking cut bins as evenly filled.

        Example:
            >>> import numpy as np
            >>> sketch(np.float32([0.0, 1.0, 2.0, 3.0])).share(0.5, 2.5)
            0.5
        """
        from .density import share_between

        return share_between(self.values, low, high)

    def save(self, path: str | Path) -> None:
        """Write a safetensors file, under a temporary name first.

        Example:
            >>> import numpy as np, tempfile, os
            >>> path = os.path.join(tempfile.mkdtemp(), "x.sketch")
            >>> sketch(np.ones(3)).save(path); Sketch.load(path).n
            3
        """
        from .files import save_sketch

        save_sketch(self, path)

    @staticmethod
    def load(path: str | Path) -> Sketch:
        """Read what `save` wrote; any other file raises `WorkbenchError`."""
        from .files import load_sketch

        return load_sketch(path)


def _width(lower: float, total: float, upper: float) -> float:
    """Half-width in dB of an interval around `total` that holds both ends."""
    if upper == 0:
        return 0.0
    if lower == 0 or total == 0 or math.isinf(upper):
        return math.inf
    return max(0.0, 10 * math.log10(upper / total), 10 * math.log10(total / lower))


def _joined(one: tuple[int, ...], other: tuple[int, ...]) -> tuple[int, ...]:
    """The shape of two tensors along the first axis; flat where the other axes differ."""
    if one and other and one[1:] == other[1:]:
        return (one[0] + other[0], *one[1:])
    return (int(np.prod(one)) + int(np.prod(other)),)


@lru_cache(maxsize=512)
def _parsed(text: str) -> Scheme:
    return parse(text)


def as_scheme(scheme: Scheme | Format | str) -> Scheme:
    """A scheme from a scheme, a format (a plain cast) or the text of either."""
    if isinstance(scheme, Format):
        return Scheme(scheme)
    return _parsed(scheme) if isinstance(scheme, str) else scheme


def sketch(
    x: Any,
    schemes: Sequence[Scheme | str] | str = (),
    axis: int = -1,
    channels: int | None = None,
    source: str = "",
) -> Sketch:
    """The sketch of a tensor.

    Args:
        x: array or tensor of any shape, float16, bfloat16, float32 or float64 (which is rounded to
            float32; bounds include it). NaN and infinities are counted and left out.
        schemes: schemes it shall answer for beside those of the values alone and of blocks of 32
            with power-of-two scales (mxfp4, mxfp6, mxfp8, mxint8), which it always does.
        axis: the axis along which blocks lie.
        channels: the axis whose indices are channels, to keep a histogram of each; None for none.
        source: in words, where the tensor comes from; kept with the sketch.

    Example:
        >>> import numpy as np
        >>> s = sketch(np.linspace(-1, 1, 999, dtype=np.float32), schemes=("int4/g128",))
        >>> s.n, s.max, sorted(s.blocks)
        (999, 1.0, ['group128/amax', 'group32/power'])
    """
    values = arrays.to_numpy(x.cpu() if arrays.on_device(x) else x)
    wanted = [schemes] if isinstance(schemes, str) else list(schemes)
    geometries = [geometry_of(as_scheme(s)) for s in (*USUAL, *wanted)]
    blocks = {str(g): BlockSketch.of(values, g, axis) for g in dict.fromkeys(geometries) if g}
    fan = None if channels is None else ChannelHistogram.of(values, channels)
    return Sketch(PrefixSketch.of(values), blocks, values.shape, axis, fan, source)
