"""A batch through REST: lines in as the body, progress as events, results as lines; and a body longer than other requests may be."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

from parley_testing.mesh import Mesh, SignedUp
from parley_testing.tools import require_tool

SECONDS = 120


def curl(mesh: Mesh, user: SignedUp, path: str, *arguments: str) -> tuple[int, str, str]:
    """The status, the content type, and the body."""
    command = [require_tool("curl"), "-sS", "-m", str(SECONDS), "-H", f"authorization: {user.authorization}"]
    command += [*arguments, "-w", "\n%{http_code} %{content_type}", f"{mesh.base_url}{path}"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    answer, said = done.stdout.rsplit("\n", 1)
    status, content_type = said.split(" ", 1)
    return int(status), content_type, answer


def test_lines_go_in_progress_is_watched_and_lines_come_out(mesh: Mesh, tmp_path: Path) -> None:
    user = mesh.sign_up()
    file = tmp_path / "prompts.jsonl"
    body = {"messages": [{"role": "user", "content": "Summarize: The heron waits. It eats fish."}]}
    own = [{"id": f"own {number}", "prompt": f"Summarize: The heron {number} waits. It eats."} for number in range(3)]
    openai = {"custom_id": "theirs", "method": "POST", "url": "/v1/chat/completions", "body": body}
    file.write_text("".join(json.dumps(line) + "\n" for line in [*own, openai]))
    send = ("--data-binary", f"@{file}", "-H", "content-type: application/jsonl")
    path = "/api/v2/batches?client_batch_id=herons-1&title=All+herons"
    status, _, answer = curl(mesh, user, path, *send)
    assert status == 200, answer
    sent = json.loads(answer)
    batch = sent["batch"]
    assert (batch["total_count"], batch["title"], sent["duplicate"]) == (4, "All herons", False)
    assert json.loads(curl(mesh, user, path, *send)[2])["duplicate"]

    status, content_type, events = curl(mesh, user, f"/api/v2/batches/{batch['batch_id']}:watch")
    assert (status, content_type) == (200, "text/event-stream")
    states = [json.loads(line[6:])["batch"] for line in events.splitlines() if line.startswith("data: ")]
    assert (states[-1]["state"], states[-1]["completed_count"]) == ("BATCH_STATE_DONE", 4)

    status, content_type, lines = curl(mesh, user, f"/api/v2/batches/{batch['batch_id']}/results")
    assert (status, content_type) == (200, "application/jsonl")
    results = [json.loads(line) for line in lines.splitlines()]
    assert [result.get("id") for result in results[:3]] == ["own 0", "own 1", "own 2"]
    assert all(result["text"] for result in results[:3])
    assert results[3]["custom_id"] == "theirs"
    assert results[3]["response"]["body"]["choices"][0]["message"]["content"]

    listed = json.loads(curl(mesh, user, "/api/v2/batches")[2])["batches"]
    assert [each["batch_id"] for each in listed] == [batch["batch_id"]]
    assert curl(mesh, user, f"/api/v2/batches/{batch['batch_id']}", "-X", "DELETE")[0] == 200
    assert curl(mesh, user, f"/api/v2/batches/{batch['batch_id']}")[0] == 404


def test_a_batch_may_be_longer_than_other_requests_and_is_refused_by_its_line(mesh: Mesh, tmp_path: Path) -> None:
    user = mesh.sign_up()
    file = tmp_path / "long.jsonl"
    line = json.dumps({"prompt": "p" * 99_000}) + "\n"
    file.write_text(line * 60 + '{"prompt": 7}\n')
    assert file.stat().st_size > 5_000_000
    status, _, answer = curl(mesh, user, "/api/v2/batches", "--data-binary", f"@{file}")
    assert status == 400, answer
    assert json.loads(answer)["message"].startswith("lines[61].prompt ")
    assert json.loads(curl(mesh, user, "/api/v2/batches")[2])["batches"] == []
