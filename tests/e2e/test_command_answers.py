"""`parley ask`, `ingest`, `search` and `sessions` against a whole Parley on embedded defaults, as the local user who just signs in."""

from __future__ import annotations

import json
import stat
from pathlib import Path

from parley_testing.command import run, terminal
from parley_testing.mesh import Mesh


async def test_a_question_about_parley_has_a_cited_answer(mesh: Mesh) -> None:
    home = {"PARLEY_HOME": str(mesh.home)}
    ended = await run(home, "ask", "How do I add a provider?", "--json")
    assert ended.code == 0, ended.err
    message = json.loads(ended.out)
    assert "[1]" in message["text"]
    assert message["citations"][0]["number"] == 1
    assert message["usage"]["output_tokens"] > 0

    ended = await run(home, "ask", "How do I add a provider?")
    assert (ended.code, ended.out) == (0, message["text"].rstrip("\n") + "\n")
    assert f"[1] {message['citations'][0]['document_title']}" in ended.err


async def test_what_was_ingested_is_found_and_cited(mesh: Mesh, tmp_path: Path) -> None:
    home = {"PARLEY_HOME": str(mesh.home)}
    folder = tmp_path / "notes"
    (folder / "deep").mkdir(parents=True)
    (folder / "harbour.md").write_text(
        "# The harbour of Quillmouth\n\n## Dues\n\nThe harbour dues of Quillmouth are eleven groats a night.\n"
    )
    (folder / "deep" / "tide.txt").write_text("The tide at Quillmouth turns at the third bell.\n")
    (folder / "picture.png").write_bytes(b"\x89PNG")

    ended = await run(home, "ingest", str(folder))
    assert ended.code == 0, ended.err
    created = [line for line in ended.out.splitlines() if line.startswith("created")]
    assert [Path(line.split()[1]).name for line in created] == ["harbour.md", "tide.txt"]
    assert "2 files: 2 created" in ended.err

    ended = await run(home, "ingest", str(folder))
    assert ended.code == 0
    assert all(line.startswith("already there") for line in ended.out.splitlines())

    ended = await run(home, "search", "harbour dues groats", "--limit", "1")
    assert ended.code == 0
    assert ended.out.startswith("1. The harbour of Quillmouth › Dues ")
    assert "eleven groats" in ended.out

    ended = await run(home, "ask", "What are the harbour dues of Quillmouth?", "--json")
    message = json.loads(ended.out)
    assert "eleven groats" in message["text"]
    assert "The harbour of Quillmouth" in [citation["document_title"] for citation in message["citations"]]


async def test_files_that_are_refused_are_named_with_the_reason(mesh: Mesh, tmp_path: Path) -> None:
    home = {"PARLEY_HOME": str(mesh.home)}
    (tmp_path / "good.md").write_text("# Good\n\nA good file.\n")
    (tmp_path / "latin.txt").write_bytes("déjà vu".encode("latin-1"))
    (tmp_path / "empty.md").write_text(" \n")
    ended = await run(home, "ingest", str(tmp_path), str(tmp_path / "missing.md"))
    assert ended.code == 1
    lines = {Path(line[14:].split("  ")[0]).name: line for line in ended.out.splitlines()}
    assert lines["good.md"].startswith("created")
    assert "not UTF-8 text: byte 0xe9 at 1" in lines["latin.txt"]
    assert "it is empty" in lines["empty.md"]
    assert "there is no such file" in lines["missing.md"]
    assert "4 files: 1 created, 3 refused" in ended.err


async def test_a_conversation_in_a_terminal_is_listed_and_can_be_gone_on_with(mesh: Mesh) -> None:
    home = {"PARLEY_HOME": str(mesh.home)}
    async with terminal(home, "chat", "--route", "standard") as shown:
        await shown.until(lambda seen: seen.rstrip().endswith("›"))
        shown.type("Good morning to Quillmouth\r")
        await shown.until(lambda seen: " tokens · " in seen and seen.rstrip().endswith("›"))
        shown.type("\x04")
        seen = await shown.until(lambda seen: "parley chat --session ses_" in seen)
        assert await shown.end() == 0
    session_id = seen.rpartition("--session ")[2].split()[0]

    listed = json.loads((await run(home, "sessions", "--json")).out)
    assert ("Good morning to Quillmouth", session_id) in [(each["title"], each["session_id"]) for each in listed]
    async with terminal(home, "chat", "--session", session_id) as shown:
        await shown.until(lambda seen: "› Good morning to Quillmouth" in seen and seen.rstrip().endswith("›"))
        assert await shown.leave() == 0


async def test_commands_sign_in_once_and_keep_the_token_for_their_user_alone(mesh: Mesh) -> None:
    home = {"PARLEY_HOME": str(mesh.home)}
    await run(home, "sessions")
    kept = mesh.home / "keys" / "command-token.json"
    before = json.loads(kept.read_text())
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert set(before) == {"access_token", "expire_time", "made_with"}
    await run(home, "sessions")
    assert json.loads(kept.read_text()) == before

    kept.write_text(json.dumps(before | {"access_token": "damaged"}))
    assert (await run(home, "sessions")).code == 0, "a token that is refused is replaced"
    assert json.loads(kept.read_text())["access_token"] != "damaged"
