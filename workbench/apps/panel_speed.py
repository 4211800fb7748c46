"""The one place where Panel's own way is too slow for a slider; a test guards that it is there.

Panel waits 50 ms before it looks at a change, which is half of what a slider may take.
"""

from __future__ import annotations

import panel as pn

DEBOUNCE = 5  # milliseconds


def lower_debounce() -> None:
    """Have Panel look at a change after `DEBOUNCE` ms."""
    pn.reactive.Syncable._debounce = DEBOUNCE
