"""Searching a row of bounds, as vector code: the two loops that the compiler does not find by itself.

The code is LLVM's own vector language, not that of a processor, so it runs everywhere. Rows are contiguous
int32 or float32, their length a multiple of `LANES`, without NaN.
"""

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from features._vectors import FLOATS, LANES, WHOLES, lane, load, moved, number, splat, store


@intrinsic
def least_of(typingctx, row):
    """The smallest number of a row."""
    item = row.dtype
    signature = item(row)

    def codegen(context, builder, signature, args):
        read, count = _reader(context, builder, signature.args[0], args[0])
        less = _comparison(builder, item, "<")
        least = cgutils.alloca_once_value(builder, read(number(0)))
        with cgutils.for_range(builder, count) as loop:
            value, so_far = read(loop.index), builder.load(least)
            builder.store(builder.select(less(value, so_far), value, so_far), least)
        value = builder.load(least)
        for distance in (8, 4, 2, 1):
            other = moved(builder, value, distance)
            value = builder.select(less(value, other), value, other)
        return builder.extract_element(value, lane(0))

    return signature, codegen


@intrinsic
def places_within(typingctx, row, limit, places):
    """Write the places of all numbers of a row that are at most `limit`, in order; returns how many.

    Some that lie above by less than the rounding of the limit to the row's type may be among them.
    limit : float64. places : int32 (n,), as long as the row.
    """
    signature = types.int64(row, types.float64, places)

    def codegen(context, builder, signature, args):
        read, count = _reader(context, builder, signature.args[0], args[0])
        target = context.make_array(signature.args[2])(context, builder, args[2]).data
        within = _comparison(builder, signature.args[0].dtype, "<=")
        kind = _register_of(signature.args[0])
        limits = splat(builder, _in_type_of(builder, kind.element, args[1]))
        found = cgutils.alloca_once_value(builder, number(0))
        bits = ir.IntType(LANES)
        left = cgutils.alloca_once(builder, bits)
        with cgutils.for_range(builder, count) as loop:
            builder.store(builder.bitcast(within(read(loop.index), limits), bits), left)
            more, body, end = (builder.append_basic_block(name) for name in ("more", "one", "none"))
            builder.branch(more)
            with builder.goto_block(more):
                some = builder.icmp_unsigned("!=", builder.load(left), ir.Constant(bits, 0))
                builder.cbranch(some, body, end)
            with builder.goto_block(body):
                mask = builder.load(left)
                first = builder.zext(builder.cttz(mask, ir.Constant(ir.IntType(1), 1)), ir.IntType(64))
                place = builder.add(builder.mul(loop.index, number(LANES)), first)
                so_far = builder.load(found)
                store(builder, builder.trunc(place, ir.IntType(32)), target, so_far)
                builder.store(builder.add(so_far, number(1)), found)
                builder.store(builder.and_(mask, builder.sub(mask, ir.Constant(bits, 1))), left)
                builder.branch(more)
            builder.position_at_end(end)
        return builder.load(found)

    return signature, codegen


def _register_of(kind):
    return WHOLES if isinstance(kind.dtype, types.Integer) else FLOATS


def _reader(context, builder, kind, row):
    """A function that loads the register of an index, and how many registers there are."""
    source = context.make_array(kind)(context, builder, row)

    def read(index):
        return load(builder, source.data, builder.mul(index, number(LANES)), _register_of(kind))

    return read, builder.udiv(builder.extract_value(source.shape, 0), number(LANES))


def _in_type_of(builder, item, limit):
    """A float64 limit as int32 (towards zero, the largest at most) or float32, rounded up generously."""
    if isinstance(item, ir.IntType):
        kind = ir.FunctionType(item, [limit.type])
        saturate = cgutils.get_or_insert_function(builder.module, kind, "llvm.fptosi.sat.i32.f64")
        return builder.call(saturate, [limit])
    kind = ir.FunctionType(limit.type, [limit.type])
    size = builder.call(cgutils.get_or_insert_function(builder.module, kind, "llvm.fabs.f64"), [limit])
    more = builder.fadd(builder.fmul(size, ir.Constant(limit.type, 2.0**-22)), ir.Constant(limit.type, 1e-35))
    return builder.fptrunc(builder.fadd(limit, more), item)


def _comparison(builder, item, operator: str):
    """A comparison of vectors of whole numbers, or of float ones (true beside a limit that is NaN)."""
    if isinstance(item, types.Integer):
        return lambda value, other: builder.icmp_signed(operator, value, other)
    return lambda value, other: builder.fcmp_unordered(operator, value, other)
