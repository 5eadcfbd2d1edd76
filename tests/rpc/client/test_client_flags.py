"""Flags and the watched status in the Python client and in the command, against the real chat."""

from __future__ import annotations

import asyncio
import json
from contextlib import aclosing
from pathlib import Path

import pytest
from parley.flags.v1 import flag_pb2
from parley.system.v1 import system_service_pb2
from parley_client import AbortedError, NotFoundError, Parley, PermissionDeniedError
from parley_testing.administrators import administrator
from parley_testing.command import run
from parley_testing.cuttable_proxy import cuttable_proxy
from parley_testing.running_chat import Person, RunningChat, running_chat

SECONDS = 60


def bearer(person: Person) -> str:
    return str(person.metadata[0][1]).removeprefix("Bearer ")


async def test_administrators_set_flags_and_users_watch_them_across_a_cut(tmp_path: Path) -> None:
    async with running_chat(tmp_path, inference="127.0.0.1:1") as running:
        admin, ada = await administrator(running), await running.sign_up()
        async with (
            cuttable_proxy(running.app.server.port) as proxy,
            Parley.connect(f"127.0.0.1:{proxy.port}", token=bearer(ada)) as user,
            Parley.connect(f"127.0.0.1:{running.app.server.port}", token=bearer(admin)) as setting,
        ):
            told: list[dict[str, str]] = []
            async with asyncio.timeout(SECONDS), aclosing(user.flags.watch()) as watched:
                async for flags in watched:
                    seen = {name: flag.value for name, flag in flags.items() if flag.enabled}
                    if told and seen == told[-1]:
                        continue  # The same again tells that the stream lives, or was begun again.
                    told.append(seen)
                    if len(told) == 1:
                        await setting.flags.set("editor", enabled=True, value="blue")
                    elif len(told) == 2:
                        proxy.cut()
                        await setting.flags.set("editor", users_off=[ada.user_id])
                    else:
                        break
            assert told == [{}, {"editor": "blue"}, {}]
            assert (await user.flags.get())["editor"].reason == flag_pb2.FLAG_REASON_USER_OFF
            [flag] = await setting.flags.list()
            assert (flag.value, list(flag.users_off), flag.rollout_basis_points) == ("blue", [ada.user_id], 10_000)
            changed = await setting.flags.set(
                "editor",
                enabled=False,
                percentage=12.34,
                description="D",
                users_off=[],
                expected_revision=flag.revision,
            )
            assert (changed.enabled, changed.rollout_basis_points, list(changed.users_off)) == (False, 1234, [])
            with pytest.raises(AbortedError):
                await setting.flags.delete("editor", expected_revision=flag.revision)
            await setting.flags.delete("editor", expected_revision=changed.revision)
            with pytest.raises(NotFoundError):
                await setting.flags.delete("editor")
            with pytest.raises(PermissionDeniedError):
                await user.flags.list()


async def test_the_client_watches_the_status(running: RunningChat) -> None:
    ada = await running.sign_up()
    async with Parley.connect(f"127.0.0.1:{running.app.server.port}", token=bearer(ada)) as client:
        async with asyncio.timeout(SECONDS), aclosing(client.system.watch()) as watched:
            async for status in watched:
                states = {service.service: service.state for service in status.services}
                if states["inference"] == system_service_pb2.SERVING_STATE_SERVING and status.providers:
                    break
        assert states["chat"] == system_service_pb2.SERVING_STATE_SERVING
        assert [queue.name for queue in status.queues][:1] == ["turns"]


async def test_the_command_sets_lists_and_shows_flags(running: RunningChat, here: dict[str, str]) -> None:
    admin = here | {"PARLEY_TOKEN": bearer(await administrator(running))}
    made = await run(admin, "flags", "set", "editor", "--on", "--percent", "0", "--value", "blue")
    assert (made.code, made.out) == (0, "editor: on for 0 %, revision 1\n"), made.err
    off = await run(here, "flags", "get", "editor")
    assert (off.code, off.out) == (1, "off\n")
    conflict = await run(admin, "flags", "set", "editor", "--percent", "100", "--revision", "7")
    assert (conflict.code, "changed meanwhile" in conflict.err) == (1, True)
    await run(admin, "flags", "set", "editor", "--percent", "100", "--user-on", "usr_a", "--user-on", "usr_b")
    on = await run(here, "flags", "get", "editor")
    assert (on.code, on.out) == (0, "on: blue\n")
    listed = json.loads((await run(admin, "flags", "list", "--json")).out)
    assert [(flag["name"], flag["users_on"]) for flag in listed] == [("editor", ["usr_a", "usr_b"])]
    refused = await run(here, "flags", "delete", "editor")
    assert (refused.code, "flags:write" in refused.err) == (1, True)
    assert (await run(admin, "flags", "delete", "editor")).code == 0
    assert (await run(here, "flags", "get")).out == ""
