"""Who rounds differently: other libraries on corner cases, and which convention here equals each.

Every input whose float32 result differs from the reference format's, in any bit but those of NaN,
is counted under the corner that it lies in. Then the named conventions are searched for one that
gives all of a library's results.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np

from .. import __version__
from ..errors import unknown
from ..formats import ROUNDINGS, FloatFormat, Format
from ..formats import parse as parse_format
from ..schemes import parse as parse_scheme
from .conformance_cases import BLOCKS, KINDS, corner_cases, kinds_of
from .conformance_peers import BLOCK, PEERS, Peer, answers

# A subject is a format, a format and a rounding, or a scheme of blocks.
SUBJECTS = (
    "f16", "bf16", "e5m2", "e4m3fn", "e4m3ieee", "e3m4", "e5m2fnuz", "e4m3fnuz",
    "e4m3fnuz(bias=11)", "e3m2", "e2m3", "e2m1", "e8m0", "nf4", "bnb_fp4", "dynamic8",
    "e5m2 nearest_away", "e5m2 nearest_zero", "e5m2 toward_zero", "e5m2 up", "e5m2 down",
    "e5m2 to_odd", "mxfp4(floor)", "mxfp4(even)", "mxfp4(ceil)", "mxfp4(rceil)",
)  # fmt: skip
OVERFLOWS = {"finite": ("saturate",), "fn": ("saturate", "nan"),
             "ieee": ("inf", "saturate", "nan")}  # fmt: skip


@dataclass(frozen=True)
class Convention:
    """A convention by its name: a format or scheme, a rounding, and what special values become.

    Args:
        format: a name that `wb.format` or `wb.scheme` reads, its options included.
        rounding: one of `formats.ROUNDINGS`.
        nan, infinity: what NaN and infinities become: "0.0" is that, "±480.0" takes their sign,
            "∓0.0" the other one; "" leaves them to the format.
        zeros: "unsigned" makes every zero positive; "" leaves its sign to the format.

    Example:
        >>> rule = Convention("e2m1", nan="∓0.0")
        >>> str(rule), rule.round(np.float32([5.1, np.nan])).tolist()
        ('e2m1, NaN → ∓0.0', [6.0, -0.0])
    """

    format: str
    rounding: str = "nearest_even"
    nan: str = ""
    infinity: str = ""
    zeros: str = ""

    def __str__(self) -> str:
        rounding = "" if self.rounding == "nearest_even" else " " + self.rounding
        pairs = (("NaN", self.nan), ("±inf", self.infinity), ("-0", self.zeros and "0"))
        clauses = (f", {what} → {becomes}" for what, becomes in pairs if becomes)
        return self.format + rounding + "".join(clauses)

    def round(self, x: np.ndarray) -> np.ndarray:
        """A flat float32 array by this convention; blocks are of 32 values."""
        if self.format.startswith(BLOCKS):
            return parse_scheme(self.format).round(x.reshape(-1, BLOCK)).reshape(-1)
        y = parse_format(self.format).round(x, self.rounding)
        y = np.where(y == 0, np.float32(0), y) if self.zeros else y
        for text, where in ((self.nan, np.isnan(x)), (self.infinity, np.isinf(x))):
            if text:
                y = np.where(where, _special(text, x), y)
        return y


def _special(text: str, x: np.ndarray) -> np.ndarray:
    """The value of a clause for each of `x`."""
    value = np.full(x.shape, text.lstrip("±∓"), np.float32)
    signed = np.copysign(value, x)
    return {"±": signed, "∓": -signed}.get(text[0], value)


@dataclass(frozen=True)
class Difference:
    """How many inputs of one kind differ, and one of them: its text, its bits, both results."""

    kind: str
    count: int
    input: str
    pattern: str
    theirs: str
    ours: str


@dataclass(frozen=True)
class Result:
    """One library in one format: the inputs that differ, and the convention that equals it.

    Args:
        peer, package, version, format: who, and in what; the reference is the format here.
        inputs: how many distinct inputs were compared; `differing` of them do not agree.
        convention: the convention here that is nearest; None where the library did not run.
        remaining: how many inputs that convention leaves differing: 0 where it is exact.
        refused: kinds of input that the library raises on; they are not compared.
        reason: in one line, why it did not run; "" where it did.
    """

    peer: str
    package: str
    version: str
    format: str
    inputs: int = 0
    differing: int = 0
    differences: tuple[Difference, ...] = ()
    convention: Convention | None = None
    remaining: int = 0
    refused: tuple[str, ...] = ()
    reason: str = ""

    @property
    def sign(self) -> str:
        """`=` as the reference, `≡` as another convention, `≠` as none, `!` did not run."""
        return "!" if self.reason else "≠" if self.remaining else "≡" if self.differing else "="


def run(
    formats: Sequence[str] | None = None, peers: Sequence[str | Peer] | None = None
) -> list[Result]:
    """Compare libraries with the formats here, on every corner case of each.

    Args:
        formats: some of `SUBJECTS`; None takes all that the peers cast to.
        peers: names of `PEERS`, or your own; None takes all. Unknown names are refused.

    Example:
        >>> mine = Peer("mine", "numpy", {"e2m1": lambda x: np.clip(np.rint(x), -6, 6)})
        >>> run(peers=[mine])[0].sign
        '≠'
    """
    named = {peer.name: peer for peer in PEERS}
    chosen = []
    for peer in PEERS if peers is None else peers:
        if isinstance(peer, str) and peer not in named:
            raise unknown("peer", peer, named)
        chosen.append(named[peer] if isinstance(peer, str) else peer)
    known = list(dict.fromkeys((*SUBJECTS, *itertools.chain(*(p.casts for p in chosen)))))
    for subject in formats or ():
        if subject not in known:
            raise unknown("format of this study", subject, known)
    subjects = known if formats is None else formats
    return [_compare(p, subject) for subject in subjects for p in chosen if subject in p.casts]


def _reference(subject: str) -> Convention:
    name, _, rounding = subject.partition(" ")
    return Convention(name, rounding or "nearest_even")


def _compare(peer: Peer, subject: str) -> Result:
    """One library in one format."""
    result = Result(peer.name, peer.package, peer.version, subject)
    x, kinds = corner_cases(subject)
    try:
        keep, theirs, refused = answers(peer.casts[subject], x, subject.startswith(BLOCKS))
    except Exception as problem:  # whatever stops a peer is told, and stops nothing else
        line = (str(problem).strip() or "no message").splitlines()[0]
        return replace(result, reason=f"{type(problem).__name__}: {line[:160]}")
    x, reference = x[keep], _reference(subject)
    ours = reference.round(x)
    wrong = ~_same(theirs, ours)
    part = x[wrong], theirs[wrong], ours[wrong]
    labels = kinds[keep][wrong] if kinds.size else kinds_of(subject, *part)
    labels = np.where((part[1] == 0) & (part[2] == 0), "minus zero", labels)
    convention, remaining = _search(subject, x, theirs) if wrong.any() else (reference, 0)
    return replace(
        result, inputs=x.size, differing=int(wrong.sum()), refused=refused, convention=convention,
        differences=tuple(_differences(labels, *part)), remaining=remaining,
    )  # fmt: skip


def _same(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Equal bits; NaN equals NaN."""
    return (a.view(np.uint32) == b.view(np.uint32)) | (np.isnan(a) & np.isnan(b))


