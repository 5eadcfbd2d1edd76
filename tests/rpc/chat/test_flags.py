"""Feature flags: set by administrators, evaluated for each user, watched live, the same at every replica."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import Any
from uuid import uuid4

import grpc
import pytest
from google.protobuf import field_mask_pb2
from parley.events.v1 import event_pb2, event_service_pb2, event_service_pb2_grpc
from parley.flags.v1 import flag_pb2, flag_service_pb2_grpc
from parley.flags.v1 import flag_service_pb2 as pb
from parley_chat.adapters import sql_flags
from parley_chat.domain.flags import bucket_of
from parley_chat.operations import flags as operations
from parley_shared.settings import SettingsError
from parley_shared.status import StatusError, status_error_from
from parley_testing.administrators import administrator
from parley_testing.postgres import PostgresServer
from parley_testing.redis_server import RedisServer
from parley_testing.running_chat import Person, RunningChat, running_chat
from parley_testing.scripted_inference import ScriptedInference

SECONDS = 60


class Caller:
    """Somebody's calls."""

    def __init__(self, chat: RunningChat, person: Person) -> None:
        self.stub: Any = flag_service_pb2_grpc.FlagServiceStub(chat.channel)
        self.user_id, self.metadata = person.user_id, person.metadata

    async def get(self, name: str) -> flag_pb2.EvaluatedFlag | None:
        answer = await self.stub.GetFlags(pb.GetFlagsRequest(), metadata=self.metadata)
        return {flag.name: flag for flag in answer.flags}.get(name)

    async def all(self) -> dict[str, flag_pb2.Flag]:
        answer = await self.stub.ListFlags(pb.ListFlagsRequest(), metadata=self.metadata)
        return {flag.name: flag for flag in answer.flags}

    async def set(self, name: str, *, only: list[str] | None = None, **fields: Any) -> flag_pb2.Flag:
        mask = None if only is None else field_mask_pb2.FieldMask(paths=only)
        request = pb.SetFlagRequest(name=name, update_mask=mask, **fields)
        flag: flag_pb2.Flag = (await self.stub.SetFlag(request, metadata=self.metadata)).flag
        return flag

    async def delete(self, name: str, **fields: Any) -> None:
        await self.stub.DeleteFlag(pb.DeleteFlagRequest(name=name, **fields), metadata=self.metadata)

    def watch(self) -> Watcher:
        return Watcher(self.stub.WatchFlags(pb.WatchFlagsRequest(), metadata=self.metadata))


class Watcher:
    """Reads a stream of flags."""

    def __init__(self, call: Any) -> None:
        self.call = call

    async def next(self) -> Mapping[str, flag_pb2.EvaluatedFlag]:
        async with asyncio.timeout(SECONDS):
            message = await self.call.read()
        assert isinstance(message, pb.WatchFlagsResponse)
        return {flag.name: flag for flag in message.flags}

    async def until(self, wanted: Callable[[Mapping[str, flag_pb2.EvaluatedFlag]], bool]) -> None:
        """Reads on to a message that is as it should be."""
        async with asyncio.timeout(SECONDS):
            while not wanted(await self.next()):
                pass


@pytest.fixture(scope="module")
async def admin(chat: RunningChat) -> Caller:
    return Caller(chat, await administrator(chat))


@pytest.fixture(scope="module")
async def user(chat: RunningChat) -> Caller:
    return Caller(chat, await chat.sign_up())


@pytest.fixture
async def name(admin: Caller) -> AsyncIterator[str]:
    """A flag's name that no other test has; the flag is gone afterwards."""
    unique = f"f-{uuid4().hex[:12]}"
    yield unique
    if unique in await admin.all():
        await admin.delete(unique)


async def refused(call: Any) -> tuple[grpc.StatusCode, StatusError]:
    with pytest.raises(grpc.aio.AioRpcError) as refusal:
        await call
    return refusal.value.code(), status_error_from(refusal.value)


