"""The bit-field editor's state is plain, travels in links, and its descriptors are the formats."""

from __future__ import annotations

import base64
import contextlib
import io
import json
import math

import numpy as np
import pytest

import workbench as wb
from workbench.errors import WorkbenchError
from workbench.explorers.bit_codes import F32, decode, encode, offered
from workbench.explorers.bit_descriptors import descriptor
from workbench.explorers.bit_editor import BitEditor
from workbench.explorers.bit_links import HASH, to_query

BLOCK = {"block": "mxfp4", "scale": 0x80, "elements": list(range(16)) * 2}
STATES = [
    {"format": "e4m3fn", "code": 0x44},
    {"format": "e4m3fn(bias=8,nan)", "compare": ["e4m3fn(bias=8,nan)", "f32", "q3.4"]},
    {"format": "posit8(es=1)", "code": 0, "theme": "dark"},
    {"compare": ["int8"], **BLOCK},
    {"format": "nf4", "code": 15, "block": "nvfp4"},
    {"block": "e3m2/b16*e8m0"},
]


@pytest.mark.parametrize("state", STATES, ids=lambda state: str(state)[:40])
def test_state_is_json_and_both_links_bring_it_back(state):
    editor = BitEditor(**state)
    assert json.loads(json.dumps(editor.state)) == editor.state
    assert BitEditor.from_link(editor.link()).state == editor.state
    assert BitEditor.from_link(editor.hash()).state == editor.state


def test_default_state_is_pi_to_six_digits_and_has_an_empty_link():
    editor = BitEditor()
    assert (editor.link(), editor.hash()) == ("", "")
    assert editor.value == float(np.float32(3.14159))
    assert [row["value"] for row in editor.rows()] == [editor.value, 3.140625, 3.25, 3.0]


def test_links_are_short_and_readable():
    editor = BitEditor(format="e4m3fn", code=0x44, compare=["f32", "bf16"])
    assert editor.link() == "?format=e4m3fn&code=0x44&compare=f32,bf16"
    assert editor.hash() == "#f=e4m3fn&c=0x44&x=f32,bf16"
    assert to_query(BitEditor().state, BitEditor().state, HASH, "#") == ""


@pytest.mark.parametrize(
    ("state", "why"),
    [
        ({"format": "e4m3nf"}, "no format has this name"),
        ({"format": "e4m3fn", "code": 256}, "codes 0x00 to 0xff"),
        ({"format": "int4", "code": -1}, "codes 0x0 to 0xf"),
        ({"code": "0xzz"}, "a whole number"),
        ({"code": 1.5}, "a whole number"),
        ({"code": True}, "a whole number"),
        ({"compare": []}, "a list of formats"),
        ({"compare": "f32"}, "a list of formats"),
        ({"compare": [f"int{n}" for n in range(1, 10)]}, "at most 8"),
        ({"block": "int8/tensor"}, "share a scale"),
        ({"block": "int4/g32"}, "a code of a format"),
        ({"block": "int4/g128*e8m0"}, "at most 32"),
        ({"block": "mxfp4", "elements": [1, 2]}, "a block of mxfp4 has 32"),
        ({"block": "mxfp4", "elements": [16] * 32}, "e2m1 has codes"),
        ({"block": "mxfp4", "elements": "0123"}, "a list of codes"),
        ({"block": "mxfp4", "scale": 256}, "e8m0 has codes"),
        ({"theme": "blue"}, "valid options include"),
        ({"formats": ["f32"]}, "no such state"),
    ],
    ids=str,
)
def test_what_cannot_be_is_refused_and_nothing_changes(state, why):
    with pytest.raises(WorkbenchError, match=why):
        BitEditor(**state)
    editor = BitEditor(format="e2m1", code=3)
    before = editor.state
    assert why in editor.set(**state)
    assert editor.problem.count("→") == 2
    assert editor.state == before
    assert editor.set(code=4) == editor.problem == ""


