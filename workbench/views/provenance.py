"""The mark beside every number: exact, or from a sketch or a sample, and how far off at most."""

from __future__ import annotations

from collections.abc import Sequence


def mark_of(provenance: str, bound: float | None) -> str:
    """The mark of one number, with the half-width in dB of the interval that holds the exact one.

    Example:
        >>> mark_of("exact", 0.0), mark_of("sketch", 0.0001), mark_of("sample", None)
        ('exact', 'sketch ± <0.001 dB', 'sample ± ? dB')
    """
    if provenance in ("exact", "pending"):
        return "exact" if provenance == "exact" else "being computed"
    if bound is None:
        return f"{provenance} ± ? dB"
    return f"{provenance} ± {'<0.001' if bound < 0.001 else f'{bound:.2g}'} dB"


def mark_of_all(marks: Sequence[tuple[str, float | None]]) -> str:
    """One mark for several numbers: exact if all are, else the least certain kind and widest bound.

    Example:
        >>> mark_of_all([("exact", 0.0), ("sketch", 0.2), ("sketch", 0.01)])
        'sketch ± 0.2 dB'
    """
    for kind in ("pending", "sample", "sketch"):
        bounds = [bound for provenance, bound in marks if provenance == kind]
        if bounds:
            known = [bound for bound in bounds if bound is not None]
            return mark_of(kind, max(known) if len(known) == len(bounds) else None)
    return "exact"
