"""The one family of errors a user meets, with one grammar: what you passed → why → what to write.

Every refusal of the workbench is a `WorkbenchError`, so that one `except` is enough around a
notebook cell or a page.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class WorkbenchError(ValueError):
    """A refusal that names the input, the reason and the way out.

    Args:
        passed: what the user gave, as the user would recognise it.
        why: why it cannot work.
        instead: what to write instead.

    Example:
        >>> print(WorkbenchError("int99", "integers have 1 to 16 bits", "write int8"))
        int99 → integers have 1 to 16 bits → write int8
    """

    def __init__(self, passed: str, why: str, instead: str):
        super().__init__(f"{passed} → {why} → {instead}")
        self.passed, self.why, self.instead = passed, why, instead

    def __reduce__(self):
        return type(self), (self.passed, self.why, self.instead)


def nearest(name: str, names: Iterable[str], count: int = 3) -> list[str]:
    """Up to `count` of `names` that are spelt most like `name`, best first.

    Example:
        >>> nearest("e4m3nf", ["e4m3fn", "int8", "e5m2"], 1)
        ['e4m3fn']
    """
    by_key = {candidate.lower(): candidate for candidate in names}
    found = difflib.get_close_matches(name.lower(), by_key, n=count, cutoff=0.4)
    return [by_key[key] for key in found]


def unknown(kind: str, name: str, names: Iterable[str]) -> WorkbenchError:
    """The error for a name that is not in a table, with the nearest names that are.

    Example:
        >>> print(unknown("format", "e4m3nf", ["e4m3fn", "bf16"]))
        'e4m3nf' → no format has this name → write 'e4m3fn'
    """
    names = list(names)
    close = nearest(name, names) or sorted(names)[:5]
    return WorkbenchError(
        repr(name), f"no {kind} has this name", "write " + " or ".join(map(repr, close))
    )
