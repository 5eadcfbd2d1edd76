"""Bounds the connections of one address: a network filter of Envoy, as the bytes of a WebAssembly module.

Envoy bounds its connections all together, and knows no bound for one address. This module adds one when a connection comes, takes one away
when it goes, and closes those above the limit. It sees no byte that is sent.

What is counted: an IPv4 address, or the network of an IPv6 address (64 bits), in which one caller has as many addresses as he likes. A
count is in one of 65,536 places, which the hash of the address chooses: of so many addresses, two share a place. A connection of this
machine to itself is not counted: the edge fetches keys from itself, and a proxy that runs here stands for many callers.

The host and the module speak the Proxy-Wasm ABI 0.2.1. The module is written here in WebAssembly's own instructions, one line each, so that
no compiler is needed where Parley is installed; `webassembly.py` makes bytes of them. Envoy has a module for each of its threads, and each
would count its own connections: it is started with one (process.py).
"""

from __future__ import annotations

from typing import Final

from parley_edge.webassembly import Function, Import, assemble

REFUSED: Final = "connections_of_one_address_refused"
"""The counter of refused connections; Envoy puts `wasmcustom.` before it."""

_PAGES: Final = 5
"""Of 64 KiB: one for everything, four for the counts."""

_TEXTS: Final = {64: b"source\0address", 96: b"destination\0address", 128: REFUSED.encode()}
"""What is in memory from the beginning. The first bytes are free: the host writes at 0 and 8 where an address is and behind it how long it
is, and at 16 the number of its counter. The addresses are from 4096 on, and gone with the next event of a connection."""

_IMPORTS: Final = (
    Import("proxy_get_property", parameters=4, result=True),
    Import("proxy_close_stream", parameters=1, result=True),
    Import("proxy_define_metric", parameters=4, result=True),
    Import("proxy_increment_metric", parameters=1, wide_last=True, result=True),
)

# How many bytes of an address and its port are the address: "127.0.0.1:80", "[2001:db8::1]:80".
_HOST: Final = Function(
    "host",
    parameters=("text", "size"),
    variables=("at",),
    result=True,
    code="""
        local.get size
        local.set at
        block
            loop
                local.get at
                i32.eqz
                br_if 1
                local.get at
                i32.const 1
                i32.sub
                local.set at
                local.get text
                local.get at
                i32.add
                i32.load8_u 0
                i32.const 58
                i32.eq
                if
                    local.get at
                    return
                end
                br 0
            end
        end
        local.get size
    """,
)

# How many bytes of an address are what is counted: all of IPv4; of IPv6 four groups, or what stands before a gap among them.
_COUNTED: Final = Function(
    "counted",
    parameters=("text", "size"),
    variables=("at", "groups"),
    result=True,
    code="""
        local.get text
        i32.load8_u 0
        i32.const 91
        i32.ne
        if
            local.get size
            return
        end
        local.get text
        i32.load8_u 1
        i32.const 58
        i32.eq
        if
            local.get size
            return
        end
        block
            loop
                local.get at
                local.get size
                i32.ge_u
                br_if 1
                local.get text
                local.get at
                i32.add
                i32.load8_u 0
                local.get at
                i32.const 1
                i32.add
                local.set at
                i32.const 58
                i32.ne
                br_if 0
                local.get groups
                i32.const 1
                i32.add
                local.set groups
                local.get groups
                i32.const 4
                i32.eq
                local.get text
                local.get at
                i32.add
                i32.load8_u 0
                i32.const 58
                i32.eq
                i32.or
                i32.eqz
                br_if 0
            end
        end
        local.get at
    """,
)