def _differences(labels, x, theirs, ours) -> Iterator[Difference]:
    """For each kind its count, and of its inputs the one with the fewest digits."""
    for kind in dict.fromkeys((*KINDS, *labels.tolist())):
        where = np.flatnonzero(labels == kind)
        if where.size:
            bits = x[where].view(np.uint32)
            rough = -np.minimum(bits & -bits, 1 << 20).astype(np.int64)
            far = np.abs((bits >> 23 & 0xFF).astype(np.int64) - 127)
            at = where[np.lexsort((far, bits >> 31, rough))[0]]
            texts = str(x[at]), f"0x{x.view(np.uint32)[at]:08x}", str(theirs[at]), str(ours[at])
            yield Difference(kind, where.size, *texts)


@lru_cache(maxsize=1)
def candidates(subject: str) -> list[Convention]:
    """The conventions that are searched for a subject, the reference first.

    For a float, all meanings of the largest codes and of overflow, with and without subnormals, in
    all roundings; for a codebook the roundings; for blocks the rules of their scale.

    Example:
        >>> [str(c) for c in candidates("mxfp4(even)")][:2]
        ['mxfp4(even)', 'mxfp4(floor)']
    """
    reference = _reference(subject)
    names, roundings = [reference.format], [reference.rounding]
    if subject.startswith(BLOCKS):
        base = subject.partition("(")[0]
        names += [f"{base}({rule})" for rule in ("floor", "even", "ceil", "rceil")]
    else:
        names += _variants(parse_format(reference.format))
        roundings += [name for name in ROUNDINGS if "stochastic" not in name]
    return list(dict.fromkeys(Convention(n, r) for r in roundings for n in names))


