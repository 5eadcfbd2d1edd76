"""`parley user`: the users of the installation, for admins."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from parley.identity.v1 import user_pb2
from rich.table import Table
from rich.text import Text

from parley_cli.commands.sessions import local_time
from parley_cli.output import print_json_list
from parley_cli.terminal import new_console, printable

if TYPE_CHECKING:
    from parley_client import Parley

_ROLES = {"user": user_pb2.USER_ROLE_USER, "admin": user_pb2.USER_ROLE_ADMIN}


async def list_all(client: Parley, query: str, *, as_json: bool) -> int:
    """Prints users, newest first."""
    found = [user async for user in client.identity.users(query, page_size=100)]
    if as_json:
        print_json_list(found)
        return 0
    if not found:
        print("There is nobody like that.", file=sys.stderr)
        return 0
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("user", style="cyan", no_wrap=True)
    table.add_column("address", overflow="fold")
    table.add_column("name", overflow="fold")
    table.add_column("role", no_wrap=True)
    table.add_column("made", no_wrap=True, style="dim")
    for user in found:
        told = user.email or user.issuer
        table.add_row(
            user.user_id,
            Text(printable(told)),
            Text(printable(user.display_name)),
            _role(user),
            local_time(user.create_time),
        )
    new_console().print(table)
    return 0


async def set_role(client: Parley, user_id: str, role: str) -> int:
    """Gives a user a role."""
    user = await client.identity.set_user_role(user_id, _ROLES[role])
    print(f"{printable(user.email or user.display_name)} ({user.user_id}) is {role} now.", file=sys.stderr)
    return 0


async def disable(client: Parley, user_id: str) -> int:
    """Disables a user."""
    user = await client.identity.disable_user(user_id)
    print(f"{printable(user.email or user.display_name)} ({user.user_id}) is disabled.", file=sys.stderr)
    return 0


async def enable(client: Parley, user_id: str) -> int:
    """Enables a user."""
    user = await client.identity.enable_user(user_id)
    print(f"{printable(user.email or user.display_name)} ({user.user_id}) is enabled.", file=sys.stderr)
    return 0


def _role(user: user_pb2.User) -> Text:
    if user.HasField("disable_time"):
        return Text("disabled", style="red")
    return Text("admin", style="green") if user.role == user_pb2.USER_ROLE_ADMIN else Text("user")
