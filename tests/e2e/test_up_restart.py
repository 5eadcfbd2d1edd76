"""What dies is started again, and calls go on."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from parley_testing.mesh import Mesh


@pytest.fixture(scope="module")
def shaken_mesh(tmp_path_factory: pytest.TempPathFactory) -> object:
    with Mesh.start(tmp_path_factory.mktemp("shaken") / "home") as running:
        yield running


@pytest.mark.parametrize("name", ["chat", "inference", "retrieval", "edge"])
def test_what_is_killed_comes_back_at_the_same_address(shaken_mesh: Mesh, name: str) -> None:
    user = shaken_mesh.sign_up()
    before = shaken_mesh.facts
    shaken_mesh.restart(name)
    after = shaken_mesh.facts
    assert after["addresses"] == before["addresses"]
    assert {other for other in after["processes"] if after["processes"][other] != before["processes"][other]} == {name}
    assert "by SIGKILL; it is started again" in shaken_mesh.logs()
    # The same token, the same data.
    status, body = shaken_mesh.request("GET", "/api/v2/identity/me", headers={"authorization": user.authorization})
    assert (status, json.loads(body)["user"]["user_id"]) == (200, user.user_id)


def test_while_a_service_is_away_its_callers_are_told_so_at_once(start_mesh: Callable[..., Mesh]) -> None:
    """And not with a page of Envoy's, or after a timeout."""
    mesh = start_mesh()
    user = mesh.sign_up()
    old = mesh.kill("chat")
    refused = set()
    while (
        answer := mesh.exchange(
            "GET", "/api/v2/chat/sessions", headers={"authorization": user.authorization}, seconds=5
        )
    )[0] != 200:
        status, headers, body = answer
        assert (status, headers["content-type"], json.loads(body)["code"]) == (503, "application/json", 14)
        refused.add(status)
    assert refused == {503}
    mesh.wait_until_back("chat", old)