def _variants(format: Format) -> Iterator[str]:
    """Floats of the same bits with other meanings of the top, of overflow and of the subnormals."""
    if isinstance(format, FloatFormat):
        for subnormals, top in itertools.product(
            (True, False), dict.fromkeys((format.top, *OVERFLOWS))
        ):
            for rule in OVERFLOWS.get(top, OVERFLOWS["fn"]):
                yield replace(format, top=top, overflow=rule, subnormals=subnormals).name


@lru_cache(maxsize=1)
def _probes(subject: str) -> tuple[np.ndarray, list[np.ndarray]]:
    """Every thirteenth finite input, and what each candidate makes of it."""
    x = corner_cases(subject)[0]
    few = x[np.isfinite(x)][::13]
    return few, [convention.round(few) for convention in candidates(subject)]


def _search(subject: str, x: np.ndarray, theirs: np.ndarray) -> tuple[Convention, int]:
    """The candidate that leaves the fewest inputs differing, and how many these are."""
    every = candidates(subject)
    if not subject.startswith(BLOCKS):
        few, outputs = _probes(subject)
        seen = theirs[np.searchsorted(x.view(np.uint32), few.view(np.uint32))]
        scores = [np.count_nonzero((seen != y) & ~(np.isnan(seen) & np.isnan(y))) for y in outputs]
        every = [_fit(every[i], x, theirs) for i in np.argsort(scores, kind="stable")[:5]]
    left = [int(np.count_nonzero(~_same(theirs, c.round(x)))) for c in every]
    best = min(range(len(every)), key=lambda i: (left[i], len(str(every[i]))))
    return every[best], left[best]


def _fit(convention: Convention, x: np.ndarray, theirs: np.ndarray) -> Convention:
    """The convention with what this library makes of NaN, infinities and -0, where that is one."""
    ours, clauses = convention.round(x), {}
    for name, where in (("nan", np.isnan(x)), ("infinity", np.isinf(x))):
        if not _same(theirs[where], ours[where]).all():
            clauses[name] = _constant(x[where], theirs[where])
    zeros = (theirs == 0) & (ours == 0)
    if np.signbit(ours[zeros]).any() and not np.signbit(theirs[zeros]).any():
        clauses["zeros"] = "unsigned"
    return replace(convention, **clauses)


def _constant(x: np.ndarray, y: np.ndarray) -> str:
    """The text of the clause that makes `x` all of `y`; "" where none does."""
    texts = str(y[0]), *(sign + str(np.abs(y[0])) for sign in "±∓")
    return next((t for t in texts if _same(y, np.full_like(y, _special(t, x))).all()), "")


def records(results: Iterable[Result]) -> dict[str, Any]:
    """Results as plain values for JSON, with the versions they belong to.

    Example:
        >>> sorted(records([]))
        ['rows', 'versions', 'workbench']
    """
    results = list(results)
    rows = [{**asdict(r), "convention": str(r.convention or ""), "sign": r.sign} for r in results]
    versions = {r.package: r.version for r in results if r.version}
    return {"workbench": __version__, "versions": dict(sorted(versions.items())), "rows": rows}


def markdown(results: Iterable[Result]) -> str:
    """Results as a Markdown table with the versions; no date, so that a rerun changes nothing.

    Example:
        >>> markdown([]).splitlines()[0]
        '| format | peer | differ | of | equals here | where: one input → theirs (ours) |'
    """
    results = list(results)
    head = "| format | peer | differ | of | equals here | where: one input → theirs (ours) |"
    lines = ["| " + " | ".join(_cells(r)) + " |" for r in results if not r.reason]
    stopped = dict.fromkeys(f"- not run: {r.peer}: {r.reason}" for r in results if r.reason)
    versions = {"workbench": __version__, **records(results)["versions"]}
    made = f"Measured with {', '.join(f'{name} {v}' for name, v in versions.items())}.\n"
    table = "\n".join([head, "|---|---|---:|---:|---|---|", *lines])
    return "\n\n".join(filter(None, [table, "\n".join(stopped), made]))


def _cells(r: Result) -> tuple[str, ...]:
    near = f": {r.convention} but for {r.remaining:,}" if r.remaining < r.inputs / 5 else ""
    equals = f"none{near}" if r.remaining else str(r.convention)
    where = [f"{d.kind} {d.count:,}: {d.input} → {d.theirs} ({d.ours})" for d in r.differences]
    where += [f"raises on {kind}" for kind in r.refused]
    return (r.format, r.peer, f"{r.differing:,}", f"{r.inputs:,}", equals, "; ".join(where) or "-")
