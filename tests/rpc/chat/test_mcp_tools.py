"""Tools of MCP servers in a turn: offered when a server is there, asked about, run at most once, and never what breaks an answer."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from parley.chat.v1 import chat_service_pb2, message_pb2, tool_pb2, tool_service_pb2, tool_service_pb2_grpc
from parley.inference.v1 import generation_pb2
from parley.system.v1 import system_service_pb2
from parley_shared.settings import SettingsError
from parley_testing.databases import copy_as_killed
from parley_testing.hostile_mcp_servers import hostile_command
from parley_testing.mcp_servers import command, python_path
from parley_testing.running_chat import Person, RunningChat, running_chat
from parley_testing.scripted_inference import ScriptedCall, ScriptedInference
from parley_testing.turn_readers import Reader, stream

SERVING, UNREACHABLE = system_service_pb2.SERVING_STATE_SERVING, system_service_pb2.SERVING_STATE_UNREACHABLE


def configure(home: Path, started: tuple[str, ...], notes: Path, *more: str) -> None:
    """Names a server in the configuration file of a home."""
    home.mkdir(exist_ok=True)
    lines = [
        "[mcp.servers.shelf]",
        f"command = {json.dumps(started[0])}",
        f"args = {json.dumps(started[1:])}",
        f"env = {{ PYTHONPATH = {json.dumps(python_path())}, NOTES = {json.dumps(str(notes))} }}",
        *more,
    ]
    (home / "parley.toml").write_text("\n".join(lines))


@pytest.fixture
def notes(tmp_path: Path) -> Path:
    return tmp_path / "notes"


def lines(notes: Path) -> list[str]:
    return notes.read_text().splitlines() if notes.exists() else []


@asynccontextmanager
async def running_with(home: Path, inference: ScriptedInference) -> AsyncIterator[RunningChat]:
    """Chat, as soon as the server is connected."""
    async with running_chat(home, inference=inference.address) as running:
        person = await running.sign_up()
        await until_status(running, person, lambda server: server.state == SERVING)
        yield running


async def until_status(
    running: RunningChat, person: Person, condition: Callable[[system_service_pb2.ToolServerStatus], bool]
) -> system_service_pb2.ToolServerStatus:
    async with asyncio.timeout(60):
        while True:
            status = await running.system.GetStatus(system_service_pb2.GetStatusRequest(), metadata=person.metadata)
            (server,) = status.tool_servers
            if condition(server):
                return server
            await asyncio.sleep(0.02)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not condition():  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.01)


def ask(running: RunningChat, person: Person) -> Reader:
    return stream(running, person, message="Use the shelf", route=message_pb2.ROUTE_ENHANCED)


def call_tool(call: ScriptedCall, name: str, **arguments: Any) -> None:
    call.call_tool(name, json.dumps(arguments))
    call.finish(generation_pb2.FINISH_REASON_TOOL_CALLS)


async def finished(reader: Reader, inference: ScriptedInference) -> dict[str, Any]:
    """Lets the model answer, and gives what it was told of its call."""
    call = await inference.next_call()
    told: dict[str, Any] = json.loads(call.request.messages[-1].text)
    call.say("Done.")
    call.finish()
    await reader.to_end()
    return told


async def test_a_foreign_tool_is_offered_asked_about_and_its_result_is_in_the_stream(
    tmp_path: Path, inference: ScriptedInference, notes: Path
) -> None:
    configure(tmp_path / "home", command(), notes)
    async with running_with(tmp_path / "home", inference) as running:
        alice = await running.sign_up()
        server = await until_status(running, alice, lambda server: server.state == SERVING)
        assert (server.name, server.tool_count, server.left_out_tool_count) == ("shelf", 10, 0)
        assert server.HasField("state_change_time")
        reader = ask(running, alice)
        call = await inference.next_call()
        offered = {tool.name for tool in call.request.tools}
        assert {"shelf__note", "shelf__add", "create_task"} <= offered
        call_tool(call, "shelf__note", text="draft")

        asked = await reader.until("approval_requested")
        assert asked.approval_requested.effect == tool_pb2.TOOL_EFFECT_EXTERNAL
        assert lines(notes) == []
        await tool_service_pb2_grpc.ToolServiceStub(running.channel).ApproveToolCall(
            tool_service_pb2.ApproveToolCallRequest(
                turn_id=asked.turn_id,
                tool_call_id=asked.approval_requested.tool_call_id,
                arguments_json='{"text": "final"}',
            ),
            metadata=alice.metadata,
        )
        assert await finished(reader, inference) == {"result": "noted: final"}
        assert lines(notes) == ["final"]
        (use,) = reader.events[-1].completed.message.tool_uses
        assert (use.tool, use.failed) == ("shelf__note", False)


async def test_what_the_operator_trusts_runs_without_asking_and_a_failure_is_told_to_the_model(
    tmp_path: Path, inference: ScriptedInference, notes: Path
) -> None:
    configure(tmp_path / "home", command(), notes, "trust_hints = true", 'ask_for = { fail = "never" }')
    async with running_with(tmp_path / "home", inference) as running:
        alice = await running.sign_up()
        for tool, told in [("shelf__look", {"result": "nothing new"}), ("shelf__fail", "the shelf is empty")]:
            reader = ask(running, alice)
            call_tool(await inference.next_call(), tool)
            result = await finished(reader, inference)
            assert result == told or told in result["error"]["message"]
            assert reader.kinds()[-1] == "completed"
            assert "approval_requested" not in reader.kinds()


async def test_a_call_that_takes_too_long_is_told_to_the_model(
    tmp_path: Path, inference: ScriptedInference, notes: Path
) -> None:
    configure(tmp_path / "home", command(), notes, 'ask = "never"', "timeout_seconds = 0.5")
    async with running_with(tmp_path / "home", inference) as running:
        alice = await running.sign_up()
        reader = ask(running, alice)
        call_tool(await inference.next_call(), "shelf__wait", text="slow")
        told = await finished(reader, inference)
        assert "0.5 seconds. It is not known whether it took effect." in told["error"]["message"]
        assert reader.kinds()[-1] == "completed"


async def test_a_call_is_not_made_again_by_the_process_that_goes_on(
    tmp_path: Path, inference: ScriptedInference, notes: Path
) -> None:
    configure(tmp_path / "before", command(), notes, 'ask = "never"')
    async with running_with(tmp_path / "before", inference) as running:
        alice = await running.sign_up()
        reader = ask(running, alice)
        call_tool(await inference.next_call(), "shelf__wait", text="once")
        await reader.until("tool_called")
        await until(lambda: lines(notes) == ["once"])
        # What the process leaves behind when it dies here.
        await asyncio.to_thread(copy_as_killed, tmp_path / "before", tmp_path / "after")
        turn_id = reader.events[0].turn_id
        await running.chat.StopReply(chat_service_pb2.StopReplyRequest(turn_id=turn_id), metadata=alice.metadata)
        await reader.to_end()
        assert reader.kinds()[-1] == "stopped"
        await until(lambda: "once: cancelled" in lines(notes))
    async with running_chat(tmp_path / "after", inference=inference.address):
        told = json.loads((await inference.next_call()).request.messages[-1].text)
        assert "not known whether it took effect" in told["error"]["message"]
    assert lines(notes) == ["once", "once: cancelled"]


async def test_a_server_that_is_away_hinders_neither_the_start_nor_an_answer(
    tmp_path: Path, inference: ScriptedInference, notes: Path
) -> None:
    configure(tmp_path / "home", hostile_command("wrong"), notes)
    async with running_chat(tmp_path / "home", inference=inference.address) as running:
        alice = await running.sign_up()
        server = await until_status(running, alice, lambda server: server.state == UNREACHABLE)
        assert server.tool_count == 0
        reader = ask(running, alice)
        call = await inference.next_call()
        assert not any(tool.name.startswith("shelf__") for tool in call.request.tools)
        call_tool(call, "shelf__note", text="x")
        told = await finished(reader, inference)
        assert told["error"]["message"] == "There is no tool of this name."


async def test_a_server_that_dies_is_told_to_the_model_until_it_is_back(
    tmp_path: Path, inference: ScriptedInference, notes: Path
) -> None:
    configure(tmp_path / "home", command(), notes, 'ask = "never"')
    async with running_with(tmp_path / "home", inference) as running:
        alice = await running.sign_up()
        reader = ask(running, alice)
        call_tool(await inference.next_call(), "shelf__crash", text="boom")
        told = await finished(reader, inference)
        assert "The connection to the server was lost." in told["error"]["message"]
        await until_status(running, alice, lambda server: server.state == SERVING)
        reader = ask(running, alice)
        call_tool(await inference.next_call(), "shelf__add", a=1, b=2)
        assert await finished(reader, inference) == {"result": 3}
        assert lines(notes) == ["boom"]


async def test_what_a_server_has_too_much_of_is_left_out_and_counted(
    tmp_path: Path, inference: ScriptedInference, notes: Path
) -> None:
    configure(tmp_path / "home", hostile_command("strange"), notes)
    async with running_with(tmp_path / "home", inference) as running:
        alice = await running.sign_up()
        server = await until_status(running, alice, lambda server: server.state == SERVING)
        assert (server.tool_count, server.left_out_tool_count) == (5, 2)


async def test_a_mistake_in_the_file_stops_the_start_with_a_line(tmp_path: Path, notes: Path) -> None:
    configure(tmp_path / "home", command(), notes, "tols = []")
    with pytest.raises(SettingsError, match=r"parley\.toml: mcp\.servers\.shelf\.tols is not known") as raised:
        async with running_chat(tmp_path / "home", inference="127.0.0.1:1"):
            pass
    assert raised.value.variable == "PARLEY_CHAT_CONFIG_FILE"
