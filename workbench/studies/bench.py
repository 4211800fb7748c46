"""The benchmark's clockwork: candidates in turn, medians of CPU and wall time, one honest table.

Speed is measured against what a user would otherwise use and against the physical limit, side by
side in one run. On a machine that is busier than it has cores figures are shown without verdict.
"""

from __future__ import annotations

import os
import platform
import statistics
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field
from importlib import metadata

ROUNDS = 9
LEAST_SECONDS = 2e-3  # a sample repeats short work until it takes about this long
SLOW_SECONDS = 2.0  # candidates slower than this are timed in fewer rounds


@dataclass(frozen=True)
class Candidate:
    """One way to do a row's work: `role` is "ours", "peer" or "limit"; `note` says what differs."""

    name: str
    role: str
    run: Callable[[], object]
    note: str = ""


@dataclass(frozen=True)
class Row:
    """One kernel and shape: candidates that are timed in turn, and a check of our output.

    Args:
        kernel: what is done.
        shape: of what, as text.
        candidates: who does it.
        check: raises or returns text about the outputs; called once, in the same run.
        reach: the share of the limit's speed that is promised; 0 for none.
        times: how many times the best peer's speed is promised; 0 for none.
        within: the seconds that are promised at most; 0 for none.
        clock: "cpu" for one thread, "wall" where threads count.
    """

    kernel: str
    shape: str
    candidates: tuple[Candidate, ...]
    check: Callable[[], str]
    reach: float = 0.0
    times: float = 0.0
    clock: str = "cpu"
    within: float = 0.0


@dataclass
class Timing:
    """Medians and minima of one candidate, seconds a call."""

    name: str
    role: str
    cpu: float
    wall: float
    best: float
    note: str = ""


@dataclass
class Result:
    """A measured row, with its ratios: of the limit's speed, and times the best peer's."""

    kernel: str
    shape: str
    timings: list[Timing]
    check: str
    reach: float
    times: float
    clock: str
    of_limit: float | None = None
    over_peer: float | None = None
    best_peer: str = ""
    verdict: str = ""
    load: float = 0.0
    within: float = 0.0
    extra: dict = field(default_factory=dict)


def measure(row: Row, rounds: int = ROUNDS) -> Result:
    """Time all candidates of a row, interleaved round-robin, and check the output.

    Example:
        >>> row = Row("nothing", "0", (Candidate("pass", "ours", lambda: None),), lambda: "ok")
        >>> measure(row, rounds=1).check
        'ok'
    """
    repeats = {c.name: _repeats(c.run) for c in row.candidates}
    samples: dict[str, list[tuple[float, float]]] = {c.name: [] for c in row.candidates}
    for turn in range(rounds):
        for candidate in row.candidates:
            count = repeats[candidate.name]
            if count > 0 or turn < 2:
                samples[candidate.name].append(_sample(candidate.run, count))
    timings = [_timing(c, samples[c.name]) for c in row.candidates]
    result = Result(
        row.kernel, row.shape, timings, row.check(), row.reach, row.times, row.clock,
        load=os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0, within=row.within,
    )  # fmt: skip
    return _judge(result)


def measure_all(
    rows: Iterable[Row],
    rounds: int = ROUNDS,
    say: Callable[[str], None] = print,
    cores: int | None = 1,
) -> list[Result]:
    """Measure rows on this many threads, or on all for None, and print as it goes.

    Example:
        >>> row = Row("nothing", "0", (Candidate("pass", "ours", lambda: None),), lambda: "ok")
        >>> len(measure_all([row], 1, lambda line: None))
        1
    """
    from ..kernels import threads
    from .bench_peers import library

    about = environment()
    say(", ".join(f"{key} {value}" for key, value in about.items() if key != "versions"))
    say(", ".join(f"{name} {version}" for name, version in about["versions"].items()))
    threads.set_threads(cores)
    torch = library("torch")
    if torch is not None and cores is not None:
        torch.set_num_threads(cores)
    results = []
    try:
        for row in rows:
            results.append(measure(row, rounds))
            say(f"  measured {row.kernel} ({row.shape})")
    finally:
        threads.set_threads(None)
    say(table(results))
    if any(is_busy(result.load) for result in results):
        say("The machine was busier than it has cores: no verdict; ratios may mislead.")
    return results


