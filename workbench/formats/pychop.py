"""The rounding modes and format names of Pychop, as the roundings and formats here.

They carry the meaning that Pychop documents, which its code does not always follow (Carson and
Chen, Pychop: emulating low-precision arithmetic in numerical methods and neural networks, 2025).
"""

from __future__ import annotations

# Pychop's `rmode` -> one of `formats.ROUNDINGS`. Its mode 10, a random direction for each value,
# is not among them: up or down with equal chance is mode 6.
MODES = {
    1: "nearest_even",
    2: "up",
    3: "down",
    4: "toward_zero",
    5: "stochastic",
    6: "stochastic_equal",
    7: "nearest_zero",
    8: "nearest_away",
    9: "to_odd",
}

# Pychop's name -> the canonical name here. All are IEEE-like: an exponent of all ones is infinity
# or NaN, so that q43 ends at 240 and is not the e4m3fn of accelerators. Left out, because formats
# here have at most 16 bits: t (tf32, 19 bits), s (single), d (double) and q (quadruple).
FORMATS = {
    "q43": "e4m3ieee",
    "fp8-e4m3": "e4m3ieee",
    "q52": "e5m2",
    "fp8-e5m2": "e5m2",
    "b": "bf16",
    "bf16": "bf16",
    "bfloat16": "bf16",
    "h": "f16",
    "half": "f16",
    "fp16": "f16",
}

__all__ = ["FORMATS", "MODES"]
