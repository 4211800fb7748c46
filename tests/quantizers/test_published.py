"""What is published of LLM.int8() and the quantization whitepaper, on data with known answers."""

import numpy as np
import pytest

import workbench as wb
from workbench.errors import WorkbenchError
from workbench.quantizers import Calibration, Recipe
from workbench.quantizers.integers import affine_product, fold_batch_norm

RANDOM = np.random.default_rng(0)


@pytest.fixture(scope="module")
def outliers():
    """Inputs with six channels sixty times larger, weights, and the places of the six."""
    x = RANDOM.standard_normal((256, 384)).astype(np.float32)
    planted = np.sort(RANDOM.choice(384, 6, replace=False))
    x[:, planted] *= 60
    return x, (RANDOM.standard_normal((128, 384)) * 0.05).astype(np.float32), planted


def relative(layer, x, w):
    exact = x.astype(np.float64) @ w.T.astype(np.float64)
    return float(((layer(x) - exact) ** 2).mean() / (exact**2).mean())


def test_outlier_columns_are_the_planted_ones_and_help(outliers):
    x, w, planted = outliers
    # six of 384 channels reach far; the threshold lies above what the others reach
    parts = "w=int8/channel a=int8/token"
    kept = Recipe.parse(f"{parts} outlier_columns(threshold=6)").apply(w)
    assert kept.corrections[0].found(x).tolist() == planted.tolist()
    plain, tensor = (Recipe.parse(t).apply(w) for t in (parts, "w=int8/tensor a=int8/tensor"))
    assert relative(kept, x, w) <= 0.03 * relative(plain, x, w) < relative(tensor, x, w)


def test_dequantized_columns_are_a_little_worse_than_float_ones(outliers):
    x, w, _ = outliers
    both = [
        Recipe.parse(f"w=int8/channel a=int8/token outlier_columns(weights={kind})").apply(w)
        for kind in ("float", "quantized")
    ]
    assert relative(both[0], x, w) < relative(both[1], x, w) < 100 * relative(both[0], x, w)
    assert both[0].nbytes == both[1].nbytes + 2 * w.size


