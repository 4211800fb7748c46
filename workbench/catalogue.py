"""One row a published system: what it is here, what it claims, and what this project measures.

Each row's check runs in seconds and returns figures by name; nothing here is written down that is
not computed when it is asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from textwrap import fill
from typing import Any

from .errors import WorkbenchError, nearest
from .reproductions import (
    allocation,
    diffusion,
    formats,
    layer_transforms,
    quantizers,
    searches,
    statistics,
    theory,
    training,
    tuning,
    vectors,
    weight_solvers,
)  # fmt: skip

STATUSES = ("reproduced", "reproduced with differences", "interpretation")
SAME, DIFFERENT, READ_SO = STATUSES
COLUMNS = ("number", "name", "year", "kind", "status", "claim", "where", "differs")


@dataclass(frozen=True)
class System:
    """A published system.

    Args:
        number: its number in the catalogue of published systems.
        name: what it is called.
        year: of publication.
        kind: what it is here: "format", "recipe", "function" or "view".
        status: one of `STATUSES`.
        claim: what the publication says of it.
        where: how to reach it here.
        check: returns the figures measured here, by name.
        differs: what is not as published, or not here yet.
    """

    number: int
    name: str
    year: int
    kind: str
    status: str
    claim: str
    where: str
    check: Callable[[], dict[str, float]] = field(repr=False)
    differs: str = ""

    def record(self) -> dict[str, Any]:
        """The row with its figures, JSON-able.

        Example:
            >>> find("tilus").record()["measured"]["largest of f6e3m2"]
            28.0
        """
        return {name: getattr(self, name) for name in COLUMNS} | {"measured": dict(self.measured)}

    @cached_property
    def measured(self) -> dict[str, float]:
        """The figures of its check, which runs once in a process."""
        return self.check()


def _all(*checks: Callable[[], dict[str, float]]) -> Callable[[], dict[str, float]]:
    """The figures of several checks."""
    return lambda: {name: figure for check in checks for name, figure in check().items()}


SYSTEMS = (
    System(0, "Floats for diffusion models", 2024, "recipe", DIFFERENT,
           "8-bit floats keep samples that integers lose; 4-bit ones need learned rounding",
           "wb.Recipe.parse('w=e2m1/channel@mse adaround a=e4m3finite/tensor'), "
           "workbench.training.diffusion.load()", diffusion.diffusion,
           "points in the plane, not images; half the error of layers is not half that of samples"),
    System(3, "ZeroQuant-FP", 2023, "recipe", DIFFERENT,
           "scales of a row whose ratios are powers of two turn FP4 into FP8 by shifts",
           "wb.Recipe.parse('w=e2m1/g256*pow2(m2) gptq a=e4m3fn/token low_rank(rank=8)')",
           layer_transforms.power_of_two_ratios,
           "of two readings of M2 the one that never cuts off; pow2(m2ceil) is the other"),
    System(5, "To FP8 and back again", 2024, "format", DIFFERENT,
           "masked mantissa bits are biased towards zero; lost exponent bits harm training more",
           "wb.format('e8m3').round(x, 'toward_zero'), wb.training.papers.bit_reduction(8, 3), "
           "wb.training.logit_sharpness(logits, targets)", training.bit_reduction,
           "trained here on a small network, not on language models, which diverge sooner"),
    System(9, "decoupleQ", 2024, "recipe", DIFFERENT,
           "whole numbers, then the line they lie on, solved in turns, make 2 bits usable",
           "wb.Recipe.parse('w=int2/channel+mean decoupled')", weight_solvers.decoupled,
           "no relaxed problem before rounding; the second stage trains a whole model at once"),
    System(12, "Minifloat post-training quantization", 2024, "recipe", DIFFERENT,
           "the best 3- to 8-bit floats beat integers of their width; by gates it is closer",
           "wb.views.design_space(designs), wb.Recipe.parse("
           "'smooth w=e2m1/channel gptq a=e4m3fn/tensor bias_correction')", allocation.minifloats,
           "cost is our gate model, not LUTs of an FPGA; layers of language models, not images"),
    System(13, "LLM-FP4", 2023, "recipe", DIFFERENT,
           "searched biases make 4-bit floats work; those of channels move into weights' exponents",
           "workbench.quantizers.float_search.best_floats(layer, calibration), wb.Recipe.parse("
           "'exponent_shift w=e2m1/channel range_search(inputs=e2m1(bias=1.8),columns=2) "
           "a=e2m1(bias=1.8)')", searches.float_search,
           "columns' exponents follow norms, not shifts; without outliers shifts do not help"),
    System(16, "Dynamic fixed point", 2018, "format", DIFFERENT,
           "16-bit integers with one exponent a tensor train like float32; full products overflow",
           "wb.scheme('dfp16'), wb.training.papers.dynamic_fixed_point(16)",
           training.dynamic_fixed_point,
           "trained here on a small network, products added up in float32, not in flushed int32"),
    System(19, "PowerQuant and NUPES", 2023, "recipe", DIFFERENT,
           "a power found without data beats uniform integers; codes learned over the grid go on",
           "wb.quantizers.best_power(w), wb.scheme('pow4(a=0.5)/channel'), "
           "wb.Recipe.parse('w=pow4(a=0.7)/channel learned_codes')", searches.learned_codes,
           "penalty and optimizer are ours; the whole grid is hardly used unless ranges cut off"),
    System(20, "Accurate block quantization", 2024, "format", SAME,
           "sorting keys' channels by norm helps blocks shorter than a head, not one as long",
           "wb.scheme('bfp4/b32')", formats.sorted_blocks),
    System(22, "QFX", 2024, "format", DIFFERENT,
           "binary points are learned; weights of at most K set bits make products of K shifts",
           "wb.training.LearnedPoint(8), wb.format('khot8(k=2)'), "
           "workbench.formats.fixed_arithmetic.fixed_type('ap_fixed<8,3,AP_RND,AP_SAT>')",
           training.learned_binary_point,
           "trained here on a small network; K-hot weights and normalisation layers are not"),
    System(24, "Outlier Suppression+", 2023, "recipe", DIFFERENT,
           "channels shifted to their middle, then scaled beyond a threshold, survive 6 bits",
           "wb.Recipe.parse('center threshold w=int6/channel a=int6/tensor+zp')",
           layer_transforms.outlier_suppression,
           "a threshold a layer by its own error; rows are not clipped token by token"),
    System(27, "Bipolar integers", 2024, "format", SAME,
           "every bit is worth plus or minus its weight, so one popcount serves all bit planes",
           "wb.format('bipolar4')", formats.bipolar_planes),
    System(32, "OSTQuant", 2025, "recipe", DIFFERENT,
           "learned rotations and scalings fill the quantizer's cube better than fixed ones",
           "wb.Recipe.parse('learned_rotation w=int4/channel gptq a=int4/token'), "
           "wb.metrics.qsur(covariance), wb.views.qsur_view(wb.views.QsurPath.of(covariance))",
           layer_transforms.learned_transforms,
           "learned layer by layer on its outputs' error, not across a model on KL-Top"),
    System(37, "BitMoD", 2025, "format", SAME,
           "one of four special values for each group lowers the error of 3- and 4-bit weights",
           "wb.scheme('bitmod3/g128')", formats.bitmod),
    System(38, "LLM.int8()", 2022, "recipe", SAME,
           "input channels with a value of 6 or more, multiplied in 16 bits, make INT8 lossless",
           "wb.Recipe.parse('w=int8/channel a=int8/token outlier_columns')",
           quantizers.outlier_columns),
    System(43, "Gradient-based post-training quantization", 2023, "recipe", DIFFERENT,
           "which loss, freedom, optimizer and calibration set learned rounding gains from",
           "wb.Recipe.parse('w=pow3(a=0.7)/channel learned_codes(loss=cosine,freedom=neighbours)')",
           weight_solvers.gradient_options,
           "on linear layers of a small language model; the whole grid helps only cut-off ranges"),
    System(50, "Scaling law of bits", 2025, "function", READ_SO,
           "loss falls as a power of the bits; matching likely tokens distils best",
           "workbench.costs.fit_scaling(bits, losses), "
           "wb.metrics.top_k_divergence(teacher, student, k)",
           allocation.bit_scaling,
           "three byte models of our own; the law's form and TopKLD's weight are our reading"),
    System(51, "COMET", 2025, "recipe", DIFFERENT,
           "outlier channels gathered in few 8-bit blocks make 4-bit inputs as good as 8-bit ones",
           "wb.Recipe.parse('sort w=int4/g128 a=int4/g128 wide_blocks')",
           layer_transforms.mixed_blocks,
           "the share of wide blocks is ours; the mixed kernel is not here"),
    System(57, "Quantized code models", 2025, "function", DIFFERENT,
           "4 bits keep what code models can do; at 2 and 3 bits code must calibrate",
           "workbench.studies.calibration_study.calibration_study(...), "
           "wb.metrics.pass_at_k(samples, right)",
           allocation.code_calibration,
           "GPTQ on a small byte model and errors, not AQLM on 7B models and programs that run"),
    System(62, "AdaRound, AdaQuant and integer programming", 2020, "recipe", DIFFERENT,
           "learned rounding halves nearest's error; weights and ranges together go further",
           "wb.Recipe.parse('w=int4/channel adaquant a=int8/tensor static'), workbench.quantizers."
           "allocation.allocate(costs, sizes, bits), workbench.models.norms.reestimate_norms(...)",
           _all(quantizers.learned_rounding, weight_solvers.adaquant, allocation.integer_program,
                tuning.norm_tuning),
           "statistics of norms exist for batch norms; language models have their gains trained"),
    System(64, "8-bit optimizers", 2022, "format", DIFFERENT,
           "a dynamic map in blocks keeps optimizer states that a linear one loses",
           "wb.training.Adam8bit(parameters), wb.scheme('dynamic8/b2048')",
           training.eight_bit_adam,
           "on the processor alone; trained here on an embedding of 2000 words"),
    System(66, "PV-Tuning", 2024, "recipe", DIFFERENT,
           "vector codes tuned a few at a time beat straight-through; steps of all change none",
           "wb.Recipe.parse('w=f16 pv_tuning')", vectors.vector_tuning,
           "a layer's outputs are the loss, not the model's; no several codebooks are added up"),
    System(68, "2-bit and 4-bit groups by range", 2023, "recipe", READ_SO,
           "four bits for the groups of largest range keep 2-bit weights usable at 2.85 bits",
           "wb.Recipe.parse('w=int2/g16*e4m3fn*f32+zp wide_groups(share=0.1)')",
           searches.wide_groups,
           "bands of 16 rows and a flag a group are our layout; sparse outliers are not here"),
    System(71, "ZeroQuant(4+2) FP6", 2023, "format", SAME,
           "six bits, stored as two and four, decode to float16 by shifts; less error than INT4",
           "wb.kernels.layouts.pack_split(codes, (2, 4))", formats.fp6_split),
    System(75, "INT2.1", 2023, "recipe", DIFFERENT,
           "a low-rank product trained beside frozen 2-bit weights restores the model",
           "wb.Recipe.parse('w=int2/g64+zp gptq learned_low_rank(rank=16)'), "
           "wb.training.FrozenBase(weight, rank=16)", weight_solvers.low_rank_training,
           "each layer on its outputs; across a model it is low_rank(16) with distill(low_rank)"),
    System(83, "Spectra TriLM", 2024, "format", DIFFERENT,
           "ternary weights scaled by their mean magnitude beat binary ones",
           "wb.scheme('ternary/tensor@absmean'), wb.training.papers.trilm()", training.trilm,
           "trained here on a small network, not a language model with its schedule of rates"),
    System(96, "Pychop", 2025, "format", SAME,
           "nine roundings emulate low precision; to odd first makes a second rounding harmless",
           "wb.formats.pychop.MODES, wb.formats.pychop.FORMATS", formats.pychop_modes),
    System(98, "Gaussian weight sampling", 2025, "function", DIFFERENT,
           "noise that is mostly zero stands for rounding and leaves most bfloat16 weights exact",
           "wb.training.with_noise(w, bits), wb.training.LearnedBits(6, 4)",
           training.gaussian_sampling,
           "trained here on a small network; the factor that asks for few bits is our choice"),
    System(99, "Tilus types", 2025, "format", SAME,
           "integers and floats of 1 to 8 bits with any split of exponent and mantissa",
           "wb.format('f6e3m2')", formats.tilus_types),
    System(100, "Quantization whitepaper", 2018, "recipe", DIFFERENT,
           "a scale a channel keeps 8-bit weights; zero points keep what a ReLU gives",
           "wb.quantizers.integers.affine_product(x, w), wb.Recipe.parse('w=int8/channel')",
           quantizers.whitepaper,
           "weights, inputs, integer products and folded norms are here; training is not"),
    System(101, "iFairy", 2025, "format", DIFFERENT,
           "complex weights in {1, i, -1, -i} use two bits fully and need no multiplication",
           "wb.formats.QuarterFormat()", formats.quarter_turns,
           "weights and product are here; training with them is not"),
    System(107, "1-bit adapters", 2023, "format", DIFFERENT,
           "medians of the normal density's cells are the codes of least absolute error",
           "wb.training.Adapter(width, hidden), wb.scheme('median1/tensor+mean@std')",
           training.binary_adapters,
           "trained here on random features, not inside a pretrained transformer"),
    System(122, "CPTQuant", 2024, "function", READ_SO,
           "sensitivities by correlation, pruning and Taylor terms tell layers that need bits",
           "workbench.models.sensitivity.first_order(watched, recipe), "
           "workbench.quantizers.allocation.clustered(sensitivities, widths)",
           allocation.clustered_widths,
           "formulas filled in by us; by blocks and against the last output CMPQ ranks backwards"),
    System(129, "MobileQuant", 2024, "recipe", DIFFERENT,
           "static 8-bit ranges, channel factors and clips trained together serve phones",
           "wb.quantize(model, 'smooth w=int8/channel a=int8/tensor static "
           "distill(train=channels+clips+ranges)', text)", tuning.mobile_ranges,
           "no factors between queries and keys; factors fold into norms alone"),
    System(131, "FP8 versus INT8", 2023, "function", SAME,
           "integers win without tails; the heavier the tails, the more exponent bits are best",
           "wb.metrics.best_ranges(), wb.views.expected_error", theory.eight_bits),
    System(139, "Matrix nuclear norm", 2024, "function", DIFFERENT,
           "column norms stand for singular values, so the rank of representations is quickly told",
           "wb.metrics.spectrum(x)", statistics.nuclear_norms,
           "as published, but a rotation of the channels changes it; the exact norm is beside it"),
)  # fmt: skip


def find(name: str | int) -> System:
    """The system with this number, or whose name holds this text; else the nearest are named.

    Example:
        >>> find(37).name, find("fairy").number
        ('BitMoD', 101)
    """
    text = str(name).strip().lower()
    for system in SYSTEMS:
        if text == str(system.number) or text == system.name.lower():
            return system
    found = [system for system in SYSTEMS if text and text in system.name.lower()]
    if len(found) == 1:
        return found[0]
    close = [s.name for s in found] or nearest(text, [s.name for s in SYSTEMS]) or ["37"]
    raise WorkbenchError(
        f"system {str(name)!r}",
        f"{len(found) or 'no'} systems of the catalogue have this number or name",
        "write " + " or ".join(map(repr, close)),
    )


def records(name: str | None = None) -> list[dict[str, Any]]:
    """The rows with their figures, of one system or of all."""
    chosen: Sequence[System] = SYSTEMS if name is None else [find(name)]
    return [system.record() for system in chosen]


def text_of(record: dict[str, Any]) -> str:
    """One row as lines of text.

    Example:
        >>> print(text_of(find(27).record()).splitlines()[0])
        [27] Bipolar integers (2024), format: reproduced
    """
    head = "[{number}] {name} ({year}), {kind}: {status}".format(**record)
    lines = [head, f"  claim  {record['claim']}", f"  where  {record['where']}"]
    figures = record["measured"]
    width = max(map(len, figures), default=0)
    if record["differs"]:
        lines.append(f"  but    {record['differs']}")
    return "\n".join([*lines, *(f"    {key:<{width}}  {figures[key]:.6g}" for key in figures)])


def table(rows: Sequence[dict[str, Any]]) -> str:
    """All rows as text, the figures of each in a paragraph.

    Example:
        >>> print(table([find(27).record()]).splitlines()[2])
                 measured: width pairs 64; wrong products 0
    """
    lines = []
    for row in rows:
        figures = "; ".join(f"{key} {value:.4g}" for key, value in row["measured"].items())
        lines.append("{number:>4}  {name} ({year}), {kind}: {status}".format(**row))
        words = f"claim: {row['claim']}", f"measured: {figures}", f"where: {row['where']}"
        lines += [fill(w, 100, initial_indent=" " * 9, subsequent_indent=" " * 13) for w in words]
    return "\n".join(lines)
