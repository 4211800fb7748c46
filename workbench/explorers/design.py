"""A float of one's own from its bits, as the text of a scheme."""

from __future__ import annotations

from ..formats import FloatFormat
from ..formats.float import usual_bias, usual_top


def designed(
    exponent: int, mantissa: int, bias_shift: int = 0, signed: bool = True, subnormals: bool = True
) -> str:
    """The name of the float with these bits, with the usual top codes for its size.

    Args:
        exponent: bits of the exponent, 0 to 8.
        mantissa: bits of the mantissa.
        bias_shift: how much more than usual the bias is; one more halves all values.
        signed: whether there is a sign bit.
        subnormals: whether there are values under the smallest normal one.

    Bits that make no format raise `WorkbenchError`.

    Example:
        >>> designed(4, 3), designed(3, 2, bias_shift=1, subnormals=False)
        ('e4m3fn', 'e3m2(bias=4,nosub)')
    """
    top = usual_top(exponent, mantissa)
    bias = usual_bias(exponent, top) + bias_shift
    return FloatFormat(
        exponent, mantissa, bias=bias, top=top, sign=signed, subnormals=subnormals or not exponent
    ).name
