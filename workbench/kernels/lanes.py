"""Eight float32 or int32 lanes as values inside kernels: the loops that no compiler must discover.

`load`, arithmetic, `store`: LLVM turns the eight lanes into whatever vectors the processor has. A
loop over lanes needs no proof that its arrays do not overlap, so it runs at the same speed in
place. Only `permuted` is an instruction of one family of processors (AVX2); `HAS_PERMUTE` says
whether it is there, and `HAS_FUSED` whether `fused` is an instruction and not a call.
"""

from __future__ import annotations

import operator
import platform

import numba
from llvmlite import binding, ir
from numba.core import types
from numba.extending import intrinsic, lower_builtin, models, register_model, type_callable

LANES = 8
_FEATURES = binding.get_host_cpu_features()
HAS_PERMUTE = bool(_FEATURES.get("avx2"))
HAS_FUSED = bool(_FEATURES.get("fma") or platform.machine().lower() in ("arm64", "aarch64"))


class _Lanes(types.Type):
    """The numba type of eight lanes of one scalar type."""

    def __init__(self, scalar, word):
        self.scalar, self.word = scalar, ir.VectorType(word, LANES)
        super().__init__(name=f"lanes({scalar})")


float_lanes = _Lanes(types.float32, ir.FloatType())
int_lanes = _Lanes(types.int32, ir.IntType(32))
mask_lanes = _Lanes(types.boolean, ir.IntType(1))
_OF_SCALAR = {types.float32: float_lanes, types.int32: int_lanes}


@register_model(_Lanes)
class _LanesModel(models.PrimitiveModel):
    def __init__(self, manager, fe_type):
        super().__init__(manager, fe_type, fe_type.word)


def _operator(function, lanes, method):
    """Give a Python operator its meaning between two values of `lanes`."""

    @type_callable(function)
    def kind(context):
        return lambda a, b: lanes if a is lanes and b is lanes else None

    @lower_builtin(function, lanes, lanes)
    def lower(context, builder, signature, arguments):
        return getattr(builder, method)(*arguments)


for _function, _method in (("add", "fadd"), ("sub", "fsub"), ("mul", "fmul"), ("truediv", "fdiv")):
    _operator(getattr(operator, _function), float_lanes, _method)
for _function, _method in (
    ("add", "add"), ("sub", "sub"), ("mul", "mul"), ("and_", "and_"), ("or_", "or_"),
    ("xor", "xor"), ("lshift", "shl"), ("rshift", "lshr"),
):  # fmt: skip
    _operator(getattr(operator, _function), int_lanes, _method)


def _element_pointer(context, builder, array_type, array, index):
    data = context.make_array(array_type)(context, builder, array).data
    pointer = builder.gep(data, [index])
    lanes = _OF_SCALAR[array_type.dtype]
    return builder.bitcast(pointer, lanes.word.as_pointer())


@intrinsic
def load(typingctx, array, index):
    """The eight elements of a contiguous float32 or int32 array from `index` on."""
    lanes = _OF_SCALAR[array.dtype]

    def codegen(context, builder, signature, arguments):
        index64 = context.cast(builder, arguments[1], signature.args[1], types.intp)
        pointer = _element_pointer(context, builder, signature.args[0], arguments[0], index64)
        return builder.load(pointer, align=4)

    return lanes(array, index), codegen


@intrinsic
def store(typingctx, array, index, value):
    """Write eight lanes to a contiguous array from `index` on."""

    def codegen(context, builder, signature, arguments):
        index64 = context.cast(builder, arguments[1], signature.args[1], types.intp)
        pointer = _element_pointer(context, builder, signature.args[0], arguments[0], index64)
        builder.store(arguments[2], pointer, align=4)
        return context.get_dummy_value()

    return types.void(array, index, value), codegen


@intrinsic
def spread(typingctx, scalar):
    """A float32 or int32 scalar in all eight lanes."""
    lanes = _OF_SCALAR[scalar]

    def codegen(context, builder, signature, arguments):
        return _splat(builder, arguments[0], lanes)

    return lanes(scalar), codegen


def _splat(builder, scalar, lanes):
    empty = ir.Constant(lanes.word, ir.Undefined)
    first = builder.insert_element(empty, scalar, ir.Constant(ir.IntType(32), 0))
    zeros = ir.Constant(ir.VectorType(ir.IntType(32), LANES), [0] * LANES)
    return builder.shuffle_vector(first, empty, zeros)


def _reinterpret(name, source, target):
    def reinterpret(typingctx, lanes):
        return target(source), lambda context, builder, signature, arguments: builder.bitcast(
            arguments[0], target.word
        )

    reinterpret.__name__ = name
    return intrinsic(reinterpret)


bits = _reinterpret("bits", float_lanes, int_lanes)
floats = _reinterpret("floats", int_lanes, float_lanes)


@intrinsic
def less(typingctx, a, b):
    """Where a < b, lane by lane; nowhere where either is NaN."""

    def codegen(context, builder, signature, arguments):
        if signature.args[0] is float_lanes:
            return builder.fcmp_ordered("<", *arguments)
        return builder.icmp_signed("<", *arguments)

    return mask_lanes(a, a), codegen


