"""The connection to MCP servers: real ones over standard input and output and over HTTP, and ones that break, hang, lie or do not end."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from parley_chat.adapters.mcp_connection import MOST_LISTED, McpConnection
from parley_chat.domain.tool_servers import ToolServer, ToolServerState, take
from parley_chat.ports.tool_servers import ToolServerAwayError
from parley_testing.hostile_mcp_servers import hostile_command
from parley_testing.mcp_servers import command, http_server, python_path

CONNECTED, UNREACHABLE = ToolServerState.CONNECTED, ToolServerState.UNREACHABLE
pytestmark = pytest.mark.usefixtures("quiet")


@pytest.fixture
def quiet() -> None:
    """As in the service: the package itself logs nothing."""
    logging.getLogger("mcp").setLevel(logging.CRITICAL)


@pytest.fixture
def notes(tmp_path: Path) -> Path:
    """Where servers write down what was done."""
    return tmp_path / "notes"


def program(kind: str, notes: Path, **settings: Any) -> ToolServer:
    started = command() if kind == "honest" else hostile_command(kind)
    environment = {"PYTHONPATH": python_path(), "NOTES": str(notes)}
    return ToolServer(kind, command=started, environment=environment, **settings)


@asynccontextmanager
async def connection(server: ToolServer) -> AsyncIterator[McpConnection]:
    opened = McpConnection(server, "1.0")
    opened.start()
    try:
        yield opened
    finally:
        await opened.close()


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not condition():  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.01)


async def connected(opened: McpConnection) -> None:
    await until(lambda: opened.state is CONNECTED)


async def called(opened: McpConnection, tool: str, **arguments: Any) -> tuple[dict[str, Any], bool]:
    outcome = await opened.call(tool, arguments)
    return json.loads(outcome.result_json), outcome.failed


def lines(file: Path) -> list[str]:
    return file.read_text().splitlines() if file.exists() else []


async def test_a_program_is_started_its_tools_are_listed_and_called_and_it_ends_with_the_connection(
    notes: Path,
) -> None:
    async with connection(program("honest", notes)) as opened:
        assert opened.state is ToolServerState.CONNECTING
        with pytest.raises(ToolServerAwayError):
            await opened.call("add", {})
        await connected(opened)
        tools = {tool.name: tool for tool in opened.listed()}
        assert tools["add"].description == "Adds two numbers."
        assert set(tools["add"].schema["properties"]) == {"a", "b"}
        assert [name for name, tool in tools.items() if tool.says_it_only_reads] == ["look"]
        assert await called(opened, "add", a=2, b=3) == ({"result": 5}, False)
        assert await called(opened, "note", text="hello") == ({"result": "noted: hello"}, False)
        result, failed = await called(opened, "fail")
        assert failed
        assert "the shelf is empty" in result["error"]["message"]
        result, failed = await called(opened, "add", a="x")
        assert failed
        result, failed = await called(opened, "no_such_tool")
        assert failed
    assert lines(notes) == ["hello"]
    with pytest.raises(ToolServerAwayError):
        await opened.call("add", {})


async def test_a_program_gets_nothing_of_parleys_environment(notes: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PARLEY_SECRET", "x")
    monkeypatch.setenv("OPENAI_API_KEY", "x")
    async with connection(program("honest", notes)) as opened:
        await connected(opened)
        result, _ = await called(opened, "variables")
        # LC_CTYPE is what Python itself adds to its own environment.
        assert set(result["result"]) <= {"HOME", "LC_CTYPE", "NOTES", "PATH", "PYTHONPATH"}
        assert {"NOTES", "PATH"} <= set(result["result"])


async def test_a_long_result_is_cut_with_a_mark_and_pictures_are_named(notes: Path) -> None:
    async with connection(program("honest", notes, max_result_bytes=5_000)) as opened:
        await connected(opened)
        outcome = await opened.call("much", {"characters": 20_000})
        assert len(outcome.result_json.encode()) <= 5_000
        result = json.loads(outcome.result_json)
        assert result["truncated"] is True
        assert result["text"].startswith("üüü")
        assert result["bytes_of_the_whole"] > 40_000
        result, failed = await called(opened, "picture")
        assert not failed
        assert result["text"] == "a caption"
        (picture,) = result["other_content"]
        assert (picture["type"], picture["mime_type"]) == ("image", "image/png")


async def test_a_call_that_takes_too_long_has_failed_and_the_others_go_on(notes: Path) -> None:
    async with connection(program("honest", notes, timeout_seconds=0.3)) as opened:
        await connected(opened)
        result, failed = await called(opened, "wait", text="slow")
        assert failed
        assert "0.3 seconds. It is not known whether it took effect." in result["error"]["message"]
        assert opened.state is CONNECTED


async def test_a_call_that_is_given_up_is_cancelled_at_the_server(notes: Path) -> None:
    async with connection(program("honest", notes)) as opened:
        await connected(opened)
        call = asyncio.create_task(opened.call("wait", {"text": "stopped"}))
        await until(lambda: lines(notes) == ["stopped"])
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        await until(lambda: "stopped: cancelled" in lines(notes))
        assert await called(opened, "add", a=1, b=1) == ({"result": 2}, False)


async def test_a_program_that_dies_in_a_call_is_started_again_and_the_call_is_not_made_again(notes: Path) -> None:
    async with connection(program("honest", notes)) as opened:
        await connected(opened)
        result, failed = await called(opened, "crash", text="boom")
        assert failed
        assert "It is not known whether it took effect." in result["error"]["message"]
        await until(lambda: opened.state is UNREACHABLE)
        await connected(opened)
        assert await called(opened, "add", a=1, b=1) == ({"result": 2}, False)
    assert lines(notes) == ["boom"]


async def test_tools_that_come_later_are_listed(notes: Path) -> None:
    async with connection(program("honest", notes)) as opened:
        await connected(opened)
        before = opened.listed()
        await called(opened, "grow")
        await until(lambda: "grown" in {tool.name for tool in opened.listed()})
        assert opened.listed() is not before
        assert await called(opened, "grown") == ({"result": "here"}, False)


async def test_servers_of_the_older_kind_tell_of_new_tools_unasked(notes: Path) -> None:
    async with connection(program("growing", notes)) as opened:
        await connected(opened)
        assert [tool.name for tool in opened.listed()] == ["tool_0"]
        assert await called(opened, "tool_0") == ({"text": "done"}, False)
        await until(lambda: [tool.name for tool in opened.listed()] == ["tool_0", "tool_1"])


async def test_a_program_that_cannot_be_started_is_tried_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    missing = tmp_path / "late"
    async with connection(
        ToolServer("late", command=(str(missing), *command()[1:]), environment={"PYTHONPATH": python_path()})
    ) as opened:
        await until(lambda: opened.state is UNREACHABLE)
        assert opened.listed() == ()
        missing.write_text(f'#!/bin/sh\nexec {command()[0]} "$@"\n')
        missing.chmod(0o700)
        await connected(opened)
    assert any("FileNotFoundError" in str(getattr(record, "why", "")) for record in caplog.records)


@pytest.mark.parametrize(
    ("kind", "names", "left_out"),
    [
        ("many", 64, MOST_LISTED - 64),
        ("large", 1, 1),
        ("strange", 5, 2),
        ("pages", 20, 0),
    ],
)
async def test_what_a_server_lists_is_bounded(kind: str, names: int, left_out: int, notes: Path) -> None:
    async with connection(program(kind, notes)) as opened:
        await connected(opened)
        taken = take(opened.server, opened.listed())
        assert len(taken.tools) == names
        assert len(taken.left_out) >= left_out
        assert len({tool.name for tool in taken.tools}) == names


@pytest.mark.parametrize("kind", ["endless", "wrong"])
async def test_a_server_that_keeps_to_nothing_has_no_tools_and_hinders_nobody(kind: str, notes: Path) -> None:
    async with connection(program(kind, notes)) as opened:
        await until(lambda: opened.state is UNREACHABLE)
        assert opened.listed() == ()


async def test_a_server_that_says_nothing_is_left_at_once_when_parley_ends(notes: Path) -> None:
    async with connection(program("silent", notes)) as opened:
        await until(lambda: bool(lines(notes)))
        assert opened.state is ToolServerState.CONNECTING
    await until(lambda: not is_running(int(lines(notes)[0])))


async def test_a_program_that_does_not_end_is_killed_with_all_that_it_started(notes: Path) -> None:
    async with connection(program("stubborn", notes)) as opened:
        await connected(opened)
        processes = [int(number) for number in lines(notes)[0].split()]
        assert len(processes) == 2
        assert all(map(is_running, processes))
    await until(lambda: not any(map(is_running, processes)))


def is_running(process: int) -> bool:
    """Whether it lives; who is dead and not yet buried by the system does not."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.parametrize(("sessions", "json_answers"), [(True, False), (False, True)])
