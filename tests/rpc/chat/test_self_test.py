"""The self-test uses what there is, and says in words what does not work."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import pytest
from parley.system.v1 import system_service_pb2 as pb
from parley_testing.running_chat import Person, RunningChat, running_chat
from parley_testing.scripted_index import ScriptedIndex

NOWHERE = "127.0.0.1:1"


@pytest.fixture
async def index() -> AsyncIterator[ScriptedIndex]:
    async with ScriptedIndex() as scripted:
        yield scripted


async def run_self_test(
    running: RunningChat, person: Person
) -> tuple[pb.RunSelfTestResponse, dict[str, pb.SelfTestCheck]]:
    response = await running.system.RunSelfTest(pb.RunSelfTestRequest(), metadata=person.metadata)
    return response, {check.name: check for check in response.checks}


def put_out_of_reach(home: Path) -> None:
    """No log of a turn can be made from here on."""
    (folder,) = [path for path in home.rglob("turns") if path.is_dir()]
    folder.rename(folder.with_name("away"))
    folder.write_text("not a folder")


async def test_what_is_away_fails_in_words_and_the_rest_passes(tmp_path: Path) -> None:
    async with running_chat(tmp_path, inference=NOWHERE) as running:
        response, checks = await run_self_test(running, await running.sign_up())
    assert list(checks) == ["database", "turn_log", "model", "search"]
    assert [check.passed for check in response.checks] == [True, True, False, False]
    assert not response.passed
    assert len(response.trace_id) == 32
    assert checks["search"].message == "Retrieval does not answer."
    assert checks["model"].message
    for check in response.checks:
        assert NOWHERE not in check.message
        assert check.duration_ms <= response.duration_ms


async def test_what_the_index_keeps_to_itself_is_a_failure_and_is_taken_out_again(
    tmp_path: Path, index: ScriptedIndex
) -> None:
    # This index takes items, and answers no search.
    async with running_chat(tmp_path, inference=NOWHERE, retrieval=index.address) as running:
        _, checks = await run_self_test(running, await running.sign_up())
    assert not checks["search"].passed
    assert index.items == {}


async def test_a_log_that_cannot_be_kept_is_told_without_its_path(tmp_path: Path) -> None:
    async with running_chat(tmp_path, inference=NOWHERE) as running:
        person = await running.sign_up()
        put_out_of_reach(tmp_path)
        _, checks = await run_self_test(running, person)
    assert not checks["turn_log"].passed
    assert checks["turn_log"].message == "It failed inside chat; its log says why."
    assert checks["database"].passed


async def test_nobody_tests_without_a_token(tmp_path: Path) -> None:
    async with running_chat(tmp_path, inference=NOWHERE) as running:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await running.system.RunSelfTest(pb.RunSelfTestRequest())
    assert caught.value.code() is grpc.StatusCode.UNAUTHENTICATED
