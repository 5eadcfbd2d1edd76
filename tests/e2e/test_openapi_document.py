"""The OpenAPI document: the edge gives it out, and what the edge does is what it says, whatever is asked (schemathesis).

Requests are made from the document, in and out of its bounds, the same in every run; `make fuzz` makes others, and more.
"""

from __future__ import annotations

import gzip
import http.client
import json
import os
from collections.abc import Iterator
from contextlib import suppress
from importlib.resources import files
from typing import Any, Final

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable
from parley_testing.mesh import Mesh, SignedUp
from schemathesis.generation import GenerationMode

DOCUMENT: Final[dict[str, Any]] = json.loads(files("parley").joinpath("openapi.json").read_text(encoding="utf-8"))
EXAMPLES: Final = int(os.environ.get("PARLEY_FUZZ_EXAMPLES", "0"))
SHORT: Final = 2
"""Requests of each kind and operation: within the bounds, and out of them."""

NOT_HERE: Final = {
    "SystemService_RunSelfTest": "a self-test takes seconds, and its request has no field",
    "IdentityService_SignUp": "passwords are hashed slowly on purpose; tests/rpc has arbitrary ones",
}
"""Operations that are not called, with the reason. Streams that never end are not either."""

OPERATIONS: Final = sorted(
    (path, verb, operation["operationId"])
    for path, verbs in DOCUMENT["paths"].items()
    for verb, operation in verbs.items()
    if operation["operationId"] not in NOT_HERE
    and not operation["x-grpc-method"].split("/")[1].startswith("Watch")
    # Requests that stream are those of their twins: one of them speaks for all.
    and (not path.endswith(":stream") or path == "/api/v2/chat/send:stream")
)


def get(mesh: Mesh, method: str = "GET", **headers: str) -> tuple[http.client.HTTPResponse, bytes]:
    connection = http.client.HTTPConnection(mesh.grpc_address, timeout=30)
    try:
        connection.request(method, "/openapi.json", headers=headers)
        response = connection.getresponse()
        return response, response.read()
    finally:
        connection.close()


def test_anybody_gets_the_document_from_the_edge(mesh: Mesh) -> None:
    response, body = get(mesh)
    assert response.status == 200
    assert response.headers["content-type"] == "application/json"
    assert response.headers["cache-control"] == "public, max-age=3600"
    assert json.loads(body) == DOCUMENT
    head, nothing = get(mesh, "HEAD")
    assert (head.status, nothing) == (200, b"")
    packed, less = get(mesh, **{"accept-encoding": "gzip"})
    assert packed.headers["content-encoding"] == "gzip"
    assert gzip.decompress(less) == body


def test_a_header_that_grpc_has_no_name_for_is_passed_over(mesh: Mesh) -> None:
    headers = {"x~unknown": "1", "it's": "2", "a+b": "3", "x-known.to-all": "4"}
    answer = requests.get(f"{mesh.base_url}/health", headers=headers, timeout=60)
    assert answer.status_code == 200, answer.text


def strict(document: dict[str, Any]) -> dict[str, Any]:
    """The document as a promise of this release: answers hold every field that is no message, and none that it does not name."""
    changed = json.loads(json.dumps(document))
    asked: set[str] = set()
    for verbs in changed["paths"].values():
        for operation in verbs.values():
            held(operation.get("requestBody", {}), changed, asked)
    for name, schema in changed["components"]["schemas"].items():
        if name.startswith("parley.") and name not in asked and schema["type"] == "object":
            schema["additionalProperties"] = False
    return changed  # type: ignore[no-any-return]  # JSON


def held(node: Any, document: dict[str, Any], found: set[str]) -> None:
    """Adds the names of the schemas that lie in a part of the document."""
    if isinstance(node, dict):
        if "$ref" in node:
            name = node["$ref"].rpartition("/")[2]
            if name not in found and node["$ref"].startswith("#/components/schemas/"):
                found.add(name)
                held(document["components"]["schemas"][name], document, found)
        for each in node.values():
            held(each, document, found)
    elif isinstance(node, list):
        for each in node:
            held(each, document, found)


SCHEMA: Final = schemathesis.openapi.from_dict(strict(DOCUMENT))


@pytest.fixture(scope="module")
def user(mesh: Mesh) -> SignedUp:
    return mesh.sign_up()


@pytest.fixture(scope="module")
def session(mesh: Mesh, user: SignedUp) -> Iterator[requests.Session]:
    with requests.Session() as opened:
        opened.headers["authorization"] = user.authorization
        yield opened


@pytest.fixture(scope="module")
def there(mesh: Mesh, session: requests.Session) -> dict[str, str]:
    """What exists, by the name of the path's variable."""

    def made(path: str, **body: Any) -> Any:
        answer = session.post(f"{mesh.base_url}{path}", json=body, timeout=60)
        assert answer.status_code == 200, answer.text
        return answer.json()

    sent = made("/api/v2/chat/send", message="How do I add a provider?")
    return {
        "session_id": sent["session_id"],
        "turn_id": sent["turn_id"],
        "task_id": made("/api/v1/tasks", title="Milk")["task"]["task_id"],
        "project_id": made("/api/v1/projects", title="House")["project"]["project_id"],
        "document_id": made("/api/v1/documents", title="A", text="B.")["document"]["document_id"],
        "budget_id": made("/api/v2/budgets", period="BUDGET_PERIOD_DAY", limit_tokens=10**9)["budget"]["budget_id"],
        "event_id": made("/api/v1/calendar/events", title="Standup", start_date="2027-02-01")["event"]["event_id"],
        "agent_id": "researcher",
        "model": "offline",
    }


@pytest.mark.parametrize(("path", "verb", "name"), OPERATIONS, ids=lambda value: value if "_" in value else "")
def test_what_is_asked_for_is_answered_as_the_document_says(
    mesh: Mesh, session: requests.Session, there: dict[str, str], path: str, verb: str, name: str
) -> None:
    operation = SCHEMA[path][verb.upper()]
    cases: list[Any] = []
    for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):

        @settings(
            max_examples=EXAMPLES or SHORT,
            derandomize=not EXAMPLES,
            database=None,
            deadline=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(operation.as_strategy(generation_mode=mode), st.booleans())
        def draw(case: Any, known: bool) -> None:
            if known:
                case.path_parameters = {
                    **case.path_parameters,
                    **{k: v for k, v in there.items() if k in case.path_parameters},
                }
            cases.append(case)

        # Some operations take nothing that could be wrong.
        with suppress(Unsatisfiable):
            draw()

    assert cases
    for case in cases:
        response = case.call(base_url=mesh.base_url, session=session, timeout=60)
        assert response.status_code < 500, (
            f"{response.status_code} {response.text[:500]}: {case.as_curl_command()[:2_000]}"
        )
        case.validate_response(
            response,
            checks=[
                schemathesis.checks.CHECKS.get_one("status_code_conformance"),
                schemathesis.checks.CHECKS.get_one("content_type_conformance"),
                schemathesis.checks.CHECKS.get_one("response_schema_conformance"),
            ],
        )
