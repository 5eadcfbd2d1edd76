"""An edge that starts while chat is away has no keys to check tokens with: that is no reason to call a good token wrong."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path

from parley_testing.doors import DOORS, RefusedError
from parley_testing.mesh import Mesh


async def test_a_good_token_is_not_refused_by_an_edge_that_has_no_keys_yet(tmp_path: Path) -> None:
    mesh = await asyncio.to_thread(Mesh.start, tmp_path / "home")
    with contextlib.ExitStack() as stack:
        stack.callback(mesh.stop)
        user = await asyncio.to_thread(mesh.sign_up)
        doors = {name: door(mesh.grpc_address, user.token) for name, door in DOORS.items()}
        told: dict[str, set[int]] = {name: set() for name in doors}
        mesh.kill("chat")
        mesh.kill("edge")
        answered: set[str] = set()
        async with asyncio.timeout(90):
            while answered != set(doors):
                for name, door in doors.items():
                    try:
                        await door.messages("ses_" + 32 * "0")
                    except RefusedError as refused:
                        # The session is nobody's: NOT_FOUND is chat's answer.
                        if refused.code == 5:
                            answered.add(name)
                        told[name].add(refused.code)
    assert all(codes <= {5, 14} for codes in told.values()), told
