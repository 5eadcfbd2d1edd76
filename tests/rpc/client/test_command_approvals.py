"""What `parley` asks before a tool runs, as processes, against the real chat."""

from __future__ import annotations

import json
from pathlib import Path

from parley.inference.v1 import generation_pb2
from parley_testing.command import end, run, start, terminal
from parley_testing.scripted_inference import ScriptedInference


async def asks_to_delete(here: dict[str, str], inference: ScriptedInference, *titles: str) -> list[str]:
    """Lets the model ask to delete tasks, which are made first."""
    task_ids = [(await run(here, "task", "add", title)).out.strip() for title in titles]
    call = await inference.next_call()
    for task_id in task_ids:
        call.call_tool("delete_task", json.dumps({"task_id": task_id}))
    call.finish(generation_pb2.FINISH_REASON_TOOL_CALLS)
    return task_ids


async def answers(inference: ScriptedInference) -> generation_pb2.PromptMessage:
    """Lets the model answer, and gives the last that it was told."""
    call = await inference.next_call()
    call.say("All done.")
    call.finish()
    told: generation_pb2.PromptMessage = call.request.messages[-1]
    return told


async def test_a_person_at_a_terminal_is_asked_about_each_call_and_decides(
    here: dict[str, str], inference: ScriptedInference, tmp_path: Path
) -> None:
    keep = (await run(here, "task", "add", "Keep")).out.strip()
    editor = tmp_path / "editor"
    editor.write_text(f"#!/bin/sh\nprintf '%s' '{json.dumps({'task_id': 'tsk_none', 'x': 1})}' > \"$1\"\n")
    editor.chmod(0o755)
    async with terminal(here | {"VISUAL": str(editor)}, "ask", "Tidy up") as shown:
        yes, no = await asks_to_delete(here, inference, "Yes", "No")
        await shown.until(lambda seen: seen.count("Run it?") == 1)
        assert "delete_task wants to run: it deletes for good." in shown.seen
        assert yes in shown.seen
        shown.type("e\r")
        await shown.until(lambda seen: seen.count("Run it?") == 2)
        assert "arguments_json.x is no argument of this tool" in shown.seen
        shown.type("y\r")
        await shown.until(lambda seen: seen.count("Run it?") == 3)
        assert no in shown.seen
        shown.type("n I need it\r")
        assert "Their reason: I need it" in (await answers(inference)).text
        assert await shown.end() == 0
        assert "All done." in shown.seen
    left = json.loads((await run(here, "task", "list", "--json")).out)
    assert {task["task_id"] for task in left} == {keep, no}


async def test_in_a_pipe_it_is_said_how_to_decide_and_another_command_does(
    here: dict[str, str], inference: ScriptedInference
) -> None:
    asking = await start(here, "ask", "Tidy up", "--json")
    await asks_to_delete(here, inference, "Pay", "Keep")
    assert asking.stderr is not None
    lines = [(await asking.stderr.readline()).decode() for _ in range(2)]
    assert all("delete_task waits for you: parley approve trn_" in line for line in lines)
    waiting = (await run(here, "approvals")).out
    commands = [line.split()[1:] for line in waiting.splitlines() if line.startswith("  parley ")]
    assert [" ".join(command) in line for command, line in zip(commands, lines, strict=True)] == [True, True]
    [_, turn_id, first], [_, _, second] = commands
    assert (await run(here, "approve", turn_id, first)).out == "Approved: delete_task\n"
    assert (await run(here, "deny", turn_id, second, "--reason", "No")).out == "Denied: delete_task\n"
    again = await run(here, "deny", turn_id, first)
    assert (again.code, "approved before" in again.err) == (1, True)
    await answers(inference)
    ended = await end(asking)
    assert (ended.code, json.loads(ended.out)["text"]) == (0, "All done.")
    assert (await run(here, "approvals")).code == 1


async def test_the_tools_are_listed_with_what_they_do(here: dict[str, str]) -> None:
    listed = (await run(here, "tools")).out
    assert [line.split() for line in listed.splitlines() if line.startswith(("delete_task", "list_tasks"))] == [
        ["list_tasks", "read", "tasks:read"],
        ["delete_task", "delete", "yes", "tasks:write"],
    ]