# Where the count of this connection's address is; 0 when it is not counted.
_PLACE: Final = Function(
    "place",
    parameters=(),
    variables=("source", "size", "destination", "at", "hash"),
    result=True,
    code="""
        i32.const 4096
        global.set free
        i32.const 64
        i32.const 14
        i32.const 0
        i32.const 4
        call proxy_get_property
        if
            i32.const 0
            return
        end
        i32.const 96
        i32.const 19
        i32.const 8
        i32.const 12
        call proxy_get_property
        if
            i32.const 0
            return
        end
        i32.const 0
        i32.load 0
        local.set source
        local.get source
        i32.const 0
        i32.load 4
        call host
        local.set size
        i32.const 0
        i32.load 8
        local.set destination
        local.get destination
        i32.const 0
        i32.load 12
        call host
        local.get size
        i32.eq
        if
            loop
                local.get at
                local.get size
                i32.ge_u
                if
                    i32.const 0
                    return
                end
                local.get source
                local.get at
                i32.add
                i32.load8_u 0
                local.get destination
                local.get at
                i32.add
                i32.load8_u 0
                local.get at
                i32.const 1
                i32.add
                local.set at
                i32.eq
                br_if 0
            end
        end
        local.get source
        local.get size
        call counted
        local.set size
        i32.const 0x811c9dc5
        local.set hash
        i32.const 0
        local.set at
        block
            loop
                local.get at
                local.get size
                i32.ge_u
                br_if 1
                local.get source
                local.get at
                i32.add
                i32.load8_u 0
                local.get hash
                i32.xor
                i32.const 0x01000193
                i32.mul
                local.set hash
                local.get at
                i32.const 1
                i32.add
                local.set at
                br 0
            end
        end
        local.get hash
        i32.const 16
        i32.shr_u
        local.get hash
        i32.xor
        i32.const 0xffff
        i32.and
        i32.const 2
        i32.shl
        i32.const 0x10000
        i32.add
    """,
)

_START: Final = Function(
    "proxy_on_vm_start",
    parameters=("context", "size"),
    result=True,
    code=f"""
        i32.const 0
        i32.const 128
        i32.const {len(REFUSED)}
        i32.const 16
        call proxy_define_metric
        i32.eqz
    """,
)

# 0 lets it go on, 1 does not.
_CONNECTION: Final = """
        call place
        local.set place
        local.get place
        i32.eqz
        if
            i32.const 0
            return
        end
        local.get place
        local.get place
        i32.load 0
        i32.const 1
        i32.add
        i32.store 0
        local.get place
        i32.load 0
        i32.const {limit}
        i32.le_u
        if
            i32.const 0
            return
        end
        i32.const 0
        i32.load 16
        i64.const 1
        call proxy_increment_metric
        drop
        i32.const 2
        call proxy_close_stream
        drop
        i32.const 1
    """

# Once for each connection, refused ones too, while its addresses are still known.
_END: Final = Function(
    "proxy_on_done",
    parameters=("context",),
    variables=("place",),
    result=True,
    code="""
        call place
        local.set place
        local.get place
        if
            local.get place
            i32.load 0
            if
                local.get place
                local.get place
                i32.load 0
                i32.const 1
                i32.sub
                i32.store 0
            end
        end
        i32.const 1
    """,
)

_MEMORY: Final = Function(
    "proxy_on_memory_allocate",
    parameters=("size",),
    result=True,
    code="""
        global.get free
        global.get free
        local.get size
        i32.add
        global.set free
    """,
)

_VERSION: Final = Function("proxy_abi_version_0_2_1", parameters=(), result=False, code="")


def module(limit: int) -> bytes:
    """The module that lets an address have so many connections, 1 and more."""
    connection = Function(
        "proxy_on_new_connection",
        parameters=("context",),
        variables=("place",),
        result=True,
        code=_CONNECTION.format(limit=limit),
    )
    functions = (_HOST, _COUNTED, _PLACE, _VERSION, _MEMORY, _START, connection, _END)
    exported = [function.name for function in functions if function.name.startswith("proxy_")]
    return assemble(_IMPORTS, functions, exported=exported, global_name="free", pages=_PAGES, data=_TEXTS)
