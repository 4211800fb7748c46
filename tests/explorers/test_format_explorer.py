"""The explorer's state is plain, travels in a link, refuses what cannot be, and redoes itself."""

from __future__ import annotations

import contextlib
import io
import json

import numpy as np
import pytest

import workbench as wb
from workbench.errors import WorkbenchError
from workbench.explorers import sources
from workbench.explorers.format_explorer import FormatExplorer

SMALL = "synthetic:gaussian,4096,0"
KINDS = list(sources.SYNTHETIC)


def test_state_is_json_and_a_link_brings_it_back(explorer):
    explorer.set(
        schemes=["e4m3fn(bias=8,nan)", "int4/g128+zp", "mxfp4"],
        shift=-0.5,
        selection=(0.1, -0.2),
        probe=0.0625,
        channel=3,
        rounding="stochastic",
        theme="dark",
    )
    json.dumps(explorer.state)
    other = FormatExplorer.from_link(explorer.link())
    assert other.state == explorer.state
    assert other.selection == (-0.2, 0.1)


def test_default_state_has_an_empty_link():
    assert FormatExplorer().link() == ""


@pytest.mark.parametrize(
    "link",
    [
        "?scheme=int99",
        "?shift=abc",
        "?shift=99",
        "?selection=1",
        "?selection=1,1",
        "?selection=nan,1",
        "?channel=-1",
        "?channel=1e9",
        "?channel=100000",
        "?source=weight:nothing",
        "?source=nonsense",
        "?source=array:gone",
        "?source=file:/nowhere/x.safetensors",
        "?rounding=sideways",
        "?colour=red",
        "?" + "&".join(["scheme=int8"] * 5),
    ],
)
def test_a_link_that_cannot_be_is_said_and_the_state_stays(explorer, link):
    before = explorer.state
    problem = explorer.follow(link)
    assert problem.count("→") >= 2
    assert explorer.problem == problem
    assert explorer.state == before


@pytest.mark.parametrize(
    "change",
    [{"schemes": []}, {"schemes": "int8"}, {"schemes": [8]}, {"theme": "green"}, {"colour": 1}],
)
def test_a_change_that_cannot_be_keeps_state_and_pictures(explorer, change):
    before, caption = explorer.state, explorer.figures(("value_grid",))["value_grid"].caption
    assert explorer.set(**change)
    assert explorer.state == before
    assert explorer.figures(("value_grid",))["value_grid"].caption == caption


def test_a_good_change_clears_the_problem(explorer):
    explorer.set(schemes=["int99"])
    assert explorer.problem
    assert explorer.set(schemes=["int8"]) == explorer.problem == ""


def test_another_tensor_drops_the_selection(explorer):
    explorer.set(selection=(0, 1), channel=3, probe=0.5)
    explorer.set(source=SMALL)
    assert explorer.selection is explorer.channel is explorer.probe is None


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("scheme", ["e4m3fn", "e2m1/tensor", "int8/tensor", "int4/tensor", "mxfp4"])
def test_figures_from_the_sketch_are_within_their_bound(kind, scheme):
    explorer = FormatExplorer(source=f"synthetic:{kind},65536,1", schemes=[scheme])
    row = explorer.compute().figures[0]
    exact = wb.metrics.error(explorer.tensor.array, scheme)
    assert row.provenance == "sketch"
    assert row.bound is not None
    assert abs(row.sqnr - exact.sqnr) <= row.bound + 1e-9


SCHEMES = ["e4m3fn", "int8/channel", "int4/g32+zp", "nvfp4", "nf4/b64", "int4/t32x32",
           "int3/g32@mse", "int8/tensor@percentile(99.9)"]  # fmt: skip


