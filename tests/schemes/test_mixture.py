"""Mixtures choose for every group what trying all parts would choose."""

from __future__ import annotations

import numpy as np
import pytest

import workbench as wb
from workbench.errors import WorkbenchError
from workbench.metrics.error import error

GROUP = 128


def _relative(scheme, x):
    y = wb.scheme(scheme).round(x).astype(np.float64)
    return float(((y - x) ** 2).mean() / (x.astype(np.float64) ** 2).mean())


@pytest.fixture(scope="module")
def gaussian():
    return np.random.default_rng(0).standard_normal((4096, GROUP)).astype(np.float32)


@pytest.mark.parametrize("width", [3, 4])
def test_every_group_takes_the_best_of_all_parts(width, gaussian):
    x = gaussian[:512]
    parts = wb.format(f"bitmod{width}").parts
    tried = np.stack([wb.scheme(f"{part}/g{GROUP}").round(x) for part in parts])
    errors = ((tried - x).astype(np.float64) ** 2).sum(-1)
    best = errors.argmin(0)
    q = wb.scheme(f"bitmod{width}/g{GROUP}").quantize(x)
    assert np.array_equal(q.choice[:, 0], best)
    assert np.array_equal(q.dequantize(), tried[best, np.arange(len(x))])
    assert np.array_equal(wb.scheme(f"bitmod{width}/g{GROUP}").round(x), q.dequantize())


@pytest.mark.parametrize(
    ("width", "published", "integers"), [(3, 0.0380, 0.85), (4, 0.00959, 0.97)]
)
def test_bitmod_has_its_published_error(width, published, integers, gaussian):
    found = _relative(f"bitmod{width}/g{GROUP}", gaussian)
    assert found == pytest.approx(published, rel=0.01)
    assert found <= integers * _relative(f"int{width}/g{GROUP}+zp", gaussian)
    for part in wb.format(f"bitmod{width}").parts:
        assert found <= _relative(f"{part}/g{GROUP}", gaussian)


def test_bitmod_gains_more_on_heavier_tails():
    x = np.random.default_rng(1).laplace(size=(2048, GROUP)).astype(np.float32)
    assert _relative("bitmod3/g128", x) <= 0.70 * _relative("int3/g128+zp", x)


def test_which_special_values_gaussian_groups_choose(gaussian):
    three = wb.scheme("bitmod3/g128").quantize(gaussian).choice
    four = wb.scheme("bitmod4/g128").quantize(gaussian).choice
    assert np.mean(three >= 2) == pytest.approx(0.84, abs=0.03)  # further reach
    assert np.mean(four < 2) == pytest.approx(0.75, abs=0.03)  # finer resolution


def test_the_choice_is_stored_and_counted(gaussian, tmp_path):
    scheme = wb.scheme("bitmod3/g128*f16")
    q = scheme.quantize(gaussian[:64])
    assert q.bits_per_value == 3 + 18 / 128 == scheme.bits_per_value(q.shape)
    q.save(tmp_path / "q.safetensors")
    again = wb.QuantizedTensor.load(tmp_path / "q.safetensors")
    assert np.array_equal(again.dequantize(), q.dequantize())
    assert np.array_equal(again.choice, q.choice)


@pytest.mark.parametrize("text", ["bitmod4/g32*e8m0", "mix(int4,e2m1,nf4)/g64", "bitmod3/t16x16"])
def test_error_by_cause_adds_up(text):
    x = np.random.default_rng(2).standard_t(4, (64, 96)).astype(np.float32)
    report = error(x, text)
    exact = ((wb.scheme(text).round(x) - x).astype(np.float64) ** 2).mean()
    assert report.mse == pytest.approx(exact, rel=1e-9)
    assert sum(report.causes.values()) == pytest.approx(exact, rel=1e-9)


def test_tails_nan_and_axes(gaussian):
    x = gaussian[:3, :100].copy()
    scheme = wb.scheme("bitmod4/g32")
    parts = [scheme.round(x[:, i : i + 32]) for i in range(0, 100, 32)]
    assert np.array_equal(scheme.round(x), np.concatenate(parts, axis=1))
    assert np.array_equal(scheme.round(x.T, axis=0), scheme.round(x).T)
    x[1, 5] = np.nan
    assert np.isnan(scheme.round(x)).sum() == 1
    assert np.array_equal(scheme.round(np.zeros(4, np.float32)), np.zeros(4))
    assert scheme.round(np.zeros((0, 4), np.float32)).shape == (0, 4)


def test_tensors_on_a_device_get_the_same_bits():
    torch = pytest.importorskip("torch")
    from workbench.schemes import device

    x = torch.randn(32, 96, generator=torch.Generator().manual_seed(0))
    scheme = wb.scheme("bitmod4/g32*f16")
    found = device.round(scheme, x, -1, None, "nearest_even", 0)
    assert torch.equal(found, scheme.round(x))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("mix(int4,int8)/g32", "formats of one width"),
        ("mix(int4)/g32", "2 to 16 formats"),
        ("bitmod3/g16*e4m3fn*f32", "two scale levels"),
        ("bitmod3/g16+zp", "must be an integer"),
        ("bitmod5/g16", "3 or 4 bits"),
    ],
)
def test_impossible_mixtures_are_refused(text, said):
    with pytest.raises(WorkbenchError, match=said):
        wb.scheme(text)


def test_a_mixture_alone_and_its_sketch_say_what_to_do_instead(gaussian):
    with pytest.raises(WorkbenchError, match="only where a group chooses"):
        wb.format("bitmod3").round([1.0])
    with pytest.raises(WorkbenchError, match="only where a group chooses"):
        wb.format("bitmod3").decode([1])
    with pytest.raises(WorkbenchError, match="each group chooses its grid"):
        wb.sketch(gaussian).error("bitmod3/g128")
    refused = wb.explorers.FormatExplorer().set(schemes=["bitmod3/g128"])
    assert "each group has its own" in refused
