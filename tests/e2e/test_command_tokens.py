"""`parley token`: what it makes works in grpcurl through the edge, and no longer when it is revoked."""

from __future__ import annotations

import asyncio
import json

from parley_testing.command import SECONDS, run
from parley_testing.mesh import Mesh
from parley_testing.tools import require_tool


async def grpcurl(mesh: Mesh, token: str, message: object, rpc: str) -> tuple[int, str, str]:
    """A call with the real grpcurl, which knows the contract by reflection."""
    process = await asyncio.create_subprocess_exec(
        *[require_tool("grpcurl"), "-plaintext", "-H", f"authorization: Bearer {token}", "-d", json.dumps(message)],
        *[mesh.grpc_address, rpc],
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await asyncio.wait_for(process.communicate(), SECONDS)
    return process.returncode or 0, out.decode(), err.decode()


async def test_a_token_is_all_that_is_printed_and_grpcurl_streams_an_answer_with_it(mesh: Mesh) -> None:
    home = {"PARLEY_HOME": str(mesh.home)}
    ended = await run(home, "token", "create", "--name", "grpcurl of a test")
    assert ended.code == 0, ended.err
    token = ended.out.removesuffix("\n")
    assert token.count(".") == 2
    assert not set(token) & set(" \n")

    question = {"message": "How do I add a provider?"}
    code, out, err = await grpcurl(mesh, token, question, "parley.chat.v1.ChatService/StreamReply")
    assert code == 0, err
    assert '"started"' in out
    assert '"completed"' in out


async def test_a_token_may_do_what_it_was_made_for_and_nothing_after_it_is_revoked(mesh: Mesh) -> None:
    home = {"PARLEY_HOME": str(mesh.home)}
    token = (
        await run(home, "token", "create", "--name", "reader", "--scopes", "chat:read, system:read", "--days", "1")
    ).out.strip()
    listed = json.loads((await run(home, "token", "list", "--json")).out)
    (made,) = [each for each in listed if each["name"] == "reader"]
    assert made["scopes"] == ["chat:read", "system:read"]

    with_token = {**home, "PARLEY_TOKEN": token}
    assert (await run(with_token, "sessions")).code == 0
    ended = await run(with_token, "ask", "Hi")
    assert ended.code == 1
    assert "lacks the scope chat:write" in ended.err

    ended = await run(home, "token", "revoke", made["access_token_id"])
    assert (ended.code, ended.out) == (0, "")
    assert "reader" in ended.err
    shown = (await run(home, "token", "list")).out
    assert f"{made['access_token_id']}  reader" in shown
    assert "revoked" in next(line for line in shown.splitlines() if made["access_token_id"] in line)
    assert (await run(home, "token", "revoke", "tok_" + "0" * 32)).code == 1

    async def is_refused() -> bool:
        code, _, err = await grpcurl(mesh, token, {}, "parley.chat.v1.ChatService/ListSessions")
        return code != 0 and "Unauthenticated" in err

    async with asyncio.timeout(SECONDS):
        while not await is_refused():  # noqa: ASYNC110 - only asking tells
            await asyncio.sleep(0.2)
    ended = await run(with_token, "sessions")
    assert ended.code == 1
    assert "refused the token" in ended.err


async def test_scopes_that_do_not_exist_are_refused_with_the_field(mesh: Mesh) -> None:
    ended = await run({"PARLEY_HOME": str(mesh.home)}, "token", "create", "--scopes", "everything")
    assert (ended.code, ended.out) == (1, "")
    assert "scopes" in ended.err