async def test_a_flag_is_on_for_those_for_whom_it_was_set(admin: Caller, user: Caller, name: str) -> None:
    assert await user.get(name) is None
    made = await admin.set(
        name, description=" Dark. ", enabled=True, rollout_basis_points=0, users_on=[user.user_id], value="blue"
    )
    assert (made.description, made.origin, made.revision > 0) == ("Dark.", flag_pb2.FLAG_ORIGIN_STORED, True)
    assert made.create_time == made.update_time
    assert await user.get(name) == flag_pb2.EvaluatedFlag(
        name=name, enabled=True, value="blue", reason=flag_pb2.FLAG_REASON_USER_ON, revision=made.revision
    )
    assert await admin.get(name) == flag_pb2.EvaluatedFlag(
        name=name, reason=flag_pb2.FLAG_REASON_OUT_OF_ROLLOUT, revision=made.revision
    )
    await admin.delete(name)
    assert await user.get(name) is None


async def test_a_rollout_is_what_the_hash_says(admin: Caller, user: Caller, name: str) -> None:
    bucket = bucket_of(name, user.user_id)
    for basis_points, enabled in ((bucket, False), (bucket + 1, True)):
        await admin.set(name, enabled=True, rollout_basis_points=basis_points)
        found = await user.get(name)
        assert found is not None
        assert found.enabled is enabled


async def test_without_a_mask_a_flag_is_as_the_request_says_and_with_one_only_its_fields_change(
    admin: Caller, name: str
) -> None:
    first = await admin.set(name, description="One", enabled=True, rollout_basis_points=10, users_off=["u"], value="v")
    second = await admin.set(
        name, only=["rollout_basis_points", "users_off"], rollout_basis_points=20, value="not this"
    )
    assert (second.description, second.enabled, second.value) == ("One", True, "v")
    assert (second.rollout_basis_points, list(second.users_off)) == (20, [])
    assert second.revision > first.revision
    assert second.create_time == first.create_time
    third = await admin.set(name, enabled=True)
    assert (third.description, third.value, third.rollout_basis_points) == ("", "", 10_000)
    off = await admin.set(name, only=["enabled"])
    assert not off.enabled


async def test_setting_what_is_so_changes_nothing(admin: Caller, name: str) -> None:
    first = await admin.set(name, enabled=True, expected_revision=0)
    # As when its answer was lost and it is sent again.
    assert await admin.set(name, enabled=True, expected_revision=0) == first


async def test_a_change_of_somebody_else_is_not_lost(admin: Caller, name: str) -> None:
    first = await admin.set(name, enabled=True, expected_revision=0)
    second = await admin.set(name, enabled=False, expected_revision=first.revision)
    changing = admin.set(name, enabled=True, value="x", expected_revision=first.revision)
    code, error = await refused(changing)
    assert (code, error.reason) == (grpc.StatusCode.ABORTED, "ERROR_REASON_REVISION_MISMATCH")
    assert error.metadata["revision"] == str(second.revision)
    assert (await refused(admin.delete(name, expected_revision=first.revision)))[0] is grpc.StatusCode.ABORTED
    code, error = await refused(admin.set(f"{name}.b", enabled=True, expected_revision=1))
    assert (code, error.metadata["revision"]) == (grpc.StatusCode.ABORTED, "0")
    assert (await admin.all())[name] == second
    await admin.delete(name, expected_revision=second.revision)


async def test_what_happens_to_a_flag_is_among_the_events_of_its_administrator(
    chat: RunningChat, admin: Caller, user: Caller, name: str
) -> None:
    flag = await admin.set(name, enabled=True, users_on=[user.user_id])
    await admin.set(name, enabled=True, users_on=[user.user_id])
    off = await admin.set(name, only=["enabled"])
    await admin.delete(name)
    events: Any = event_service_pb2_grpc.EventServiceStub(chat.channel)
    request = event_service_pb2.ListEventsRequest(resource_types=[event_pb2.RESOURCE_TYPE_FLAG])
    found = (await events.ListEvents(request, metadata=admin.metadata)).events
    told = [(event.action, event.resource_id, event.flag) for event in found if event.resource_id == name]
    assert told == [
        (event_pb2.ACTION_CREATED, name, flag),
        (event_pb2.ACTION_UPDATED, name, off),
        (event_pb2.ACTION_DELETED, name, flag_pb2.Flag()),
    ]
    assert not (await events.ListEvents(request, metadata=user.metadata)).events


