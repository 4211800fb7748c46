"""The command `workbench`: what it prints, and that a refusal is one line and status 2."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest
from safetensors.numpy import save_file

from workbench import cli, formats


def run(capsys, *arguments: str) -> tuple[int, str, str]:
    """Exit status, output and errors of one command line."""
    status = cli.main(arguments)
    return status, *capsys.readouterr()


def test_formats_prints_every_format_once(capsys):
    status, out, _ = run(capsys, "formats")
    assert status == 0
    assert [line.split()[0] for line in out.splitlines()[1:]] == formats.names()


def test_formats_as_json_agrees_with_the_formats(capsys):
    _, out, _ = run(capsys, "formats", "--json")
    for row in json.loads(out):
        found = formats.parse(row["name"])
        assert (row["bits"], row["count"], row["max"]) == (found.bits, len(found), found.max)


def test_one_format_prints_its_values(capsys):
    _, out, _ = run(capsys, "formats", "fp4")
    assert out.splitlines()[-1] == "-6 -4 -3 -2 -1.5 -1 -0.5 0 0.5 1 1.5 2 3 4 6"


def test_one_format_as_json_has_every_value(capsys):
    _, out, _ = run(capsys, "formats", "e4m3fn", "--json")
    assert json.loads(out)["values"] == formats.parse("e4m3fn").values.tolist()


def test_a_wide_format_points_to_json_for_its_values(capsys):
    _, out, _ = run(capsys, "formats", "bf16")
    assert "--json" in out
    assert len(out) < 1000


@pytest.mark.parametrize(
    "arguments",
    [
        ("formats", "e4m3nf"),
        ("models", "get", "smollm3"),
        ("lab", "--port", "99999"),
        ("serve", "--port", "0"),
        ("bench", "casts", "--rounds", "0"),
        ("report", "/nowhere/out.html"),
        ("report", "out.html", "--file", "/nowhere/model.safetensors"),
        ("report", "out.html", "--schemes", "inf4"),
        ("designer", "/nowhere/out.html"),
        ("designer", "out.html", "--link", "?width=99"),
        ("designer", "out.html", "--tensor", "synthetic:none,5,0"),
        ("designer", "out.html", "--bits", "9"),
    ],
)
def test_a_refusal_is_one_line_and_status_2(capsys, arguments):
    status, out, errors = run(capsys, *arguments)
    assert (status, out) == (2, "")
    assert errors.count("\n") == 1
    assert errors.count(" → ") == 2


def test_models_lists_the_shipped_ones_first(capsys):
    _, out, _ = run(capsys, "models", "list")
    assert out.startswith("reference ")


def test_doctor_has_advice_for_each_missing_thing(capsys):
    _, out, _ = run(capsys, "doctor", "--json")
    findings = json.loads(out)
    assert {"processor", "cores", "memory", "numba", "browser", "[models]"} <= {
        finding["topic"] for finding in findings
    }
    assert all(finding["missing"] == bool(finding["advice"]) for finding in findings)


def test_designer_writes_the_state_of_a_link_over_a_tensor(capsys, tmp_path):
    link, tensor = "?kind=integer&width=3", "synthetic:gaussian,1024,0"
    arguments = ("--tensor", tensor, "--link", link, "--bits", "2")
    status, out, _ = run(capsys, "designer", str(tmp_path / "d.html"), *arguments)
    assert (status, out.strip()) == (0, str(tmp_path / "d.html"))
    text = (tmp_path / "d.html").read_text("utf-8")
    assert '"kind":"integer"' in text
    assert tensor in text


def test_report_writes_the_tensor_of_a_file(capsys, tmp_path):
    save_file(
        {"one": np.ones(64, np.float32), "two": np.ones((4, 64), np.float32)},
        tmp_path / "t.safetensors",
    )
    output = tmp_path / "out.html"
    status, out, _ = run(
        capsys,
        "report",
        str(output),
        "--file",
        str(tmp_path / "t.safetensors"),
        "--schemes",
        "mxfp4",
    )
    assert (status, out.strip()) == (0, str(output))
    assert "two" in output.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("tensor", "file", "source"),
    [
        (None, None, None),
        ("layers.0.mlp.up_proj.weight", None, "weight:layers.0.mlp.up_proj.weight"),
        ("layers.0.mlp.up_proj.input", None, "activation:layers.0.mlp.up_proj.input"),
        ("synthetic:gaussian,64,0", None, "synthetic:gaussian,64,0"),
        ("w", "model.safetensors", "file:model.safetensors#w"),
    ],
)
def test_a_tensor_is_named_as_the_explorers_name_it(tensor, file, source):
    assert cli.pages._source(tensor, file) == source


def test_a_reader_that_goes_away_is_no_error():
    command = f"{sys.executable} -m workbench.cli formats --json | head -1"
    done = subprocess.run(command, shell=True, capture_output=True, text=True)
    assert done.stderr == ""


def test_every_command_explains_itself(capsys):
    for command in ("lab", "serve", "report", "formats", "models", "bench", "doctor"):
        with pytest.raises(SystemExit) as ended:
            cli.main([command, "--help"])
        assert ended.value.code == 0
    assert "doctor" in capsys.readouterr().out


def test_costs_say_what_a_step_takes(capsys):
    asked = ("costs", "llama-2-7b", "--on", "rtx-a6000", "--recipe", "w=int4/g128")
    status, out, _ = run(capsys, *asked)
    assert status == 0
    assert "2.99 times as fast as in bf16; GDDR6 bounds 100 % of it" in out
    _, out, _ = run(capsys, *asked, "--json")
    rows = {row["part"]: row for row in json.loads(out)}
    assert rows["lm_head"]["bytes"] > 32000 * 4096 * 2
    _, out, _ = run(capsys, "costs", "llama-2-7b", "--on", "rtx-a6000", "--explain", "mlp.up_proj")
    assert "so GDDR6 bounds it" in out


def test_costs_alone_lists_what_is_known_and_who_says_so(capsys):
    _, out, _ = run(capsys, "costs")
    assert "mixtral-8x7b" in out
    assert "Xilinx Alveo U280 data sheet DS963, 2021-05" in out
    _, out, _ = run(capsys, "costs", "--json")
    known = json.loads(out)
    assert all(row["sources"] for row in known["hardware"])


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (("--on", "h100"), "'h100-sxm'"),
        (("--on", "snapdragon-888"), "add the figure to a row of your own"),
        (("--explain", "mlp.upproj"), "'mlp.up_proj'"),
        (("--batch", "0"), "write batch=1"),
        (("--recipe", "w=int99"), "int99"),
    ],
)
def test_costs_that_cannot_be_known_say_why(capsys, more, said):
    status, _, err = run(capsys, "costs", "llama-2-7b", *more)
    assert status == 2
    assert said in err
    assert err.count("→") == 2
