"""`parley calendar`: meetings, and calendars of other places."""

from __future__ import annotations

import asyncio
import getpass
import os
import sys
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from rich.table import Table

from parley_cli.output import print_json, print_json_list
from parley_cli.place import CommandError
from parley_cli.terminal import new_console, printable
from parley_cli.time_zone import local_time_zone

if TYPE_CHECKING:
    from collections.abc import Sequence

    from parley.workspace.v1 import calendar_pb2
    from parley_client import Parley

_FAILED = 3
_STATES = {1: "new", 2: "ready", 3: "failed"}
_TENTATIVE = 2
_RULES = {"daily": "FREQ=DAILY", "weekly": "FREQ=WEEKLY", "monthly": "FREQ=MONTHLY", "yearly": "FREQ=YEARLY"}
_DAY = timedelta(days=1)


async def show(client: Parley, *, days: int, query: str, as_json: bool) -> int:
    """Prints the next meetings."""
    now = datetime.now(UTC)
    found = [
        meeting
        async for meeting in client.calendar.meetings(
            now, now + timedelta(days=days), time_zone=local_time_zone(), query=query, page_size=200
        )
    ]
    if as_json:
        print_json_list(found)
    elif found:
        new_console().print(_meetings(found))
    else:
        print("There are no meetings.", file=sys.stderr)
    return 0


async def create(
    client: Parley,
    title: str,
    start: str,
    *,
    end: str,
    location: str,
    notes: str,
    attendees: Sequence[str],
    repeat: str,
    as_json: bool,
) -> int:
    """Makes an event, and prints its id."""
    begin = _time("START", start)
    finish = _time("--end", end) if end else None
    if finish is not None and isinstance(begin, datetime) != isinstance(finish, datetime):
        raise CommandError("START and --end must both be times, or both days.", exit_code=2)
    if finish is not None and not isinstance(finish, datetime):
        # People name the last day, the contract the one after it.
        finish += _DAY
    event = await client.calendar.create_event(
        title,
        begin,
        finish,
        time_zone=local_time_zone(),
        location=location,
        description=notes,
        attendees=attendees,
        recurrence=_RULES.get(repeat, repeat),
    )
    if as_json:
        print_json(event)
    else:
        print(event.event_id)
    return 0


async def delete(client: Parley, identifier: str) -> int:
    """Deletes an event, or one meeting of a series."""
    if identifier.startswith("mtg_"):
        event_id = f"evt_{identifier.removeprefix('mtg_').partition('_')[0]}"
        await client.calendar.delete_event(event_id, meeting_id=identifier)
    else:
        await client.calendar.delete_event(identifier)
    print("Deleted.")
    return 0


async def add_feed(client: Parley, url: str, *, name: str, user: str, password_file: str, as_json: bool) -> int:
    """Connects a feed, and waits for its first synchronization."""
    password = await _password(password_file) if user else ""
    account = await client.calendar.connect_feed(
        url, name=name, username=user, password=password, time_zone=local_time_zone()
    )
    return await sync(client, account.account_id, as_json=as_json)


async def add_caldav(
    client: Parley, url: str, user: str, *, name: str, password_file: str, only: Sequence[str], as_json: bool
) -> int:
    """Connects an account of a CalDAV server, and waits for its first synchronization."""
    account = await client.calendar.connect_caldav(
        url,
        user,
        await _password(password_file),
        name=name,
        time_zone=local_time_zone(),
        calendar_ids=only,
    )
    return await sync(client, account.account_id, as_json=as_json)


async def show_accounts(client: Parley, *, as_json: bool) -> int:
    """Prints the accounts."""
    accounts = await client.calendar.accounts()
    if as_json:
        print_json_list(accounts)
    elif accounts:
        _print_accounts(accounts)
    else:
        print("No calendars of other places are connected.", file=sys.stderr)
    return 0


