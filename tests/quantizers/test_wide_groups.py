"""Groups of two widths: which are wide, how they are stored, what they cost and what they gain."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import workbench as wb
from workbench.errors import WorkbenchError
from workbench.quantizers import Recipe
from workbench.quantizers.solvers import Problem, WideGroups
from workbench.schemes import parse
from workbench.schemes.two_widths import TwoWidths, fit_widths

SCHEME = "int2/g16+zp"


def asymmetric(groups, bits):
    """The published rounding of groups (..., values): 2^bits levels from smallest to largest."""
    low, high = np.minimum(groups.min(-1), 0), np.maximum(groups.max(-1), 0)
    scale = np.maximum((high - low) / (2**bits - 1), 1e-12)[..., None]
    zero = np.round(-low[..., None] / scale)
    return (np.clip(np.round(groups / scale) + zero, 0, 2**bits - 1) - zero) * scale


def relative(values, weight):
    return float(((values - weight) ** 2).mean() / (weight**2).mean())


def mixed(weight, sizes, rows, count):
    """Two and four bits with the largest sizes of every band wide, in plain NumPy."""
    groups = weight.reshape(len(weight), -1, 16).astype(np.float64)
    bands = sizes.reshape(len(weight) // rows, -1)
    wide = np.zeros(bands.shape, bool)
    for band, row in zip(wide, bands, strict=True):
        band[np.argsort(-row, kind="stable")[:count]] = True
    wide = wide.reshape(sizes.shape)[..., None]
    values = np.where(wide, asymmetric(groups, 4), asymmetric(groups, 2))
    return values.reshape(weight.shape), wide[..., 0]


@pytest.fixture(scope="module")
def heavy():
    """Rows of Student's t with three degrees of freedom and log-normal sizes."""
    random = np.random.default_rng(0)
    rows = random.standard_t(3, (128, 1024)) * np.exp(random.standard_normal((128, 1)))
    return rows.astype(np.float32)


@pytest.fixture(scope="module")
def real_weight():
    return (
        wb.models.open_model("reference")
        .linears()["layers.1.mlp.gate_proj"]
        .weight.detach()
        .numpy()
    )


def found(weight, share, scheme=SCHEME):
    return WideGroups(share=share).solve(Problem(weight, parse(scheme)))


@pytest.mark.parametrize("share", [0.1, 0.25])
def test_values_are_those_of_the_formula(share, real_weight):
    groups = real_weight.reshape(512, 16, 16)
    spans = np.maximum(groups.max(-1), 0) - np.minimum(groups.min(-1), 0)
    values, wide = mixed(real_weight, spans, 16, round(share * 256))
    solved = found(real_weight, share)
    assert np.array_equal(solved.fitted.choice, wide)
    step = spans.repeat(16, 1) / np.where(wide, 15, 3).repeat(16, 1)
    assert (np.abs(solved.values - values) > 1e-5 * step).mean() < 1e-3  # ties of float32


@pytest.mark.parametrize("name", ["heavy", "real_weight"])
@pytest.mark.parametrize("share", [0.1, 0.25])
def test_range_chooses_nearly_as_well_as_the_error_itself(name, share, request):
    weight = request.getfixturevalue(name)
    groups = weight.reshape(len(weight), -1, 16).astype(np.float64)
    count = round(share * 16 * groups.shape[1])
    gain = sum(s * ((asymmetric(groups, b) - groups) ** 2).sum(-1) for b, s in ((2, 1), (4, -1)))
    chance = np.random.default_rng(1).random(gain.shape)
    best, random = (relative(mixed(weight, by, 16, count)[0], weight) for by in (gain, chance))
    ours = relative(found(weight, share).values, weight)
    assert ours <= 1.05 * best
    limit = 0.85 if name == "heavy" or share == 0.25 else 0.9
    assert ours <= limit * random


def test_every_band_holds_the_same_count_and_the_same_bytes(heavy):
    solved = found(heavy, 0.1)
    counts = solved.fitted.choice.reshape(8, -1).sum(1)
    assert (counts == round(0.1 * 16 * 64)).all()
    assert solved.fitted.narrow.shape == (8, (1024 - 102) * 16)
    assert solved.fitted.wide.shape == (8, 102 * 16)


def test_the_average_of_bits_is_the_formula_and_is_what_is_stored(heavy):
    for scheme, each in (
        ("int2/g16+zp", 32),
        ("int2/g16*f16+zp", 16),
        ("int2/g16*e4m3fn*f32+zp", 8),
    ):
        solved = found(heavy, 0.1, scheme)
        stored = solved.fitted.quantize(solved.values)
        share = 102 / 1024
        formula = 2 + 2 * share + (each + 2 + 2 * share + 1) / 16
        assert solved.fitted.widths.bits_per_value(64) == pytest.approx(formula)
        spare = 8 * 8 / heavy.size if "*f32" in scheme else 0
        assert stored.bits_per_value == pytest.approx(formula + spare, abs=16 / heavy.size)
    assert f"{formula:.2f}" == "2.90"


