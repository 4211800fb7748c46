"""The format explorer: a tensor, up to four schemes, and what every bit does, in linked views.

State is plain JSON values, so that it fits in a link; pictures are pure functions of it. Nothing
here knows in what host it is shown.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
import param

from ..errors import WorkbenchError
from ..formats import ROUNDINGS
from ..schemes import parse
from ..views.axis import ValueAxis
from ..views.channel_fan import channel_fan
from ..views.error_by_cause import error_by_cause
from ..views.metrics_table import metrics_table
from ..views.value_grid import value_grid
from ..views.view import View, ViewSpec
from . import links, sources
from .background import Newest
from .picture import Picture, exactly, sketched
from .state import State

MOST_SCHEMES = 4
MOST_SHIFT = 8.0
VIEWS: dict[str, Callable[..., View]] = {
    "value_grid": value_grid,
    "error_by_cause": error_by_cause,
    "channel_fan": channel_fan,
    "metrics_table": metrics_table,
}


class FormatExplorer(State):
    """State, numbers and pictures of the format explorer.

    Args:
        source: the tensor, as one line of text; see `workbench.explorers.sources`.
        schemes: one to four scheme texts.
        rounding: one of `workbench.formats.ROUNDINGS`.
        shift: log2 of a factor on all scales: the handle that moves the grids over the data.
        axis: "symlog2" or "linear".
        window: "data" or "formats", what the value axis spans.
        selection: a chosen value range, or None.
        probe: a marked value, or None.
        channel: a chosen channel, whose values then take the place of the tensor's, or None.
        sort: order of the channels, "size" or "index".
        theme: "light" or "dark".

    A value that cannot be is refused with a `WorkbenchError`, and the state stays as it was.

    Example:
        >>> explorer = FormatExplorer(source="synthetic:gaussian,65536,0", schemes=["int8", "int4"])
        >>> rows = explorer.figures()["metrics_table"].data()
        >>> [row["scheme"] for row in rows], rows[0]["SQNR (dB)"] > rows[1]["SQNR (dB)"]
        (['int8/tensor', 'int4/tensor'], True)
        >>> FormatExplorer.from_link("?source=synthetic%3Auniform%2C256%2C0&shift=1").shift
        1.0
    """

    source = param.String("weight:layers.0.mlp.down_proj.weight")
    schemes = param.List(["e4m3fn", "int8/tensor", "mxfp4", "nvfp4"], item_type=str)
    rounding = param.Selector(default="nearest_even", objects=list(ROUNDINGS))
    shift = param.Number(0.0, bounds=(-MOST_SHIFT, MOST_SHIFT))
    axis = param.Selector(default="symlog2", objects=["symlog2", "linear"])
    window = param.Selector(default="data", objects=["data", "formats"])
    selection = param.Tuple(None, length=2, allow_None=True)
    probe = param.Number(None, allow_None=True)
    channel = param.Integer(None, allow_None=True, bounds=(0, None))
    sort = param.Selector(default="size", objects=["size", "index"])
    theme = param.Selector(default="light", objects=["light", "dark"])

    STATE: ClassVar[tuple[str, ...]] = (
        "source", "schemes", "rounding", "shift", "axis", "window", "selection", "probe",
        "channel", "sort", "theme",
    )  # fmt: skip

    def __init__(self, **state: Any):
        super().__init__(**state)
        self._exact: dict[tuple, Picture] = {}
        self._last: tuple[tuple, Picture] | None = None
        self._newest = Newest()

    @classmethod
    def of(cls, x: Any = None, schemes: Any = None, **state: Any) -> FormatExplorer:
        """The explorer of an array, a tensor or a source's text, under one scheme or several.

        Args:
            x: floats of any shape, the text of a source, or None for the default one.
            schemes: the text of a scheme, or up to four of them, or None for the default ones.
            state: the rest of the state.

        Example:
            >>> FormatExplorer.of(np.linspace(-1, 1, 1000, dtype=np.float32), "int4").schemes
            ['int4/tensor']
        """
        if x is not None:
            state["source"] = x if isinstance(x, str) else sources.keep(x)
        if schemes is not None:
            state["schemes"] = [str(schemes)] if not isinstance(schemes, list | tuple) else schemes
        return cls(**state)

    @classmethod
    def _canonical(cls, state: dict[str, Any]) -> dict[str, Any]:
        found = sources.find(state["source"])
        channel, channels = state["channel"], found.channels
        if channel is not None and not 0 <= channel < channels:
            raise WorkbenchError(
                f"channel {channel}", f"{found.label} has {channels}", f"write 0 to {channels - 1}"
            )
        schemes, selection = _schemes(state["schemes"]), _selection(state["selection"])
        return {**state, "source": found.text, "schemes": schemes, "selection": selection}

    def set(self, **changes: Any) -> str:
        """Change the state all at once, or not at all; returns why it was refused, or "".

        Example:
            >>> explorer = FormatExplorer(source="synthetic:uniform,256,0", schemes=["int8"])
            >>> explorer.set(schemes=["int99"])
            'int99 → integers here have 1 to 16 bits → write int8'
            >>> explorer.schemes
            ['int8/tensor']
        """
        return self._take(lambda: self._changed(changes))

    def _changed(self, changes: Mapping[str, Any]) -> dict[str, Any]:
        """The state after a change; another tensor has other channels and values."""
        checked = self._checked({**self.state, **changes})
        if checked["source"] != self.source and "channel" not in changes:
            checked |= {"channel": None, "selection": None, "probe": None}
        return checked

    @property
    def tensor(self) -> sources.Source:
        """The tensor that is looked at."""
        return sources.find(self.source)

    @property
    def spec(self) -> ViewSpec:
        """What the views are asked to show."""
        names = ("theme", "axis", "selection", "probe", "channel", "sort", "window")
        return ViewSpec(**{name: getattr(self, name) for name in names})

    @property
    def _key(self) -> tuple:
        """What the numbers depend on; the rest of the state changes the drawing only."""
        return self.source, tuple(self.schemes), self.rounding, self.shift

    def compute(self) -> Picture:
        """The numbers behind the pictures: exact where known already, else the sketch's."""
        key = self._key
        if key in self._exact:
            return self._exact[key]
        if self._last is None or self._last[0] != key:
            schemes = [parse(text) for text in self.schemes]
            self._last = key, sketched(self.tensor, schemes, self.rounding, self.shift)
        return self._last[1]

    def figures(self, names: Sequence[str] = tuple(VIEWS)) -> dict[str, View]:
        """The views of the present state, by name."""
        picture, spec = self.compute(), self.spec
        histogram = picture.histogram
        if self.channel is not None:
            histogram = picture.of_channel(self.channel)
        arguments: dict[str, Callable[[], tuple]] = {
            "value_grid": lambda: (picture.grids_over(self.channel), histogram),
            "error_by_cause": lambda: (picture.fields,),
            "channel_fan": lambda: (picture.fan, picture.reaches),
            "metrics_table": lambda: (picture.figures,),
        }
        return {name: VIEWS[name](*arguments[name](), spec) for name in names}

    def refine(self, done: Callable[[], None], delay: float = 0.8) -> None:
        """Compute the exact numbers in the background; then call `done` from that thread.

        Nothing is called where a newer state has come, where they are known already, or where a
        scheme refuses the tensor; the sketch's then stay.
        """
        key = self._key
        if key in self._exact:
            return
        tensor, schemes, rounding, shift = self.tensor, self.schemes, self.rounding, self.shift
        parsed = [parse(text) for text in schemes]

        def arrived(result: Any) -> None:
            if isinstance(result, Picture):
                self._exact = {key: result}
                done()
            elif isinstance(result, Exception) and not isinstance(result, WorkbenchError):
                raise result

        self._newest.run(
            lambda stop: exactly(tensor, parsed, rounding, shift, stop), arrived, delay
        )

    def value_axis(self) -> ValueAxis:
        """The axis that the value grid is drawn on, to turn places back into values."""
        from ..views.value_grid import axis_of

        picture = self.compute()
        histogram = picture.histogram
        if self.channel is not None:
            histogram = picture.of_channel(self.channel)
        return axis_of(picture.grids_over(self.channel), histogram, self.spec)

    def cancel(self) -> None:
        """Drop the background work."""
        self._newest.cancel()

    def wait(self, seconds: float = 60.0) -> bool:
        """Wait until the background work is done; false if it took longer."""
        return self._newest.wait(seconds)

    def describe(self) -> str:
        """The whole explorer in words: the tensor, then each view."""
        tensor = self.tensor
        shape = " x ".join(map(str, tensor.shape)) or "1"
        head = f"{tensor.label}, {shape}, under {', '.join(self.schemes)}."
        return "\n\n".join([head, *(view.describe() for view in self.figures().values())])

    def code(self) -> str:
        """Python that redoes it."""
        return links.code_of(self.state, self._defaults(), self.tensor.shape)


