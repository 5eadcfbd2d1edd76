"""Makes a WebAssembly module of instructions in text: as much of the format as connection_counter.py needs, and no more.

A line of code is an instruction as WebAssembly's text format writes it, flat: `i32.const 4096`, `local.get size`, `br_if 1`. Variables and
functions have names without a dollar. Nothing is checked here: who loads the module does that.

Source: the binary format of WebAssembly 1.0.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

_I32, _I64 = b"\x7f", b"\x7e"
_NOTHING = b"\x40"
_FUNCTION, _MEMORY = b"\x00", b"\x02"
_END = b"\x0b"

_BLOCKS: Final[Mapping[str, bytes]] = {"block": b"\x02", "loop": b"\x03", "if": b"\x04"}
_PLAIN: Final[Mapping[str, bytes]] = {
    "end": _END,
    "return": b"\x0f",
    "drop": b"\x1a",
    "i32.eqz": b"\x45",
    "i32.eq": b"\x46",
    "i32.ne": b"\x47",
    "i32.le_u": b"\x4d",
    "i32.ge_u": b"\x4f",
    "i32.add": b"\x6a",
    "i32.sub": b"\x6b",
    "i32.mul": b"\x6c",
    "i32.and": b"\x71",
    "i32.or": b"\x72",
    "i32.xor": b"\x73",
    "i32.shl": b"\x74",
    "i32.shr_u": b"\x76",
}
_JUMPS: Final[Mapping[str, bytes]] = {"br": b"\x0c", "br_if": b"\x0d"}
_LOCALS: Final[Mapping[str, bytes]] = {"local.get": b"\x20", "local.set": b"\x21"}
_GLOBALS: Final[Mapping[str, bytes]] = {"global.get": b"\x23", "global.set": b"\x24"}
_CONSTANTS: Final[Mapping[str, tuple[bytes, int]]] = {"i32.const": (b"\x41", 32), "i64.const": (b"\x42", 64)}
_MEMORY_OF: Final[Mapping[str, tuple[bytes, int]]] = {
    "i32.load": (b"\x28", 2),
    "i32.load8_u": (b"\x2d", 0),
    "i32.store": (b"\x36", 2),
}
"""With how its addresses are aligned, as a power of two."""


@dataclass(frozen=True)
class Import:
    """A function that the host gives, of the module `env`."""

    name: str
    parameters: int
    """How many of 32 bits."""
    result: bool
    """Whether it gives a number of 32 bits."""
    wide_last: bool = False
    """Whether one of 64 bits follows."""

    @property
    def type(self) -> bytes:
        """What it takes and gives, as the module writes it."""
        return _type(self.parameters, wide_last=self.wide_last, result=self.result)


@dataclass(frozen=True)
class Function:
    """A function of the module. Everything is a number of 32 bits."""

    name: str
    parameters: tuple[str, ...]
    result: bool
    """Whether it gives one."""
    code: str
    """An instruction in each line."""
    variables: tuple[str, ...] = ()
    """0 at first."""

    @property
    def type(self) -> bytes:
        """What it takes and gives, as the module writes it."""
        return _type(len(self.parameters), wide_last=False, result=self.result)


def assemble(
    imports: Sequence[Import],
    functions: Sequence[Function],
    *,
    exported: Iterable[str],
    global_name: str,
    pages: int,
    data: Mapping[int, bytes],
) -> bytes:
    """The module, with one global variable that is 0 at first, `pages` times 64 KiB of memory, and what is in it from the beginning."""
    everything: tuple[Import | Function, ...] = (*imports, *functions)
    types = sorted({each.type for each in everything})
    numbers = {each.name: number for number, each in enumerate(everything)}
    exports = [_name(name) + _FUNCTION + _unsigned(numbers[name]) for name in exported]
    sections = {
        1: types,
        2: [_name("env") + _name(each.name) + _FUNCTION + _unsigned(types.index(each.type)) for each in imports],
        3: [_unsigned(types.index(each.type)) for each in functions],
        5: [b"\x01" + _unsigned(pages) * 2],
        6: [_I32 + b"\x01" + _constant("i32.const", "0") + _END],
        7: [_name("memory") + _MEMORY + _unsigned(0), *exports],
        10: [_sized(_body(function, numbers, global_name)) for function in functions],
        11: [_unsigned(0) + _constant("i32.const", str(place)) + _END + _sized(text) for place, text in data.items()],
    }
    written = (bytes([number]) + _sized(_vector(items)) for number, items in sections.items())
    return b"\0asm" + (1).to_bytes(4, "little") + b"".join(written)


def _body(function: Function, numbers: Mapping[str, int], global_name: str) -> bytes:
    variables = {name: number for number, name in enumerate((*function.parameters, *function.variables))}
    declared = [_unsigned(len(function.variables)) + _I32] if function.variables else []
    lines = (line.split() for line in function.code.splitlines() if line.strip())
    names: dict[str, tuple[bytes, Mapping[str, int]]] = {name: (code, variables) for name, code in _LOCALS.items()}
    names |= {name: (code, {global_name: 0}) for name, code in _GLOBALS.items()}
    names["call"] = (b"\x10", numbers)
    return _vector(declared) + b"".join(_instruction(*line, names=names) for line in lines) + _END


def _instruction(name: str, operand: str = "", *, names: Mapping[str, tuple[bytes, Mapping[str, int]]]) -> bytes:
    if name in _PLAIN:
        return _PLAIN[name]
    if name in _BLOCKS:
        return _BLOCKS[name] + _NOTHING
    if name in _JUMPS:
        return _JUMPS[name] + _unsigned(int(operand))
    if name in _CONSTANTS:
        return _constant(name, operand)
    if name in _MEMORY_OF:
        code, aligned = _MEMORY_OF[name]
        return code + _unsigned(aligned) + _unsigned(int(operand))
    code, known = names[name]
    return code + _unsigned(known[operand])


def _constant(name: str, operand: str) -> bytes:
    code, bits = _CONSTANTS[name]
    number = int(operand, 0)
    # Above the middle a number is written as the negative one with the same bits.
    return code + _signed(number - (1 << bits) if number >> (bits - 1) else number)


def _type(parameters: int, *, wide_last: bool, result: bool) -> bytes:
    taken = [_I32] * parameters + [_I64] * wide_last
    return b"\x60" + _vector(taken) + _vector([_I32] * result)


def _vector(items: Sequence[bytes]) -> bytes:
    return _unsigned(len(items)) + b"".join(items)


def _sized(content: bytes) -> bytes:
    return _unsigned(len(content)) + content


def _name(text: str) -> bytes:
    return _sized(text.encode())


def _unsigned(number: int) -> bytes:
    """LEB128."""
    low, rest = number & 0x7F, number >> 7
    return bytes([low | 0x80]) + _unsigned(rest) if rest else bytes([low])


def _signed(number: int) -> bytes:
    """LEB128 of a number with a sign."""
    low, rest = number & 0x7F, number >> 7
    if (rest == 0 and not low & 0x40) or (rest == -1 and low & 0x40):
        return bytes([low])
    return bytes([low | 0x80]) + _signed(rest)