@pytest.mark.parametrize(
    "link", ["?form=e2m1", "#z=1", "?elements=0123", "?block=mxfp4&elements=xyz", "?code=zz"]
)
def test_a_malformed_link_is_refused(link):
    with pytest.raises(WorkbenchError):
        BitEditor.from_link(link)
    editor = BitEditor(format="e2m1", code=3)
    assert "→" in editor.follow(link)
    assert editor.code == 3


def test_another_format_keeps_the_value_rounded():
    editor = BitEditor(format="f32")
    editor.set(format="fp8")
    assert (editor.format, editor.value) == ("e4m3fn", 3.25)
    editor.set(format="e4m3fn", code=0x7F)
    editor.set(format="int4")
    assert editor.value == 0  # an integer has no NaN to keep


def test_another_block_starts_with_its_example():
    editor = BitEditor(**BLOCK)
    editor.set(block="nvfp4")
    assert len(editor.elements) == len(editor.values()) == 16
    editor.set(block="")
    assert (editor.scale, editor.elements, editor.values()) == (None, None, [])


def test_the_scale_rescales_every_value():
    one, two = BitEditor(**BLOCK), BitEditor(**{**BLOCK, "scale": 0x81})
    assert two.values() == [2 * value for value in one.values()]
    assert one.values()[:8] == [0, 1, 2, 3, 4, 6, 8, 12]


@pytest.mark.parametrize("state", STATES, ids=lambda state: str(state)[:40])
def test_the_python_of_a_state_prints_its_numbers(state):
    editor, printed = BitEditor(**state), io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(editor.python(), {})
    assert printed.getvalue().startswith(f"{editor.value} {editor.rows()}")


def test_the_words_name_code_value_and_block():
    words = BitEditor(format="e2m1", code=5, **BLOCK).describe()
    assert "e2m1, code 0x5 = 0b0101, is 3.0" in words
    assert "The block of mxfp4 holds 0, 1, 2" in words


def _floats(packed: dict) -> np.ndarray:
    kind = {"f4": "<f4", "f8": "<f8"}[packed["dtype"]]
    return np.frombuffer(base64.b64decode(packed["bdata"]), kind).astype(np.float64)


@pytest.mark.parametrize("name", [name for name in offered() if name != F32])
def test_a_descriptor_holds_the_values_and_where_they_end(name):
    format, plain = wb.format(name), descriptor(name)
    json.dumps(plain, allow_nan=False)
    assert np.array_equal(_floats(plain["values"]), format.code_values, equal_nan=True)
    if plain["middles"] is not None:
        assert np.array_equal(_floats(plain["middles"]), format.middles)
    for side, towards in (("above", -math.inf), ("below", math.inf)):
        if plain[side] is not None:
            at = float(plain[side]["at"])
            assert encode(name, at) == plain[side]["code"]
            assert encode(name, np.nextafter(at, towards)) != plain[side]["code"]
    for jump in plain["jumps"]:
        assert 0 <= jump["code"] < format.code_values.size


def test_the_jumps_are_the_landmarks_of_the_format():
    codes = {jump["name"]: jump["code"] for jump in descriptor("e5m2")["jumps"]}
    values = {name: decode("e5m2", code) for name, code in codes.items()}
    assert values.pop("NaN") != values.get("NaN")
    assert values == {
        "zero": 0, "smallest subnormal": 2.0**-16, "smallest normal": 2.0**-14, "one": 1,
        "largest": 57344, "lowest": -57344, "infinity": math.inf,
    }  # fmt: skip
    assert not {"infinity", "NaN"} & {jump["name"] for jump in descriptor("int4")["jumps"]}


def test_supplies_hold_what_the_state_names():
    supplies = BitEditor(format="int4", compare=["e2m1"], block="mxfp6").supplies()
    assert set(supplies["formats"]) == {"int4", "e2m1", "e3m2", "e8m0"}
    assert supplies["blocks"]["mxfp6"]["size"] == 32
    assert {"f32", "bf16", "nf4"} <= set(supplies["names"])
