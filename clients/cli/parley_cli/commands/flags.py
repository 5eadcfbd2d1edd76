"""`parley flags`: which parts of a product are on for you, and, for administrators, for whom."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from parley_cli.output import as_dict, print_json, print_json_list
from parley_cli.terminal import new_console, printable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from parley.flags.v1 import flag_pb2
    from parley_client import Parley

_REASONS = {
    1: "disabled",
    2: "off for this user",
    3: "on for this user",
    4: "in the rollout",
    5: "not in the rollout",
}
_FROM_SETTINGS = 2
_ALL_BASIS_POINTS = 10_000


@dataclass(frozen=True)
class FlagChanges:
    """What to change of a flag; None leaves a thing as it is."""

    enabled: bool | None
    percentage: float | None
    value: str | None
    description: str | None
    users_on: Sequence[str] | None
    users_off: Sequence[str] | None
    expected_revision: int | None


async def get(client: Parley, name: str, *, as_json: bool) -> int:
    """Prints what every flag is for the user, or one. Returns 1 for one that is off, or that there is not."""
    found = await client.flags.get()
    if name:
        flag = found.get(name)
        if as_json:
            print(json.dumps(None if flag is None else as_dict(flag), indent=2, ensure_ascii=False))
        elif flag is None:
            sys.stderr.write("There is no flag of this name.\n")
        else:
            print(_words(flag))
        return 0 if flag is not None and flag.enabled else 1
    if as_json:
        print_json_list(found.values())
    elif found:
        table = Table(box=None, pad_edge=False)
        for head in ("Flag", "State", "Why"):
            table.add_column(head, overflow="fold")
        for flag in found.values():
            table.add_row(flag.name, Text(_words(flag)), _REASONS.get(flag.reason, ""))
        new_console().print(table)
    return 0


async def watch(client: Parley, *, as_json: bool) -> int:
    """Prints what every flag is for the user, and each that changes, until Ctrl-C."""
    known: dict[str, str] = {}
    try:
        async for found in client.flags.watch():
            for flag in found.values():
                if known.get(flag.name) != _words(flag):
                    _print(flag.name, _words(flag), as_dict(flag), as_json=as_json)
            for name in known.keys() - found.keys():
                _print(name, "gone", {"name": name, "deleted": True}, as_json=as_json)
            known = {flag.name: _words(flag) for flag in found.values()}
    except asyncio.CancelledError:
        return 0
    return 0


async def show(client: Parley, *, as_json: bool) -> int:
    """Lists the flags as they are set."""
    found = await client.flags.list()
    if as_json:
        print_json_list(found)
        return 0
    table = Table(box=None, pad_edge=False)
    for head in ("Flag", "State", "Value", "Users on", "Users off", "Revision", "Description"):
        table.add_column(head, overflow="fold")
    for flag in found:
        table.add_row(
            flag.name,
            _state(flag),
            Text(printable(flag.value)),
            str(len(flag.users_on) or ""),
            str(len(flag.users_off) or ""),
            "settings" if flag.origin == _FROM_SETTINGS else str(flag.revision),
            Text(printable(flag.description)),
        )
    if found:
        new_console().print(table)
    return 0


async def put(client: Parley, name: str, changes: FlagChanges, *, as_json: bool) -> int:
    """Makes or changes a flag."""
    flag = await client.flags.set(
        name,
        enabled=changes.enabled,
        percentage=changes.percentage,
        value=changes.value,
        description=changes.description,
        users_on=changes.users_on,
        users_off=changes.users_off,
        expected_revision=changes.expected_revision,
    )
    if as_json:
        print_json(flag)
    else:
        print(f"{flag.name}: {_state(flag)}, revision {flag.revision}")
    return 0


async def delete(client: Parley, name: str) -> int:
    """Deletes a flag."""
    await client.flags.delete(name)
    return 0


def _words(flag: flag_pb2.EvaluatedFlag) -> str:
    if not flag.enabled:
        return "off"
    return f"on: {printable(flag.value)}" if flag.value else "on"


def _state(flag: flag_pb2.Flag) -> str:
    if not flag.enabled:
        return "off"
    if flag.rollout_basis_points == _ALL_BASIS_POINTS:
        return "on"
    return f"on for {flag.rollout_basis_points / 100:g} %"


def _print(name: str, words: str, fields: Mapping[str, object], *, as_json: bool) -> None:
    sys.stdout.write((json.dumps(fields, ensure_ascii=False) if as_json else f"{name}  {words}") + "\n")
    sys.stdout.flush()