async def test_a_server_is_asked_over_http_with_the_operators_headers(sessions: bool, json_answers: bool) -> None:
    async with (
        http_server(sessions=sessions, json_answers=json_answers) as server,
        connection(ToolServer("web", url=server.url, headers={"X-Key": "k"})) as opened,
    ):
        await connected(opened)
        assert await called(opened, "add", a=2, b=3) == ({"result": 5}, False)
        assert {headers.get("x-key") for headers in server.headers} == {"k"}


async def test_an_error_of_http_is_a_failed_result_and_what_was_away_comes_back() -> None:
    async with http_server() as server, connection(ToolServer("web", url=server.url)) as opened:
        await connected(opened)
        server.status = 500
        result, failed = await called(opened, "add", a=2, b=3)
        assert failed
        assert "not known" in result["error"]["message"]
        assert server.methods.count("tools/call") == 1, "it is not made again"
        await until(lambda: opened.state is UNREACHABLE)
        server.status = 0
        await connected(opened)
        assert await called(opened, "add", a=2, b=3) == ({"result": 5}, False)


async def test_a_server_that_is_not_there_yet_is_connected_when_it_comes() -> None:
    async with http_server() as server:
        server.status = 503
        async with connection(ToolServer("web", url=server.url)) as opened:
            await until(lambda: opened.state is UNREACHABLE)
            server.status = 0
            await connected(opened)


async def test_an_answer_without_an_end_is_cut_off() -> None:
    async with http_server() as server, connection(ToolServer("web", url=server.url, timeout_seconds=30)) as opened:
        await connected(opened)
        server.body = (
            b'{"jsonrpc": "2.0", "id": 1, "result": {"content": [{"type": "text", "text": "' + b"x" * 9_000_000
        )
        server.status = 200
        result, failed = await called(opened, "add", a=2, b=3)
        assert failed
        assert "too long" in result["error"]["message"]