async def test_watchers_are_told_at_once_and_only_when_something_changes_for_them(
    admin: Caller, user: Caller, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Nothing but changes.
    monkeypatch.setattr(operations, "ALIVE_SECONDS", 3600.0)
    watcher = user.watch()
    assert name not in await watcher.next()
    await admin.set(name, enabled=True, rollout_basis_points=0)
    assert (await watcher.next())[name].reason == flag_pb2.FLAG_REASON_OUT_OF_ROLLOUT
    # For the user this is the same: what comes next is what comes after it.
    await admin.set(name, enabled=True, rollout_basis_points=0, users_on=["usr_somebody"], description="Else")
    await admin.set(name, enabled=True, rollout_basis_points=0, users_on=[user.user_id], value="v")
    now = (await watcher.next())[name]
    assert (now.enabled, now.value, now.reason) == (True, "v", flag_pb2.FLAG_REASON_USER_ON)
    await admin.delete(name)
    assert name not in await watcher.next()
    watcher.call.cancel()


async def test_a_watcher_is_told_again_when_nothing_changes(user: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(operations, "ALIVE_SECONDS", 0.01)
    watcher = user.watch()
    first = await watcher.next()
    assert [await watcher.next() for _ in range(3)] == [first] * 3
    watcher.call.cancel()


async def test_users_neither_see_how_flags_are_set_nor_set_any(admin: Caller, user: Caller, name: str) -> None:
    await admin.set(name, enabled=True)
    for call, scope in (
        (user.all(), "flags:read"),
        (user.set(name), "flags:write"),
        (user.delete(name), "flags:write"),
    ):
        code, error = await refused(call)
        assert (code, error.metadata["scope"]) == (grpc.StatusCode.PERMISSION_DENIED, scope)
    assert (await admin.all())[name].enabled


async def test_what_is_not_set_cannot_be_deleted(admin: Caller, name: str) -> None:
    code, error = await refused(admin.delete(name))
    assert (code, error.metadata["resource"]) == (grpc.StatusCode.NOT_FOUND, "flag")


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"name": ""}, "name"),
        ({"name": "Loud"}, "name"),
        ({"name": "a" * 65}, "name"),
        ({"name": "a/b"}, "name"),
        ({"description": "x" * 501}, "description"),
        ({"description": "a\nb"}, "description"),
        ({"value": "x" * 201}, "value"),
        ({"value": "a\0"}, "value"),
        ({"rollout_basis_points": -1}, "rollout_basis_points"),
        ({"rollout_basis_points": 10_001}, "rollout_basis_points"),
        ({"users_on": [f"u{number}" for number in range(101)]}, "users_on"),
        ({"users_off": ["u", ""]}, "users_off[1]"),
        ({"users_on": ["x" * 101]}, "users_on[0]"),
        ({"users_on": ["a", "b"], "users_off": ["c", "b"]}, "users_off[1]"),
        ({"expected_revision": -1}, "expected_revision"),
        ({"update_mask": field_mask_pb2.FieldMask(paths=["name"])}, "update_mask"),
    ],
)
async def test_a_field_of_a_flag_that_is_out_of_bounds_is_named(
    admin: Caller, fields: dict[str, Any], field: str
) -> None:
    request = pb.SetFlagRequest(**{"name": "bounds", **fields})
    code, error = await refused(admin.stub.SetFlag(request, metadata=admin.metadata))
    assert (code, error.metadata["field"]) == (grpc.StatusCode.INVALID_ARGUMENT, field)
    assert "bounds" not in await admin.all()


