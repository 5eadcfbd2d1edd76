"""Files through the edge: as a form, as JSON, over gRPC, large ones, cut ones; and their jobs, watched as events."""

from __future__ import annotations

import base64
import hashlib
import http.client
import json
import subprocess
import time
from pathlib import Path
from typing import Any

import grpc
from parley.retrieval.v1 import ingest_service_pb2, ingest_service_pb2_grpc, job_pb2
from parley_testing.command import run
from parley_testing.ingestion import pdf
from parley_testing.mesh import Mesh, SignedUp
from parley_testing.tools import require_tool

SECONDS = 90
DONE = "JOB_STATE_DONE"


def curl(mesh: Mesh, user: SignedUp, path: str, *arguments: str) -> tuple[int, str]:
    command = [require_tool("curl"), "-sS", "-m", str(SECONDS), "-H", f"authorization: {user.authorization}"]
    command += [*arguments, "-w", "\n%{http_code}", f"{mesh.base_url}{path}"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    answer, status = done.stdout.rsplit("\n", 1)
    return int(status), answer


def watched(mesh: Mesh, user: SignedUp, job_id: str) -> list[dict[str, Any]]:
    """Every event of a job until its stream ends by itself."""
    status, events = curl(mesh, user, f"/api/status/{job_id}:watch")
    assert status == 200
    return [json.loads(line.removeprefix("data: "))["job"] for line in events.splitlines() if line.startswith("data: ")]


def found(mesh: Mesh, user: SignedUp, query: str) -> list[dict[str, Any]]:
    body = json.dumps({"query": query, "exclude_shared": True})
    status, answer = curl(mesh, user, "/api/v2/ai/rag/search", "-d", body)
    assert status == 200
    return list(json.loads(answer)["hits"])


def test_a_form_with_a_file_becomes_a_document_whose_job_is_watched_as_events(mesh: Mesh, tmp_path: Path) -> None:
    user = mesh.sign_up()
    file = tmp_path / "heron.md"
    file.write_text("# Herons\n\nThe heron stands in the shallow water.\n")
    metadata = 'metadata={"project": "birds", "labels": {"colour": "grey"}};type=application/json'
    status, answer = curl(mesh, user, "/api/ingest", "-F", metadata, "-F", f"file=@{file}")
    assert status == 200, answer
    sent = json.loads(answer)
    assert sent["duplicate"] is False
    assert sent["job"]["content_sha256"] == hashlib.sha256(file.read_bytes()).hexdigest()
    assert sent["job"]["filename"] == "heron.md"

    events = watched(mesh, user, sent["job_id"])
    assert [event["state"] for event in events].count(DONE) == 1
    assert events[-1]["state"] == DONE
    stages = {stage["stage"]: stage for stage in events[-1]["stages"]}
    assert list(stages) == [
        f"JOB_STAGE_{name}" for name in ["RECEIVED", "PARSED", "CHUNKED", "EMBEDDED", "INDEXED", "DONE"]
    ]
    assert stages["JOB_STAGE_INDEXED"]["done"] == "1"

    status, answer = curl(mesh, user, f"/api/status/{sent['job_id']}")
    assert (status, json.loads(answer)["job"]["state"]) == (200, DONE)
    (hit,) = found(mesh, user, "heron")
    assert (hit["document_id"], hit["heading"]) == (sent["document_id"], "Herons")
    status, answer = curl(mesh, user, "/api/ingest", "-F", f"file=@{file}")
    again = json.loads(answer)
    assert (again["duplicate"], again["job_id"]) == (True, sent["job_id"])


def test_json_holds_a_text_or_bytes_in_base64(mesh: Mesh) -> None:
    user = mesh.sign_up()
    sent = []
    for body in (
        {"text": "A bittern booms in the reeds.", "title": "Bitterns"},
        {"content": base64.b64encode(b"An egret is white.").decode(), "filename": "egret.txt"},
    ):
        json_type = "content-type: application/json"
        status, answer = curl(mesh, user, "/api/ingest", "-H", json_type, "-d", json.dumps(body))
        assert status == 200, answer
        sent.append(json.loads(answer))
        assert watched(mesh, user, sent[-1]["job_id"])[-1]["state"] == DONE
    assert [hit["document_title"] for hit in found(mesh, user, "bittern")] == ["Bitterns"]
    assert [hit["document_title"] for hit in found(mesh, user, "egret")] == ["egret.txt"]
    status, answer = curl(mesh, user, "/api/v1/jobs?page_size=1")
    page = json.loads(answer)
    assert [job["job_id"] for job in page["jobs"]] == [sent[1]["job_id"]]
    status, answer = curl(mesh, user, f"/api/v1/jobs?page_size=1&page_token={page['next_page_token']}")
    assert [job["job_id"] for job in json.loads(answer)["jobs"]] == [sent[0]["job_id"]]


def test_a_body_that_is_no_upload_is_refused_and_says_why(mesh: Mesh, tmp_path: Path) -> None:
    user = mesh.sign_up()
    file = tmp_path / "a.txt"
    file.write_text("a")
    metadata = 'metadata={"project": "p"};type=application/json'
    for arguments, field in (
        (("-d", "text=a"), "body.content_type"),
        (("-H", "content-type: application/json", "-d", '{"title": "a"}'), "text"),
        (("-H", "content-type: application/json", "-d", '{"text": "a", "unknown": 1}'), "body"),
        (("-H", "content-type: application/json", "-d", '{"content": "!"}'), "content"),
        (("-F", metadata), "body"),
        (("-F", f"file=@{file}", "-F", metadata), "body"),
        (("-F", 'metadata={"labels": {"A B": "x"}};type=application/json', "-F", f"file=@{file}"), "metadata.labels"),
        (("-H", "content-type: multipart/form-data; boundary=x", "-d", "--x\r\nbroken"), "body"),
    ):
        status, answer = curl(mesh, user, "/api/ingest", *arguments)
        assert status == 400, (arguments, answer)
        violations = [
            violation["field"]
            for detail in json.loads(answer)["details"]
            for violation in detail.get("field_violations", [])
        ]
        assert violations == [field], (arguments, answer)
    status, answer = curl(mesh, user, "/api/v1/jobs")
    assert json.loads(answer)["jobs"] == []


def test_a_file_far_larger_than_a_request_goes_through_and_one_that_is_too_large_does_not(
    mesh: Mesh, tmp_path: Path
) -> None:
    user = mesh.sign_up()
    large = tmp_path / "large.bin"
    with large.open("wb") as stream:
        stream.write(b"\x89PNG\r\n\x1a\n")
        stream.truncate(20_000_000)
    status, answer = curl(mesh, user, "/api/ingest", "-F", f"file=@{large}")
    assert status == 200, answer
    sent = json.loads(answer)
    assert sent["job"]["size_bytes"] == "20000000"
    last = watched(mesh, user, sent["job_id"])[-1]
    assert (last["state"], last["failure"]["reason"]) == ("JOB_STATE_FAILED", "JOB_FAILURE_REASON_UNSUPPORTED")
    assert "picture" in last["failure"]["message"]

    with large.open("ab") as stream:
        stream.truncate(102_000_000)
    status, answer = curl(mesh, user, "/api/ingest", "-H", "expect:", "-F", f"file=@{large}")
    assert status == 413
    assert json.loads(answer)["code"] == 8


def test_an_upload_that_is_cut_leaves_nothing(mesh: Mesh) -> None:
    user = mesh.sign_up()
    uploads = mesh.home / "retrieval" / "files" / "uploads"
    boundary = "x" * 20
    connection = http.client.HTTPConnection(mesh.grpc_address, timeout=SECONDS)
    connection.putrequest("POST", "/api/ingest")
    connection.putheader("authorization", user.authorization)
    connection.putheader("content-type", f"multipart/form-data; boundary={boundary}")
    connection.putheader("content-length", "1000000")
    connection.endheaders()
    head = f'--{boundary}\r\ncontent-disposition: form-data; name="file"; filename="a"\r\n\r\n'
    connection.send(head.encode() + b"half" * 50_000)
    deadline = time.monotonic() + SECONDS
    while not any(uploads.iterdir()):
        assert time.monotonic() < deadline, "the upload does not begin before its end"
        time.sleep(0.02)
    connection.close()
    while any(uploads.iterdir()):
        assert time.monotonic() < deadline, "what was cut is still there"
        time.sleep(0.02)
    assert not (mesh.home / "retrieval" / "files" / user.user_id).exists()


async def test_grpc_goes_through_the_edge_by_the_piece(mesh: Mesh) -> None:
    user = mesh.sign_up()
    async with grpc.aio.insecure_channel(mesh.grpc_address) as channel:
        stub: Any = ingest_service_pb2_grpc.IngestServiceStub(channel)

        async def parts() -> Any:
            yield ingest_service_pb2.IngestRequest(metadata=ingest_service_pb2.IngestMetadata(title="Storks"))
            for number in range(8):
                chunk = f"Stork number {number}. ".encode() * 40_000
                yield ingest_service_pb2.IngestRequest(chunk=chunk[:900_000])

        sent = await stub.Ingest(parts(), metadata=user.metadata, timeout=SECONDS)
        assert sent.job.size_bytes > 5_000_000
        watch = stub.WatchJob(ingest_service_pb2.WatchJobRequest(job_id=sent.job_id), metadata=user.metadata)
        states = [response.job.state async for response in watch]
        assert states[-1] == job_pb2.JOB_STATE_DONE


async def test_the_command_uploads_files_and_tells_of_each_what_became_of_it(mesh: Mesh, tmp_path: Path) -> None:
    user = mesh.sign_up()
    variables = {"PARLEY_ADDRESS": mesh.base_url, "PARLEY_TOKEN": user.token}
    (tmp_path / "whimbrel.pdf").write_bytes(pdf("The whimbrel whistles seven times.", title="Whimbrels"))
    (tmp_path / "cut.pdf").write_bytes(pdf("words " * 500)[:900])
    files = [str(tmp_path / name) for name in ("whimbrel.pdf", "cut.pdf", "none.pdf")]
    added = await run(variables, "documents", "add", "--project", "birds", *files)
    assert added.code == 1
    assert "done" in added.out
    assert "Whimbrels · 1 chunk" in added.out
    assert "failed: The PDF is damaged" in added.out
    assert "none.pdf: No such file" in added.err
    listed = await run(variables, "jobs", "--json")
    states = {job["filename"]: job["state"] for job in json.loads(listed.out)}
    assert states == {"whimbrel.pdf": DONE, "cut.pdf": "JOB_STATE_FAILED"}
    (failed,) = [job["job_id"] for job in json.loads(listed.out) if job["state"] != DONE]
    assert (await run(variables, "jobs", "retry", failed)).code == 0
    watched_again = await run(variables, "jobs", "watch", failed)
    assert (watched_again.code, "damaged" in watched_again.out) == (1, True)
    cancelled = await run(variables, "jobs", "cancel", failed)
    assert (cancelled.code, "had ended before" in cancelled.out) == (1, True)
    (document_id,) = [job["document_id"] for job in json.loads(listed.out) if job["state"] == DONE]
    versions = await run(variables, "documents", "versions", document_id, "--json")
    assert [one["version"] for one in json.loads(versions.out)] == [1]
    assert "Whimbrels" in (await run(variables, "documents", "versions", document_id)).out
    shown = await run(variables, "documents", "show", document_id, "--version", "1")
    assert (shown.code, "whimbrel" in shown.out.lower()) == (0, True)
    absent = await run(variables, "documents", "show", document_id, "--version", "2")
    assert (absent.code, absent.out) == (1, "")
    audit = await run(variables, "documents", "audit")
    assert (audit.code, "Passages: 1 in the database, 1 in the index.\nNothing differs." in audit.out) == (0, True)
