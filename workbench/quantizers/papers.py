"""Published post-training methods, each a recipe: data over shared parts, and nothing else.

A recipe here is the method at widths where its effect shows, not a table's exact setting; what of
a publication is left out is said in the catalogue. Any of them can be taken apart and crossed with
another: `workbench.studies.crossing` does.
"""

from __future__ import annotations

from dataclasses import dataclass

from .recipe import Recipe


@dataclass(frozen=True)
class Paper:
    """A published method.

    Attributes:
        name: what it is called.
        recipe: what it does to a layer.
        says: what it adds to the methods before it, in a few words.
        number: in the catalogue of published systems; None for methods that others build on.

    Example:
        >>> found = next(paper for paper in PAPERS if paper.name == "GPTQ")
        >>> str(found.recipe)
        'w=int4/g128 gptq(act_order=true)'
    """

    name: str
    recipe: Recipe
    says: str
    number: int | None = None


round_to_nearest = Paper(
    "round to nearest", Recipe.parse("w=int4/g128"), "every weight to its nearest value"
)
gptq = Paper(
    "GPTQ", Recipe.parse("w=int4/g128 gptq(act_order=true)"),
    "each column's error given to those still to come",
)  # fmt: skip
smooth_quant = Paper(
    "SmoothQuant", Recipe.parse("smooth w=int8/channel a=int8/tensor"),
    "the size of input channels moved into the weights",
)  # fmt: skip
quarot = Paper(
    "QuaRot", Recipe.parse("hadamard w=int4/channel gptq a=int4/token"),
    "a randomized Hadamard rotation before rounding",
)  # fmt: skip
data_free = Paper(
    "data-free equalization",
    Recipe.parse("equalize w=int8/channel bias_correction a=int8/tensor static"),
    "ranges of neighbouring layers made equal, the mean error taken off",
)  # fmt: skip
float_diffusion = Paper(
    "FP quantization of diffusion", Recipe.parse("w=e2m1/channel@mse adaround a=e4m3finite/tensor"),
    "which neighbour on the float's own steps, learned", 0,
)  # fmt: skip
zeroquant_fp = Paper(
    "ZeroQuant-FP",
    Recipe.parse("w=e2m1/g256*pow2(m2) gptq a=e4m3fn/token low_rank(rank=8)"),
    "scales of a row differ by powers of two; a low-rank product makes up for the rest", 3,
)  # fmt: skip
decoupleq = Paper(
    "decoupleQ", Recipe.parse("w=int2/channel+mean decoupled"),
    "whole numbers and the line they lie on, solved in turns", 9,
)  # fmt: skip
minifloats = Paper(
    "minifloat PTQ", Recipe.parse("smooth w=e2m1/channel gptq a=e4m3fn/tensor bias_correction"),
    "the suite for integers, on small floats", 12,
)  # fmt: skip
llm_fp4 = Paper(
    "LLM-FP4",
    Recipe.parse(
        "exponent_shift(inputs=e2m1) w=e2m1/channel float_search(columns=2) a=e2m1/tensor"
    ),
    "splits and real biases searched, those of channels moved into weights' exponents", 13,
)  # fmt: skip
powerquant = Paper(
    "PowerQuant", Recipe.parse("w=pow4(a=0.5)/channel power_search"),
    "a power of the magnitudes, found without data", 19,
)  # fmt: skip
nupes = Paper(
    "NUPES", Recipe.parse("w=pow4(a=0.5)/channel learned_codes"),
    "the power, and codes over the whole grid, learned", 19,
)  # fmt: skip
outlier_suppression = Paper(
    "Outlier Suppression+", Recipe.parse("center threshold w=int6/channel a=int6/tensor+zp"),
    "channels shifted to their middle, those beyond a searched threshold scaled", 24,
)  # fmt: skip
ostquant = Paper(
    "OSTQuant", Recipe.parse("learned_rotation w=int4/channel gptq a=int4/token"),
    "a learned rotation with a learned scaling", 32,
)  # fmt: skip
bitmod = Paper(
    "BitMoD", Recipe.parse("w=bitmod4/g128"),
    "one of four special values for each group", 37,
)  # fmt: skip
llm_int8 = Paper(
    "LLM.int8()", Recipe.parse("w=int8/channel a=int8/token outlier_columns"),
    "input channels with outliers multiplied in 16 bits", 38,
)  # fmt: skip
gradient_options = Paper(
    "gradient PTQ", Recipe.parse("w=pow3(a=0.7)/channel learned_codes(loss=mse)"),
    "which loss, freedom and optimizer gradient methods gain from", 43,
)  # fmt: skip
comet = Paper(
    "COMET", Recipe.parse("sort w=int4/g128 a=int4/g128 wide_blocks"),
    "outlier channels gathered in a few blocks of 8 bits", 51,
)  # fmt: skip
adaround = Paper(
    "AdaRound", Recipe.parse("w=int4/channel adaround"),
    "which of its two neighbours each weight becomes, learned", 62,
)  # fmt: skip
adaquant = Paper(
    "AdaQuant", Recipe.parse("w=int4/channel adaquant a=int8/tensor static"),
    "weights, ranges and biases learned on the rounded inputs", 62,
)  # fmt: skip
pv_tuning = Paper(
    "PV-Tuning", Recipe.parse("w=f16 pv_tuning"),
    "codebook vectors and codes in turns, a few codes at a time", 66,
)  # fmt: skip
wide_groups = Paper(
    "2-bit and 4-bit groups",
    Recipe.parse("w=int2/g16*e4m3fn*f32+zp wide_groups(share=0.1)"),
    "four bits for the groups of largest range", 68,
)  # fmt: skip
fp6 = Paper(
    "ZeroQuant(4+2) FP6", Recipe.parse("w=e3m2/channel*f16"),
    "six-bit floats with one coarse scale a row", 71,
)  # fmt: skip
int2_1 = Paper(
    "INT2.1", Recipe.parse("w=int2/g64+zp gptq learned_low_rank(rank=16)"),
    "a low-rank product trained against the layer's outputs", 75,
)  # fmt: skip
mobilequant = Paper(
    "MobileQuant",
    Recipe.parse("smooth w=int8/channel a=int8/tensor static distill(train=channels+clips+ranges)"),
    "static ranges, scalings and clips learned end to end", 129,
)  # fmt: skip

PAPERS = (
    round_to_nearest, gptq, smooth_quant, quarot, data_free, float_diffusion, zeroquant_fp,
    decoupleq, minifloats, llm_fp4, powerquant, nupes, outlier_suppression, ostquant, bitmod,
    llm_int8, gradient_options, comet, adaround, adaquant, pv_tuning, wide_groups, fp6, int2_1,
    mobilequant,
)  # fmt: skip
