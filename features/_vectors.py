"""The idioms of vector code, in LLVM's own language, from which the kernels of this package are made.

A register holds `LANES` numbers of 32 bits. Nothing here knows a processor: where registers are narrower,
LLVM takes several. Arrays need no alignment.
"""

from llvmlite import ir

LANES = 16
FLOATS = ir.VectorType(ir.FloatType(), LANES)
WHOLES = ir.VectorType(ir.IntType(32), LANES)


def number(value: int):
    """A constant index."""
    return ir.Constant(ir.IntType(64), value)


def lane(value: int):
    """The constant place of a number in a register."""
    return ir.Constant(ir.IntType(32), value)


def load(builder, data, index, kind=FLOATS):
    """The register (or the single number) of this kind from item `index` of an array on."""
    value = builder.load(_address(builder, data, index, kind))
    value.align = 1
    return value


def store(builder, value, data, index) -> None:
    """Write a register (or a single number) to an array from item `index` on."""
    builder.store(value, _address(builder, data, index, value.type)).align = 1


def splat(builder, one):
    """The number in every lane."""
    kind = ir.VectorType(one.type, LANES)
    undefined = ir.Constant(kind, ir.Undefined)
    first = builder.insert_element(undefined, one, lane(0))
    return builder.shuffle_vector(first, undefined, ir.Constant(WHOLES, [0] * LANES))


def moved(builder, value, distance: int):
    """Lane i holds what lane i + distance held, counted round."""
    places = [(place + distance) % LANES for place in range(LANES)]
    return builder.shuffle_vector(value, ir.Constant(value.type, ir.Undefined), ir.Constant(WHOLES, places))


def _address(builder, data, index, kind):
    return builder.bitcast(builder.gep(data, [index]), kind.as_pointer())
