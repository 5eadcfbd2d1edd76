"""`parley project`: what belongs together."""

from __future__ import annotations

import sys
from datetime import UTC
from typing import TYPE_CHECKING

from google.protobuf.field_mask_pb2 import FieldMask
from rich.table import Table
from rich.text import Text

from parley_cli.output import print_json, print_json_list
from parley_cli.place import CommandError
from parley_cli.terminal import new_console, printable

if TYPE_CHECKING:
    from google.protobuf.timestamp_pb2 import Timestamp
    from parley.workspace.v1 import project_pb2
    from parley_client import Parley


async def create(client: Parley, title: str, *, description: str, instructions: str, as_json: bool) -> int:
    """Makes a project, and prints its id."""
    project = await client.projects.create(title, description=description, instructions=instructions)
    if as_json:
        print_json(project)
    else:
        print(project.project_id)
    return 0


async def show_all(client: Parley, *, include_archived: bool, limit: int, as_json: bool) -> int:
    """Prints the projects that changed last."""
    found: list[project_pb2.Project] = []
    async for project in client.projects.list(include_archived=include_archived, page_size=min(limit, 100)):
        found.append(project)
        if len(found) == limit:
            break
    if as_json:
        print_json_list(found)
    elif found:
        new_console().print(_table(found))
    else:
        print("There are no projects.", file=sys.stderr)
    return 0


async def show(client: Parley, project_id: str, *, as_json: bool) -> int:
    """Prints one project."""
    project = await client.projects.get(project_id)
    if as_json:
        print_json(project)
        return 0
    archived = " (archived)" if project.archived else ""
    print(f"{printable(project.title)}{archived}")
    print(f"{project.project_id}  changed {_local(project.update_time)}")
    print(f"{_counted(project.session_count, 'session')}, {_counted(project.open_task_count, 'open task')}")
    for name, text in (("Description", project.description), ("Instructions", project.instructions)):
        if text:
            print(f"\n{name}:")
            print("\n".join(printable(line) for line in text.splitlines()))
    return 0


async def update(
    client: Parley,
    project_id: str,
    *,
    title: str | None,
    description: str | None,
    instructions: str | None,
    archived: bool | None,
    as_json: bool,
) -> int:
    """Changes what is given, and nothing else."""
    # Imported when it is needed: most commands need no requests of their own.
    from parley.workspace.v1 import project_service_pb2  # noqa: PLC0415 - see above

    given: dict[str, object] = {
        "title": title, "description": description, "instructions": instructions, "archived": archived,
    }  # fmt: skip
    paths = [name for name, value in given.items() if value is not None]
    if not paths:
        raise CommandError("Say what to change; see --help.", exit_code=2)
    request = project_service_pb2.UpdateProjectRequest(
        project_id=project_id,
        title=title or "",
        description=description or "",
        instructions=instructions or "",
        archived=bool(archived),
        update_mask=FieldMask(paths=paths),
    )
    project = await client.projects.update(request)
    if as_json:
        print_json(project)
    else:
        print(f"Changed: {printable(project.title)}")
    return 0


async def delete(client: Parley, project_id: str) -> int:
    """Deletes a project."""
    await client.projects.delete(project_id)
    print("Deleted. What belonged to it is still there.")
    return 0


def _table(projects: list[project_pb2.Project]) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("project", overflow="fold", min_width=16)
    table.add_column("sessions", justify="right")
    table.add_column("open tasks", justify="right")
    table.add_column("changed", no_wrap=True)
    table.add_column("id", style="cyan", overflow="ellipsis", no_wrap=True)
    for project in projects:
        table.add_row(
            Text(printable(project.title), style="dim" if project.archived else ""),
            str(project.session_count),
            str(project.open_task_count),
            _local(project.update_time),
            project.project_id,
        )
    return table


def _counted(number: int, name: str) -> str:
    return f"{number} {name}" if number == 1 else f"{number} {name}s"


def _local(time: Timestamp) -> str:
    """A time here."""
    return f"{time.ToDatetime(UTC).astimezone():%Y-%m-%d %H:%M}"
