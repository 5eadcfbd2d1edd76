"""`parley token`: personal access tokens, for grpcurl, scripts and services."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from parley_cli.commands.sessions import local_time
from parley_cli.output import print_json_list
from parley_cli.terminal import new_console, printable

if TYPE_CHECKING:
    from parley.identity.v1 import user_pb2
    from parley_client import Parley


async def create(client: Parley, *, name: str, scopes: Sequence[str], days: float) -> int:
    """Makes a token and prints it, and nothing else on standard output."""
    response = await client.identity.create_access_token(name, scopes=scopes, time_to_live=timedelta(days=days))
    print(response.token)
    if sys.stderr.isatty() and sys.stdout.isatty():
        token = response.access_token
        words = f"{token.access_token_id} is good until {local_time(token.expire_time)} and is not shown again."
        print(words, file=sys.stderr)
    return 0


async def list_all(client: Parley, *, as_json: bool) -> int:
    """Prints the tokens that were made, never the tokens themselves: nobody has them."""
    found = [token async for token in client.identity.access_tokens(page_size=100)]
    if as_json:
        print_json_list(found)
        return 0
    if not found:
        print("There are no tokens. `parley token create` makes one.", file=sys.stderr)
        return 0
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("token", style="cyan", no_wrap=True)
    table.add_column("name", overflow="fold")
    table.add_column("made", no_wrap=True, style="dim")
    table.add_column("state", no_wrap=True)
    table.add_column("scopes", overflow="fold", style="dim")
    for token in found:
        name, scopes = Text(printable(token.name)), Text(" ".join(token.scopes))
        table.add_row(token.access_token_id, name, local_time(token.create_time), _state(token), scopes)
    new_console().print(table)
    return 0


async def revoke(client: Parley, access_token_id: str) -> int:
    """Revokes a token."""
    token = await client.identity.revoke_access_token(access_token_id)
    print(f"{printable(token.name)} ({token.access_token_id}) is revoked.", file=sys.stderr)
    return 0


def _state(token: user_pb2.AccessToken) -> Text:
    if token.HasField("revoke_time"):
        return Text(f"revoked {local_time(token.revoke_time)}", style="red")
    if token.expire_time.ToDatetime(UTC) <= datetime.now(UTC):
        return Text(f"ended {local_time(token.expire_time)}", style="dim")
    return Text(f"until {local_time(token.expire_time)}", style="green")
