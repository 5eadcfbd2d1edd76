"""The rooms of a service and what each may import: the table of CONTRIBUTING.md as code.

It looks at one file at a time. What a file reaches through others is import-linter's to say (`.importlinter`).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from parley_testing.source import Import, imports_of

SHARED = frozenset({"parley_shared"})
GENERATED = frozenset({"parley"})
GRPC = frozenset({"grpc", "google"})


@dataclass(frozen=True)
class Room:
    """What the files of one room may import beside the standard library and their own room."""

    rooms: frozenset[str] = frozenset()
    """Other rooms of the same service."""
    packages: frozenset[str] = frozenset()
    """Packages from outside the service."""
    libraries: int = 0
    """How many further libraries one file may import."""


_INNER = frozenset({"operations", "ports", "domain"})

ROOMS = {
    "domain": Room(),
    "ports": Room(rooms=frozenset({"domain"})),
    "operations": Room(rooms=frozenset({"ports", "domain"})),
    "servicers": Room(rooms=_INNER, packages=GENERATED | SHARED | GRPC),
    "adapters": Room(rooms=frozenset({"ports", "domain"}), packages=GENERATED | SHARED, libraries=1),
    "settings": Room(packages=SHARED),
}
"""A room is a folder, or a file of that name. Files that are not listed (`__main__`, `bootstrap`, `migrate`) join the rooms
and may import all of them."""

FAMILIES = {
    # protobuf's runtime and the health protocol are parts of speaking gRPC.
    "google": "grpc",
    "grpc_health": "grpc",
    "grpc_status": "grpc",
    # PyJWT signs with the keys of cryptography: neither does it alone.
    "cryptography": "jwt",
    # The openai package is given its HTTP transport by whoever makes its client.
    "aiohttp": "openai",
    "httpx2": "openai",
    # What httpx2 connects with.
    "httpcore2": "openai",
    # The protocol's messages, and the tasks and models that the package is made of.
    "mcp_types": "mcp",
    "anyio": "mcp",
    "pydantic": "mcp",
    # What scikit-learn takes and gives.
    "numpy": "sklearn",
    "scipy": "sklearn",
}
"""Packages that count as one library, with the library that they count as."""


def breaches(package: Path) -> list[str]:
    """Every import in a service's package that its room does not allow, as `file:line: words`."""
    found: list[str] = []
    for path in sorted(package.rglob("*.py")):
        inside = path.relative_to(package)
        name = inside.parts[0].removesuffix(".py")
        if (room := ROOMS.get(name)) is None:
            continue
        imports = imports_of(path, package.parent)
        where = path.relative_to(package.parent)
        found += [
            f"{where}:{one.line}: {name} may not import {one.module}"
            for one in imports
            if not _allowed(one, package.name, name, room)
        ]
        libraries = sorted({FAMILIES.get(one.top, one.top) for one in imports if _is_library(one, package.name)})
        if 0 < room.libraries < len(libraries):
            found.append(
                f"{where}:1: an adapter may import one outside library, and this one imports {', '.join(libraries)}"
            )
    return found


def _is_library(one: Import, service: str) -> bool:
    return not one.is_standard_library and one.top not in {service} | GENERATED | SHARED


def _allowed(one: Import, service: str, own_room: str, room: Room) -> bool:
    if one.is_standard_library or one.top in room.packages:
        return True
    if one.top == service:
        inner = one.module.split(".")[1:2]
        return not inner or inner[0] == own_room or inner[0] in room.rooms
    return room.libraries > 0 and not one.top.startswith("parley_")
