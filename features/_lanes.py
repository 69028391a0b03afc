"""Lane minima: the one vector loop that the compiler does not find by itself, written as vector code.

The code is LLVM's own vector language, not that of a processor, so it runs everywhere.
"""

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

LANES = 16


@intrinsic
def lane_minima(typingctx, row, lanes):
    """lanes[l] = the least of row[l], row[l + 16], row[l + 32], ...

    row : contiguous int32 or float32 (n,), n a multiple of `LANES`, no NaN. lanes : the same type (16,).
    """
    signature = types.void(row, lanes)

    def codegen(context, builder, signature, args):
        source, target = (
            context.make_array(kind)(context, builder, value)
            for kind, value in zip(signature.args, args, strict=True)
        )
        whole = isinstance(signature.args[0].dtype, types.Integer)
        item = ir.IntType(32) if whole else ir.FloatType()
        vector = ir.VectorType(item, LANES)
        start = builder.bitcast(source.data, vector.as_pointer())

        def load(index):
            value = builder.load(builder.gep(start, [index]))
            value.align = 4
            return value

        least = cgutils.alloca_once_value(builder, load(ir.Constant(ir.IntType(64), 0)))
        count = builder.udiv(builder.extract_value(source.shape, 0), ir.Constant(ir.IntType(64), LANES))
        with cgutils.for_range(builder, count) as loop:
            value, so_far = load(loop.index), builder.load(least)
            less = (
                builder.icmp_signed("<", value, so_far) if whole else builder.fcmp_ordered("<", value, so_far)
            )
            builder.store(builder.select(less, value, so_far), least)
        builder.store(builder.load(least), builder.bitcast(target.data, vector.as_pointer())).align = 4
        return context.get_dummy_value()

    return signature, codegen
