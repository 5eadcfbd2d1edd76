"""`parley task`: what is to be done."""

from __future__ import annotations

import sys
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, cast
from zoneinfo import ZoneInfo

from google.protobuf.field_mask_pb2 import FieldMask
from parley_client.errors import NotFoundError
from rich.table import Table
from rich.text import Text

from parley_cli.output import print_json, print_json_list
from parley_cli.place import CommandError
from parley_cli.terminal import new_console, printable
from parley_cli.time_zone import local_time_zone

if TYPE_CHECKING:
    from collections.abc import Sequence

    from google.protobuf.timestamp_pb2 import Timestamp
    from parley.workspace.v1 import task_pb2
    from parley_client import Parley
    from parley_client.tasks import PriorityName

_COMPLETED = 2
_HIGH, _LOW = 3, 1
_PRIORITIES = {"low": 1, "normal": 2, "high": 3}
_RULES = {"daily": "FREQ=DAILY", "weekly": "FREQ=WEEKLY", "monthly": "FREQ=MONTHLY", "yearly": "FREQ=YEARLY"}


async def create(
    client: Parley,
    title: str,
    *,
    due: str,
    notes: str,
    priority: str,
    project: str,
    repeat: str,
    remind: Sequence[int],
    as_json: bool,
) -> int:
    """Makes a task, and prints its id."""
    task = await client.tasks.create(
        title,
        notes=notes,
        due_time=_due_time(due),
        time_zone=local_time_zone(),
        priority=cast("PriorityName", priority),
        project=project,
        recurrence=_RULES.get(repeat, repeat),
        remind_minutes_before=remind,
    )
    if as_json:
        print_json(task)
    else:
        print(task.task_id)
    return 0


async def change(
    client: Parley,
    task_id: str,
    *,
    title: str | None,
    due: str | None,
    notes: str | None,
    priority: str | None,
    project: str | None,
    repeat: str | None,
    remind: Sequence[int] | None,
    as_json: bool,
) -> int:
    """Changes what is given, and nothing else; what is given as nothing is removed."""
    # Imported when it is needed: most commands need no requests of their own.
    from parley.workspace.v1 import task_service_pb2  # noqa: PLC0415 - see above

    request = task_service_pb2.UpdateTaskRequest(
        task_id=task_id,
        title=title or "",
        notes=notes or "",
        priority=cast("task_pb2.TaskPriority.ValueType", _PRIORITIES.get(priority or "", 0)),
        project=project or "",
        remind_minutes_before=remind or (),
    )
    given: dict[str, object] = {
        "title": title, "notes": notes, "priority": priority, "project": project, "remind_minutes_before": remind,
        "due_time": due, "recurrence": repeat,
    }  # fmt: skip
    paths = [name for name, value in given.items() if value is not None]
    if repeat is not None:
        request.recurrence = _RULES.get(repeat, repeat)
    if time := _due_time(due or ""):
        request.due_time.FromDatetime(time)
        if zone := local_time_zone():
            request.time_zone = zone
            paths.append("time_zone")
    if not paths:
        raise CommandError("Say what to change; see --help.", exit_code=2)
    request.update_mask.CopyFrom(FieldMask(paths=paths))
    task = await client.tasks.update(request)
    if as_json:
        print_json(task)
    else:
        print(f"Changed: {printable(task.title)}")
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
    if task.next_task_id:
        # When it was done before, the next one may be gone.
        with suppress(NotFoundError):
            following = await client.tasks.get(task.next_task_id)
            print(f"Next: {_local(following.due_time)}  {following.task_id}")
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
    recurs = any(task.recurrence for task in tasks)
    reminds = any(task.HasField("remind_time") for task in tasks)
    if recurs:
        table.add_column("repeats", overflow="fold")
    if reminds:
        table.add_column("reminder", no_wrap=True)
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
            Text(_local(task.due_time) if due else "", style="red" if late else ""),
            *([printable(task.recurrence.removeprefix("FREQ="))] if recurs else []),
            *([_local(task.remind_time) if task.HasField("remind_time") else ""] if reminds else []),
            printable(task.project),
            task.task_id,
        )
    return table


def _local(time: Timestamp) -> str:
    """A time here."""
    return f"{time.ToDatetime(UTC).astimezone():%Y-%m-%d %H:%M}"
