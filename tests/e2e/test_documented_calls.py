"""The first calls of README.md and of the guide, run as they stand: only the address and the home are this mesh's."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from parley_testing.mesh import Mesh
from parley_testing.tools import ROOT, require_tool

DOCUMENTED_ADDRESS = "127.0.0.1:8080"
ANSWER = "OPENAI_API_KEY"
"""What the answer to the first question cannot leave out."""


def blocks(document: str, language: str) -> list[str]:
    """The code of one language in a document."""
    text = (ROOT / document).read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def run(mesh: Mesh, command: list[str], token: str = "") -> str:
    """Runs a command as somebody who has done what stands above it. Its output."""
    environment = {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "HOME": os.environ.get("HOME", "/"),
        "PARLEY_HOME": str(mesh.home),
        "TOKEN": token,
        "LC_ALL": "C.UTF-8",
    }
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def here(mesh: Mesh, text: str) -> str:
    """A documented command for this mesh and this environment's programs."""
    return text.replace(DOCUMENTED_ADDRESS, mesh.grpc_address).replace(".venv/bin/", f"{Path(sys.executable).parent}/")


@pytest.fixture(scope="module")
def token(mesh: Mesh) -> str:
    """What `export TOKEN=…` of the documents gives."""
    [command] = [block for block in blocks("README.md", "bash") if "export TOKEN=" in block]
    token = run(mesh, ["bash", "-c", f'{here(mesh, command)}\nprintf %s "$TOKEN"'])
    assert re.fullmatch(r"[\w-]+\.[\w-]+\.[\w-]+", token)
    return token


@pytest.mark.parametrize("document", ["README.md", "docs/guide/first-calls.md"])
@pytest.mark.parametrize("program", ["grpcurl", "curl"])
def test_the_documented_calls_give_a_cited_answer(mesh: Mesh, token: str, document: str, program: str) -> None:
    require_tool(program)
    commands = [block for block in blocks(document, "bash") if block.startswith(program)]
    assert len(commands) == {"grpcurl": 1, "curl": 2}[program]
    for command in commands:
        output = run(mesh, ["bash", "-euc", here(mesh, command)], token)
        assert ANSWER in output
        assert re.search(r'"content_?[sS]ha256": ?"[0-9a-f]{64}"', output), "the answer cites nothing"
        if '"stream": true' in command:
            assert output.count("data: {") > 5, "the answer did not come in pieces"


@pytest.mark.parametrize("document", ["README.md", "docs/guide/first-calls.md"])
def test_the_documented_program_streams_an_answer(mesh: Mesh, token: str, document: str) -> None:
    [program] = blocks(document, "python")
    assert ANSWER in run(mesh, [sys.executable, "-W", "error", "-c", here(mesh, program)], token)


def test_the_documented_question_on_the_command_line_is_answered(mesh: Mesh) -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    command = re.search(r"`(\.venv/bin/parley ask [^`]+)`", text)
    assert command is not None
    assert ANSWER in run(mesh, ["bash", "-euc", here(mesh, command[1])])


def test_the_documented_calls_on_documents_work_one_after_the_other(mesh: Mesh, token: str) -> None:
    for path, told in (
        ("/api/v1/documents ", '"title":"Holidays"'),
        ("/api/v1/documents:audit ", '"orphaned_point_count":0'),
        ("/rag/search ", "closed on 1 May"),
    ):
        [call] = [block for block in blocks("docs/guide/documents-and-search.md", "bash") if path in block]
        assert told in run(mesh, ["bash", "-euc", here(mesh, call)], token)


GENERATIONS = "docs/guide/generate-and-agents.md"


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ('{"prompt": "Say hello in three languages.", "system"', '"finish_reason":"FINISH_REASON_STOP"'),
        ("parley generate", "offline"),
        ('"stream": true', 'data: {"finished":'),
        ('"response_schema"', "Lisbon"),
        ("/api/v2/ai/models", '"model":"offline"'),
        ("/api/v2/ai/health", '"state":"AI_STATE_HEALTHY"'),
        ("agents/researcher/process", '"document_title":"Add a provider"'),
        ("parley agent run", "Parley is a backend for chat."),
        ('"template_id": "blog_post"', "Green tea"),
        ("parley content write", "Green tea"),
    ],
)
def test_the_documented_calls_without_a_session_are_answered(mesh: Mesh, token: str, words: str, told: str) -> None:
    [command] = [block for block in blocks(GENERATIONS, "bash") if words in block]
    assert told in run(mesh, ["bash", "-euc", here(mesh, command)], token)


def test_every_documented_call_without_a_session_is_run() -> None:
    # One for each row above.
    assert len(blocks(GENERATIONS, "bash")) == 10


