"""Reproductions of error theory: expected errors in closed form."""

from __future__ import annotations

from ..metrics import Gaussian, StudentT, Uniform, best_range, best_ranges, winner


def eight_bits() -> dict[str, float]:
    """[131] SQNR at the best range of 8-bit layouts, and where the winner changes with the tails.

    Example:
        >>> round(eight_bits()["gaussian, E2M5 over INT8, dB"], 2)
        2.13
    """
    densities = [Uniform(), Gaussian(), *(StudentT(nu, limit=100.0) for nu in range(3, 13))]
    rows = best_ranges(densities)
    figures = {
        f"{name}, {layout}, dB": found.error.sqnr
        for name, row in zip(("uniform", "gaussian"), rows, strict=False)
        for layout, found in row.items()
    }
    gap = rows[1]["E2M5"].error.sqnr - rows[1]["INT8"].error.sqnr
    exponents = [
        nu for nu, row in zip(range(3, 13), rows[2:], strict=True) if winner(row) == "E3M4"
    ]
    return figures | {
        "gaussian, E2M5 over INT8, dB": gap,
        "gaussian, INT8 with -128, dB": best_range("int8", Gaussian()).error.sqnr,
        "largest nu where E3M4 wins": float(max(exponents)),
    }
