"""The bit-field editor's page decodes, rounds and steps as Python does, code for code."""

from __future__ import annotations

import base64
import math

import numpy as np
import pytest

import workbench as wb
from workbench.explorers.bit_codes import decode
from workbench.explorers.bit_descriptors import descriptor, script

pytestmark = pytest.mark.browser
TABLED = ["e4m3fn", "e5m2", "e2m1", "e4m3fnuz", "ue4m3fn", "e8m0", "int4", "int8n", "q3.4",
          "posit8", "posit8(es=0)", "lns4.3", "nf4", "bnb_fp4", "bf16", "f16",
          "posit16"]  # fmt: skip


def _pack(values: np.ndarray) -> str:
    return base64.b64encode(np.asarray(values, "<f8").tobytes()).decode()


def _codes_in_browser(page, name: str, inputs: np.ndarray) -> np.ndarray:
    """The codes that the page's own rounding gives, -1 where there is none."""
    page.goto("about:blank")
    page.add_script_tag(content=script())
    return np.array(
        page.evaluate(
            "([one, bdata]) => { const f = bitFormat(one);"
            " return Array.from(floats({dtype: 'f8', bdata}), (x) => f.encode(x) ?? -1); }",
            [descriptor(name), _pack(inputs)],
        )
    )


def _inputs(format) -> np.ndarray:
    """All values, half-way points and their neighbours, ends, extremes, and numbers between."""
    values, middles = format.values, format.middles
    edges = np.concatenate([values, middles])
    around = [np.nextafter(edges, -np.inf), edges, np.nextafter(edges, np.inf)]
    random = np.random.default_rng(0).standard_normal(4000) * format.reach / 2
    far = np.array([0.0, -0.0, 5e-324, -5e-324, 1e308, -1e308, np.inf, -np.inf, np.nan])
    with np.errstate(over="ignore"):
        ends = np.outer([format.max, format.min], [1.01, 1.0625, 1.5, 2, 4]).ravel()
    return np.concatenate([*around, random, far, ends, -ends])


@pytest.mark.parametrize("name", TABLED)
def test_the_page_rounds_as_python_does(page, console, name):
    format = wb.format(name)
    inputs = _inputs(format)
    if format.bits > 8:
        inputs = inputs[np.random.default_rng(1).permutation(inputs.size)[:60_000]]
    fits = ~np.isnan(inputs) | format.has_nan
    expected = np.full(inputs.size, -1)
    expected[fits] = format.encode(inputs[fits])
    assert np.array_equal(_codes_in_browser(page, name, inputs), expected)


@pytest.mark.parametrize("name", [*TABLED, "f32"])
def test_the_page_decodes_and_steps_as_python_does(page, console, name):
    page.goto("about:blank")
    page.add_script_tag(content=script())
    last = 2 ** descriptor(name)["bits"] - 1
    codes = np.unique(np.linspace(0, last, 1 << 16).astype(np.int64)).tolist()
    values, up = page.evaluate(
        "([one, codes]) => { const f = bitFormat(one);"
        " return [codes.map(f.decode), codes.map((c) => f.decode(f.step(c, 1) ?? c))]; }",
        [descriptor(name), codes],
    )
    expected = np.array([decode(name, code) for code in codes])
    assert np.array_equal(np.array(values, float), expected, equal_nan=True)
    real = np.isfinite(expected) & (np.array(up, float) != expected)
    nexts = [_next(name, value) for value in expected[real][:2000]]
    assert np.array_equal(np.array(up, float)[real][:2000], nexts)


def _next(name: str, value: float) -> float:
    """The next value up, by the list of values; by NumPy in f32."""
    if name == "f32":
        return float(np.nextafter(np.float32(value), np.float32(np.inf)))
    values = wb.format(name).values
    at = np.searchsorted(values, value, side="right")
    return float(values[at]) if at < values.size else math.inf


@pytest.mark.parametrize("name", ["bf16", "f16", "e4m3fn", "e5m2", "e2m1", "int8", "posit8"])
def test_guard_round_and_sticky_foretell_the_rounding(page, console, name):
    random = np.random.default_rng(3)
    exact = wb.format(name).middles[:: max(1, wb.format(name).middles.size // 500)]
    wild = random.integers(0, 1 << 32, 2000).astype(np.uint32).view(np.float32)
    near = (random.standard_normal(2000) * wb.format(name).reach / 8).astype(np.float32)
    inputs = np.concatenate([wild[np.isfinite(wild)], near, exact, exact / 2])
    page.goto("about:blank")
    page.add_script_tag(content=script())
    wrong = page.evaluate(FORETELL, [descriptor(name), _pack(inputs.astype(np.float32))])
    assert wrong == []


FORETELL = """([one, bdata]) => {
  const f = bitFormat(one);
  return Array.from(floats({ dtype: "f8", bdata })).filter((x) => {
    const cut = cutOf(f, x);
    if (!cut || x > f.largest || x < f.lowest) return false;
    const code = f.encode(x), got = Math.abs(f.decode(code));
    const found = got === Math.abs(x) ? "exact" : got > Math.abs(x) ? "away" : "toward";
    if (cut.guard && !cut.round && !cut.sticky) return found === "exact" || code % 2 !== 0;
    const exact = !cut.guard && !cut.round && !cut.sticky;
    return found !== (exact ? "exact" : cut.guard ? "away" : "toward");
  });
}"""
