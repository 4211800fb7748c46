"""A histogram of every channel, for fans of quantiles: sign, exponent and three mantissa bits."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import WorkbenchError
from ..kernels import arrays
from ..kernels.pyramids import channel_counts

_SPECIAL = 0x7F8  # upper 12 bits of infinity; NaN share them


@dataclass(frozen=True, eq=False)
class ChannelHistogram:
    """How the values of each channel are spread.

    A bin is an eighth of the octave's lower end wide, so a quantile is known to `bound` = 12.5 %
    of itself (usually far better, as bins are taken as evenly filled); extremes are exact.

    Args:
        keys: the upper 12 bits of float32 that occur, ascending; NaN and infinities left out.
        counts: (channels, keys) int64.
        low, high: float32 (channels,), the extremes; inf and -inf where nothing is finite.
        n_special: NaN and infinities of each channel.
        axis: the axis of the tensor whose indices are the channels.
    """

    keys: np.ndarray = field(repr=False)
    counts: np.ndarray = field(repr=False)
    low: np.ndarray = field(repr=False)
    high: np.ndarray = field(repr=False)
    n_special: np.ndarray = field(repr=False)
    axis: int = -1
    bound: float = 0.125

    @staticmethod
    def of(x: Any, axis: int = -1) -> ChannelHistogram:
        """The histogram of an array or tensor whose indices along `axis` are the channels.

        Example:
            >>> ChannelHistogram.of(np.float32([[1, 2], [3, 4]])).high.tolist()
            [3.0, 4.0]
        """
        values = np.atleast_1d(arrays.to_numpy(x.cpu() if arrays.on_device(x) else x))
        if not -values.ndim <= axis < values.ndim:
            raise WorkbenchError(
                f"axis {axis}",
                f"the array has {values.ndim} dimensions",
                f"use -{values.ndim} to {values.ndim - 1}",
            )
        at = axis % values.ndim
        before, channels, after = (
            int(np.prod(part)) for part in np.split(np.array(values.shape), [at, at + 1])
        )
        cube = np.ascontiguousarray(values).reshape(before, channels, after)
        keys, counts, low, high = channel_counts(cube)
        special = (keys & 0x7FF) >= _SPECIAL
        lost = counts[:, special].sum(axis=1)
        kept = counts[:, ~special]
        return ChannelHistogram(keys[~special].astype(np.uint16), kept, low, high, lost, axis)

    def __add__(self, other: ChannelHistogram) -> ChannelHistogram:
        """The histogram of both, channel by channel, as of more tokens."""
        if self.low.size != other.low.size:
            raise WorkbenchError(
                f"histograms of {self.low.size} and {other.low.size} channels",
                "channels are added one to one",
                "add sketches of the same layer",
            )
        keys = np.union1d(self.keys, other.keys)
        counts = np.zeros((self.low.size, keys.size), np.int64)
        for part in (self, other):
            counts[:, np.searchsorted(keys, part.keys)] += part.counts
        low, high = np.minimum(self.low, other.low), np.maximum(self.high, other.high)
        lost = self.n_special + other.n_special
        return ChannelHistogram(keys, counts, low, high, lost, self.axis)

    @property
    def channels(self) -> int:
        """How many channels there are."""
        return self.low.size

    @property
    def amax(self) -> np.ndarray:
        """The largest finite magnitude of each channel, float64; 0 where nothing is finite."""
        finite = np.isfinite(self.low)
        return np.where(finite, np.maximum(np.abs(self.low), np.abs(self.high)), 0).astype(float)

    @cached_property
    def _magnitudes(self) -> tuple[np.ndarray, np.ndarray]:
        """Lower and upper end of each key's magnitudes."""
        base = (self.keys & 0x7FF).astype(np.uint32)
        ends = (np.stack([base, base + 1]) << 20).astype(np.uint32).view(np.float32)
        return ends[0].astype(float), ends[1].astype(float)

    def quantiles(self, shares: Any) -> np.ndarray:
        """Signed quantiles of each channel, (shares, channels) float64; 0 for an empty channel.

        Example:
            >>> h = ChannelHistogram.of(np.linspace(0, 1, 1001, dtype=np.float32)[:, None])
            >>> bool(abs(h.quantiles([0.5])[0, 0] - 0.5) < 0.01)
            True
        """
        small, large = self._magnitudes
        negative = self.keys >= 0x800
        low, high = np.where(negative, -large, small), np.where(negative, -small, large)
        return self._quantiles(shares, self.counts, low, high, self.low, self.high)

    def magnitude_quantiles(self, shares: Any) -> np.ndarray:
        """Quantiles of |x| of each channel, (shares, channels) float64; 0 for an empty channel."""
        small, large = self._magnitudes
        return self._quantiles(
            shares, self.counts, small, large, np.zeros(self.channels), self.amax
        )

    def _quantiles(self, shares, counts, low, high, least, most) -> np.ndarray:
        order = np.argsort(low, kind="stable")
        counts, low, high = counts[:, order], low[order], high[order]
        sums = np.cumsum(counts, axis=1)
        rows = np.arange(self.channels)
        out = np.zeros((np.size(shares), self.channels))
        if not self.keys.size:
            return out
        n = sums[:, -1]
        for i, share in enumerate(np.atleast_1d(shares)):
            place = np.maximum(n - 1, 0) * float(share)
            at = np.minimum((sums <= place[:, None]).sum(axis=1), sums.shape[1] - 1)
            held = counts[rows, at]
            inside = (place - (sums[rows, at] - held) + 0.5) / np.maximum(held, 1)
            value = low[at] + (high - low)[at] * np.clip(inside, 0, 1)
            value = most if share >= 1 else np.clip(value, least, most)
            value = least if share <= 0 else value
            out[i] = np.where(n > 0, value, 0.0)
        return out

    def save(self, path: str | Path) -> None:
        """Write a safetensors file, under a temporary name first."""
        from .files import save_arrays

        parts, about = self.to_arrays()
        save_arrays("channel histogram", parts, about, path)

    @staticmethod
    def load(path: str | Path) -> ChannelHistogram:
        """Read what `save` wrote; any other file raises `WorkbenchError`."""
        from .files import foreign, load_arrays

        parts, about = load_arrays("channel histogram", path)
        try:
            return ChannelHistogram.from_arrays(parts, about)
        except (KeyError, ValueError, TypeError) as error:
            raise foreign(path, "channel histogram", error) from error

    def to_arrays(self) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """The arrays and the header that `from_arrays` reads back."""
        most = int(self.counts.max(initial=0))
        narrow = np.uint16 if most < 1 << 16 else np.uint32 if most < 1 << 32 else np.int64
        parts = {"keys": self.keys, "counts": self.counts.astype(narrow)}
        parts |= {"low": self.low, "high": self.high, "n_special": self.n_special}
        return parts, {"axis": self.axis}

    @staticmethod
    def from_arrays(parts: dict[str, np.ndarray], about: dict[str, Any]) -> ChannelHistogram:
        """The histogram that `to_arrays` took apart."""
        counts, keys = parts["counts"].astype(np.int64), parts["keys"]
        low, high, lost = parts["low"], parts["high"], parts["n_special"]
        if counts.shape != (low.size, keys.size) or not low.size == high.size == lost.size:
            raise ValueError("its parts do not fit each other")
        return ChannelHistogram(keys, counts, low, high, lost, int(about["axis"]))