def _schemes(texts: Any) -> list[str]:
    """Canonical texts of one to four schemes."""
    if not isinstance(texts, list | tuple) or not 1 <= len(texts) <= MOST_SCHEMES:
        count = len(texts) if isinstance(texts, list | tuple) else "something else than a list"
        raise WorkbenchError(
            f"{count} schemes", f"the views compare 1 to {MOST_SCHEMES}", "write ['int8', 'mxfp4']"
        )
    schemes = [parse(text) for text in texts]
    for scheme in schemes:
        if scheme.parts or (scheme.scale is not None and scheme.scale.mean):
            raise WorkbenchError(
                str(scheme), "the views draw one grid a scheme, and here each group has its own",
                f"measure it by wb.metrics.error(x, {str(scheme)!r})",
            )  # fmt: skip
    return [scheme.name for scheme in schemes]


def _selection(selection: Any) -> tuple[float, float] | None:
    """A value range in ascending order."""
    if selection is None:
        return None
    try:
        low, high = sorted(float(v) for v in selection)
    except (TypeError, ValueError):
        low, high = np.nan, np.nan
    if not (np.isfinite([low, high]).all() and low < high):
        raise WorkbenchError(
            f"selection {selection!r}", "a range is two different finite numbers", "write (-1, 1)"
        )
    return low, high
