"""A personal access token that is revoked is refused by every service, behind whichever path."""

from __future__ import annotations

import json
import time

from parley_testing.mesh import Mesh


def test_a_revoked_token_is_refused_within_seconds_by_every_service(mesh: Mesh) -> None:
    user = mesh.sign_up()
    owner = {"authorization": user.authorization}
    status, body = mesh.request("POST", "/api/v2/identity/access-tokens", {"name": "laptop"}, headers=owner)
    assert status == 200
    made = json.loads(body)
    token = {"authorization": f"Bearer {made['token']}"}
    paths = ("/api/v2/chat/sessions", "/api/v1/documents", "/api/v2/ai/scoring/models")
    assert [mesh.request("GET", path, headers=token)[0] for path in paths] == [200, 200, 200]
    token_id = made["access_token"]["access_token_id"]
    assert mesh.request("DELETE", f"/api/v2/identity/access-tokens/{token_id}", headers=owner)[0] == 200
    deadline = time.monotonic() + 15
    while [mesh.request("GET", path, headers=token)[0] for path in paths] != [401, 401, 401]:
        assert time.monotonic() < deadline, "the revoked token still gets in"
        time.sleep(0.2)
