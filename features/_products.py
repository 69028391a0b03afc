"""Products of a block of float32 rows with a narrow table, as vector code that stays in registers.

A call of numpy's BLAS for each small block takes the interpreter's lock and gives it back, which two threads
pay for dearly; and where registers have 512 bits it often uses half of their width. The code is LLVM's own
vector language, so it runs everywhere.
"""

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic

from features import _vnni
from features._vectors import FLOATS, LANES, load, number, splat, store

# Registers of columns, and rows in one tile: their sums are to fit the processor's registers.
REGISTERS, ROWS = (2, 8) if _vnni.has_wide_registers() else (1, 6)
TILE_COLUMNS = LANES * REGISTERS


def whole_tiles(columns: int) -> int:
    """The number of columns, rounded up to whole tiles."""
    return -(-columns // TILE_COLUMNS) * TILE_COLUMNS


def packed(table: np.ndarray) -> np.ndarray:
    """A table float32 (d, m) in the order in which `product` reads it, zeros added to fill the last tile."""
    d, m = table.shape
    whole = np.zeros((d, whole_tiles(m)), np.float32)
    whole[:, :m] = table
    return np.ascontiguousarray(whole.reshape(d, -1, TILE_COLUMNS).transpose(1, 0, 2)).reshape(-1)


@njit(nogil=True, cache=True, error_model="numpy")
def product(rows, table, out):
    """out[i, j] = sum over k of rows[i, k] * table[k, j].

    rows : float32 (n, d), n a multiple of `ROWS`. table : float32, from `packed`. out : float32 (>= n, >= m);
    further rows and columns stay as they are.
    """
    d = rows.shape[1]
    for tile in range(table.shape[0] // (d * TILE_COLUMNS)):
        for i in range(0, rows.shape[0], ROWS):
            _tile(rows, i, table, tile * d * TILE_COLUMNS, out, tile * TILE_COLUMNS)


@intrinsic
def _tile(typingctx, rows, first, table, start, out, column):
    """One tile of the product."""
    signature = types.void(rows, first, table, start, out, column)

    def codegen(context, builder, signature, args):
        rows, table, out = (
            context.make_array(signature.args[place])(context, builder, args[place]) for place in (0, 2, 4)
        )
        first, start, column = (
            context.cast(builder, args[place], signature.args[place], types.intp) for place in (1, 3, 5)
        )
        kind = ir.FunctionType(FLOATS, [FLOATS] * 3)
        # one rounding or two, as the processor likes: what uses these numbers allows for more
        multiply_add = cgutils.get_or_insert_function(builder.module, kind, f"llvm.fmuladd.v{LANES}f32")
        d, width = builder.extract_value(rows.shape, 1), builder.extract_value(out.shape, 1)
        zero = ir.Constant(FLOATS, [0.0] * LANES)
        sums = [[cgutils.alloca_once_value(builder, zero) for _ in range(REGISTERS)] for _ in range(ROWS)]

        with cgutils.for_range(builder, d) as loop:
            at = builder.add(start, builder.mul(loop.index, number(TILE_COLUMNS)))
            values = [
                load(builder, table.data, builder.add(at, number(register * LANES)))
                for register in range(REGISTERS)
            ]
            for row in range(ROWS):
                place = builder.add(builder.mul(builder.add(first, number(row)), d), loop.index)
                x = splat(builder, load(builder, rows.data, place, ir.FloatType()))
                for register in range(REGISTERS):
                    total = sums[row][register]
                    new = builder.call(multiply_add, [x, values[register], builder.load(total)])
                    builder.store(new, total)
        for row in range(ROWS):
            to = builder.add(builder.mul(builder.add(first, number(row)), width), column)
            for register in range(REGISTERS):
                value = builder.load(sums[row][register])
                store(builder, value, out.data, builder.add(to, number(register * LANES)))
        return context.get_dummy_value()

    return signature, codegen
