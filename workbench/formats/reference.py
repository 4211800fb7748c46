"""The slow, exact twin of every format: codes by their fields, rounding by searching the values.

Everything is rational arithmetic, one value at a time, and shares nothing with the kernels; tests
hold the two equal bit for bit.
"""

from __future__ import annotations

import bisect
import math
from decimal import ROUND_HALF_EVEN, Decimal, localcontext
from fractions import Fraction
from functools import lru_cache

import numpy as np

from .base import Format
from .float import ExponentFormat, FloatFormat
from .integer import IntegerFormat
from .tapered import LogFormat, PositFormat
from .warped import PowerFormat


def decode(format: Format, code: int) -> Fraction | float:
    """The exact value of one code: a Fraction, or a float for NaN, infinities and -0.

    Example:
        >>> decode(FloatFormat(2, 1, top="finite"), 5)
        Fraction(3, 1)
    """
    if isinstance(format, FloatFormat):
        return _decode_float(format, code)
    if isinstance(format, IntegerFormat):
        signed = code - (1 << format.width) if format.sign and code >> (format.width - 1) else code
        if signed < format.low_code:
            return math.nan
        return Fraction(signed) / Fraction(2) ** format.fraction
    if isinstance(format, PositFormat):
        return _decode_posit(format, code)
    if isinstance(format, ExponentFormat):
        last = (1 << format.width) - 1
        return math.nan if code == last else Fraction(2) ** (code - (last >> 1))
    value = float(format.code_values[code])
    plain = math.isnan(value) or (value == 0 and math.copysign(1, value) < 0)
    return value if plain else Fraction(value)


def _decode_float(f: FloatFormat, code: int) -> Fraction | float:
    """One float code by its fields."""
    sign = f.sign and code >> (f.exponent + f.mantissa)
    field = (code >> f.mantissa) & ((1 << f.exponent) - 1)
    fraction = code & ((1 << f.mantissa) - 1)
    all_ones = (1 << f.exponent) - 1
    if f.top == "ieee" and field == all_ones:
        return math.nan if fraction else (-math.inf if sign else math.inf)
    if f.top == "fn" and field == all_ones and fraction == (1 << f.mantissa) - 1:
        return math.nan
    significand = Fraction(fraction, 1 << f.mantissa)
    if field == 0:
        value = significand * Fraction(2) ** (1 - f.bias) * f.subnormals
    else:
        value = (1 + significand) * Fraction(2) ** (field - f.bias)
    if sign and value == 0:
        return math.nan if f.top == "fnuz" else -0.0
    return -value if sign else value


def _decode_posit(f: PositFormat, code: int) -> Fraction | float:
    """One posit by reading its bits from the left."""
    if code in (0, 1 << (f.width - 1)):
        return math.nan if code else Fraction(0)
    negative = code >> (f.width - 1)
    text = f"{(1 << f.width) - code if negative else code:0{f.width}b}"[1:]
    run = len(text) - len(text.lstrip(text[0]))
    rest = text[run + 1 :]
    exponent = int(rest[: f.es].ljust(f.es, "0") or "0", 2)
    fraction = Fraction(int("1" + rest[f.es :], 2), 1 << len(rest[f.es :]))
    regime = run - 1 if text[0] == "1" else -run
    value = fraction * Fraction(2) ** (regime * 2**f.es + exponent)
    return -value if negative else value


def _nearest_posit(f: PositFormat, x: Fraction) -> float:
    """The bits of a positive number written out without end, then cut to the width."""
    exponent = x.numerator.bit_length() - x.denominator.bit_length()
    exponent -= x < Fraction(2) ** exponent
    regime, low = divmod(exponent, 2**f.es)
    run = "1" * (regime + 1) + "0" if regime >= 0 else "0" * -regime + "1"
    head = run + (f"{low:0{f.es}b}" if f.es else "")
    whole = int(head, 2) + (x / Fraction(2) ** exponent - 1)
    code = round(whole * Fraction(2) ** (f.width - 1 - len(head)))  # ties to even
    return float(_decode_posit(f, min(max(code, 1), (1 << (f.width - 1)) - 1)))


def _nearest_logarithm(f: LogFormat, x: Fraction) -> float:
    """The power of a positive number's rounded logarithm, found by comparing integer powers."""
    halves = 2 ** (f.fraction + 1)
    most = int(f.logarithms[-1])
    steps = round(math.log2(x) * 2**f.fraction)
    while steps > -most and x**halves < Fraction(2) ** (2 * steps - 1):
        steps -= 1
    while steps < most and x**halves > Fraction(2) ** (2 * steps + 1):
        steps += 1
    if steps <= -most and x**halves < Fraction(2) ** (-2 * most - 1):
        return 0.0
    return float(f.power(np.array(min(max(steps, -most), most))))


def _nearest_power(f: PowerFormat, x: Fraction) -> float:
    """The value of a positive number's power rounded to an integer, in sixty digits."""
    with localcontext(prec=60):
        power = (Decimal(x.numerator) / Decimal(x.denominator)) ** Decimal(f.power)
        steps = int((power * f.largest_code).to_integral_value(ROUND_HALF_EVEN))
    return float(f.bent(np.array(min(steps, f.largest_code))))


