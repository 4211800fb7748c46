"""The benchmark's clockwork: who is timed, what is compared, and when there is no verdict."""

import json

import numpy as np
import pytest

from workbench.studies import bench, bench_casts, bench_peers
from workbench.studies.bench import Candidate, Row


class Clock:
    """A clock that only work moves, so that ratios come out exactly."""

    def __init__(self):
        self.now = 0.0

    def works(self, seconds: float):
        """Work that takes this long."""

        def run() -> None:
            self.now += seconds

        return run

    def perf_counter(self) -> float:
        return self.now

    def perf_counter_ns(self) -> int:
        return round(self.now * 1e9)

    process_time_ns = perf_counter_ns


@pytest.fixture
def clock(monkeypatch):
    made = Clock()
    monkeypatch.setattr(bench, "time", made)
    return made


def row(clock, **fields):
    candidates = (
        Candidate("mine", "ours", clock.works(0.001)),
        Candidate("theirs", "peer", clock.works(0.004)),
        Candidate("slow", "peer", clock.works(0.009)),
        Candidate("limit", "limit", clock.works(0.0005)),
    )
    return Row("work", "1", candidates, lambda: "exact", clock="wall", **fields)


def test_ratios_are_to_the_limit_and_to_the_best_peer(clock, monkeypatch):
    monkeypatch.setattr(bench, "is_busy", lambda load: False)
    result = bench.measure(row(clock, reach=0.05, times=1.2), rounds=3)
    assert result.best_peer == "theirs"
    assert result.over_peer == pytest.approx(4)
    assert result.of_limit == pytest.approx(0.5)
    assert result.verdict == "reached"
    assert bench.measure(row(clock, reach=0.99), rounds=2).verdict == "missed"
    assert bench.measure(row(clock), rounds=1).verdict == ""


def test_slow_work_is_not_repeated_and_seconds_can_be_promised(clock, monkeypatch):
    monkeypatch.setattr(bench, "is_busy", lambda load: False)
    calls = []

    def slow() -> None:
        calls.append(clock.now)
        clock.now += 10

    def judged(within: float) -> str:
        mine = (Candidate("mine", "ours", slow),)
        return bench.measure(
            Row("w", "1", mine, lambda: "", clock="wall", within=within), 1
        ).verdict

    assert judged(9) == "missed"
    assert len(calls) == 3
    assert judged(11) == "reached"


def test_a_busy_machine_gets_no_verdict(clock, monkeypatch):
    monkeypatch.setattr(bench, "is_busy", lambda load: True)
    assert bench.measure(row(clock, reach=0.05), rounds=1).verdict == "busy"


def test_a_wrong_output_ends_the_run():
    x = np.ones((1, 4), np.float32)
    with pytest.raises(AssertionError, match="4 of 4 outputs differ from the definition"):
        bench_casts._same_bits(x, x * 2)


def test_tables_and_json(clock):
    result = bench.measure(row(clock, reach=0.5, times=2), rounds=1)
    lines = bench.table([result]).splitlines()
    assert lines[0].split()[:2] == ["kernel", "shape"]
    assert lines[1].startswith("work")
    assert "theirs" in lines[1]
    found = json.loads(json.dumps(bench.as_json([result])))
    assert found["rows"][0]["best_peer"] == "theirs"
    assert found["environment"]["cores"] >= 1


def test_every_row_runs_on_small_arrays_and_checks_its_output(monkeypatch):
    monkeypatch.setattr(bench_casts, "HOT", 1 << 14)
    monkeypatch.setattr(bench, "LEAST_SECONDS", 1e-5)
    for name in ("casts", "any_float", "blocks", "integers", "static_int8", "stochastic"):
        monkeypatch.setattr(bench_peers, name, lambda *a, **k: [])
    results = [bench.measure(row, rounds=1) for row in bench_casts.rows(compiled=False)]
    assert {r.check for r in results if "sketch" not in r.kernel} == {"exact"}
    assert len(results) == 19
    assert all(len(r.timings) >= 2 for r in results)


def test_peers_that_are_missing_or_fail_are_left_out():
    assert bench_peers.library("no_such_library") is None
    broken = Candidate("broken", "peer", lambda: 1 / 0)
    assert bench_peers.working([broken]) == []


def test_the_solvers_bench_checks_both_sides(capsys):
    pytest.importorskip("torch")
    from workbench.studies import bench_solvers

    results = bench.measure_all(bench_solvers.rows((64,), 2048), 1, lambda line: None)
    assert [result.check.split()[0] for result in results] == ["exact", "error"]


def test_every_published_method_of_a_layer_is_timed():
    from workbench.quantizers.papers import PAPERS
    from workbench.studies import bench_methods

    rows = list(bench_methods.rows(16, 256, 512))
    trained = {paper.name for paper in PAPERS if paper.recipe.tunings}
    assert {row.kernel for row in rows} == {paper.name for paper in PAPERS} - trained
    quick = [row for row in rows if row.kernel in ("GPTQ", "SmoothQuant", "BitMoD")]
    for result in bench.measure_all(quick, 1, lambda line: None, cores=None):
        assert 0 < float(result.check.split()[1]) < 1
        assert result.within == 20
