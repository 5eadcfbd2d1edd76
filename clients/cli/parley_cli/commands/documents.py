"""`parley documents add`: files of any kind become documents, and their jobs are shown while they run; `versions`, `show`, `audit`;
`parley jobs`."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from contextlib import AbstractContextManager, aclosing, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

from parley.retrieval.v1 import job_pb2
from parley_client import ParleyError, UnauthenticatedError, UnavailableError
from rich.progress import BarColumn, Progress, TaskID, TextColumn
from rich.table import Table
from rich.text import Text

from parley_cli.output import print_json, print_json_list
from parley_cli.terminal import new_console, printable

if TYPE_CHECKING:
    from parley_client import Parley

_AT_ONCE = 4
_STAGES = len(job_pb2.JobStage.values()) - 1
_STYLES = {
    job_pb2.JOB_STATE_DONE: "green",
    job_pb2.JOB_STATE_FAILED: "red",
    job_pb2.JOB_STATE_CANCELLED: "yellow",
    job_pb2.JOB_STATE_WAITING_FOR_RETRY: "yellow",
}
_AGAIN = (job_pb2.JOB_STATE_FAILED, job_pb2.JOB_STATE_CANCELLED)


async def add(client: Parley, paths: Sequence[Path], *, title: str, project: str, as_json: bool) -> int:
    """Uploads files and shows how their jobs go. Returns 1 when one of them did not become a document."""
    console = new_console()
    progress = _progress(as_json)
    slots = asyncio.Semaphore(_AT_ONCE)
    ended: list[job_pb2.Job] = []
    failed = 0

    async def one(path: Path, bars: Progress | None) -> job_pb2.Job:
        async with slots:
            bar = bars.add_task(printable(path.name), total=_STAGES, stage="uploading") if bars is not None else None
            return await _add_one(client, path, title, project, bars, bar)

    with progress as bars:
        tasks = [asyncio.create_task(one(path, bars)) for path in paths]
        try:
            for path, task in zip(paths, tasks, strict=True):
                try:
                    job = await task
                except (UnauthenticatedError, UnavailableError):
                    # That is not the file's fault, and the next file's fate would be the same.
                    raise
                except (OSError, ParleyError) as error:
                    failed += 1
                    words = error.strerror or str(error) if isinstance(error, OSError) else str(error)
                    print(f"{printable(str(path))}: {printable(words)}", file=sys.stderr)
                    continue
                ended.append(job)
                failed += job.state != job_pb2.JOB_STATE_DONE
                if not as_json:
                    (bars.console if bars is not None else console).print(_line(path, job))
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
    if as_json:
        print_json_list(ended)
    return 1 if failed else 0


async def versions(client: Parley, document_id: str, *, as_json: bool) -> int:
    """Prints the versions of a document."""
    found = await client.documents.versions(document_id)
    if as_json:
        print_json_list(found)
        return 0
    table = Table(box=None, pad_edge=False)
    for column in ("version", "changed", "bytes", "title"):
        table.add_column(column, overflow="fold")
    for one in found:
        changed = one.update_time.ToDatetime().strftime("%Y-%m-%d %H:%M")
        table.add_row(str(one.version), changed, f"{one.size_bytes:,}", Text(printable(one.title)))
    new_console().print(table)
    return 0


async def show(client: Parley, document_id: str, *, version: int, as_json: bool) -> int:
    """Prints the text of a document; of the newest version when `version` is 0."""
    document = await client.documents.get(document_id, version=version)
    if as_json:
        print_json(document)
    else:
        print(printable(document.text))
    return 0


async def audit(client: Parley, *, repair: bool, as_json: bool) -> int:
    """Tells how database, index and files agree. Returns 1 when something differs and was not mended."""
    told = await client.documents.audit(repair=repair)
    differs = told.orphaned_point_count + told.missing_point_count + told.orphaned_file_count
    if as_json:
        print_json(told)
    else:
        print(f"Passages: {told.chunk_count:,} in the database, {told.point_count:,} in the index.")
        for count, words in (
            (told.orphaned_point_count, "in the index, of nothing in the database"),
            (told.missing_point_count, "in the database, which cannot be found"),
            (told.orphaned_file_count, "on the disk, files that no job has"),
        ):
            if count:
                print(f"  {count:,} {words}")
        for example in told.examples:
            print(f"    {printable(example)}")
        if not differs:
            print("Nothing differs.")
        elif told.repaired:
            print("It was mended.")
        else:
            print("Not all of it was mended. Try again in a minute." if repair else "`--repair` mends it.")
    return 1 if differs and not told.repaired else 0


async def jobs(client: Parley, *, limit: int, as_json: bool) -> int:
    """Prints the newest jobs."""
    found: list[job_pb2.Job] = []
    async for job in client.ingestion.jobs(page_size=min(limit, 100)):
        found.append(job)
        if len(found) == limit:
            break
    if as_json:
        print_json_list(found)
    elif found:
        new_console().print(_table(found))
    else:
        print("There are no jobs. `parley documents add FILE` begins one.", file=sys.stderr)
    return 0


async def watch(client: Parley, job_id: str) -> int:
    """Prints a line for every change of a job until it has ended. Returns 1 when it did not become a document."""
    job = job_pb2.Job()
    async with aclosing(client.ingestion.watch(job_id)) as changes:
        async for change in changes:
            job = change.job
            print(_words(job), flush=True)
    return 0 if job.state == job_pb2.JOB_STATE_DONE else 1


async def cancel(client: Parley, job_id: str, *, as_json: bool) -> int:
    """Cancels a job. Returns 1 when it had ended before."""
    response = await client.ingestion.cancel(job_id)
    if as_json:
        print_json(response.job)
    else:
        print("Cancelled." if response.cancelled else f"It had ended before: {_words(response.job)}")
    return 0 if response.cancelled else 1


async def retry(client: Parley, job_id: str, *, as_json: bool) -> int:
    """Begins a failed or cancelled job again."""
    job = await client.ingestion.retry(job_id)
    if as_json:
        print_json(job)
    else:
        print(_words(job))
    return 0


async def _add_one(
    client: Parley, path: Path, title: str, project: str, bars: Progress | None, bar: TaskID | None
) -> job_pb2.Job:
    source = path.as_posix()
    sent = await client.ingestion.ingest(
        path, title=title, project=project, source_uri=source if len(source) <= 2000 else ""
    )
    job = sent.job
    async with aclosing(client.ingestion.watch(sent.job_id)) as changes:
        async for change in changes:
            job = change.job
            if bars is not None and bar is not None:
                bars.update(bar, completed=_share(job), stage=_words(job))
    if bars is not None and bar is not None:
        bars.remove_task(bar)
    return job


def _share(job: job_pb2.Job) -> float:
    """How much is done, in stages: those that are passed, and a part of the one that runs."""
    share = float(job.stage)
    if job.stages and not job.stages[-1].HasField("end_time") and job.stages[-1].total:
        share += job.stages[-1].done / job.stages[-1].total
    return share


def _words(job: job_pb2.Job) -> str:
    """How a job is, in a few words."""
    match job.state:
        case job_pb2.JOB_STATE_QUEUED:
            return f"queued, place {job.queue_place}" if job.queue_place else "queued"
        case job_pb2.JOB_STATE_RUNNING:
            return _stage(job)
        case job_pb2.JOB_STATE_WAITING_FOR_RETRY:
            return f"waits and tries again: {printable(job.failure.message)}"
        case job_pb2.JOB_STATE_CANCELLED:
            return "cancelled"
        case job_pb2.JOB_STATE_FAILED:
            return f"failed: {printable(job.failure.message)}"
    chunks = next((stage.done for stage in job.stages if stage.stage == job_pb2.JOB_STAGE_CHUNKED), 0)
    return f"{printable(job.title)} · {chunks} {'chunk' if chunks == 1 else 'chunks'}"


def _stage(job: job_pb2.Job) -> str:
    if not job.stages:
        return "begins"
    now = job.stages[-1]
    name = job_pb2.JobStage.Name(now.stage).removeprefix("JOB_STAGE_").lower()
    doing = {
        "received": "received",
        "parsed": "reading",
        "chunked": "cutting",
        "embedded": "embedding",
        "indexed": "indexing",
        "done": "syncing",
    }.get(name, name)
    return f"{doing} {now.done:,} of {now.total:,} {now.unit}" if now.total else doing


def _line(path: Path, job: job_pb2.Job) -> Text:
    state = job_pb2.JobState.Name(job.state).removeprefix("JOB_STATE_").lower().replace("_", " ")
    return Text.assemble(
        (f"{state:<10} ", _STYLES.get(job.state, "")),
        printable(str(path)),
        (f"  {_words(job)}", "red" if job.state == job_pb2.JOB_STATE_FAILED else "dim"),
        (f"  {job.job_id}" if job.state in _AGAIN else "", "dim"),
    )


def _table(found: Sequence[job_pb2.Job]) -> Table:
    table = Table(box=None, pad_edge=False)
    for column in ("job", "made", "file", "how it is"):
        table.add_column(column, overflow="fold")
    for job in found:
        made = job.create_time.ToDatetime().strftime("%Y-%m-%d %H:%M")
        name = printable(job.filename or job.title)
        table.add_row(job.job_id, made, name, Text(_words(job), _STYLES.get(job.state, "")))
    return table


def _progress(as_json: bool) -> AbstractContextManager[Progress | None]:
    """A bar for each file that is under way, when somebody sees it."""
    if as_json or not sys.stdout.isatty():
        return nullcontext()
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[stage]}", markup=False))
    return Progress(*columns, console=new_console(), transient=True)
