"""8-bit dot products of the processor (AVX-512 VNNI) for numba: scores of descriptors and words.

The one file that knows about a processor. `available` says at run time whether this one can; what it
computes are whole numbers, so there is nothing to differ from any other way of adding them up.
The environment variable SCENEBENCH_VNNI=0 turns it off.
"""

import functools
import os

import llvmlite.binding as llvm
import numpy as np
from llvmlite import ir
from numba import config, njit, types
from numba.core import cgutils
from numba.extending import intrinsic

LANES = 16  # words in one register
REGISTERS = 5  # registers of words, and
DESCRIPTORS = 5  # descriptors, in one tile: 25 sums, 5 words and a descriptor fit the 32 registers
TILE_WORDS = LANES * REGISTERS


@functools.cache
def available() -> bool:
    """Whether this processor has 512-bit 8-bit dot products, and nobody turned them off.

    SCENEBENCH_VNNI=0 does, and so do NUMBA_CPU_NAME and NUMBA_CPU_FEATURES, numba's orders to compile for
    another processor.
    """
    return os.environ.get("SCENEBENCH_VNNI", "1") != "0" and _compiled_for("avx512vnni")


@functools.cache
def has_wide_registers() -> bool:
    """Whether code is compiled for a processor with 512-bit registers."""
    return _compiled_for("avx512f")


def _compiled_for(feature: str) -> bool:
    """Whether numba compiles for this very processor, and it has this feature."""
    if config.CPU_NAME or config.CPU_FEATURES is not None:
        return False
    return bool(llvm.get_host_cpu_features().get(feature))


def tiled(words: np.ndarray) -> np.ndarray:
    """Words int8 (K, d), K a multiple of `TILE_WORDS` and d of 4, in the order `dot_scores` reads them.

    Tile by tile; within a tile by groups of four dimensions; then words, then the four dimensions.
    """
    count, d = words.shape
    return np.ascontiguousarray(words.reshape(-1, TILE_WORDS, d // 4, 4).transpose(0, 2, 1, 3)).reshape(-1)


@njit(nogil=True, cache=True, error_model="numpy")
def dot_scores(block, words, bias, scores):
    """scores[i, k] = bias[k] + block[i] . words[k].

    block : uint8 (n, d). words : int8, from `tiled`. bias : int32 (K,). scores : int32 (m, K) with
    m >= n rounded up to a multiple of `DESCRIPTORS`.
    """
    n, d = block.shape
    padded = np.zeros((DESCRIPTORS, d), np.uint8)
    whole = n // DESCRIPTORS * DESCRIPTORS
    for k in range(0, bias.shape[0], TILE_WORDS):
        for i in range(0, whole, DESCRIPTORS):
            _tile(block, i, words, k * d, bias, k, scores, i)
    for i in range(whole, n):
        padded[i - whole] = block[i]
    if whole < n:
        for k in range(0, bias.shape[0], TILE_WORDS):
            _tile(padded, 0, words, k * d, bias, k, scores, whole)


@intrinsic
def _tile(typingctx, block, row, words, word_start, bias, first_word, scores, to_row):
    """Scores of `DESCRIPTORS` rows from `row` and `TILE_WORDS` words from `first_word`, into `scores`."""
    signature = types.void(block, row, words, word_start, bias, first_word, scores, to_row)

    def codegen(context, builder, signature, args):
        arrays = {
            name: context.make_array(signature.args[place])(context, builder, args[place])
            for name, place in (("block", 0), ("words", 2), ("bias", 4), ("scores", 6))
        }
        row, word_start, first_word, to_row = (
            context.cast(builder, args[place], signature.args[place], types.intp) for place in (1, 3, 5, 7)
        )
        emit = _Emitter(builder)
        width = builder.extract_value(arrays["block"].shape, 1)
        count = builder.extract_value(arrays["scores"].shape, 1)
        sums = [
            [cgutils.alloca_once_value(builder, emit.load(arrays["bias"].data, first_word, 4, register))
             for register in range(REGISTERS)]
            for _ in range(DESCRIPTORS)
        ]  # fmt: skip
        with cgutils.for_range(builder, builder.udiv(width, emit.whole(4))) as loop:
            at = builder.add(word_start, builder.mul(loop.index, emit.whole(4 * TILE_WORDS)))
            values = [emit.load(arrays["words"].data, at, 1, register) for register in range(REGISTERS)]
            for descriptor in range(DESCRIPTORS):
                start = builder.mul(builder.add(row, emit.whole(descriptor)), width)
                start = builder.add(start, builder.mul(loop.index, emit.whole(4)))
                four = emit.splat(arrays["block"].data, start)
                for register in range(REGISTERS):
                    total = builder.load(sums[descriptor][register])
                    builder.store(emit.dot(total, four, values[register]), sums[descriptor][register])
        for descriptor in range(DESCRIPTORS):
            start = builder.mul(builder.add(to_row, emit.whole(descriptor)), count)
            start = builder.add(start, first_word)
            for register in range(REGISTERS):
                emit.store(builder.load(sums[descriptor][register]), arrays["scores"].data, start, register)
        return context.get_dummy_value()

    return signature, codegen


class _Emitter:
    """The few vector instructions of a tile."""

    def __init__(self, builder):
        self.builder = builder
        self.vector = ir.VectorType(ir.IntType(32), LANES)
        kind = ir.FunctionType(self.vector, [self.vector] * 3)
        name = "llvm.x86.avx512.vpdpbusd.512"
        self.function = cgutils.get_or_insert_function(builder.module, kind, name)

    def whole(self, number: int):
        return ir.Constant(ir.IntType(64), number)

    def _address(self, data, index, item_bytes: int, kind):
        """A pointer to `kind` at item `index` of an array."""
        base = self.builder.ptrtoint(data, ir.IntType(64))
        offset = self.builder.mul(index, self.whole(item_bytes))
        return self.builder.inttoptr(self.builder.add(base, offset), kind.as_pointer())

    def load(self, data, index, item_bytes: int, register: int):
        index = self.builder.add(index, self.whole(register * LANES * 4 // item_bytes))
        value = self.builder.load(self._address(data, index, item_bytes, self.vector))
        value.align = 1
        return value

    def store(self, value, data, index, register: int):
        index = self.builder.add(index, self.whole(register * LANES))
        self.builder.store(value, self._address(data, index, 4, self.vector)).align = 4

    def splat(self, data, index):
        """The four bytes at an index, in every lane."""
        number = ir.IntType(32)
        four = self.builder.load(self._address(data, index, 1, number))
        four.align = 1
        undefined = ir.Constant(self.vector, ir.Undefined)
        one = self.builder.insert_element(undefined, four, ir.Constant(number, 0))
        return self.builder.shuffle_vector(one, undefined, ir.Constant(self.vector, None))

    def dot(self, total, four, words):
        """total + the four products (unsigned times signed) of each lane."""
        return self.builder.call(self.function, [total, four, words])
