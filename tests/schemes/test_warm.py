"""After the warm-up no format and no scheme compiles anything: no compile falls on a slider."""

import subprocess
import sys

SCRIPT = """
import numpy as np
import workbench as wb
from workbench import formats
from workbench.schemes.warm import compiled_count, warm

warm()
before = compiled_count()
rng = np.random.default_rng(0)
inputs = [rng.normal(size=shape).astype(dtype)
          for shape in ((4, 70), (300,), (2, 3, 40)) for dtype in (np.float32, np.float64)]
specs = [*formats.names(), "e5m3(bias=3)", "q2.5", "mxfp6", "mxfp8(even)", "nvfp4", "int3/g7*f16",
         "nf4/b16", "bnb_fp4/g32*e4m3fn*f32", "uint5/channel+zp", "int4/t4x4", "e4m3fn/token",
         "int2/g16@mse", "int8/tensor@percentile(99.9)", "mxint8", "dynamic8/b64"]
for spec in specs:
    for x in inputs:
        if "t4x4" in spec and x.ndim < 2:
            continue
        for rounding in formats.ROUNDINGS:
            wb.scheme(spec).round(x, rounding=rounding, seed=1)
        wb.scheme(spec).round(x[..., ::2], axis=0)
assert compiled_count() == before, (before, compiled_count())
print("nothing compiled")
"""


def test_nothing_compiles_after_the_warm_up():
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], capture_output=True, text=True, timeout=500
    )
    assert done.stdout.strip() == "nothing compiled", done.stderr[-2000:]
