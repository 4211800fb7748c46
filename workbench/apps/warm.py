"""Compiles every kernel before anybody waits for one: `python -m workbench.apps.warm`.

The schemes' own warm-up, then what the first picture of a page or a notebook does. The compiled
code is kept on disk: a minute the first time, two seconds afterwards.
"""

from __future__ import annotations

import time

import numpy as np

from workbench.explorers import FormatExplorer
from workbench.schemes.warm import warm

SHOWN = (
    ("e4m3fn", "int8/tensor", "mxfp4", "nvfp4"),
    ("int4/g32", "int4/g128+zp", "nf4/b64", "e2m1/channel"),
    ("int8/token", "mxfp8", "mxint8", "int4/g32@mse"),
)


def main() -> None:
    """Compile what is not compiled yet, and say how long it took where somebody had to wait.

    Example:
        >>> main()
    """
    began = time.perf_counter()
    x = np.random.default_rng(0).standard_normal((64, 256)).astype(np.float32)
    for schemes in SHOWN:
        explorer = FormatExplorer.of(x, schemes)
        explorer.figures()
        explorer.refine(lambda: None, delay=0)
        explorer.wait(600)
        explorer.figures()
    warm()
    took = time.perf_counter() - began
    if took > 10:
        print(f"Compiled the kernels in {took:.0f} s; they are kept for later starts.", flush=True)


if __name__ == "__main__":
    main()