async def test_a_user_in_a_list_from_before_cannot_be_in_the_other_one(admin: Caller, name: str) -> None:
    await admin.set(name, users_on=["u"])
    code, error = await refused(admin.set(name, only=["users_off"], users_off=["u"]))
    assert (code, error.metadata["field"]) == (grpc.StatusCode.INVALID_ARGUMENT, "users_off[0]")
    assert not (await admin.all())[name].users_off


async def test_there_are_only_so_many_flags(running: RunningChat, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sql_flags, "MOST_FLAGS", 2)
    caller = Caller(running, await administrator(running))
    await caller.set("one")
    await caller.set("two")
    code, error = await refused(caller.set("three"))
    assert (code, error.reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "ERROR_REASON_LIMIT_EXCEEDED")
    assert (await caller.set("one", enabled=True)).enabled, "one that there is can be changed"
    assert set(await caller.all()) == {"one", "two"}


async def test_the_settings_have_flags_that_administrators_override(tmp_path: Path) -> None:
    settings = {"PARLEY_CHAT_FLAGS": "dark=on:blue, old=off"}
    async with running_chat(tmp_path, inference="127.0.0.1:1", **settings) as chat:
        admin = Caller(chat, await administrator(chat))
        dark = await admin.get("dark")
        assert dark is not None
        assert (dark.enabled, dark.value, dark.revision) == (True, "blue", 0)
        set_so = (await admin.all())["dark"]
        assert set_so.origin == flag_pb2.FLAG_ORIGIN_SETTINGS
        assert not set_so.HasField("create_time")
        assert (await refused(admin.delete("dark")))[0] is grpc.StatusCode.NOT_FOUND
        # What a mask does not name stays as the settings say.
        changed = await admin.set("dark", only=["rollout_basis_points"], rollout_basis_points=0, expected_revision=0)
        assert (changed.enabled, changed.value, changed.origin) == (True, "blue", flag_pb2.FLAG_ORIGIN_STORED)
    async with running_chat(tmp_path, inference="127.0.0.1:1", **settings) as chat:
        admin = Caller(chat, await administrator(chat))
        kept = await admin.get("dark")
        assert kept is not None
        assert not kept.enabled, "what was set survives the process"
        await admin.delete("dark")
        back = await admin.get("dark")
        assert back is not None
        assert back.enabled


async def test_a_setting_that_names_no_flags_keeps_chat_from_starting(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"PARLEY_CHAT_FLAGS: must say of dark: on, off, or a percentage"):
        async with running_chat(tmp_path, inference="127.0.0.1:1", PARLEY_CHAT_FLAGS="dark=maybe"):
            pass


async def test_what_is_set_at_one_replica_is_told_at_the_other(
    tmp_path: Path, inference: ScriptedInference, postgres: PostgresServer, redis_server: RedisServer
) -> None:
    shared = {
        "PARLEY_CHAT_DATABASE_URL": postgres.new_database_url(),
        "PARLEY_CHAT_REDIS_URL": redis_server.new_url(),
    }
    async with (
        running_chat(tmp_path, inference=inference.address, **shared) as one,
        running_chat(tmp_path, inference=inference.address, **shared) as two,
    ):
        person = await administrator(one)
        here, there = Caller(one, person), Caller(two, person)
        watcher = there.watch()
        assert not await watcher.next()
        # All at once, at both: each change has a revision of its own, and the last one is seen everywhere.
        made = await asyncio.gather(
            *(
                each.set(f"f{number}.{place}", enabled=True)
                for number in range(4)
                for place, each in enumerate((here, there))
            )
        )
        assert sorted(flag.revision for flag in made) == list(range(1, 9))
        await watcher.until(lambda found: len(found) == 8 and all(flag.enabled for flag in found.values()))
        await here.set("f0.0", enabled=False)
        await watcher.until(lambda found: not found["f0.0"].enabled)
        assert (await there.get("f0.0")) == (await here.get("f0.0"))
        watcher.call.cancel()
