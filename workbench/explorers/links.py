"""State as text: the query string of a permalink, and the Python that redoes what is seen."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import parse_qsl, urlencode

from ..errors import WorkbenchError, unknown

REPEATED = "scheme"  # one for each scheme, because a scheme may hold a comma


def to_query(state: Mapping[str, Any], defaults: Mapping[str, Any]) -> str:
    """What differs from the defaults, as a query string without its question mark.

    Example:
        >>> to_query({"schemes": ["int4/g128+zp"], "shift": 0.5}, {"schemes": [], "shift": 0.0})
        'scheme=int4%2Fg128%2Bzp&shift=0.5'
    """
    pairs: list[tuple[str, str]] = []
    for key, value in state.items():
        if value == defaults.get(key):
            continue
        if key == "schemes":
            pairs += [(REPEATED, scheme) for scheme in value]
        else:
            pairs.append((key, _text(value)))
    return urlencode(pairs)


def from_query(query: str, defaults: Mapping[str, Any]) -> dict[str, Any]:
    """The state that a query string, or a file's fragment, carries over the defaults.

    A key that is not a part of the state, or a value of the wrong kind, raises `WorkbenchError`.

    Example:
        >>> from_query("?scheme=int8&shift=2", {"schemes": [], "shift": 0.0})
        {'schemes': ['int8'], 'shift': 2.0}
    """
    state, schemes = dict(defaults), []
    for key, text in parse_qsl(query.lstrip("?#"), keep_blank_values=True):
        if key == REPEATED:
            schemes.append(text)
        elif key not in defaults or key == "schemes":
            raise unknown("entry of a link", key, [REPEATED, *defaults])
        else:
            state[key] = _value(key, text)
    return {**state, "schemes": schemes} if schemes else state


def _text(value: Any) -> str:
    """A value as a link holds it: ranges by a comma, nothing for None."""
    if value is None:
        return ""
    return ",".join(map(repr, value)) if isinstance(value, list | tuple) else str(value)


def _value(key: str, text: str) -> Any:
    """The value of an entry from its text."""
    if key not in _READ:
        return text
    read, wanted, example = _READ[key]
    try:
        return read(text)
    except ValueError:
        raise WorkbenchError(f"{key}={text}", f"it is {wanted}", f"write {key}={example}") from None


def _number(kind: type) -> tuple[Callable[[str], Any], str]:
    return (lambda text: kind(text) if text else None), "a number"


def _range(text: str) -> tuple[float, float] | None:
    low, high = map(float, text.split(",")) if text else (None, None)
    return None if low is None or high is None else (low, high)


def _whole(text: str) -> tuple[int, ...]:
    return tuple(int(one) for one in text.split(",") if one)


_READ = {  # how an entry is read, what it is, and an example
    "selection": (_range, "two numbers", "-0.5,0.5"),
    "shift": (*_number(float), "0.5"),
    "probe": (*_number(float), "0.25"),
    "part": (*_number(float), "0.5"),
    "channel": (*_number(int), "7"),
    "channels": (_whole, "whole numbers", "7,12"),
    "place": (_whole, "two whole numbers", "0,7"),
}


def code_of(state: Mapping[str, Any], defaults: Mapping[str, Any], shape: tuple[int, ...]) -> str:
    """Python that opens the same explorer on the same tensor and prints its figures.

    Example:
        >>> defaults = {"source": "", "schemes": [], "shift": 0.0}
        >>> state = {"source": "array:x", "schemes": ["int8"], "shift": 0.0}
        >>> print(code_of(state, defaults, (4,)))
        import workbench as wb
        <BLANKLINE>
        # x is the array of shape (4,) that this explorer was opened on
        explorer = wb.explore(x, schemes=['int8'], host="none")
        for row in explorer.figures()["metrics_table"].data():
            print(row)
    """
    kind, _, rest = str(state["source"]).partition(":")
    first, argument = _opening(kind, rest, shape)
    extra = "".join(
        f", {key}={value!r}"
        for key, value in state.items()
        if key not in ("source", "schemes") and value != defaults[key]
    )
    lines = [
        "import workbench as wb",
        "",
        *first,
        f"explorer = wb.explore({argument}, schemes={list(state['schemes'])!r}{extra}, "
        'host="none")',
        'for row in explorer.figures()["metrics_table"].data():',
        "    print(row)",
    ]
    return "\n".join(lines)


def _opening(kind: str, rest: str, shape: tuple[int, ...]) -> tuple[list[str], str]:
    """The lines that make the tensor, and what to pass for it."""
    if kind == "weight":
        return [f'x = wb.models.tensors("reference")[{rest!r}]'], "x"
    if kind == "file":
        path, _, name = rest.rpartition("#")
        return [f"x = wb.models.load({path!r})[{name!r}]"], "x"
    if kind == "array":
        return [f"# {rest} is the array of shape {shape} that this explorer was opened on"], rest
    return [], repr(f"{kind}:{rest}")