def _repeats(run: Callable[[], object]) -> int:
    """Calls in a sample after a warm-up: 0 marks work so slow that two samples must do."""
    run()
    start = time.perf_counter()
    run()
    once = time.perf_counter() - start
    return 0 if once > SLOW_SECONDS else max(1, round(LEAST_SECONDS / max(once, 1e-7)))


def _sample(run: Callable[[], object], count: int) -> tuple[float, float]:
    if count:
        run()  # what ran before has emptied the caches
    count = max(1, count)
    wall, cpu = time.perf_counter_ns(), time.process_time_ns()
    for _ in range(count):
        run()
    cpu, wall = time.process_time_ns() - cpu, time.perf_counter_ns() - wall
    return cpu / count / 1e9, wall / count / 1e9


def _timing(candidate: Candidate, samples: list[tuple[float, float]]) -> Timing:
    cpu, wall = (statistics.median(column) for column in zip(*samples, strict=True))
    best = min(sample[0] for sample in samples)
    return Timing(candidate.name, candidate.role, cpu, wall, best, candidate.note)


def _judge(result: Result) -> Result:
    """Fill in the ratios, and the verdict where the machine is quiet enough for one."""
    seconds = {t.name: getattr(t, result.clock) for t in result.timings}
    ours = min(seconds[t.name] for t in result.timings if t.role == "ours")
    limits = [seconds[t.name] for t in result.timings if t.role == "limit"]
    peers = [t for t in result.timings if t.role == "peer"]
    if limits:
        result.of_limit = min(limits) / ours
    if peers:
        best = min(peers, key=lambda t: seconds[t.name])
        result.best_peer, result.over_peer = best.name, seconds[best.name] / ours
    met = [r >= p for r, p in ((result.of_limit, result.reach), (result.over_peer, result.times),
                               (result.within, ours)) if p and r]  # fmt: skip
    if is_busy(result.load):
        result.verdict = "busy"
    elif met:
        result.verdict = "reached" if all(met) else "missed"
    return result


def is_busy(load: float) -> bool:
    """Whether the load average, without this process, leaves less than a core free.

    Example:
        >>> is_busy(1000.0)
        True
    """
    return load > (os.cpu_count() or 1)


def environment() -> dict:
    """What the figures belong to: processor, cores, load, threads, versions.

    Example:
        >>> environment()["cores"] >= 1
        True
    """
    names = ("numpy", "numba", "torch", "ml_dtypes", "gfloat", "pychop", "torchao", "bitsandbytes")
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "load": round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None,
        "python": platform.python_version(),
        "versions": {name: v for name in names if (v := _version(name))},
    }


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _processor() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as lines:
            return next(line.split(":")[1].strip() for line in lines if "model name" in line)
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


HEADER = ("kernel", "shape", "ours ms", "best peer", "x peer", "limit ms", "of limit", "promised",
          "verdict", "outputs")  # fmt: skip


def table(results: Iterable[Result]) -> str:
    """Results as aligned text, one line a row.

    Example:
        >>> table([]).split()[:2]
        ['kernel', 'shape']
    """
    lines = [HEADER, *(_cells(result) for result in results)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(HEADER))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )


def _cells(r: Result) -> tuple[str, ...]:
    seconds = {t.name: getattr(t, r.clock) for t in r.timings}
    ours = min(seconds[t.name] for t in r.timings if t.role == "ours")
    limit = min((seconds[t.name] for t in r.timings if t.role == "limit"), default=None)
    promised = " ".join(
        text
        for text, wanted in (
            (f"{r.reach:g}", r.reach),
            (f"{r.times:g}x", r.times),
            (f"{r.within:g} s", r.within),
        )
        if wanted
    )
    return (
        r.kernel, r.shape, f"{ours * 1e3:.3f}", r.best_peer or "-",
        "-" if r.over_peer is None else f"{r.over_peer:.1f}",
        "-" if limit is None else f"{limit * 1e3:.3f}",
        "-" if r.of_limit is None else f"{r.of_limit:.2f}",
        promised or "-", r.verdict or "-", r.check,
    )  # fmt: skip


def as_json(results: Iterable[Result]) -> dict:
    """Results and the environment as plain values.

    Example:
        >>> sorted(as_json([]))
        ['environment', 'rows']
    """
    return {"environment": environment(), "rows": [asdict(result) for result in results]}