@intrinsic
def unordered(typingctx, a):
    """Where a lane is NaN."""
    return mask_lanes(a), lambda context, builder, signature, arguments: builder.fcmp_unordered(
        "uno", arguments[0], arguments[0]
    )


@intrinsic
def where(typingctx, mask, a, b):
    """`a` where the mask is set, else `b`."""
    return a(mask, a, a), lambda context, builder, signature, arguments: builder.select(*arguments)


@intrinsic
def as_ones(typingctx, mask):
    """A mask as int32 lanes: -1 where it is set, else 0."""
    return int_lanes(mask), lambda context, builder, signature, arguments: builder.sext(
        arguments[0], int_lanes.word
    )


def _named(builder, name, result, arguments):
    """A call of an LLVM intrinsic."""
    function_type = ir.FunctionType(result, [a.type for a in arguments])
    module = builder.module
    function = module.globals.get(name) or ir.Function(module, function_type, name)
    return builder.call(function, arguments)


@intrinsic
def rounded(typingctx, a):
    """Every lane rounded to the nearest whole number, ties to even."""

    def codegen(context, builder, signature, arguments):
        return _named(builder, "llvm.rint.v8f32", float_lanes.word, arguments)

    return a(a), codegen


@intrinsic
def negative(typingctx, a):
    """Every lane with the other sign."""
    return a(a), lambda context, builder, signature, arguments: builder.fneg(arguments[0])


@intrinsic
def fused(typingctx, a, b, c):
    """Product and sum a * b + c, rounded once."""

    def codegen(context, builder, signature, arguments):
        return _named(builder, "llvm.fma.v8f32", float_lanes.word, arguments)

    return a(a, b, c), codegen


@intrinsic
def floor(typingctx, a):
    """Every lane rounded down to a whole number."""

    def codegen(context, builder, signature, arguments):
        return _named(builder, "llvm.floor.v8f32", float_lanes.word, arguments)

    return a(a), codegen


@intrinsic
def to_floats(typingctx, a):
    """int32 lanes converted to float32 by value."""
    return float_lanes(a), lambda context, builder, signature, arguments: builder.sitofp(
        arguments[0], float_lanes.word
    )


@intrinsic
def permuted(typingctx, table, index):
    """table[index & 7] lane by lane; only where `HAS_PERMUTE`."""

    def codegen(context, builder, signature, arguments):
        return _named(builder, "llvm.x86.avx2.permps", float_lanes.word, arguments)

    return table(table, index), codegen


def _across(name, lanes, choose):
    """The combination of all eight lanes by halves, as a scalar."""

    def across(typingctx, a):
        def codegen(context, builder, signature, arguments):
            value = arguments[0]
            nothing = ir.Constant(lanes.word, ir.Undefined)
            for half in (4, 2, 1):
                order = [i + half if i < half else LANES for i in range(LANES)]
                mask = ir.Constant(ir.VectorType(ir.IntType(32), LANES), order)
                other = builder.shuffle_vector(value, nothing, mask)
                value = builder.select(choose(builder, other, value), other, value)
            return builder.extract_element(value, ir.Constant(ir.IntType(32), 0))

        return lanes.scalar(lanes), codegen

    across.__name__ = name
    return intrinsic(across)


def _larger_int(builder, x, y):
    return builder.icmp_signed(">", x, y)


largest = _across("largest", int_lanes, _larger_int)
highest = _across("highest", float_lanes, lambda b, x, y: b.fcmp_ordered(">", x, y))
lowest = _across("lowest", float_lanes, lambda b, x, y: b.fcmp_ordered("<", x, y))

# Three rounds of a transposition, each of which halves the vectors: pairs, then fours, then eights.
_ROUNDS = (
    ((0, 8, 1, 9, 4, 12, 5, 13), (2, 10, 3, 11, 6, 14, 7, 15)),
    ((0, 1, 8, 9, 4, 5, 12, 13), (2, 3, 10, 11, 6, 7, 14, 15)),
    ((0, 1, 2, 3, 8, 9, 10, 11), (4, 5, 6, 7, 12, 13, 14, 15)),
)


@intrinsic
def largest_of_each(typingctx, a, b, c, d, e, f, g, h):
    """The largest lane of each of eight int32 vectors, as eight lanes in their order."""

    def codegen(context, builder, signature, arguments):
        values = list(arguments)
        for orders in _ROUNDS:
            masks = [ir.Constant(ir.VectorType(ir.IntType(32), LANES), o) for o in orders]
            pairs = zip(values[::2], values[1::2], strict=True)
            halves = [[builder.shuffle_vector(x, y, m) for m in masks] for x, y in pairs]
            values = [builder.select(_larger_int(builder, x, y), x, y) for x, y in halves]
        return values[0]

    return int_lanes(*[int_lanes] * LANES), codegen


inline = numba.njit(nogil=True, error_model="numpy", forceinline=True)

__all__ = [
    "HAS_FUSED", "HAS_PERMUTE", "LANES", "as_ones", "bits", "floats", "floor", "fused", "highest",
    "inline", "largest", "largest_of_each", "less", "load", "lowest", "negative", "permuted",
    "rounded", "spread", "store", "to_floats", "unordered", "where",
]  # fmt: skip
