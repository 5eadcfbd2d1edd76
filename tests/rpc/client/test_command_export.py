"""`parley export` against the real chat and a scripted inference."""

from __future__ import annotations

import json
from pathlib import Path

import grpc
from parley_client import Parley
from parley_testing.command import run
from parley_testing.scripted_inference import ScriptedInference


async def say(
    here: dict[str, str], inference: ScriptedInference, message: str, answer: str, **turn: str
) -> tuple[str, str]:
    """One exchange: its session and the user's message."""
    async with Parley.connect(here["PARLEY_ADDRESS"], token=here["PARLEY_TOKEN"]) as client:
        reply = client.stream_reply(message, route="standard", **turn)  # type: ignore[arg-type]  # what a test names
        session_id = user_message_id = ""
        async for event in reply:
            if type(event).__name__ == "TurnStarted":
                session_id, user_message_id = event.session_id, event.user_message_id  # type: ignore[union-attr]  # as it is one
                call = await inference.next_call()
                if answer:
                    call.say(answer)
                    call.finish()
                else:
                    call.fail(grpc.StatusCode.INVALID_ARGUMENT, "no")
        return session_id, user_message_id


async def test_markdown_has_the_branch_that_is_open_and_json_has_all(
    here: dict[str, str], inference: ScriptedInference, tmp_path: Path
) -> None:
    session_id, _ = await say(here, inference, "What is tea?", "A *drink*.")
    await say(here, inference, "And coffee?", "Another.", session_id=session_id)
    shown = await run(here, "export", session_id)
    assert shown.code == 0
    lines = [line for line in shown.out.splitlines() if line]
    assert lines[0] == "# What is tea?"
    assert [line.split(",")[0] for line in lines if line.startswith("## ")] == [
        "## You",
        "## Assistant (scripted-1)",
        "## You",
        "## Assistant (scripted-1)",
    ]
    assert [line for line in lines[1:] if not line.startswith("## ")] == [
        "What is tea?",
        "A *drink*.",
        "And coffee?",
        "Another.",
    ]
    file = tmp_path / "tea.json"
    written = await run(here, "export", session_id, "--json", "-o", str(file))
    assert (written.code, written.out) == (0, "")
    whole = json.loads(file.read_text())
    assert whole["session"]["session_id"] == session_id
    assert [each["text"] for each in whole["messages"]] == ["What is tea?", "A *drink*.", "And coffee?", "Another."]
    await say(here, inference, "What is mate?", "A game's end.", session_id=session_id, parent_message_id="")
    other = await run(here, "export", session_id)
    assert "tea" not in other.out.partition("\n")[2]
    assert "A game's end." in other.out
    assert len(json.loads((await run(here, "export", session_id, "--json")).out)["messages"]) == 6
    again = await run(here, "export", session_id, "-o", str(file))
    assert again.code == 2
    assert "cannot be written" in again.err
    assert json.loads(file.read_text()) == whole


async def test_a_session_that_is_not_there_is_told(here: dict[str, str]) -> None:
    ended = await run(here, "export", "ses_" + "0" * 32)
    assert ended.code == 1
    assert "session" in ended.err
