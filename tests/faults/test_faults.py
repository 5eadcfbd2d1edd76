"""Readers are cut and processes are killed at random, and every reader has the same answer at the end: whole, once, in order.

By itself this is a short run with a fixed seed. `make test-faults` is the long one, with a seed of its own that it prints:
PARLEY_FAULTS_SEED repeats it, PARLEY_FAULTS_KILLS and PARLEY_FAULTS_CUTS say how much is done, PARLEY_FAULTS_REPORT names a folder for
the figures. No time is asserted; the figures tell them.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from parley_testing.fault_kills import Kills
from parley_testing.fault_run import FaultPlan, FaultRun
from parley_testing.fault_upstream import FaultUpstream
from parley_testing.mesh import Mesh, replicas_of_chat
from parley_testing.postgres import PostgresServer
from parley_testing.redis_server import running_redis

NOTES = """# How to count

Whoever counts says one number after the other. The first number is one, and please leave none of them out.
"""


def plan_of_this_run() -> FaultPlan:
    """What the environment asks for, and a short run otherwise."""
    seed = os.environ.get("PARLEY_FAULTS_SEED", "one")
    if kills := os.environ.get("PARLEY_FAULTS_KILLS"):
        return FaultPlan(seed, cuts=int(os.environ.get("PARLEY_FAULTS_CUTS", "0")), kills=int(kills))
    return FaultPlan(seed, cuts=60, kills=6, turns_at_once=6, most_words=50, kill_pause_seconds=1.2)


@asynccontextmanager
async def running_mesh(folder: Path, upstream: FaultUpstream, more: Mapping[str, str]) -> AsyncIterator[Mesh]:
    """A Parley that asks the upstream, has a document to search, and gives nothing up on a slow machine."""
    notes = folder / "notes"
    notes.mkdir()
    (notes / "counting.md").write_text(NOTES, encoding="utf-8")
    environment = {
        "OPENAI_BASE_URL": upstream.base_url,
        "OPENAI_API_KEY": "sk-test",
        "PARLEY_INFERENCE_MODEL": "fake-model",
        "PARLEY_RETRIEVAL_SAMPLE_CORPUS": str(notes),
        "PARLEY_CHAT_MAX_RUNNING_TURNS_PER_USER": "1000",
        "PARLEY_CHAT_ACCESS_TOKEN_SECONDS": "86400",
        "PARLEY_CHAT_INFERENCE_PATIENCE_SECONDS": "120",
        **more,
    }
    mesh = await asyncio.to_thread(Mesh.start, folder / "home", environment)
    try:
        yield mesh
    finally:
        await asyncio.to_thread(mesh.stop)


def write_figures(name: str, facts: Mapping[str, object]) -> None:
    """Keeps the figures of a run where the environment says, if it does."""
    if folder := os.environ.get("PARLEY_FAULTS_REPORT"):
        Path(folder).mkdir(parents=True, exist_ok=True)
        (Path(folder) / f"faults-{name}.json").write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")


def all_of(failures: BaseExceptionGroup[AssertionError]) -> list[BaseException]:
    """The failures of a group and of the groups in it."""
    found: list[BaseException] = []
    for failure in failures.exceptions:
        found += all_of(failure) if isinstance(failure, BaseExceptionGroup) else [failure]
    return found


def said_by(mesh: Mesh) -> str:
    """The last of what Parley's processes had to say, without the calls that went well."""
    lines = [line for line in mesh.logs().splitlines() if '"level": "info"' not in line]
    return "\n".join([f"the last of {mesh.log_file}:", *lines[-120:]])


async def disturb_and_compare(name: str, run: FaultRun) -> None:
    """One run: its figures are printed, and every difference is a failure."""
    print(f"\n{name}: PARLEY_FAULTS_SEED={run.plan.seed}", flush=True)
    try:
        await run.run()
    except* AssertionError as failures:
        words = [str(failure) for failure in all_of(failures)]
        pytest.fail("\n".join([*words, f"{run.tally.cuts} {run.kills.counts()}", said_by(run.mesh)]), pytrace=False)
    report = await run.verify()
    print(report, flush=True)
    if report.complaints:
        print(said_by(run.mesh))
    write_figures(name, {"seed": run.plan.seed, **report.as_json()})
    assert not report.complaints
    assert (report.lost, report.repeated, report.out_of_order) == (0, 0, 0)
    assert sum(report.cuts.values()) >= run.plan.cuts
    assert sum(report.kills.values()) == run.plan.kills


@pytest.mark.timeout(1800)
async def test_with_one_chat_process_every_reader_gets_each_answer_once_and_whole(tmp_path: Path) -> None:
    """The embedded defaults: SQLite, and a file for each turn."""
    plan = plan_of_this_run()
    async with FaultUpstream(plan.seed) as upstream, running_mesh(tmp_path, upstream, {}) as mesh:
        await disturb_and_compare("embedded", FaultRun(plan, mesh, upstream, Kills(mesh)))


@pytest.mark.timeout(1800)
async def test_with_two_replicas_of_chat_every_reader_gets_each_answer_once_and_whole(
    tmp_path: Path, postgres: PostgresServer
) -> None:
    """PostgreSQL and Redis, which is killed as well: a Redis of this test's own.

    A replica that was frozen and goes on has been taken for dead: it must not write what another one writes now.
    """
    plan = plan_of_this_run()
    plan = replace(plan, freeze_pause_seconds=plan.kill_pause_seconds)
    with running_redis() as redis:

        async def restart_redis() -> None:
            redis.kill()
            await asyncio.to_thread(redis.start)

        shared = replicas_of_chat(postgres.new_database_url(), redis.new_url())
        async with FaultUpstream(plan.seed) as upstream, running_mesh(tmp_path, upstream, shared) as mesh:
            kills = Kills(mesh, {"redis": restart_redis})
            await disturb_and_compare("replicas", FaultRun(plan, mesh, upstream, kills))