def test_without_outliers_nothing_is_taken_and_with_threshold_0_everything(outliers):
    _, w, _ = outliers
    x = RANDOM.uniform(-5, 5, (64, 384)).astype(np.float32)
    parts = "w=int8/channel a=int8/token"
    plain, kept, every = (
        Recipe.parse(text).apply(w)
        for text in (parts, f"{parts} outlier_columns", f"{parts} outlier_columns(threshold=0)")
    )
    assert np.array_equal(plain(x), kept(x))
    exact = x.astype(np.float16).astype(np.float32) @ w.astype(np.float16).astype(np.float32).T
    assert np.allclose(every(x), exact, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("inputs", ["uint8/tensor+zp", "int8/token", "uint4/token+zp", "int8"])
@pytest.mark.parametrize("weights", ["int8/channel", "int4/channel+zp", "int8/tensor"])
def test_integer_sums_are_the_simulation(inputs, weights):
    x = np.maximum(RANDOM.standard_normal((32, 96)), -0.2).astype(np.float32)
    w = RANDOM.standard_normal((16, 96)).astype(np.float32)
    qx, qw = wb.scheme(inputs).quantize(x), wb.scheme(weights).quantize(w)
    simulated = qx.dequantize().astype(np.float64) @ qw.dequantize().astype(np.float64).T
    assert np.allclose(affine_product(qx, qw), simulated, rtol=1e-5, atol=1e-5)


def test_an_integer_product_needs_scales_that_come_out_of_the_sum():
    grouped = wb.scheme("int4/g32").quantize(np.ones((2, 64), np.float32))
    with pytest.raises(WorkbenchError, match="one scale a tensor or a row"):
        affine_product(grouped, grouped)
    one, other = (wb.scheme("int8/channel").quantize(np.ones((2, n), np.float32)) for n in (4, 5))
    with pytest.raises(WorkbenchError, match="4 and 5 features"):
        affine_product(one, other)


def test_channels_of_many_sizes_need_scales_of_their_own():
    w = RANDOM.standard_normal((256, 512)) * np.exp(2 * RANDOM.standard_normal((256, 1)))
    w = w.astype(np.float32)

    def median_sqnr(text):
        error = wb.scheme(text).round(w) - w
        return float(np.median(10 * np.log10((w**2).sum(1) / (error**2).sum(1))))

    assert median_sqnr("int8/channel") - median_sqnr("int8/tensor") >= 30


def test_zero_stays_zero_and_a_zero_point_is_worth_a_bit_after_relu():
    x = np.maximum(RANDOM.standard_normal(1 << 18), 0).astype(np.float32)
    symmetric, affine = (wb.scheme(t).round(x) for t in ("int8/tensor", "uint8/tensor+zp"))
    assert (affine[x == 0] == 0).all()
    gain = 10 * np.log10(((symmetric - x) ** 2).sum() / ((affine - x) ** 2).sum())
    assert gain == pytest.approx(6.02, abs=0.15)


def test_a_folded_batch_norm_gives_the_same():
    torch = pytest.importorskip("torch")
    layer, norm = torch.nn.Conv2d(8, 16, 3), torch.nn.BatchNorm2d(16)
    with torch.no_grad():
        for values in (norm.running_mean, norm.weight, norm.bias):
            values.copy_(torch.randn(16))
        norm.running_var.copy_(torch.rand(16) + 0.1)
    norm.eval()
    x = torch.randn(2, 8, 9, 9)
    expected = norm(layer(x))
    arrays = (layer.weight, layer.bias, norm.running_mean, norm.running_var, norm.weight, norm.bias)
    w, b = fold_batch_norm(*(a.detach().numpy() for a in arrays), epsilon=norm.eps)
    found = torch.nn.functional.conv2d(x, torch.from_numpy(w), torch.from_numpy(b))
    assert torch.allclose(found, expected, atol=1e-5)
    with pytest.raises(WorkbenchError, match="not above 0"):
        fold_batch_norm(w, None, b, -np.ones(16), b, b)


def test_static_ranges_are_those_of_the_calibration():
    x = RANDOM.standard_normal((512, 32)).astype(np.float32)
    w = RANDOM.standard_normal((8, 32)).astype(np.float32)
    known = Calibration.of(x)
    layer = Recipe.parse("a=int8/tensor static").apply(w, known)
    scale = np.abs(x).max() / 127
    far = np.full((1, 32), 1e3, np.float32)
    assert np.allclose(layer.rounded(far), 127 * scale)  # clipped, whatever comes
    dynamic = Recipe.parse("a=int8/tensor").apply(w)
    assert np.allclose(dynamic.rounded(far), 1e3)
    each = Recipe.parse("a=int8/channel static").apply(w, known)
    assert np.allclose(each.rounded(far)[0], np.abs(x).max(0), rtol=1e-5)


def test_named_columns_go_past_the_product(outliers):
    x, w, planted = outliers
    parts = "w=int8/channel a=int8/token"
    names = "+".join(map(str, planted))
    kept = Recipe.parse(f"{parts} kept_columns({names})").apply(w)
    found = Recipe.parse(f"{parts} outlier_columns").apply(w)
    assert kept(x).tobytes() == found(x).tobytes()
    plain = Recipe.parse(parts).apply(w)
    assert kept.nbytes == plain.nbytes + len(planted) * (2 * len(w) + 4)


@pytest.mark.parametrize("columns", ["x", "3-1", "4096", "1,2", "-1"])
def test_columns_that_cannot_be_are_refused(columns):
    with pytest.raises(WorkbenchError):
        Recipe.parse(f"w=int8/channel kept_columns({columns})").apply(np.ones((2, 8), np.float32))
