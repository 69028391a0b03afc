"""Sums over dimensions for a tile of queries and training rows, as vector code that stays in registers.

The compiler keeps a block of sums in memory, which takes several times as long. The code is LLVM's own
vector language, not that of a processor, so it runs everywhere; this room imports no other, so it has its few
idioms here. Values are float32: what is sure about them is for `classifiers.nearest` to say.
"""

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic

LANES = 16  # training rows in one register
REGISTERS = 2  # of training rows, and
QUERIES = 4  # queries, in one tile: eight sums hide the time that an addition takes
TILE_ROWS = LANES * REGISTERS


def packed(rows: np.ndarray) -> np.ndarray:
    """Rows float32 (m, d) in the order the kernels read them: tile by tile, then dimension, then row.

    The last tile is filled up with zeros.
    """
    count, d = rows.shape
    tiles = -(-count // TILE_ROWS)
    whole = np.zeros((tiles * TILE_ROWS, d), np.float32)
    whole[:count] = rows
    return np.ascontiguousarray(whole.reshape(tiles, TILE_ROWS, d).transpose(0, 2, 1)).reshape(-1)


def _absolute(emit, x, y):
    return emit.absolute(emit.builder.fsub(x, y))


def _chi2(emit, x, y):
    """(x - y)^2 / (x + y), 0 where both are 0; a quotient of at most 1 first, which cannot underflow."""
    both, difference = emit.builder.fadd(x, y), emit.builder.fsub(x, y)
    whole = emit.builder.select(emit.builder.fcmp_ordered(">", both, emit.zero), both, emit.one)
    return emit.builder.fmul(emit.builder.fdiv(difference, whole), difference)


def _smaller(emit, x, y):
    return emit.builder.select(emit.builder.fcmp_ordered("<", x, y), x, y)


def _kernel(term):
    """An intrinsic that writes the sums of `term` for one tile."""

    @intrinsic
    def tile(typingctx, queries, first, rows, start, sums, column):
        signature = types.void(queries, first, rows, start, sums, column)

        def codegen(context, builder, signature, args):
            queries, rows, sums = (
                context.make_array(signature.args[place])(context, builder, args[place])
                for place in (0, 2, 4)
            )
            first, start, column = (
                context.cast(builder, args[place], signature.args[place], types.intp) for place in (1, 3, 5)
            )
            emit = _Emitter(builder)
            d = builder.extract_value(queries.shape, 1)
            width = builder.extract_value(sums.shape, 1)
            totals = [
                [cgutils.alloca_once_value(builder, emit.zero) for _ in range(REGISTERS)]
                for _ in range(QUERIES)
            ]
            with cgutils.for_range(builder, d) as loop:
                at = builder.add(start, builder.mul(loop.index, emit.whole(TILE_ROWS)))
                ys = [emit.load(rows.data, at, register) for register in range(REGISTERS)]
                for query in range(QUERIES):
                    row = builder.mul(builder.add(first, emit.whole(query)), d)
                    x = emit.splat(queries.data, builder.add(row, loop.index))
                    for register in range(REGISTERS):
                        total = totals[query][register]
                        builder.store(builder.fadd(builder.load(total), term(emit, x, ys[register])), total)
            for query in range(QUERIES):
                row = builder.mul(builder.add(first, emit.whole(query)), width)
                for register in range(REGISTERS):
                    value = builder.load(totals[query][register])
                    emit.store(value, sums.data, builder.add(row, column), register)
            return context.get_dummy_value()

        return signature, codegen

    return tile


class _Emitter:
    """The few vector instructions of a tile."""

    def __init__(self, builder):
        self.builder = builder
        self.vector = ir.VectorType(ir.FloatType(), LANES)
        self.zero = ir.Constant(self.vector, [0.0] * LANES)
        self.one = ir.Constant(self.vector, [1.0] * LANES)

    def whole(self, number: int):
        return ir.Constant(ir.IntType(64), number)

    def _address(self, data, index, register: int):
        place = self.builder.add(index, self.whole(register * LANES))
        return self.builder.bitcast(self.builder.gep(data, [place]), self.vector.as_pointer())

    def load(self, data, index, register: int):
        value = self.builder.load(self._address(data, index, register))
        value.align = 4
        return value

    def store(self, value, data, index, register: int):
        self.builder.store(value, self._address(data, index, register)).align = 4

    def splat(self, data, index):
        """The number at an index, in every lane."""
        undefined = ir.Constant(self.vector, ir.Undefined)
        number = self.builder.load(self.builder.gep(data, [index]))
        one = self.builder.insert_element(undefined, number, ir.Constant(ir.IntType(32), 0))
        places = ir.Constant(ir.VectorType(ir.IntType(32), LANES), [0] * LANES)
        return self.builder.shuffle_vector(one, undefined, places)

    def absolute(self, value):
        kind = ir.FunctionType(self.vector, [self.vector])
        function = cgutils.get_or_insert_function(self.builder.module, kind, f"llvm.fabs.v{LANES}f32")
        return self.builder.call(function, [value])


_absolute_tile, _chi2_tile, _smaller_tile = _kernel(_absolute), _kernel(_chi2), _kernel(_smaller)


@njit(nogil=True, cache=True)
def absolute_sums(queries, rows, sums):
    """sums[i, j] = the sum over dimensions of abs(x - y).

    queries : float32 (n, d), n a multiple of `QUERIES`. rows : float32, from `packed`. sums : float32 (n, m),
    m a multiple of `TILE_ROWS`.
    """
    size = queries.shape[1] * TILE_ROWS
    for tile in range(sums.shape[1] // TILE_ROWS):
        for i in range(0, queries.shape[0], QUERIES):
            _absolute_tile(queries, i, rows, tile * size, sums, tile * TILE_ROWS)


@njit(nogil=True, cache=True)
def chi2_sums(queries, rows, sums):
    """sums[i, j] = the sum over dimensions of (x - y)^2 / (x + y), see `absolute_sums`."""
    size = queries.shape[1] * TILE_ROWS
    for tile in range(sums.shape[1] // TILE_ROWS):
        for i in range(0, queries.shape[0], QUERIES):
            _chi2_tile(queries, i, rows, tile * size, sums, tile * TILE_ROWS)


@njit(nogil=True, cache=True)
def smaller_sums(queries, rows, sums):
    """sums[i, j] = the sum over dimensions of min(x, y), see `absolute_sums`."""
    size = queries.shape[1] * TILE_ROWS
    for tile in range(sums.shape[1] // TILE_ROWS):
        for i in range(0, queries.shape[0], QUERIES):
            _smaller_tile(queries, i, rows, tile * size, sums, tile * TILE_ROWS)