def test_stored_codes_give_the_values_back(heavy):
    solved = found(heavy, 0.1, "int2/g16*e4m3fn*f32+zp")
    stored = solved.fitted.quantize(solved.values)
    assert np.allclose(stored.dequantize(), solved.values, rtol=1e-6, atol=0)
    assert np.array_equal(stored.choice, solved.fitted.choice)
    assert stored.wide.scheme.format.name == "int4"
    assert stored.scheme.format.name == "int2"
    made = Recipe.parse("w=int2/g16*e4m3fn*f32+zp wide_groups").apply(heavy)
    assert made.bits_per_weight == stored.bits_per_value
    assert np.array_equal(made.matrix, stored.dequantize())


@given(
    st.sampled_from(["int2/g16+zp", "int3/g8", "e2m1/g16", "int2/b32*e8m0", "nf4/g16"]),
    st.sampled_from([0.1, 0.3, 0.5]), st.sampled_from([1, 4, 8]), st.integers(0, 20),
)  # fmt: skip
@settings(max_examples=40)
def test_it_is_never_worse_than_the_narrow_width_alone(scheme, share, rows, seed):
    weight = np.random.default_rng(seed).standard_t(3, (16, 320)).astype(np.float32)
    weight[:, :16] = 0
    problem = Problem(weight, parse(scheme))
    solver = WideGroups(share=share, wide="int8", rows=rows)
    if round(share * rows * 320 / parse(scheme).scale.size[0]) < 1:
        with pytest.raises(WorkbenchError, match="in a band"):
            solver.solve(problem)
        return
    solved, again = solver.solve(problem), solver.solve(problem)
    assert solved.values.tobytes() == again.values.tobytes()
    gaps = [(v - weight).reshape(solved.fitted.choice.shape + (-1,)).astype(np.float64) ** 2
            for v in (solved.values, problem.fitted.round(weight))]  # fmt: skip
    ours, narrow = (gap.sum(-1) for gap in gaps)
    assert np.allclose(ours[~solved.fitted.choice], narrow[~solved.fitted.choice], rtol=1e-5)
    assert ours.sum() <= narrow.sum() * (1 + 1e-6)


def test_the_choice_is_the_best_of_all_choices_by_range():
    weight = np.random.default_rng(3).standard_normal((4, 64)).astype(np.float32)
    groups = weight.reshape(2, 8, 16)
    spans = np.maximum(groups.max(-1), 0) - np.minimum(groups.min(-1), 0)
    solved = WideGroups(share=0.375, rows=2).solve(Problem(weight, parse(SCHEME)))
    for band, choice in zip(spans, solved.fitted.choice.reshape(2, 8), strict=True):
        best = max(itertools.combinations(range(8), 3), key=lambda some: band[list(some)].sum())
        assert np.flatnonzero(choice).tolist() == list(best)


def test_taking_apart_and_together_is_nothing(heavy):
    widths = TwoWidths(parse("int2/g16"), parse("int4/g16"), 4, 5)
    choice = widths.chosen(np.random.default_rng(0).random((128, 64)))
    parts = widths.apart(heavy, choice)
    assert parts[1].shape == (32, 5 * 16)
    assert np.array_equal(widths.together(*parts, choice), heavy)


@pytest.mark.parametrize(
    ("recipe", "why"),
    [
        ("w=int2/g16+zp wide_groups(share=0)", "a share lies between 0 and 1"),
        ("w=int2/g16+zp wide_groups(share=1.0)", "a share lies between 0 and 1"),
        ("w=int2/g16+zp wide_groups(rows=0)", "a share lies between 0 and 1"),
        ("w=int2/g16+zp wide_groups(wide=int99)", "integers here have 1 to 16 bits"),
        ("w=int2/channel+zp wide_groups", "each group of a row has one of them"),
        ("w=e4m3fn wide_groups", "each group of a row has one of them"),
        ("w=int4/g16+zp wide_groups", "int4 beside int4 → it is not wider → write int8"),
        ("w=int2/g16+zp wide_groups(rows=7)", "bands of 7 rows"),
        ("w=int2/g24+zp wide_groups", "groups of 24 for a shape"),
        ("w=int2/g64+zp wide_groups(rows=1)", "it is 0 of them"),
    ],
)
def test_what_cannot_be_is_said(recipe, why, weight):
    with pytest.raises(WorkbenchError, match=why) as refusal:
        Recipe.parse(recipe).apply(weight)
    assert str(refusal.value).count("→") == 2


def test_parts_of_the_matrix_have_no_scheme_of_their_own(weight):
    solved = found(weight, 0.25)
    with pytest.raises(WorkbenchError, match="a grid of its own"):
        solved.fitted.region(slice(0, 1), slice(0, 1))
    with pytest.raises(WorkbenchError, match="each group of each row has one"):
        fit_widths(solved.fitted.widths, weight, np.zeros((2, 2)))
    with pytest.raises(WorkbenchError, match="a comma ends a parameter"):
        WideGroups(wide="mix(int4,e2m1)")
