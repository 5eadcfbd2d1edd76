"""`parley task`: what is to be done."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, cast
from zoneinfo import ZoneInfo

from rich.table import Table
from rich.text import Text

from parley_cli.output import print_json, print_json_list
from parley_cli.place import CommandError
from parley_cli.terminal import new_console, printable
from parley_cli.time_zone import local_time_zone

if TYPE_CHECKING:
    from parley.workspace.v1 import task_pb2
    from parley_client import Parley
    from parley_client.tasks import PriorityName

_COMPLETED = 2
_HIGH, _LOW = 3, 1


async def create(
    client: Parley, title: str, *, due: str, notes: str, priority: str, project: str, as_json: bool
) -> int:
    """Makes a task, and prints its id."""
    task = await client.tasks.create(
        title,
        notes=notes,
        due_time=_due_time(due),
        time_zone=local_time_zone(),
        priority=cast("PriorityName", priority),
        project=project,
    )
    if as_json:
        print_json(task)
    else:
        print(task.task_id)
    return 0


async def show(client: Parley, *, include_completed: bool, project: str, limit: int, as_json: bool) -> int:
    """Prints the tasks that are due first."""
    found: list[task_pb2.Task] = []
    tasks = client.tasks.list(include_completed=include_completed, project=project, page_size=min(limit, 100))
    async for task in tasks:
        found.append(task)
        if len(found) == limit:
            break
    if as_json:
        print_json_list(found)
    elif found:
        new_console().print(_table(found))
    else:
        print("There is nothing to do.", file=sys.stderr)
    return 0


async def complete(client: Parley, task_id: str) -> int:
    """Marks a task as done."""
    task = await client.tasks.complete(task_id)
    print(f"Done: {printable(task.title)}")
    return 0


async def reopen(client: Parley, task_id: str) -> int:
    """Opens a task again."""
    task = await client.tasks.reopen(task_id)
    print(f"Open again: {printable(task.title)}")
    return 0


async def delete(client: Parley, task_id: str) -> int:
    """Deletes a task."""
    await client.tasks.delete(task_id)
    print("Deleted.")
    return 0


def _due_time(written: str) -> datetime | None:
    """The time, here unless it says where."""
    if not written:
        return None
    try:
        time = datetime.fromisoformat(written)
    except ValueError as error:
        raise CommandError("--due must be a time like 2026-01-31T09:00.", exit_code=2) from error
    if time.tzinfo is not None:
        return time
    zone = local_time_zone()
    return time.replace(tzinfo=ZoneInfo(zone)) if zone else time.astimezone()


def _table(tasks: list[task_pb2.Task]) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("", no_wrap=True)
    table.add_column("task", overflow="fold", min_width=16)
    table.add_column("due", no_wrap=True)
    table.add_column("project", style="dim", overflow="fold")
    table.add_column("id", style="cyan", overflow="ellipsis", no_wrap=True)
    now = datetime.now(UTC)
    for task in tasks:
        done = task.state == _COMPLETED
        due = task.due_time.ToDatetime(UTC) if task.HasField("due_time") else None
        late = due is not None and due < now and not done
        table.add_row(
            "✓" if done else "!" if task.priority == _HIGH else "",
            Text(printable(task.title), style="dim" if done or task.priority == _LOW else ""),
            Text(f"{due.astimezone():%Y-%m-%d %H:%M}" if due else "", style="red" if late else ""),
            printable(task.project),
            task.task_id,
        )
    return table
