"""Counters of several numbers that one vector instruction adds to.

Counting is bound by how often memory is read and written back. The sums that belong to one bin lie
side by side, and these two functions, written as the compiler's own code, add to them as one
vector; no compiler finds that in a loop over scalars.
"""

from __future__ import annotations

from . import cache  # noqa: F401  (chooses numba's folder, so it comes before numba)

# isort: split
from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic

TABLE_BYTES = 16 << 16  # 65536 bins of two 64-bit integers


@intrinsic
def count_four(typingctx, patterns, tables):
    """Count the four patterns at one address in the two tables that begin at another.

    Four patterns are taken apart as one vector, and a bin's two sums are one vector of two, so that
    a value costs a single read-modify-write; neighbours go to different tables, because a bin that
    was just written cannot be read again at once. No compiler finds this by itself.
    """

    def codegen(context, builder, signature, args):
        int32, int64 = ir.IntType(32), ir.IntType(64)
        four, wide, two = (ir.VectorType(t, n) for t, n in ((int32, 4), (int64, 4), (int64, 2)))
        bits = builder.load(builder.inttoptr(args[0], four.as_pointer()), align=4)
        rest = builder.zext(builder.and_(bits, four([0xFFFF] * 4)), wide)
        counted = builder.or_(rest, wide([1 << 40] * 4))
        square = builder.mul(rest, rest)
        offset = builder.shl(builder.lshr(bits, four([16] * 4)), four([4] * 4))
        for k in range(4):
            pair = builder.shuffle_vector(counted, square, ir.VectorType(int32, 2)([k, 4 + k]))
            where = builder.zext(builder.extract_element(offset, int32(k)), int64)
            where = builder.add(builder.add(args[1], where), int64((k % 2) * TABLE_BYTES))
            cell = builder.inttoptr(where, two.as_pointer())
            builder.store(builder.add(builder.load(cell, align=8), pair), cell, align=8)
        return context.get_dummy_value()

    return types.void(types.int64, types.int64), codegen


@intrinsic
def add_three(typingctx, cell, first, second, third):
    """Add 1 and three float64 to the four float64 at an address."""

    def codegen(context, builder, signature, args):
        four = ir.VectorType(ir.DoubleType(), 4)
        where = builder.inttoptr(args[0], four.as_pointer())
        added = four([1.0, 0.0, 0.0, 0.0])
        for k, number in enumerate(args[1:], start=1):
            added = builder.insert_element(added, number, ir.IntType(32)(k))
        total = builder.fadd(builder.load(where, align=8), added)
        builder.store(total, where, align=8)
        return context.get_dummy_value()

    return types.void(types.int64, types.float64, types.float64, types.float64), codegen