@lru_cache(maxsize=64)
def _sorted_values(format: Format) -> tuple[list[float], list[int]]:
    """All finite values ascending (a float64 holds each exactly), and each one's smallest code."""
    found: dict[float, int] = {}
    for code in range(len(format.code_values)):
        value = decode(format, code)
        if isinstance(value, Fraction) or value == 0:
            found.setdefault(float(value), code)
    values = sorted(found)
    return values, [found[v] for v in values]


def round_one(format: Format, x: float, rounding: str = "nearest_even", uniform: float = 0.0):
    """One number rounded by searching the list of values; a float, exact.

    Args:
        format: any format.
        x: the number.
        rounding: one of `formats.ROUNDINGS`.
        uniform: the random number in [0, 1) for the stochastic modes.

    Example:
        >>> round_one(FloatFormat(2, 1, top="finite"), 2.5)
        2.0
    """
    if math.isnan(x) or (isinstance(format, ExponentFormat) and not 0 < x < 1.5 * format.max):
        return math.nan
    if isinstance(format, FloatFormat):
        return _round_float(format, x, rounding, uniform)
    if isinstance(format, PositFormat) and math.isinf(x):
        return math.nan
    if rounding.startswith("nearest") and x and math.isfinite(x):
        if isinstance(format, PositFormat) and rounding == "nearest_even":
            return math.copysign(_nearest_posit(format, abs(Fraction(x))), x)
        if isinstance(format, PowerFormat):
            return math.copysign(_nearest_power(format, abs(Fraction(x))), x) + 0.0
        if isinstance(format, LogFormat):
            return math.copysign(_nearest_logarithm(format, abs(Fraction(x))), x) + 0.0
    values, codes = _sorted_values(format)
    if not values[0] < x < values[-1]:
        return (values[-1] if x >= values[-1] else values[0]) + 0.0
    return _between(values, codes, x, rounding, uniform) + 0.0


def _round_float(f: FloatFormat, x: float, rounding: str, uniform: float) -> float:
    """One number rounded to a float: overflow, the sign of zero, then the neighbours."""
    if x < 0 and not f.sign:
        return 0.0 if f.overflow == "saturate" else math.nan
    values, codes = _sorted_values(f)
    top = values[-1]
    if abs(x) > top:
        over = {"saturate": top, "inf": math.inf, "nan": math.nan}[str(f.overflow)]
        y = over if _overflows(f, x, rounding, uniform) else top
    else:
        y = abs(_between(values, codes, x, rounding, uniform))
    signed_zero = f.sign and f.top != "fnuz"
    return math.copysign(y, x) if y or signed_zero else 0.0


def _overflows(f: FloatFormat, x: float, rounding: str, uniform: float) -> bool:
    """Whether a value beyond the largest is rounded away from it, as if one more value followed."""
    if math.isinf(x) or rounding == "to_odd":
        return math.isinf(x)
    values, codes = _sorted_values(f)
    step = math.ldexp(1.0, max(f.max_exponent, f.least_exponent) - f.mantissa)
    beyond = values[-1] + step
    if rounding in ("toward_zero", "up", "down"):
        return rounding == ("up" if x > 0 else "down")
    if abs(x) >= beyond:
        return True
    pair = [values[-1], beyond], [codes[-1], codes[-1] + 1]
    return _between(*pair, abs(x), rounding, uniform) == beyond


def _between(values, codes, x: float, rounding: str, uniform: float) -> float:
    """The neighbour of `x` that a rounding chooses."""
    index = bisect.bisect_left(values, x)
    if index < len(values) and values[index] == x:
        return x
    low, high = values[index - 1], values[index]
    small, large = sorted((low, high), key=abs)
    even = {codes[index - 1] % 2: low, codes[index] % 2: high}
    parities_differ = len(even) == 2
    if rounding == "up":
        return high
    if rounding == "down":
        return low
    if rounding == "toward_zero":
        return small
    if rounding == "to_odd":
        return even[1] if parities_differ else large
    below, above, whole, draw = _distances(low, x, high, uniform)
    if rounding in ("stochastic", "stochastic_equal"):
        # magnitudes are rounded up where the two have one sign; across zero, values are
        away = low >= 0 or high > 0
        position = below if away else above
        up = draw < position if rounding == "stochastic" else 2 * draw < whole
        return (high if up else low) if away else (low if up else high)
    if below != above:
        return low if below < above else high
    if rounding == "nearest_even":
        return even[0] if parities_differ else small
    return large if rounding == "nearest_away" else small


def _distances(low: float, x: float, high: float, uniform: float) -> tuple[int, int, int, int]:
    """Integers that are to each other as x - low, high - x, high - low, uniform * (high - low)."""
    ratios = [v.as_integer_ratio() for v in (low, x, high)]
    share, parts = uniform.as_integer_ratio()
    unit = max(denominator for _, denominator in ratios)  # denominators are powers of two
    a, b, c = (numerator * (unit // denominator) * parts for numerator, denominator in ratios)
    return b - a, c - b, c - a, share * ((c - a) // parts)