@pytest.mark.parametrize("scheme", SCHEMES)
def test_exact_figures_are_those_of_the_metrics(explorer, tensor, scheme):
    explorer.set(schemes=[scheme])
    done = []
    explorer.refine(lambda: done.append(True), delay=0)
    assert explorer.wait(120)
    assert done == [True]
    row, exact = explorer.compute().figures[0], wb.metrics.error(tensor, scheme)
    assert row.provenance == "exact"
    assert row.sqnr == pytest.approx(exact.sqnr, rel=1e-9)
    assert row.max_error == pytest.approx(exact.max_error, rel=1e-6)


@pytest.mark.parametrize("shift", [-2.0, -0.375, 0.5, 3.0])
def test_the_scale_handle_multiplies_all_scales(explorer, tensor, shift):
    explorer.set(schemes=["e4m3fn", "int8/tensor"], shift=shift)
    cast, integer = explorer.compute().figures
    factor = np.float32(2.0**shift)
    moved = wb.format("e4m3fn").round(tensor / factor) * factor
    assert cast.mse == pytest.approx(((moved - tensor).astype(float) ** 2).mean(), rel=0.01)
    scale = np.float32(np.abs(tensor).max() / 127) * factor
    moved = np.clip(np.rint(tensor / scale), -128, 127) * scale
    assert integer.mse == pytest.approx(((moved - tensor).astype(float) ** 2).mean(), rel=0.01)


def test_exact_figures_follow_the_handle_too(explorer, tensor):
    explorer.set(schemes=["int4/g32"], shift=-1.0)
    explorer.refine(lambda: None, delay=0)
    assert explorer.wait(60)
    blocks = tensor.reshape(-1, 32)
    scale = (np.abs(blocks).max(1, keepdims=True) / np.float32(7)).astype(np.float32) / 2
    moved = np.clip(np.rint(blocks / scale), -8, 7) * scale
    expected = ((moved - blocks).astype(float) ** 2).mean()
    assert explorer.compute().figures[0].mse == pytest.approx(expected, rel=1e-6)


def test_a_chosen_range_filters_the_errors(explorer):
    explorer.set(schemes=["int8/tensor"], selection=(-1e-3, 1e-3))
    caption = explorer.figures(("error_by_cause",))["error_by_cause"].caption
    assert "among values from −0.001 to 0.001" in caption
    assert "100% underflow" in caption


def test_a_chosen_channel_takes_the_place_of_the_tensor(explorer):
    explorer.set(channel=11)
    density = explorer.figures(("value_grid",))["value_grid"]
    assert "density of 256 values" in density.description
    assert "int4/g32 not counted" in density.caption


@pytest.mark.parametrize("source", [SMALL, "weight:layers.0.mlp.down_proj.weight"])
def test_code_runs_and_prints_the_same_figures(source):
    explorer = FormatExplorer(source=source, schemes=["int8", "mxfp4"], shift=0.25)
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(explorer.code(), "code", "exec"), {})
    for row in explorer.figures(("metrics_table",))["metrics_table"].data():
        assert str(row["SQNR (dB)"]) in printed.getvalue()


def test_explore_takes_arrays_tensors_and_sources():
    torch = pytest.importorskip("torch")
    x = np.ones((3, 4), np.float32)
    for passed in (x, torch.from_numpy(x), torch.from_numpy(x).bfloat16(), x[:, ::2], SMALL):
        explorer = wb.explore(passed, ["int8"], host="none")
        assert explorer.figures()["metrics_table"].data()


@pytest.mark.parametrize("passed", [np.array([1j]), np.array(["a"]), np.array([1, 2])])
def test_explore_refuses_what_has_no_real_values(passed):
    with pytest.raises(WorkbenchError):
        wb.explore(passed, host="none")


