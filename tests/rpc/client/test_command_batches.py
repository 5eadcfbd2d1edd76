"""`parley batch` as a process, against the real chat: a file of prompts becomes a file of results."""

from __future__ import annotations

import json
import re
from pathlib import Path

import grpc
from parley_shared.status import StatusError
from parley_testing.command import end, run, start, terminal
from parley_testing.scripted_inference import ScriptedCall, ScriptedInference

REJECTED = StatusError(
    grpc.StatusCode.INVALID_ARGUMENT,
    "ERROR_REASON_PROVIDER_REJECTED",
    "The provider refused the request.",
    metadata={"provider": "scripted"},
)


def answer(call: ScriptedCall) -> None:
    call.say(f"of {call.request.messages[-1].text}")
    call.use(10, 5)
    call.finish()


def prompts(folder: Path, *lines: str) -> Path:
    file = folder / "prompts.jsonl"
    file.write_text("".join(json.dumps({"prompt": line}) + "\n" for line in lines))
    return file


async def test_a_file_of_prompts_becomes_a_file_of_results(
    here: dict[str, str], inference: ScriptedInference, tmp_path: Path
) -> None:
    output = tmp_path / "results.jsonl"
    running = await start(here, "batch", "run", str(prompts(tmp_path, "a", "b")), "-o", str(output), "--model", "fast")
    for _ in range(2):
        call = await inference.next_call()
        assert call.request.model == "fast"
        answer(call)
    done = await end(running)
    assert (done.code, done.out) == (0, ""), done.err
    assert "has 2 lines" in done.err
    assert "done: 2 of 2 lines" in done.err
    assert [json.loads(line)["text"] for line in output.read_text().splitlines()] == ["of a", "of b"]

    again = await run(here, "batch", "run", str(prompts(tmp_path, "a")), "-o", str(output))
    assert (again.code, "is there already" in again.err) == (2, True)
    [listed] = json.loads((await run(here, "batch", "list", "--json")).out)
    assert (listed["title"], listed["state"]) == ("prompts.jsonl", "BATCH_STATE_DONE")
    shown = await run(here, "batch", "show", listed["batch_id"])
    assert "Tokens: 20 read, 10 written" in shown.out
    results = await run(here, "batch", "results", listed["batch_id"])
    assert results.out == output.read_text()
    assert (await run(here, "batch", "delete", listed["batch_id"])).out == "Deleted.\n"
    assert "There are no batches." in (await run(here, "batch", "list")).err


async def test_results_go_to_a_pipe_and_a_line_that_failed_is_told_by_the_exit_code(
    here: dict[str, str], inference: ScriptedInference, tmp_path: Path
) -> None:
    running = await start(here, "batch", "run", "-")
    assert running.stdin is not None
    running.stdin.write(b'{"prompt": "bad"}\n')
    running.stdin.close()
    (await inference.next_call()).fail_for(REJECTED)
    done = await end(running)
    assert done.code == 1
    assert json.loads(done.out)["error"]["reason"] == "ERROR_REASON_PROVIDER_REJECTED"
    assert "1 failed" in done.err
    refused = await run(here, "batch", "run", str(prompts(tmp_path, "a", "")))
    assert refused.code == 1
    assert "lines[2].prompt" in refused.err
    missing = await run(here, "batch", "run", str(tmp_path / "nothing.jsonl"))
    assert (missing.code, "cannot be read" in missing.err) == (2, True)


async def test_ctrl_c_leaves_the_batch_running_and_says_how_to_go_on(
    here: dict[str, str], inference: ScriptedInference, tmp_path: Path
) -> None:
    async with terminal(here, "batch", "run", str(prompts(tmp_path, "a", "b"))) as shown:
        calls = [await inference.next_call() for _ in range(2)]
        await shown.until(lambda seen: "0/2" in seen)
        shown.type("\x03")
        seen = await shown.until(lambda seen: "goes on without this command" in " ".join(seen.split()))
        assert await shown.end() == 130
    batch_id = re.findall(r"bat_[0-9a-f]{32}", seen)[0]
    assert not any(call.cancelled.is_set() for call in calls)
    detached = await run(here, "batch", "run", str(prompts(tmp_path, "c")), "--detach", "--name", "n")
    assert re.fullmatch(r"bat_[0-9a-f]{32}\n", detached.out)
    cancelled = await run(here, "batch", "cancel", batch_id)
    assert (cancelled.code, "2 cancelled" in cancelled.out) == (0, True)
    assert (await run(here, "batch", "cancel", batch_id)).code == 1
    assert (await run(here, "batch", "watch", batch_id)).code == 1
