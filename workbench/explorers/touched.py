"""Which views a change of the state touches, the same for every host."""

from __future__ import annotations

from collections.abc import Iterable

from .format_explorer import VIEWS, FormatExplorer

# The rest of the state changes the numbers, and with them every view.
_ONLY = {
    "selection": ("value_grid", "error_by_cause", "channel_fan"),
    "probe": ("value_grid", "channel_fan"),
    "channel": ("value_grid", "channel_fan"),
    "sort": ("channel_fan",),
    "axis": ("value_grid", "channel_fan"),
    "window": ("value_grid",),
}


def touched(names: Iterable[str]) -> tuple[str, ...]:
    """The views to draw again after a change of these parts of the state, in the order shown.

    Example:
        >>> touched(["sort"]), touched(["problem"]), len(touched(["shift"]))
        (('channel_fan',), (), 4)
    """
    views: set[str] = set()
    for name in names:
        views |= set(_ONLY.get(name, VIEWS if name in FormatExplorer.STATE else ()))
    return tuple(view for view in VIEWS if view in views)
