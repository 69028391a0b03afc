"""The official CIFAR-10 batches, which are pickles, read by a machine that cannot call anything.

Python's own unpickler imports and calls what a file names. This one knows the opcodes that Python 2 wrote
into these files and nothing else. It looks no name up: the three that stand for "an array of bytes" are
compared as text, and any other is refused. `pickletools` only takes a pickle apart, it runs nothing.
"""

import io
import math
import pickletools
from dataclasses import dataclass
from typing import Any

import numpy as np

_RECONSTRUCT = "numpy.core.multiarray _reconstruct"
_NDARRAY = "numpy ndarray"
_DTYPE = "numpy dtype"

# What numpy 1 wrote for a new array, for the type uint8, and for that type's byte order.
_NEW_ARRAY = (0,), b"b"
_UINT8 = b"u1", 0, 1
_UINT8_STATE = (3, b"|", None, None, None, -1, -1, 0)
_ARRAY_VERSION = 1


@dataclass(frozen=True)
class _Name:
    """One of the three names, as text."""

    text: str


class _Array:
    """An array that got no pixels yet."""


class _Dtype:
    """The type uint8."""


def load_batch(data: bytes) -> Any:
    """What a CIFAR-10 batch or its ``batches.meta`` holds: dicts, lists, tuples, bytes, int, bool, None
    and uint8 arrays.

    Parameters
    ----------
    data : bytes
        The file. A Python 2 `str` comes out as bytes.

    Raises
    ------
    ValueError
        The pickle is damaged, or holds anything that the official files do not.
    """
    machine = _Machine()
    try:
        for opcode, argument, _ in pickletools.genops(io.BytesIO(data)):
            machine.step(opcode.name, argument)
        (value,) = machine.stack
    # What an empty stack, a missing memo entry or a damaged argument raises.
    except (IndexError, KeyError, TypeError, ValueError) as error:
        text = " ".join(str(error).split())[:200] or type(error).__name__
        raise ValueError(f"not a CIFAR-10 batch ({text})") from error
    return value


class _Machine:
    """A stack, the places of the marks on it, and a memo: what a pickle is executed on."""

    def __init__(self):
        self.stack: list[Any] = []
        self.marks: list[int] = []
        self.memo: dict[int, Any] = {}

    def step(self, name: str, argument: Any) -> None:
        """Carry out one opcode of the few that are known."""
        push, pop = self.stack.append, self.stack.pop
        match name:
            case "PROTO" | "STOP":
                pass
            case "BININT" | "BININT1" | "BININT2":
                push(argument)
            case "BINSTRING" | "SHORT_BINSTRING":
                push(argument.encode("latin-1"))
            case "NONE" | "NEWTRUE" | "NEWFALSE":
                push({"NONE": None, "NEWTRUE": True, "NEWFALSE": False}[name])
            case "MARK":
                self.marks.append(len(self.stack))
            case "EMPTY_LIST":
                push([])
            case "EMPTY_DICT":
                push({})
            case "TUPLE1" | "TUPLE2" | "TUPLE3":
                push(tuple(reversed([pop() for _ in range(int(name[-1]))])))
            case "TUPLE":
                push(tuple(self._since_mark()))
            case "APPEND":
                self._extend([pop()])
            case "APPENDS":
                self._extend(self._since_mark())
            case "SETITEM":
                self._update([pop(), pop()][::-1])
            case "SETITEMS":
                self._update(self._since_mark())
            case "BINPUT" | "LONG_BINPUT":
                self.memo[argument] = self.stack[-1]
            case "BINGET" | "LONG_BINGET":
                push(self.memo[argument])
            case "GLOBAL":
                push(_known(argument))
            case "REDUCE":
                arguments, function = pop(), pop()
                push(_reduced(function, arguments))
            case "BUILD":
                state = pop()
                push(_built(pop(), state))
            case _:
                raise ValueError(f"the opcode {name} does not occur in one")

    def _since_mark(self) -> list[Any]:
        mark = self.marks.pop()
        taken = self.stack[mark:]
        del self.stack[mark:]
        return taken

    def _extend(self, values: list[Any]) -> None:
        if not isinstance(self.stack[-1], list):
            raise ValueError("something is appended to what is no list")
        self.stack[-1].extend(values)

    def _update(self, pairs: list[Any]) -> None:
        target, keys = self.stack[-1], pairs[::2]
        if not isinstance(target, dict) or not all(isinstance(key, bytes) for key in keys):
            raise ValueError("a dict has a key that is no text")
        target.update(zip(keys, pairs[1::2], strict=True))


def _known(name: str) -> _Name:
    if name not in (_RECONSTRUCT, _NDARRAY, _DTYPE):
        raise ValueError(f"it names {name[:80]!r}")
    return _Name(name)


def _reduced(function: Any, arguments: Any) -> _Array | _Dtype:
    if function == _Name(_RECONSTRUCT) and arguments == (_Name(_NDARRAY), *_NEW_ARRAY):
        return _Array()
    if function == _Name(_DTYPE) and arguments == _UINT8:
        return _Dtype()
    raise ValueError("it calls something else than an array of bytes")


def _built(thing: Any, state: Any) -> Any:
    if isinstance(thing, _Dtype) and state == _UINT8_STATE:
        return thing
    if isinstance(thing, _Array) and isinstance(state, tuple) and len(state) == 5:
        version, shape, dtype, fortran_order, pixels = state
        plain = version == _ARRAY_VERSION and isinstance(dtype, _Dtype) and fortran_order is False
        if plain and isinstance(pixels, bytes) and _fits(shape, pixels):
            return np.frombuffer(pixels, np.uint8).reshape(shape)
    raise ValueError("an array has another state than one of bytes")


def _fits(shape: Any, pixels: bytes) -> bool:
    """Whether an array of this shape has as many bytes as there are."""
    if not isinstance(shape, tuple) or not all(type(n) is int and n >= 0 for n in shape):
        return False
    return len(shape) <= 4 and math.prod(shape) == len(pixels)
