"""8-bit dot products of the processor (AVX-512 VNNI) for numba: scores of descriptors and words.

The one file that knows about a processor. `available` says at run time whether this one can; what it
computes are whole numbers, so there is nothing to differ from any other way of adding them up.
The environment variable SCENEBENCH_VNNI=0 turns it off.
"""

import functools
import os

import numpy as np
from llvmlite import ir
from numba import config, njit, types
from numba.core import cgutils
from numba.core.codegen import get_host_cpu_features
from numba.extending import intrinsic

from features._vectors import LANES, WHOLES, load, number, splat, store

REGISTERS = 5  # registers of words, and
DESCRIPTORS = 5  # descriptors, in one tile: 25 sums, 5 words and a descriptor fit the 32 registers
TILE_WORDS = LANES * REGISTERS


@functools.cache
def available() -> bool:
    """Whether this processor has 512-bit 8-bit dot products, and nobody turned them off.

    SCENEBENCH_VNNI=0 does, and so do numba's orders to compile for another processor (NUMBA_CPU_FEATURES,
    NUMBA_CPU_NAME=generic, NUMBA_ENABLE_AVX=0).
    """
    return os.environ.get("SCENEBENCH_VNNI", "1") != "0" and _compiled_for("avx512vnni")


@functools.cache
def has_wide_registers() -> bool:
    """Whether code is compiled for a processor with 512-bit registers."""
    return _compiled_for("avx512f")


def _compiled_for(feature: str) -> bool:
    """Whether numba compiles for a processor with this feature.

    By the very text that numba's cache is asked with: kernels made for other registers are never taken.
    """
    features = get_host_cpu_features() if config.CPU_FEATURES is None else config.CPU_FEATURES
    return f"+{feature}" in features.split(",")


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
        kind = ir.FunctionType(WHOLES, [WHOLES] * 3)
        # total + the four products (unsigned times signed) of each lane
        dot = cgutils.get_or_insert_function(builder.module, kind, "llvm.x86.avx512.vpdpbusd.512")
        width = builder.extract_value(arrays["block"].shape, 1)
        count = builder.extract_value(arrays["scores"].shape, 1)

        def register_of(name: str, start, items: int, place: int):
            """Register `place` of an array, `items` of which fill one lane."""
            return load(builder, arrays[name].data, builder.add(start, number(place * LANES * items)), WHOLES)

        sums = [
            [cgutils.alloca_once_value(builder, register_of("bias", first_word, 1, register))
             for register in range(REGISTERS)]
            for _ in range(DESCRIPTORS)
        ]  # fmt: skip
        with cgutils.for_range(builder, builder.udiv(width, number(4))) as loop:
            at = builder.add(word_start, builder.mul(loop.index, number(4 * TILE_WORDS)))
            values = [register_of("words", at, 4, register) for register in range(REGISTERS)]
            for descriptor in range(DESCRIPTORS):
                start = builder.mul(builder.add(row, number(descriptor)), width)
                start = builder.add(start, builder.mul(loop.index, number(4)))
                four = splat(builder, load(builder, arrays["block"].data, start, ir.IntType(32)))
                for register in range(REGISTERS):
                    total = sums[descriptor][register]
                    new = builder.call(dot, [builder.load(total), four, values[register]])
                    builder.store(new, total)
        for descriptor in range(DESCRIPTORS):
            start = builder.mul(builder.add(to_row, number(descriptor)), count)
            start = builder.add(start, first_word)
            for register in range(REGISTERS):
                value = builder.load(sums[descriptor][register])
                store(builder, value, arrays["scores"].data, builder.add(start, number(register * LANES)))
        return context.get_dummy_value()

    return signature, codegen
