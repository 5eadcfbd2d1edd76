"""Tokens of another identity provider pass the edge and every service, as they are; and no other's do."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from parley_testing.mesh import Mesh
from parley_testing.oidc_issuer import OidcIssuer

ME, DOCUMENTS = "/api/v2/identity/me", "/api/v1/documents"


@pytest.mark.timeout(300)
async def test_a_providers_tokens_pass_the_edge_and_the_services_and_forged_ones_do_not(
    start_mesh: Callable[..., Mesh], tmp_path: Path
) -> None:
    async with OidcIssuer() as issuer, OidcIssuer() as stranger:
        file = tmp_path / "parley.toml"
        file.write_text(issuer.table(keys_seconds=1), encoding="utf-8")
        settings = {
            "PARLEY_CHAT_CONFIG_FILE": str(file),
            "PARLEY_EDGE_CONFIG_FILE": str(file),
            "PARLEY_EDGE_JWKS_SECONDS": "1",
        }
        mesh = await asyncio.to_thread(start_mesh, settings)

        async def get(path: str, token: str) -> tuple[int, str]:
            headers = {"authorization": f"Bearer {token}"}
            status, body = await asyncio.to_thread(mesh.request, "GET", path, headers=headers)
            return status, body.decode()

        async def when_known(path: str, token: str) -> tuple[int, str]:
            """The edge fetches the keys in the background, again and again."""
            deadline = time.monotonic() + 120
            while True:
                found = await get(path, token)
                if found[0] not in {401, 503} or time.monotonic() > deadline:
                    return found
                await asyncio.sleep(0.25)

        token = issuer.token("ada", email="ada@example.com")
        status, body = await when_known(ME, token)
        assert status == 200, body
        ada = json.loads(body)["user"]
        assert (ada["email"], ada["issuer"]) == ("ada@example.com", issuer.url)
        # Retrieval takes it too, which knows chat and no provider.
        status, body = await get(DOCUMENTS, token)
        assert status == 200, body
        # Our own are as good as ever, and refused in the same words.
        own = await asyncio.to_thread(mesh.sign_up)
        assert (await get(ME, own.token))[0] == 200
        now = int(time.time())
        for refused in (
            stranger.token("ada"),
            stranger.token("ada", iss=issuer.url),
            issuer.token("ada", aud="another"),
            issuer.token("ada", nbf=now + 3600),
            issuer.token("ada", iss="parley"),
        ):
            for path in (ME, DOCUMENTS):
                assert (await get(path, refused))[0] in {401, 403}, path
        status, body = await get(ME, issuer.token("ada", exp=now - 3600))
        assert (status, "ERROR_REASON_TOKEN_EXPIRED" in body) == (401, True), body
        status, body = await get(ME, "")
        assert status == 401, body
        # The provider changes its keys: the edge learns of it through chat.
        issuer.rotate()
        status, body = await when_known(ME, issuer.token("ada"))
        assert (status, json.loads(body)["user"]["user_id"]) == (200, ada["user_id"])
