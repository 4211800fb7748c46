"""The exercises of the course as records: what is asked, on which inputs, what is true, what helps.

The truth is computed from the formats and their slow exact twin when an answer is checked; no
answer is written down here. The exercises of the chapters on tensors are in `exercises_models`.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ..formats import FloatFormat, Format, parse
from ..formats.reference import decode, round_one
from . import exercises_models
from .records import SEED, Case, Exercise

FLOATS = ((4, 3), (5, 2), (5, 10), (8, 7), (2, 1), (2, 3), (3, 2), (3, 4), (4, 1), (5, 6), (6, 5))


def _decode_cases() -> list[Case]:
    """Every code of e4m3fn."""
    fmt = parse("e4m3fn")
    return [Case((code,), float(decode(fmt, code)), fmt) for code in range(1 << fmt.bits)]


def _field_cases(truth: Callable[[FloatFormat], float]) -> list[Case]:
    """A property of IEEE-like floats by their fields, with the usual bias and with others."""
    found = []
    for shift in (0, 1, -1, 3):
        for exponent, mantissa in FLOATS:
            bias = (1 << (exponent - 1)) - 1 + shift
            fmt = FloatFormat(exponent, mantissa, bias=bias, top="ieee")
            found.append(Case((exponent, mantissa, bias), float(truth(fmt)), fmt))
    return found


def _count_cases() -> list[Case]:
    """How many values signed floats have whose every code is a number."""
    pairs = [(2, 1), (3, 2), (2, 3), *((e, m) for e in range(1, 6) for m in range(5))]
    formats = [FloatFormat(e, m, top="finite") for e, m in dict.fromkeys(pairs)]
    return [Case((fmt.exponent, fmt.mantissa), float(len(fmt)), fmt) for fmt in formats]


def rounding_inputs(fmt: Format) -> list[float]:
    """Numbers that try the rounding to a format, simple ones first; each fits float32 exactly.

    Every value, every middle and its float32 neighbours, what lies beyond the largest value, and
    seeded random numbers over the whole range; all with both signs.

    Example:
        >>> rounding_inputs(parse("e2m1"))[:4]
        [1.0, 1.5, 2.0, 3.0]
    """
    values = np.concatenate([fmt.values[fmt.values >= 1], fmt.values[abs(fmt.values) < 1]])
    middles = np.float32(fmt.middles[fmt.middles > 0])
    rng = np.random.default_rng(SEED)
    spread = fmt.smallest * np.exp2(rng.uniform(-3, 2 + np.log2(fmt.max / fmt.smallest), 300))
    parts = [
        values[values >= 0], middles,
        np.nextafter(middles, np.float32(0)), np.nextafter(middles, np.float32(np.inf)),
        fmt.max * np.array([1.0625, 1.25, 1.5, 4.0, 1000.0]),
        rng.uniform(0, 1.25 * fmt.max, 300), spread,
    ]  # fmt: skip
    positive = np.concatenate([np.asarray(part, np.float32) for part in parts]).astype(np.float64)
    return list(dict.fromkeys([*positive.tolist(), *(-positive).tolist()]))


def _rounding_cases(name: str, rounding: str) -> list[Case]:
    """Numbers rounded to a format by searching its values."""
    fmt = parse(name)
    return [Case((x,), round_one(fmt, x, rounding), fmt) for x in rounding_inputs(fmt)]


def _ulp_cases() -> list[Case]:
    """The step around numbers of four formats: powers of two, just below them, and in between."""
    found = []
    for fmt in (FloatFormat(4, 3, top="fn"), FloatFormat(2, 1, top="finite"), FloatFormat(5, 2),
                FloatFormat(8, 7)):  # fmt: skip
        least = fmt.least_exponent
        exponents = {0, 1, 2, -2, 6, least - 1, least, least + 1, least + 2, fmt.max_exponent}
        x = [1.0, 3.0, *_around_powers(sorted(exponents))]
        x = [v for v in dict.fromkeys(x) if 0 < v <= fmt.max]
        cases = [*x, 0.0, *(-v for v in x)]
        found += [Case((v, fmt.mantissa, least), float(fmt.precision(v)), fmt) for v in cases]
    return found


def _around_powers(exponents: list[int]) -> list[float]:
    """For each power of two: itself, a random number above it and the float32 below it."""
    powers = np.ldexp(np.float32(1), exponents)
    inside = powers * np.random.default_rng(SEED).uniform(1, 2, powers.size).astype(np.float32)
    return np.concatenate([powers, inside, np.nextafter(powers, np.float32(0))]).tolist()


def _draw_cases() -> list[Case]:
    """Numbers whose rounding is drawn by lot; the true mean is the number itself."""
    fmt = parse("e2m1")
    between = [2.25, 2.5, 3.25, 0.1, 0.4, 0.75, 1.1, 1.3, 4.5, 5.9, -2.25, -0.1, -4.5]
    return [Case((x,), x, fmt) for x in [*between, *fmt.values.tolist()]]


_TABLE = (
    Exercise(
        "decode-e4m3fn",
        "Write f(code) that gives the value of an 8-bit e4m3fn code: one sign bit, four exponent "
        "bits with bias 7, three mantissa bits; 0x7f and 0xff are NaN, and there is no infinity.",
        ("code",),
        (
            "Cut the code first: sign = code >> 7, exponent = (code >> 3) & 15, mantissa = code & "
            "7.",
            "Where the exponent field is zero the leading one is missing: the number is subnormal.",
            "Normal: (1 + mantissa / 8) * 2 ** (exponent - 7). Subnormal: the same exponent as "
            "field 1 has, and no 1 +.",
        ),
        _decode_cases,
        bits="code",
    ),
    Exercise(
        "largest-value",
        "Write f(exponent, mantissa, bias) that gives the largest finite value of a float with so "
        "many exponent and mantissa bits, where an exponent field of all ones is kept for "
        "infinity and NaN.",
        ("exponent", "mantissa", "bias"),
        (
            "Which is the largest exponent field that still means a number?",
            "The largest mantissa field is all ones: it is worth 1 - 2 ** -mantissa.",
            "A field of 2 ** exponent - 2 and a significand of 2 - 2 ** -mantissa.",
        ),
        lambda: _field_cases(lambda fmt: fmt.max),
    ),
    Exercise(
        "smallest-subnormal",
        "Write f(exponent, mantissa, bias) that gives the smallest positive value of a float with "
        "subnormal numbers.",
        ("exponent", "mantissa", "bias"),
        (
            "Its exponent field is zero and its mantissa field is one.",
            "Subnormal numbers have the exponent of the smallest normal one, which is 1 - bias.",
            "The last bit of the mantissa is worth 2 ** -mantissa of that power of two.",
        ),
        lambda: _field_cases(lambda fmt: fmt.smallest),
        ulps=False,
    ),
    Exercise(
        "count-values",
        "Write f(exponent, mantissa) that gives how many different values a signed float has "
        "whose every code is a number. Zero counts once.",
        ("exponent", "mantissa"),
        (
            "How many bits has a code, and how many codes are there?",
            "Two codes share a value.",
            "Plus zero and minus zero are one value: one less than the number of codes.",
        ),
        _count_cases,
        ulps=False,
        answers="count",
    ),
    Exercise(
        "round-e2m1",
        "Write f(x) that rounds x to the nearest value of e2m1: 0, 0.5, 1, 1.5, 2, 3, 4, 6 and "
        "their negatives. Half-way goes to the value with an even code; beyond 6 stays 6.",
        ("x",),
        (
            "Round |x| first and give the sign back at the end.",
            "Half-way between two neighbours, take the one whose last bit is 0: 0, 1, 2 and 4.",
            "math.copysign(y, x) keeps the sign, of zero too.",
        ),
        lambda: _rounding_cases("e2m1", "nearest_even"),
        bits="float32",
    ),
    Exercise(
        "round-toward-zero",
        "Write f(x) that rounds x to e4m3fn toward zero: to the neighbour that is not further "
        "from zero. Beyond 448 stays 448.",
        ("x",),
        (
            "wb.format('e4m3fn').values lists the values in order.",
            "Of |x|, you want the largest value that is not above it.",
            "np.searchsorted(values, abs(x), side='right') - 1 is its place; "
            "math.copysign brings the sign back.",
        ),
        lambda: _rounding_cases("e4m3fn", "toward_zero"),
        bits="float32",
    ),
    Exercise(
        "ulp",
        "Write f(x, mantissa, least) that gives the distance between the two neighbouring values "
        "around |x| in a float with so many mantissa bits, whose smallest normal value is "
        "2 ** least. At a power of two it is the step above.",
        ("x", "mantissa", "least"),
        (
            "Between two powers of two the step is the same everywhere.",
            "From 2 ** e to 2 ** (e + 1) it is 2 ** (e - mantissa); e = math.frexp(abs(x))[1] - 1.",
            "Under the smallest normal value the step stays what it is there: e is at least "
            "`least`. Zero is down there too.",
        ),
        _ulp_cases,
        bits="float32",
        ulps=False,
        answers="step",
    ),
    Exercise(
        "stochastic-e2m1",
        "Write f(x, rng) that rounds an array x to e2m1 by lot: each value to one of its two "
        "neighbours, so that the mean over many draws is the value itself. rng is a NumPy random "
        "generator; rng.random(x.shape) gives numbers from 0 to 1.",
        ("x", "rng"),
        (
            "Find the neighbours first: low <= x <= high.",
            "The nearer x is to high, the more often high must be drawn.",
            "Take high where rng.random(x.shape) < (x - low) / (high - low); a value on the grid "
            "stays.",
        ),
        _draw_cases,
        kind="draws",
    ),
    Exercise(
        "double-rounding",
        "Find a number x that becomes another e4m3fn value when it is rounded to bf16 first. "
        "Rounding is to the nearest, ties to even.",
        ("x",),
        (
            "Rounding goes wrong twice only near a point half-way between two e4m3fn values.",
            "Such points are bf16 values: x must lie so near to one that bf16 moves x onto it.",
            "Half-way between 1 and 1.125 is 1.0625. bf16 has a step of 2 ** -7 there.",
        ),
        kind="number",
    ),
)

EXERCISES = {exercise.name: exercise for exercise in (*_TABLE, *exercises_models.TABLE)}
