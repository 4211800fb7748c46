"""Parts of a recipe: transforms, solvers, residuals and tunings, each plain data with a name.

A part is a frozen dataclass; writing its class is all there is to registering it. Its text is its
name, with what differs from the defaults in brackets: `smooth`, `smooth(alpha=0.7)`.
"""

from __future__ import annotations

import re
from dataclasses import MISSING, Field, asdict, dataclass, fields
from typing import Any, ClassVar, Self

from ..errors import WorkbenchError, unknown

REGISTERED: dict[str, type[Part]] = {}
_CALL = re.compile(r"(?P<name>\w+)(?:\((?P<arguments>.*)\))?")


@dataclass(frozen=True)
class Part:
    """One step of a recipe, as data, of one `kind`: transform, solver, residual or tuning.

    Example:
        >>> str(part("smooth(0.7)")), part("smooth").json()
        ('smooth(alpha=0.7)', {'part': 'smooth', 'alpha': 0.5})
    """

    name: ClassVar[str] = ""
    kind: ClassVar[str] = ""

    def __init_subclass__(cls, **options: Any):
        super().__init_subclass__(**options)
        if cls.name:
            REGISTERED[cls.name] = cls

    def __str__(self) -> str:
        given = [
            f"{f.name}={_written(getattr(self, f.name))}"
            for f in fields(self)
            if getattr(self, f.name) != f.default
        ]
        return f"{self.name}({', '.join(given)})" if given else self.name

    def json(self) -> dict[str, Any]:
        """The part as plain data, every parameter named."""
        return {"part": self.name, **asdict(self)}

    @classmethod
    def of(cls, **parameters: Any) -> Self:
        """The part with these parameters; unknown ones raise `WorkbenchError`."""
        names = {f.name: f for f in fields(cls)}
        for name in parameters:
            if name not in names:
                raise unknown(f"parameter of {cls.name}", name, names or ["none"])
        return cls(**{name: _typed(cls, names[name], v) for name, v in parameters.items()})


def part(text: str | dict[str, Any] | Part, kind: str = "") -> Part:
    """The part that a text or its JSON stands for.

    Args:
        text: such as "gptq(act_order=true)", or what `Part.json` gives.
        kind: what it has to be; "" for any.

    An unknown part, or parameters that it does not take, raise `WorkbenchError`.
    """
    if isinstance(text, Part):
        found = text
    elif isinstance(text, dict):
        found = named(str(text.get("part"))).of(**{k: v for k, v in text.items() if k != "part"})
    else:
        found = _parsed(text)
    if kind and found.kind != kind:
        raise WorkbenchError(
            str(found), f"it is a {found.kind}, not a {kind}", f"write it among the {found.kind}s"
        )
    return found


def named(name: str) -> type[Part]:
    """The class of a part by its name."""
    from . import residuals, solvers, transforms, tunings  # noqa: F401  (classes register themselves)

    if name not in REGISTERED:
        raise unknown("part of a recipe", name, REGISTERED)
    return REGISTERED[name]


def _parsed(text: str) -> Part:
    """A part from `name` or `name(value, key=value)`."""
    match = _CALL.fullmatch(text.strip())
    if match is None:
        why = "a part is a name, with brackets where it takes parameters"
        raise WorkbenchError(repr(text), why, "write smooth(alpha=0.5)")
    found = named(match["name"])
    names = [f.name for f in fields(found)]
    given: dict[str, Any] = {}
    for place, argument in enumerate(filter(None, (match["arguments"] or "").split(","))):
        key, equals, value = argument.partition("=")
        if not equals and place >= len(names):
            raise WorkbenchError(
                repr(text), f"{found.name} takes {len(names)} parameters", f"write {found.name}"
            )
        given[key.strip() if equals else names[place]] = (value if equals else key).strip()
    return found.of(**given)


def _typed(owner: type[Part], field: Field, value: Any) -> Any:
    """A parameter's value, read from text by the type of its default."""
    default = field.default
    wanted = type(default) if default is not MISSING else str
    try:
        if wanted is bool:
            return {"true": True, "false": False}[str(value).lower()]
        if wanted is int and float(value) != int(float(value)):
            raise ValueError
        return wanted(float(value)) if wanted is int else wanted(value)
    except (ValueError, TypeError, KeyError):
        raise WorkbenchError(
            f"{owner.name}({field.name}={value})", f"it is {_WANTED[wanted]}",
            f"write {owner.name}({field.name}={_written(default)})",
        ) from None  # fmt: skip


_WANTED = {bool: "true or false", int: "a whole number", float: "a number", str: "a word"}


def _written(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else f"{value}"
