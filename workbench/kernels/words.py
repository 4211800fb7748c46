"""Eight codes at a time as one 64-bit word: `w` bytes of packed codes become eight bytes and back.

Eight codes of w bits are exactly w bytes, which is what makes every width up to 8 alike: three
steps of shift and mask spread 8w bits over eight bytes, halving what is moved each time.
"""

from __future__ import annotations

from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic

from .cache import jit

WORD = ir.IntType(64)


def _pointer(context, builder, array_type, array, index):
    """The address of a byte of a contiguous uint8 array, as that of a 64-bit word."""
    data = context.make_array(array_type)(context, builder, array).data
    return builder.bitcast(builder.gep(data, [index]), WORD.as_pointer())


@intrinsic
def load_word(typingctx, array, index):
    """The eight bytes of a contiguous uint8 array from `index` on, as one little-endian word."""

    def codegen(context, builder, signature, arguments):
        index64 = context.cast(builder, arguments[1], signature.args[1], types.intp)
        pointer = _pointer(context, builder, signature.args[0], arguments[0], index64)
        return builder.load(pointer, align=1)

    return types.uint64(array, index), codegen


@intrinsic
def store_word(typingctx, array, index, word):
    """Write one word as eight bytes of a contiguous uint8 array from `index` on."""

    def codegen(context, builder, signature, arguments):
        index64 = context.cast(builder, arguments[1], signature.args[1], types.intp)
        pointer = _pointer(context, builder, signature.args[0], arguments[0], index64)
        builder.store(arguments[2], pointer, align=1)
        return context.get_dummy_value()

    return types.void(array, index, word), codegen


@jit
def spread_words(packed, groups, width, low, high, shifts, out):
    """Unpack `groups` times eight codes; reads eight bytes from the start of every group.

    `low`, `high` and `shifts` hold for each of three steps what stays, what moves up, how far.
    """
    l0, l1, l2 = low[0], low[1], low[2]
    h0, h1, h2 = high[0], high[1], high[2]
    s0, s1, s2 = shifts[0], shifts[1], shifts[2]
    for i in range(groups):
        x = load_word(packed, i * width)
        x = (x & l0) | ((x & h0) << s0)
        x = (x & l1) | ((x & h1) << s1)
        x = (x & l2) | ((x & h2) << s2)
        store_word(out, i * 8, x)


@jit
def gather_words(codes, groups, width, low, high, shifts, out):
    """Pack `groups` times eight codes: the steps of `spread_words` backwards.

    Eight bytes are written from the start of every group, in ascending order.
    """
    l0, l1, l2 = low[0], low[1], low[2]
    h0, h1, h2 = high[0], high[1], high[2]
    s0, s1, s2 = shifts[0], shifts[1], shifts[2]
    for i in range(groups):
        x = load_word(codes, i * 8)
        x = (x & l2) | ((x >> s2) & h2)
        x = (x & l1) | ((x >> s1) & h1)
        x = (x & l0) | ((x >> s0) & h0)
        store_word(out, i * width, x)
