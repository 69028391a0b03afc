"""Searching a row of bounds, as vector code: the two loops that the compiler does not find by itself.

The code is LLVM's own vector language, not that of a processor, so it runs everywhere. Rows are contiguous
int32 or float32, their length a multiple of `LANES`, without NaN.
"""

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

LANES = 16


@intrinsic
def least_of(typingctx, row):
    """The smallest number of a row."""
    item = row.dtype
    signature = item(row)

    def codegen(context, builder, signature, args):
        load, count = _reader(context, builder, signature.args[0], args[0])
        less = _comparison(builder, item, "<")
        least = cgutils.alloca_once_value(builder, load(_number(0)))
        with cgutils.for_range(builder, count) as loop:
            value, so_far = load(loop.index), builder.load(least)
            builder.store(builder.select(less(value, so_far), value, so_far), least)
        value = builder.load(least)
        for distance in (8, 4, 2, 1):
            places = [(lane + distance) % LANES for lane in range(LANES)]
            mask = ir.Constant(ir.VectorType(ir.IntType(32), LANES), places)
            moved = builder.shuffle_vector(value, ir.Constant(value.type, ir.Undefined), mask)
            value = builder.select(less(value, moved), value, moved)
        return builder.extract_element(value, ir.Constant(ir.IntType(32), 0))

    return signature, codegen


@intrinsic
def places_within(typingctx, row, limit, places):
    """Write the places of all numbers of a row that are at most `limit`, in order; returns how many.

    Some that lie above by less than the rounding of the limit to the row's type may be among them.
    limit : float64. places : int32 (n,), as long as the row.
    """
    signature = types.int64(row, types.float64, places)

    def codegen(context, builder, signature, args):
        load, count = _reader(context, builder, signature.args[0], args[0])
        target = context.make_array(signature.args[2])(context, builder, args[2]).data
        within = _comparison(builder, signature.args[0].dtype, "<=")
        kind = load(_number(0)).type
        limit = _in_type_of(builder, kind.element, args[1])
        one = builder.insert_element(ir.Constant(kind, ir.Undefined), limit, ir.Constant(ir.IntType(32), 0))
        first = ir.Constant(ir.VectorType(ir.IntType(32), LANES), [0] * LANES)
        limits = builder.shuffle_vector(one, ir.Constant(kind, ir.Undefined), first)
        found = cgutils.alloca_once_value(builder, _number(0))
        bits = ir.IntType(LANES)
        left = cgutils.alloca_once(builder, bits)
        with cgutils.for_range(builder, count) as loop:
            builder.store(builder.bitcast(within(load(loop.index), limits), bits), left)
            more, body, end = (builder.append_basic_block(name) for name in ("more", "one", "none"))
            builder.branch(more)
            with builder.goto_block(more):
                some = builder.icmp_unsigned("!=", builder.load(left), ir.Constant(bits, 0))
                builder.cbranch(some, body, end)
            with builder.goto_block(body):
                mask = builder.load(left)
                lane = builder.zext(builder.cttz(mask, ir.Constant(ir.IntType(1), 1)), ir.IntType(64))
                place = builder.add(builder.mul(loop.index, _number(LANES)), lane)
                so_far = builder.load(found)
                builder.store(builder.trunc(place, ir.IntType(32)), builder.gep(target, [so_far]))
                builder.store(builder.add(so_far, _number(1)), found)
                builder.store(builder.and_(mask, builder.sub(mask, ir.Constant(bits, 1))), left)
                builder.branch(more)
            builder.position_at_end(end)
        return builder.load(found)

    return signature, codegen


def _number(value: int):
    return ir.Constant(ir.IntType(64), value)


def _reader(context, builder, kind, row):
    """A function that loads the vector of an index, and how many vectors there are."""
    source = context.make_array(kind)(context, builder, row)
    item = ir.IntType(32) if isinstance(kind.dtype, types.Integer) else ir.FloatType()
    start = builder.bitcast(source.data, ir.VectorType(item, LANES).as_pointer())

    def load(index):
        value = builder.load(builder.gep(start, [index]))
        value.align = 4
        return value

    return load, builder.udiv(builder.extract_value(source.shape, 0), _number(LANES))


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