@pytest.mark.parametrize(
    "x",
    [
        np.zeros((0,), np.float32),
        np.zeros((0, 4), np.float32),
        np.float32(0.5),
        np.zeros((4, 64), np.float32),
        np.full((4, 64), np.nan, np.float32),
        np.array([[np.nan, np.inf, -np.inf, -0.0, 1e-40, 1.0]] * 8, np.float32),
        np.full((2, 32), 3e38, np.float32),
        np.full((2, 32), 1e-45, np.float32),
        np.linspace(-1, 1, 999),
    ],
    ids=["empty", "no rows", "0-d", "zeros", "nan", "specials", "huge", "tiny", "float64"],
)
@pytest.mark.parametrize("scheme", ["e4m3fn", "e5m2", "int4/g32", "mxfp4", "nvfp4"])
def test_any_values_have_pictures(x, scheme):
    explorer = wb.explore(x, [scheme], host="none")
    for view in explorer.figures().values():
        assert view.figure
        view.data()
    explorer.refine(lambda: None, delay=0)
    assert explorer.wait(60)
    for view in explorer.figures().values():
        assert view.figure


def test_a_safetensors_file_opens_and_a_pickle_does_not(tmp_path):
    from safetensors.numpy import save_file

    path = tmp_path / "m.safetensors"
    save_file({"w": np.ones((4, 32), np.float32)}, path)
    explorer = FormatExplorer(source=f"file:{path}#w", schemes=["int8"])
    assert explorer.tensor.shape == (4, 32)
    assert FormatExplorer(source=f"file:{path}", schemes=["int8"]).tensor.label == "w"
    (tmp_path / "m.pt").write_bytes(b"\x80\x02")
    assert "→" in explorer.set(source=f"file:{tmp_path / 'm.pt'}#w")
    (tmp_path / "cut.safetensors").write_bytes(path.read_bytes()[:40])
    assert "→" in explorer.set(source=f"file:{tmp_path / 'cut.safetensors'}#w")


def test_a_newer_state_drops_the_older_background_work(explorer):
    done = []
    explorer.refine(lambda: done.append("old"), delay=0.3)
    explorer.set(shift=1.0)
    explorer.refine(lambda: done.append("new"), delay=0.0)
    assert explorer.wait(60)
    assert done == ["new"]


def test_describe_speaks_of_every_view(explorer):
    text = explorer.describe()
    for view in explorer.figures().values():
        assert view.title in text


def test_nothing_here_imports_a_host():
    import subprocess
    import sys

    check = (
        "import sys; from workbench.explorers.format_explorer import FormatExplorer;"
        f"FormatExplorer(source='{SMALL}').figures();"
        "print([m for m in ('panel', 'ipywidgets', 'torch', 'bokeh') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_activations_open_from_shipped_sketches_and_become_exact():
    pytest.importorskip("torch")
    name = "activation:layers.0.mlp.down_proj.input"
    explorer = FormatExplorer(source=name, schemes=["int8/tensor", "mxfp4", "int8/token"])
    rows = explorer.figures()["metrics_table"].data()
    assert [row["provenance"] for row in rows][1:] == ["sketch ± <0.001 dB", "being computed"]
    assert "being computed" in explorer.figures()["error_by_cause"].caption
    explorer.refine(lambda: None, delay=0)
    assert explorer.wait(120)
    for before, after in zip(rows[:2], explorer.compute().figures[:2], strict=True):
        assert after.provenance == "exact"
        assert before["SQNR (dB)"] == pytest.approx(after.sqnr, abs=0.01)


def test_first_picture_needs_neither_torch_nor_a_forward_pass():
    import subprocess
    import sys

    check = (
        "import sys, workbench as wb;"
        "e = wb.explore('activation:layers.0.mlp.down_proj.input', ['int8', 'mxfp4'], host='none');"
        "e.figures(); print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_values_that_are_no_float32_are_counted_too():
    x = np.random.default_rng(0).uniform(-1, 1, (64, 64)).astype(np.float32)
    scheme = "codebook(-1,-0.3,0.1,0.7,1)/g32"
    explorer = FormatExplorer.of(x, [scheme])
    counts = explorer.compute().measured[0].grid.counts
    codes = wb.scheme(scheme).quantize(x).codes
    assert np.array_equal(counts, np.bincount(codes.ravel(), minlength=5))
