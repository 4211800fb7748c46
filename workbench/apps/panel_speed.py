"""The one place where Panel's own way is too slow for a slider; a test guards that it is there.

Panel waits 50 ms before it looks at a change, which is half of what a slider may take, and Python
looks for garbage among everything that the imports made, which is a tenth of a second now and then.
"""

from __future__ import annotations

import gc
from functools import cache

import panel as pn

DEBOUNCE = 2  # milliseconds


@cache
def quicken() -> None:
    """Have Panel look at a change after `DEBOUNCE` ms, and Python for garbage among new objects."""
    pn.reactive.Syncable._debounce = DEBOUNCE
    gc.collect()
    gc.freeze()
