"""What every explorer is: plain values that change all at once or not at all, and fit in a link."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Self

import param

from ..errors import WorkbenchError, nearest
from . import links


class State(param.Parameterized):
    """The state of an explorer; a kind of explorer declares its parameters and names them in order.

    A value that cannot be is refused with a `WorkbenchError`, and the state stays as it was.

    Example:
        >>> class Zoom(State):
        ...     factor = param.Number(1.0, bounds=(1, 64))
        ...     STATE = ("factor",)
        >>> zoom = Zoom(factor=2.0)
        >>> zoom.set(factor=99), zoom.factor, zoom.link()
        ("factor = 99 → Number parameter 'Zoom.factor' must be at most 64, not 99. → write 1.0", \
2.0, '?factor=2.0')
    """

    problem = param.String("", doc="why the last change was refused; empty when it was not")

    STATE: ClassVar[tuple[str, ...]] = ()
    CALLED: ClassVar[str] = "explorer"

    def __init__(self, **state: Any):
        super().__init__(**self._checked({**self._defaults(), **state}))

    @classmethod
    def _defaults(cls) -> dict[str, Any]:
        return {name: cls.param[name].default for name in cls.STATE}

    @classmethod
    def _checked(cls, state: Mapping[str, Any]) -> dict[str, Any]:
        """The state in canonical form; anything that cannot be raises `WorkbenchError`."""
        for name in state:
            if name not in cls.STATE:
                close = nearest(name, cls.STATE) or list(cls.STATE)
                why = f"the {cls.CALLED} has no such state"
                raise WorkbenchError(f"{name!r}", why, f"write {' or '.join(close)}")
        checked = cls._canonical(dict(state))
        for name in cls.STATE:
            try:
                cls.param[name]._validate(checked[name])
            except (ValueError, TypeError) as problem:
                default = cls.param[name].default
                raise WorkbenchError(
                    f"{name} = {checked[name]!r}", str(problem), f"write {default!r}"
                ) from None
        return checked

    @classmethod
    def _canonical(cls, state: dict[str, Any]) -> dict[str, Any]:
        """The same state in the spelling that is kept; one kind of explorer knows how."""
        return state

    @property
    def state(self) -> dict[str, Any]:
        """The state as plain values."""
        return {name: getattr(self, name) for name in self.STATE}

    def set(self, **changes: Any) -> str:
        """Change the state all at once, or not at all; returns why it was refused, or ""."""
        return self._take(lambda: self._checked({**self.state, **changes}))

    def _take(self, checked: Callable[[], Mapping[str, Any]]) -> str:
        """Take over a state; returns why it was refused, or ""."""
        try:
            self.param.update(**checked(), problem="")
        except WorkbenchError as refusal:
            self.problem = str(refusal)
        return self.problem

    @property
    def arguments(self) -> str:
        """What is not as it begins, as the arguments of a call.

        Example:
            >>> from workbench.explorers import BitEditor
            >>> BitEditor(format="e4m3fn").arguments
            "format='e4m3fn', code=69"
        """
        begins = self._defaults()
        changed = {name: value for name, value in self.state.items() if value != begins[name]}
        return ", ".join(f"{name}={value!r}" for name, value in changed.items())

    def link(self) -> str:
        """The state as the query string of a permalink; empty for the default state."""
        query = links.to_query(self.state, self._defaults())
        return f"?{query}" if query else ""

    @classmethod
    def _read(cls, link: str) -> dict[str, Any]:
        """The whole state that a link stands for."""
        return links.from_query(link, cls._defaults())

    @classmethod
    def from_link(cls, link: str) -> Self:
        """The explorer that `link()` came from."""
        return cls(**cls._read(link))

    def follow(self, link: str) -> str:
        """Take over the state of a link; returns why it was refused, or ""."""
        return self._take(lambda: self._checked(self._read(link)))