async def sync(client: Parley, account_id: str, *, as_json: bool) -> int:
    """Synchronizes, and prints how the accounts are now."""
    accounts = await client.calendar.sync(account_id)
    if as_json:
        print_json_list(accounts)
    elif accounts:
        _print_accounts(accounts)
    else:
        print("No calendars of other places are connected.", file=sys.stderr)
    return 1 if any(account.state == _FAILED for account in accounts) else 0


async def remove(client: Parley, account_id: str) -> int:
    """Takes an account away."""
    await client.calendar.delete_account(account_id)
    print("Removed.")
    return 0


async def _password(file: str) -> str:
    """The password, which never stands in the command line: other users of a computer read that."""
    if file == "-":
        line: str = await asyncio.to_thread(sys.stdin.readline)
        return line.rstrip("\r\n")
    if file:
        try:
            read: bytes = await asyncio.to_thread(Path(file).read_bytes)
            content = read.decode()
        except (OSError, UnicodeError) as error:
            raise CommandError(f"{file} cannot be read.", exit_code=2) from error
        return content.rstrip("\r\n")
    if given := os.environ.get("PARLEY_CALENDAR_PASSWORD"):
        return given
    if not sys.stdin.isatty():
        raise CommandError("Give the password with --password-file or PARLEY_CALENDAR_PASSWORD.", exit_code=2)
    return await asyncio.to_thread(getpass.getpass, "Password: ")


def _time(name: str, written: str) -> datetime | date:
    """The time, here unless it says where, or the day."""
    try:
        if len(written) == len("2026-01-31"):
            return date.fromisoformat(written)
        time = datetime.fromisoformat(written)
    except ValueError as error:
        raise CommandError(
            f"{name} must be a time like 2026-01-31T09:00 or a day like 2026-01-31.", exit_code=2
        ) from error
    if time.tzinfo is not None:
        return time
    zone = local_time_zone()
    return time.replace(tzinfo=ZoneInfo(zone)) if zone else time.astimezone()


def _meetings(meetings: Sequence[calendar_pb2.Meeting]) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for heading in ("day", "time"):
        table.add_column(heading, no_wrap=True)
    table.add_column("meeting", overflow="fold", min_width=16)
    table.add_column("where", style="dim", overflow="fold")
    table.add_column("id", style="cyan", overflow="ellipsis", no_wrap=True)
    before = ""
    for meeting in meetings:
        start = meeting.start_time.ToDatetime(UTC).astimezone()
        day = f"{date.fromisoformat(meeting.start_date):%a %d %b}" if meeting.all_day else f"{start:%a %d %b}"
        time = "all day" if meeting.all_day else f"{start:%H:%M}-{meeting.end_time.ToDatetime(UTC).astimezone():%H:%M}"
        title = printable(meeting.title) or "(no title)"
        table.add_row(
            day if day != before else "",
            time,
            f"{title} (tentative)" if meeting.status == _TENTATIVE else title,
            printable(meeting.location),
            meeting.meeting_id,
        )
        before = day
    return table


def _print_accounts(accounts: Sequence[calendar_pb2.CalendarAccount]) -> None:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("name", overflow="fold")
    table.add_column("at", style="dim", overflow="fold")
    table.add_column("state", no_wrap=True)
    table.add_column("events", justify="right", no_wrap=True)
    table.add_column("last", no_wrap=True)
    table.add_column("id", style="cyan", overflow="ellipsis", no_wrap=True)
    for account in accounts:
        last = account.last_sync_time.ToDatetime(UTC).astimezone() if account.HasField("last_sync_time") else None
        table.add_row(
            printable(account.name),
            printable(account.host),
            "running" if account.syncing else _STATES.get(account.state, ""),
            str(account.event_count),
            f"{last:%Y-%m-%d %H:%M}" if last else "",
            account.account_id,
        )
    new_console().print(table)
    for account in accounts:
        for words in [*([account.error] if account.error else []), *account.warnings]:
            print(f"{printable(account.name)}: {printable(words)}", file=sys.stderr)
