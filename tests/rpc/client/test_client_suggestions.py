"""Suggestions in the client and in the command, against a scripted server."""

from __future__ import annotations

import json
from pathlib import Path

import grpc
from parley.chat.v1 import chat_service_pb2 as pb
from parley.chat.v1 import message_pb2
from parley_client import Parley
from parley_testing.command import run
from parley_testing.scripted_chat import SESSION_ID, Abort, ScriptedChat, serving

FOUND = pb.SuggestPromptsResponse(
    suggestions=[
        pb.PromptSuggestion(
            prompt="How do I add a provider?", route=message_pb2.ROUTE_ENHANCED, reason="answered in “Add a provider”"
        ),
        pb.PromptSuggestion(prompt="Tell me\x1b[31m a joke", route=message_pb2.ROUTE_STANDARD, reason="for fun"),
    ]
)


def scripted(chat: ScriptedChat, folder: Path) -> dict[str, str]:
    return {"PARLEY_HOME": str(folder / "home"), "PARLEY_ADDRESS": f"127.0.0.1:{chat.port}", "PARLEY_TOKEN": "secret"}


async def test_the_client_gives_suggestions_and_tries_again_after_a_cut() -> None:
    chat = ScriptedChat()
    chat.answer("SuggestPrompts", Abort(grpc.StatusCode.UNAVAILABLE, "away"), FOUND)
    async with serving(chat) as port, Parley.connect(f"http://127.0.0.1:{port}", token="secret") as client:
        found = await client.suggest_prompts(session_id=SESSION_ID, limit=2)
    assert found == list(FOUND.suggestions)
    assert [(each.session_id, each.limit) for each in chat.requests("SuggestPrompts")] == [(SESSION_ID, 2)] * 2


async def test_the_command_prints_suggestions_with_their_routes_and_reasons(tmp_path: Path) -> None:
    chat = ScriptedChat()
    chat.answer("SuggestPrompts", FOUND, FOUND)
    async with serving(chat):
        ended = await run(scripted(chat, tmp_path), "suggest", "--session", SESSION_ID, "--limit", "2")
        assert ended.code == 0
        lines = ended.out.splitlines()
        assert lines[:2] == ["How do I add a provider?", "  enhanced: answered in “Add a provider”"]
        assert "\x1b" not in lines[2], "what the server says does not move the terminal"
        as_json = await run(scripted(chat, tmp_path), "suggest", "--json")
    assert [each["route"] for each in json.loads(as_json.out)] == ["ROUTE_ENHANCED", "ROUTE_STANDARD"]
    assert [(each.session_id, each.limit) for each in chat.requests("SuggestPrompts")] == [(SESSION_ID, 2), ("", 4)]