def test_the_documented_program_without_a_session_writes_all_it_says(mesh: Mesh, token: str) -> None:
    [program] = blocks(GENERATIONS, "python")
    output = run(mesh, [sys.executable, "-W", "error", "-c", here(mesh, program)], token)
    assert "parley status" in output
    assert "Green tea" in output


def test_the_documented_clients_of_openais_api_are_answered(mesh: Mesh, token: str) -> None:
    document = "docs/guide/openai-clients.md"
    [command] = blocks(document, "bash")
    output = run(mesh, ["bash", "-euc", here(mesh, command)], token)
    assert output.startswith('data: {"id":"chatcmpl-')
    assert output.endswith("data: [DONE]\n\n")
    for program in blocks(document, "python"):
        # What the built-in model says to everything that it cannot do.
        assert ANSWER in run(mesh, [sys.executable, "-W", "error", "-c", here(mesh, program)], token)


def test_the_first_call_that_parley_up_prints_works_as_it_stands(mesh: Mesh) -> None:
    require_tool("grpcurl")
    line = re.search(r"grpcurl -plaintext .*", mesh.logs())
    assert line is not None
    assert ANSWER in run(mesh, ["bash", "-euc", line.group()])


def test_the_documented_calls_on_tasks_make_them_and_tell_their_events(mesh: Mesh, token: str) -> None:
    ask, create = (
        block
        for block in blocks("docs/guide/tools-and-tasks.md", "bash")
        if block.startswith((".venv/bin/parley", "curl"))
    )
    assert "create_task" in run(mesh, ["bash", "-euc", f"{here(mesh, ask)} 2>&1"])
    assert '"title":"Call the dentist"' in run(mesh, ["bash", "-euc", here(mesh, create)], token)
    watch, page = (block for block in blocks("docs/guide/events.md", "bash") if block.startswith("curl"))
    for command in (watch, page):
        output = run(mesh, ["bash", "-euc", here(mesh, command)], token)
        assert "RESOURCE_TYPE_TASK" in output
        assert "Call the dentist" in output


def test_the_documented_calls_on_projects_make_them(mesh: Mesh, token: str) -> None:
    command, create = blocks("docs/guide/projects.md", "bash")
    assert run(mesh, ["bash", "-euc", here(mesh, command)]).startswith("prj_")
    assert '"title":"New house"' in run(mesh, ["bash", "-euc", here(mesh, create)], token)


def test_the_documented_calls_on_usage_tell_what_was_used(mesh: Mesh, token: str) -> None:
    ask, sums, table, _, _ = blocks("docs/guide/usage.md", "bash")
    run(mesh, [sys.executable, "-m", "parley_cli", "ask", "How do I add a provider?"])
    assert "cost" in run(mesh, ["bash", "-euc", here(mesh, ask)])
    assert '"model":"offline"' in run(mesh, ["bash", "-euc", here(mesh, sums)], token)
    lines = run(mesh, ["bash", "-euc", here(mesh, table)], token).splitlines()
    assert lines[0].startswith("day,purpose,route,model,session_id,request_count")
    assert lines[1].startswith(",,,offline,,")


def test_the_documented_calls_on_budgets_make_them(mesh: Mesh, token: str) -> None:
    *_, command, create = blocks("docs/guide/usage.md", "bash")
    # The built-in model costs nothing: these budgets stop nobody.
    run(mesh, ["bash", "-euc", here(mesh, command)])
    assert '"limit_cost_usd_micros":"2500000"' in run(mesh, ["bash", "-euc", here(mesh, create)], token)
    listed = json.loads(run(mesh, [sys.executable, "-m", "parley_cli", "budget", "list", "--json"]))
    for each in listed:
        run(mesh, [sys.executable, "-m", "parley_cli", "budget", "delete", each["budget_id"]])


def test_the_documented_calls_on_the_calendar_make_and_list_what_is_in_it(mesh: Mesh, token: str) -> None:
    show, create = blocks("docs/guide/calendar.md", "bash")
    assert '"title":"Standup"' in run(mesh, ["bash", "-euc", here(mesh, create)], token)
    assert '"meetings":[' in run(mesh, ["bash", "-euc", here(mesh, show)], token)
    # A notice may hold anything, and needs no token but its own.
    notice = "curl -s -X POST -H 'content-type: application/xml' -d '<changed/>' "
    path = "http://127.0.0.1:8080/api/v1/calendar/webhook?token=nobodys"
    assert "RESOURCE_NOT_FOUND" in run(mesh, ["bash", "-euc", here(mesh, f'{notice} "{path}"')])
