"""The innermost steps of dense SIFT as vector code that stays in registers.

A descriptor is eight registers of sixteen numbers; left to the compiler they go to memory between its two
passes, which takes twice as long. Sums are halves added to each other, down to one number. The code is LLVM's
own vector language, not that of a processor, so it runs everywhere, and nothing is fused or reordered.
"""

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from features._vectors import FLOATS, LANES, lane, load, moved, number, splat, store

CLAMP, SCALE, CEILING = 0.2, 512.0, 255.0
EPSILON = 2.0**-23  # VLFeat's guard in norms
TINY = 1e-8  # squared lengths below this count as zero

_FLOAT = ir.FloatType()
_PIXEL = ir.VectorType(_FLOAT, 8)


@intrinsic
def write_frame(typingctx, bins, start0, start1, start2, start3, scales, inverse_norm, out, to):
    """One descriptor: scale, clamp, renormalise, times 512, at most 255; integer output truncates.

    bins : float32; the four runs of 32 begin at start0 to start3. scales : float32 (128,). out : uint8 or
    float32, 128 numbers from `to` on.
    """
    signature = types.void(bins, start0, start1, start2, start3, scales, inverse_norm, out, to)

    def codegen(context, builder, signature, args):
        bins, scales, out = (
            context.make_array(signature.args[place])(context, builder, args[place]).data
            for place in (0, 5, 7)
        )
        norm = splat(builder, args[6])
        clamp = ir.Constant(FLOATS, [CLAMP] * LANES)
        clamped = []
        for run in range(4):
            for half in (0, LANES):
                scale = builder.fmul(load(builder, scales, number(32 * run + half)), norm)
                value = load(builder, bins, builder.add(args[1 + run], number(half)))
                clamped.append(_least(builder, builder.fmul(value, scale), clamp))
        first, second = (
            _fourfold(builder, [builder.fmul(value, value) for value in clamped[half::2]]) for half in (0, 1)
        )
        total = _sum(builder, builder.fadd(first, second))
        length = builder.fadd(_length(builder, total), ir.Constant(_FLOAT, EPSILON))
        scale = splat(builder, builder.fdiv(ir.Constant(_FLOAT, SCALE), length))
        ceiling = ir.Constant(FLOATS, [CEILING] * LANES)
        item = signature.args[7].dtype
        kind = ir.VectorType(context.get_value_type(item), LANES)
        for place, value in enumerate(clamped):
            value = _least(builder, builder.fmul(value, scale), ceiling)
            if isinstance(item, types.Integer):
                value = builder.fptoui(value, kind)
            store(builder, value, out, builder.add(args[8], number(place * LANES)))
        return context.get_dummy_value()

    return signature, codegen


@intrinsic
def frame_energy(typingctx, bins, start0, start1, start2, start3):
    """The squared length of a frame's four runs of 32 numbers: float32."""
    signature = types.float32(bins, start0, start1, start2, start3)

    def codegen(context, builder, signature, args):
        bins = context.make_array(signature.args[0])(context, builder, args[0]).data
        halves = []
        for half in (0, LANES):
            runs = [load(builder, bins, builder.add(start, number(half))) for start in args[1:]]
            halves.append(_fourfold(builder, [builder.fmul(run, run) for run in runs]))
        return _sum(builder, builder.fadd(*halves))

    return signature, codegen


@intrinsic
def pair_energies(typingctx, pixels, start, energy, to):
    """Squared lengths of two pixels of eight orientations, side by side, into energy[to] and [to + 1]."""
    signature = types.void(pixels, start, energy, to)

    def codegen(context, builder, signature, args):
        pixels, energy = (
            context.make_array(signature.args[place])(context, builder, args[place]).data for place in (0, 2)
        )
        value = load(builder, pixels, args[1])
        value = builder.fmul(value, value)
        for distance in (4, 2, 1):
            value = builder.fadd(value, moved(builder, value, distance))
        for pixel in (0, 1):
            one = builder.extract_element(value, lane(8 * pixel))
            store(builder, one, energy, builder.add(args[3], number(pixel)))
        return context.get_dummy_value()

    return signature, codegen


@intrinsic
def copy_pixel(typingctx, pixels, start, out, to):
    """Eight orientations from one array of float32 to another."""
    signature = types.void(pixels, start, out, to)

    def codegen(context, builder, signature, args):
        pixels, out = (
            context.make_array(signature.args[place])(context, builder, args[place]).data for place in (0, 2)
        )
        store(builder, load(builder, pixels, args[1], _PIXEL), out, args[3])
        return context.get_dummy_value()

    return signature, codegen


def _least(builder, value, limit):
    return builder.select(builder.fcmp_ordered("<", value, limit), value, limit)


def _fourfold(builder, values):
    """(first + second) + (third + fourth)."""
    return builder.fadd(builder.fadd(*values[:2]), builder.fadd(*values[2:]))


def _sum(builder, value):
    """The sum of sixteen lanes, halves added to each other."""
    for distance in (8, 4, 2, 1):
        value = builder.fadd(value, moved(builder, value, distance))
    return builder.extract_element(value, lane(0))


def _length(builder, squared):
    """The root of a squared length; 0 for one that counts as zero."""
    kind = ir.FunctionType(_FLOAT, [_FLOAT])
    root = builder.call(cgutils.get_or_insert_function(builder.module, kind, "llvm.sqrt.f32"), [squared])
    counts = builder.fcmp_ordered(">=", squared, ir.Constant(_FLOAT, TINY))
    return builder.select(counts, root, ir.Constant(_FLOAT, 0.0))
