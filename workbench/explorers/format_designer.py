"""The format designer: a float, an integer or a codebook of one's own, over a tensor.

State is plain JSON values, so that it fits in a link; numbers come from the tensor's sketch, as in
the format explorer, and its spec text works wherever a scheme does.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import param

from ..errors import WorkbenchError
from ..schemes import Scheme, parse
from ..views.axis import ValueAxis
from ..views.view import View, ViewSpec
from . import designer_parts, sources
from .designer_parts import KINDS, TOPS
from .picture import Picture, sketched
from .state import State

BOUNDS = {"exponent": (0, 8), "mantissa": (0, 10), "bias_shift": (-16, 16), "width": (1, 16)}


class FormatDesigner(State):
    """State, numbers and pictures of the format designer.

    Args:
        source: the tensor, as one line of text; see `workbench.explorers.sources`.
        kind: "float", "integer" or "codebook".
        exponent, mantissa: bits of the float, 0 to 8 and 0 to 10.
        bias_shift: how much more than usual its bias is.
        top: what its largest codes mean: "usual", "ieee", "fn", "fnuz" or "finite".
        subnormals: whether the float has them.
        signed: whether the float or the integer has a sign.
        width: bits of the integer.
        values: of the codebook, ascending, 2 to 256.
        granularity: what shares a scale, as in a scheme: "tensor", "g32", "g16*e4m3fn", or "" for
            the format as it is.
        schemes: texts of up to two schemes beside it.
        axis: "symlog2" or "linear".
        theme: "light" or "dark".

    A value that cannot be is refused with a `WorkbenchError`, and the state stays as it was.

    Example:
        >>> designer = FormatDesigner(source="synthetic:gaussian,65536,0", exponent=3, mantissa=2)
        >>> designer.spec_text, designer.rows()[0]["gates"]
        ('e3m2/g32', 435)
        >>> designer.set(kind="codebook", values="-1, 0, 1"), designer.spec_text
        ('', 'codebook(-1,0,1)/g32')
        >>> designer.set(granularity="g0").count("→"), designer.granularity
        (2, 'g32')
        >>> FormatDesigner.from_link("?kind=integer&width=5&granularity=g64").spec_text
        'int5/g64'
    """

    source = param.String("weight:layers.0.mlp.down_proj.weight")
    kind = param.Selector(default="float", objects=list(KINDS))
    exponent = param.Integer(2, bounds=BOUNDS["exponent"])
    mantissa = param.Integer(1, bounds=BOUNDS["mantissa"])
    bias_shift = param.Integer(0, bounds=BOUNDS["bias_shift"])
    top = param.Selector(default="usual", objects=list(TOPS))
    subnormals = param.Boolean(True)
    signed = param.Boolean(True)
    width = param.Integer(4, bounds=BOUNDS["width"])
    values = param.List([-1.0, -0.5, -0.25, -0.125, 0.0, 0.125, 0.25, 0.5, 1.0], item_type=float)
    granularity = param.String("g32")
    schemes = param.List(["nf4/g32", "int4/g32"], item_type=str)
    axis = param.Selector(default="linear", objects=["linear", "symlog2"])
    theme = param.Selector(default="light", objects=["light", "dark"])

    STATE: ClassVar[tuple[str, ...]] = (
        "source", "kind", "exponent", "mantissa", "bias_shift", "top", "subnormals", "signed",
        "width", "values", "granularity", "schemes", "axis", "theme",
    )  # fmt: skip
    CALLED: ClassVar[str] = "designer"

    def __init__(self, **state: Any):
        super().__init__(**state)
        self._last: tuple[tuple, Picture] | None = None

    @classmethod
    def of(cls, x: Any = None, **state: Any) -> FormatDesigner:
        """The designer over an array, a tensor or a source's text.

        Args:
            x: floats of any shape, the text of a source, or None for the default one.
            state: the rest of the state.

        Example:
            >>> FormatDesigner.of(np.linspace(-1, 1, 640, dtype=np.float32)).tensor.count
            640
        """
        if x is not None:
            state["source"] = x if isinstance(x, str) else sources.keep(x)
        return cls(**state)

    @classmethod
    def _canonical(cls, state: dict[str, Any]) -> dict[str, Any]:
        checked = {**state, "source": sources.find(state["source"]).text}
        for name in (*BOUNDS, "subnormals", "signed"):
            checked[name] = designer_parts.plain(name, state[name])
        checked["values"] = designer_parts.values_of(state["values"])
        checked["granularity"] = str(state["granularity"]).strip().lstrip("/")
        checked["schemes"] = designer_parts.references(state["schemes"])
        return checked

    @classmethod
    def _checked(cls, state: Mapping[str, Any]) -> dict[str, Any]:
        checked = super()._checked(state)
        designer_parts.scheme_of(checked)
        return checked

    @property
    def tensor(self) -> sources.Source:
        """The tensor that is looked at."""
        return sources.find(self.source)

    @property
    def spec(self) -> Scheme:
        """The designed scheme."""
        return designer_parts.scheme_of(self.state)

    @property
    def spec_text(self) -> str:
        """The text of the designed scheme, which works wherever a scheme does."""
        return self.spec.name

    def compute(self) -> Picture:
        """The numbers of the design and of the schemes beside it, from the tensor's sketch."""
        key = self.source, self.spec_text, tuple(self.schemes)
        if self._last is None or self._last[0] != key:
            parsed = [self.spec, *map(parse, self.schemes)]
            self._last = key, sketched(self.tensor, parsed, "nearest_even", 0.0)
        return self._last[1]

    @property
    def _view_spec(self) -> ViewSpec:
        return ViewSpec(theme=self.theme, axis=self.axis)

    def rows(self) -> list[dict[str, Any]]:
        """The figures of the design and of the schemes beside it, one dict each.

        Gates are those of one multiply-accumulate by `workbench.costs.gates`, an estimate; None
        where the model does not know the format.

        Example:
            >>> designer = FormatDesigner(source="synthetic:gaussian,65536,0", schemes=["int8"])
            >>> [row["bits a value"] for row in designer.rows()]
            [5.0, 8.0005]
        """
        return designer_parts.rows(self.compute())

    def figures(self) -> dict[str, View]:
        """The views of the present state: `value_grid` and `metrics_table`."""
        return designer_parts.views(self.compute(), self._view_spec)

    def value_axis(self) -> ValueAxis:
        """The axis that the value grid is drawn on, to turn places back into values."""
        return designer_parts.axis_over(self.compute(), self._view_spec)

    def suggestions(self) -> dict[str, dict[str, Any]]:
        """Codebooks made for this tensor at the present bits and granularity, as ready states.

        Where the scale is the largest magnitude of a block, an end of the codebook is held at one,
        whichever is best; for scales that do not follow the codebook's end ("tensor@std") both are
        free.

        Designs of more than 6 bits, or granularities that take no codebook, raise `WorkbenchError`.

        Example:
            >>> designer = FormatDesigner(source="synthetic:gaussian,65536,0", granularity="g64")
            >>> found = designer.suggestions()
            >>> list(found), len(found["best"]["values"])
            (['lloyd_max', 'best'], 16)
        """
        return {name: self._suggestion(name) for name in designer_parts.MAKERS}

    def _suggestion(self, name: str) -> dict[str, Any]:
        values = designer_parts.suggested(name, self.tensor, self.spec, self.granularity)
        return {**self.state, "kind": "codebook", "values": values}

    def suggest(self, name: str) -> str:
        """Take over the suggestion "lloyd_max" or "best"; returns why it was refused, or "".

        Example:
            >>> designer = FormatDesigner(source="synthetic:gaussian,65536,0")
            >>> before = designer.rows()[0]["SQNR (dB)"]
            >>> designer.suggest("best"), designer.rows()[0]["SQNR (dB)"] > before
            ('', True)
        """
        return self._take(lambda: self._suggestion(name))

    def add_value(self, value: float) -> str:
        """Add a value to the codebook; returns why it was refused, or "".

        Example:
            >>> designer = FormatDesigner(kind="codebook", values=[-1, 1])
            >>> designer.add_value(0.25), designer.values
            ('', [-1.0, 0.25, 1.0])
        """
        return self.set(kind="codebook", values=sorted([*self.values, value]))

    def move_value(self, index: int, to: float) -> str:
        """Move a value of the codebook, by its place; returns why it was refused, or ""."""
        return self.remove_value(index, [to])

    def remove_value(self, index: int, instead: list[float] | None = None) -> str:
        """Take a value out of the codebook, by its place; returns why it was refused, or "".

        Example:
            >>> designer = FormatDesigner(kind="codebook", values=[-1, 0, 1])
            >>> designer.remove_value(1), designer.remove_value(7).count("→")
            ('', 2)
        """
        if index not in range(len(self.values)):
            self.problem = str(WorkbenchError(
                f"value {index}", f"the codebook has {len(self.values)}",
                f"write 0 to {len(self.values) - 1}",
            ))  # fmt: skip
            return self.problem
        left = [*self.values[:index], *self.values[index + 1 :]]
        return self.set(kind="codebook", values=sorted([*left, *(instead or [])]))

    def click(self, place: float, doing: str) -> str:
        """Change the codebook where its grid was clicked; returns why it was refused, or "".

        Args:
            place: along the grid's axis.
            doing: "add" a value there, or "move" or "remove" the nearest one.

        Example:
            >>> state = {"kind": "codebook", "values": [-1, 1], "granularity": "tensor"}
            >>> designer = FormatDesigner(source="synthetic:uniform,256,0", **state)
            >>> designer.click(0.0, "add"), designer.values
            ('', [-1.0, 0.0, 1.0])
        """
        if self.kind != "codebook":
            return ""
        unit = self.unit_of(float(self.value_axis().value(place)))
        near = self.nearest_value(unit)
        if doing == "add":
            return self.add_value(unit)
        return self.remove_value(near, [unit] if doing == "move" else None)

    def unit_of(self, value: float) -> float:
        """A value of the tensor in the units of the design's format, rounded to a short number."""
        grid, reach = self.compute().grids_over(None)[0], self.spec.element.reach
        unit = np.clip(value / grid.scale, -reach, reach)
        step = 2.0 ** (min(int(np.frexp(reach)[1]), int(np.frexp(unit)[1]) + 2) - 7)
        return float(np.clip(np.round(unit / step) * step, -reach, reach)) + 0.0

    def nearest_value(self, unit: float) -> int:
        """The place of the codebook's value nearest to one in its units."""
        return int(np.abs(np.array(self.values) - unit).argmin())

    def describe(self) -> str:
        """The design in words: the tensor, then each view."""
        head = (
            f"{self.spec_text} on {self.tensor.label}, beside {', '.join(self.schemes) or 'none'}."
        )
        return "\n\n".join([head, *(view.describe() for view in self.figures().values())])

    def code(self) -> str:
        """Python that redoes it."""
        return designer_parts.code_of(self.state, self._defaults(), self.tensor.shape)

    def link(self) -> str:
        """The state as the query string of a permalink; empty for the default state."""
        if self.schemes:
            return super().link()
        return f"{super().link() or '?'}&scheme=".replace("?&", "?")
