"""The self-test through the edge, over all services as they are without any configuration."""

from __future__ import annotations

import json

from parley_testing.mesh import Mesh


def test_everything_passes_on_embedded_defaults_and_nothing_is_left_behind(mesh: Mesh) -> None:
    user = mesh.sign_up()
    headers = {"authorization": user.authorization}
    status, _, body = mesh.exchange("POST", "/api/v2/system/self-test", {}, headers=headers)
    told = json.loads(body)
    assert status == 200
    assert [(check["name"], check["service"], check["passed"]) for check in told["checks"]] == [
        ("database", "chat", True),
        ("turn_log", "chat", True),
        ("model", "inference", True),
        ("search", "retrieval", True),
    ], told
    assert told["passed"] is True
    assert "offline model" in told["checks"][2]["message"]

    search = {"query": "Self-test", "limit": 10, "include_items": True}
    status, _, body = mesh.exchange("POST", "/api/v2/ai/rag/search", search, headers=headers)
    assert status == 200
    assert all("Self-test" not in hit["document_title"] for hit in json.loads(body).get("hits", []))
