"""The audit trail as it is listed: an entry for each deed, to those whom it concerns and to admins; over real gRPC."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc import StatusCode
from parley.flags.v1 import flag_service_pb2, flag_service_pb2_grpc
from parley.identity.v1 import audit_event_pb2, user_pb2
from parley.identity.v1 import identity_service_pb2 as pb
from parley_chat.adapters.sql_accounts import SqlAccounts
from parley_chat.adapters.sql_sign_in_failures import SqlSignInFailures
from parley_chat.domain.accounts import Role
from parley_chat.domain.sign_in_delays import OF_AN_ADDRESS, failure_keys
from parley_chat.operations.users import set_role_by_email
from parley_shared.channels import bearer
from parley_testing.command import run
from parley_testing.identity import PASSWORD, SignedUp, new_email, refused, sign_up
from parley_testing.oidc_issuer import OidcIssuer
from parley_testing.running_chat import Metadata, RunningChat, running_chat

NOWHERE = "127.0.0.1:1"
HERE = (("x-parley-address", "192.0.2.1"), ("x-parley-user-agent", "a phone"))
SUCCEEDED, FAILED, REFUSED = (
    audit_event_pb2.AUDIT_OUTCOME_SUCCEEDED,
    audit_event_pb2.AUDIT_OUTCOME_FAILED,
    audit_event_pb2.AUDIT_OUTCOME_REFUSED,
)
Event = audit_event_pb2.AuditEvent


@pytest.fixture
async def admin(chat: RunningChat) -> SignedUp:
    user = await sign_up(chat.identity, "root")
    await set_role_by_email(SqlAccounts(chat.app.database), user.user.email, Role.ADMIN)
    response = await chat.identity.SignIn(pb.SignInRequest(email=user.user.email, password=PASSWORD))
    return SignedUp(response.user, response.tokens)


@pytest.fixture
async def issuer() -> AsyncIterator[OidcIssuer]:
    async with OidcIssuer() as issuer:
        yield issuer


async def events(chat: RunningChat, metadata: Metadata, **fields: Any) -> list[Event]:
    """What is listed, newest first."""
    listed = await chat.identity.ListAuditEvents(pb.ListAuditEventsRequest(**fields), metadata=metadata)
    return list(listed.audit_events)


def words(found: Iterable[Event]) -> list[str]:
    """The deeds, in the words of the contract, oldest first."""
    names = [audit_event_pb2.AuditDeed.Name(event.deed).removeprefix("AUDIT_DEED_") for event in found]
    return names[::-1]


def folded(found: Iterable[Event]) -> list[str]:
    """The same, without repeats: what is folded within an hour may be two entries when the clock strikes."""
    told = words(found)
    return [word for word, before in zip(told, ["", *told], strict=False) if word != before]


def kind(event: Event) -> str:
    return audit_event_pb2.AuditActorKind.Name(event.actor.kind).removeprefix("AUDIT_ACTOR_KIND_")


async def test_whatever_one_does_with_the_own_account_is_an_entry_with_who_and_where(chat: RunningChat) -> None:
    request = pb.SignUpRequest(email=new_email(), password=PASSWORD)
    signed_up = await chat.identity.SignUp(request, metadata=HERE)
    ada = SignedUp(signed_up.user, signed_up.tokens)
    wrong = pb.SignInRequest(email=ada.user.email, password="wrong and secret")
    await refused(chat.identity.SignIn(wrong, metadata=HERE))
    signed_in = await chat.identity.SignIn(pb.SignInRequest(email=ada.user.email, password=PASSWORD), metadata=HERE)
    made = await chat.identity.CreateAccessToken(
        pb.CreateAccessTokenRequest(name="my laptop", scopes=["identity:read", "identity:write"]),
        metadata=(*ada.metadata, *HERE),
    )
    token_id = made.access_token.access_token_id
    for _ in range(2):  # The second changes nothing.
        revoke = pb.RevokeAccessTokenRequest(access_token_id=token_id)
        await chat.identity.RevokeAccessToken(revoke, metadata=ada.metadata)
        await chat.identity.SignOut(pb.SignOutRequest(refresh_token=signed_in.tokens.refresh_token))
    refresh = pb.RefreshTokensRequest(refresh_token=ada.tokens.refresh_token)
    await chat.identity.RefreshTokens(refresh)
    for _ in range(2):
        await refused(chat.identity.RefreshTokens(refresh))
    found = await events(chat, ada.metadata)
    assert words(found) == [
        "SIGNED_UP",
        "SIGN_IN_FAILED",
        "SIGNED_IN",
        "ACCESS_TOKEN_CREATED",
        "ACCESS_TOKEN_REVOKED",
        "SIGNED_OUT",
        "REFRESH_TOKEN_REUSED",
    ]
    oldest = found[::-1]
    assert [event.outcome for event in oldest] == [SUCCEEDED, FAILED, *[SUCCEEDED] * 4, REFUSED]
    assert [kind(event) for event in oldest] == ["USER", "UNKNOWN", *["USER"] * 4, "UNKNOWN"]
    assert {event.user_id for event in found} == {ada.user.user_id}
    assert {event.actor.user_id for event in oldest if kind(event) == "USER"} == {ada.user.user_id}
    assert [event.target for event in oldest] == ["", "", "", token_id, token_id, "", ""]
    assert {(event.client_address, event.user_agent) for event in oldest[:4]} == {("192.0.2.1", "a phone")}
    assert oldest[4].user_agent.startswith("grpc-python")
    assert oldest[3].actor.token_id
    assert all(len(event.trace_id) == 32 for event in found)
    assert [event.audit_event_id for event in found] == sorted((e.audit_event_id for e in found), reverse=True)
    written = str(found)
    secrets = (ada.user.email, PASSWORD, "wrong and secret", made.token, ada.tokens.refresh_token, "my laptop")
    assert [secret for secret in secrets if secret in written] == []


async def test_what_is_done_with_a_personal_token_says_which(chat: RunningChat, ada: SignedUp) -> None:
    request = pb.CreateAccessTokenRequest(name="a script", scopes=["identity:read", "identity:write"])
    made = await chat.identity.CreateAccessToken(request, metadata=ada.metadata)
    another = await chat.identity.CreateAccessToken(request, metadata=bearer(made.token))
    newest = (await events(chat, bearer(made.token)))[0]
    assert newest.target == another.access_token.access_token_id
    assert newest.actor.token_id == made.access_token.access_token_id


async def test_what_an_admin_does_is_seen_by_the_user_without_the_admins_place_and_whole_by_admins(
    chat: RunningChat, admin: SignedUp, ada: SignedUp
) -> None:
    by_admin = (*admin.metadata, *HERE)
    user_id = ada.user.user_id
    for _ in range(2):  # The second changes nothing.
        role = pb.SetUserRoleRequest(user_id=user_id, role=user_pb2.USER_ROLE_ADMIN)
        await chat.identity.SetUserRole(role, metadata=by_admin)
        await chat.identity.DisableUser(pb.DisableUserRequest(user_id=user_id), metadata=by_admin)
    right = pb.SignInRequest(email=ada.user.email, password=PASSWORD)
    for _ in range(3):
        assert (await refused(chat.identity.SignIn(right, metadata=HERE))).reason == "ACCOUNT_DISABLED"
    await chat.identity.EnableUser(pb.EnableUserRequest(user_id=user_id), metadata=by_admin)
    role.role = user_pb2.USER_ROLE_USER
    seen = await chat.identity.SetUserRole(role, metadata=by_admin)
    assert seen.user.email == ada.user.email

    everything = await events(chat, admin.metadata, user_id=user_id)
    assert folded(everything) == [
        "SIGNED_UP",
        "ROLE_SET",
        "USER_DISABLED",
        "SIGN_IN_REFUSED",
        "USER_ENABLED",
        "ROLE_SET",
    ]
    assert sum(event.count for event in everything) == 8
    assert [event.target for event in everything if event.target] == ["user", "admin"]
    deeds = [event for event in everything if kind(event) == "ADMIN"]
    assert len(deeds) == 4
    for event in deeds:
        assert (event.actor.user_id, event.client_address) == (admin.user.user_id, "192.0.2.1")
        assert event.actor.token_id
    signed_in = await chat.identity.SignIn(right)
    mine = await events(chat, bearer(signed_in.tokens.access_token), actor_user_id=admin.user.user_id)
    assert words(mine) == words(deeds)
    for event in mine:
        assert event.actor.user_id == admin.user.user_id
        assert (event.actor.token_id, event.client_address, event.user_agent, event.trace_id) == ("", "", "", "")


async def test_what_the_operator_does_at_the_machine_is_an_entry(chat: RunningChat, ada: SignedUp) -> None:
    await set_role_by_email(SqlAccounts(chat.app.database), ada.user.email, Role.ADMIN)
    newest = (await events(chat, ada.metadata))[0]
    assert (words([newest]), newest.target, kind(newest)) == (["ROLE_SET"], "admin", "OPERATOR")


async def test_flags_that_are_set_are_entries_of_the_admin_and_what_changes_nothing_is_none(
    chat: RunningChat, admin: SignedUp
) -> None:
    flags: Any = flag_service_pb2_grpc.FlagServiceStub(chat.channel)
    for _ in range(2):
        await flags.SetFlag(flag_service_pb2.SetFlagRequest(name="audit.tried", enabled=True), metadata=admin.metadata)
    await flags.DeleteFlag(flag_service_pb2.DeleteFlagRequest(name="audit.tried"), metadata=admin.metadata)
    newest = (await events(chat, admin.metadata))[:2]
    assert words(newest) == ["FLAG_SET", "FLAG_DELETED"]
    assert {(event.target, kind(event)) for event in newest} == {("audit.tried", "ADMIN")}


async def test_guesses_are_folded_and_so_are_those_that_are_held_back(chat: RunningChat, ada: SignedUp) -> None:
    # Each window is an hour: the clock may strike once between.
    failures, keys = SqlSignInFailures(chat.app.database), failure_keys(ada.user.email, "192.0.2.1")
    wrong = pb.SignInRequest(email=ada.user.email, password="not it")
    for _ in range(OF_AN_ADDRESS.free - 1):
        await refused(chat.identity.SignIn(wrong, metadata=HERE))
    later = datetime.now(UTC) + timedelta(days=365)
    for _ in range(OF_AN_ADDRESS.free + 1):
        await failures.add(keys, later)
    for _ in range(4):
        assert (await refused(chat.identity.SignIn(wrong, metadata=HERE))).code is StatusCode.RESOURCE_EXHAUSTED
    found = await events(chat, ada.metadata)
    for deed, times in (
        (audit_event_pb2.AUDIT_DEED_SIGN_IN_FAILED, OF_AN_ADDRESS.free - 1),
        (audit_event_pb2.AUDIT_DEED_SIGN_IN_HELD_BACK, 4),
    ):
        alike = [event for event in found if event.deed == deed]
        assert len(alike) <= 2
        assert sum(event.count for event in alike) == times
        assert {(event.client_address, kind(event)) for event in alike} == {("192.0.2.1", "UNKNOWN")}
        assert all(event.last_time.ToDatetime() >= event.create_time.ToDatetime() for event in alike)


async def test_guesses_for_an_account_that_is_not_there_are_of_nobody(chat: RunningChat, admin: SignedUp) -> None:
    place = (("x-parley-address", "192.0.2.77"),)
    for _ in range(3):
        await refused(chat.identity.SignIn(pb.SignInRequest(email=new_email(), password="x"), metadata=place))
    deeds = [audit_event_pb2.AUDIT_DEED_SIGN_IN_FAILED]
    found = await events(chat, admin.metadata, all_users=True, deeds=deeds)
    theirs = [event for event in found if event.client_address == "192.0.2.77"]
    assert sum(event.count for event in theirs) == 3
    assert {event.user_id for event in theirs} == {""}


async def test_chat_that_acts_for_a_user_is_an_entry_of_the_day_however_often(chat: RunningChat, ada: SignedUp) -> None:
    chat.app.service_tokens.for_user(ada.user.user_id)
    chat.app.service_tokens._tokens.clear()  # As if they had ended.
    chat.app.service_tokens.for_user(ada.user.user_id)
    found = await events(chat, ada.metadata, deeds=[audit_event_pb2.AUDIT_DEED_SERVICE_ACTED])
    assert len(found) <= 2  # Midnight may have been between.
    assert sum(event.count for event in found) == 2
    assert (found[0].target, found[0].actor.name, kind(found[0])) == ("chat", "chat", "SERVICE")


async def test_a_user_of_an_identity_provider_is_told_once_and_so_is_the_role_that_it_says(
    tmp_path: Path, issuer: OidcIssuer
) -> None:
    table = issuer.table(role_claim="groups", admins=["ops"])
    (tmp_path / "parley.toml").write_text(table, encoding="utf-8")
    async with running_chat(tmp_path, inference=NOWHERE) as chat:
        for number in range(2):
            token = issuer.token("ada", jti=str(number))
            await chat.identity.ExchangeToken(pb.ExchangeTokenRequest(token=token), metadata=HERE)
        grown = bearer(issuer.token("ada", groups=["ops"]))
        found = await events(chat, grown)
        assert words(found) == ["FOREIGN_USER_SEEN", "ROLE_SET"]
        role_set, seen = found
        assert (seen.target, kind(seen), seen.client_address) == (issuer.url, "USER", "192.0.2.1")
        assert (role_set.target, kind(role_set), role_set.actor.name) == ("admin", "ISSUER", issuer.url)
        # One who is an admin at first sight.
        root = await events(chat, bearer(issuer.token("root", groups=["ops"])))
        assert words(root) == ["FOREIGN_USER_SEEN", "ROLE_SET"]
        # Disabled, whatever the provider says.
        await chat.identity.DisableUser(
            pb.DisableUserRequest(user_id=seen.user_id), metadata=bearer(issuer.token("root", groups=["ops"]))
        )
        for number in range(3):
            other = issuer.token("ada", jti=f"late {number}")
            await refused(chat.identity.ExchangeToken(pb.ExchangeTokenRequest(token=other)))
        deeds = [audit_event_pb2.AUDIT_DEED_SIGN_IN_REFUSED]
        last = await events(chat, bearer(issuer.token("root", groups=["ops"])), user_id=seen.user_id, deeds=deeds)
        assert sum(event.count for event in last) == 3
        assert len(last) <= 2


async def test_nobody_but_an_admin_sees_what_concerns_another(
    chat: RunningChat, admin: SignedUp, ada: SignedUp, bob: SignedUp
) -> None:
    assert {event.user_id for event in await events(chat, ada.metadata)} == {ada.user.user_id}
    nobody = "usr_" + "0" * 32
    refusals = [
        await refused(chat.identity.ListAuditEvents(pb.ListAuditEventsRequest(**fields), metadata=ada.metadata))
        for fields in ({"user_id": bob.user.user_id}, {"user_id": nobody}, {"all_users": True})
    ]
    assert {refusal.reason for refusal in refusals} == {"SCOPE_MISSING"}
    assert {refusal.code for refusal in refusals} == {StatusCode.PERMISSION_DENIED}
    assert len({str(refusal) for refusal in refusals}) == 1
    # Their own by name they see, and what others did only where it is theirs.
    assert await events(chat, ada.metadata, user_id=ada.user.user_id)
    assert await events(chat, ada.metadata, actor_user_id=bob.user.user_id) == []
    # A token that does not name the scope is no admin's, whoever made it.
    request = pb.CreateAccessTokenRequest(name="plain", scopes=["identity:read"])
    plain = await chat.identity.CreateAccessToken(request, metadata=admin.metadata)
    asked = chat.identity.ListAuditEvents(pb.ListAuditEventsRequest(all_users=True), metadata=bearer(plain.token))
    assert (await refused(asked)).reason == "SCOPE_MISSING"
    everybody = await events(chat, admin.metadata, all_users=True, page_size=100)
    assert {ada.user.user_id, bob.user.user_id} <= {event.user_id for event in everybody}
    # Nor does a page token of another's list help.
    other = await chat.identity.ListAuditEvents(
        pb.ListAuditEventsRequest(all_users=True, page_size=1), metadata=admin.metadata
    )
    stolen = pb.ListAuditEventsRequest(page_token=other.next_page_token)
    assert (await refused(chat.identity.ListAuditEvents(stolen, metadata=ada.metadata))).reason == "INVALID_PAGE_TOKEN"


async def test_pages_go_on_where_they_ended_while_new_things_are_done(chat: RunningChat, ada: SignedUp) -> None:
    create = pb.CreateAccessTokenRequest(name="one of many")
    made = [await chat.identity.CreateAccessToken(create, metadata=ada.metadata) for _ in range(5)]
    deeds = [audit_event_pb2.AUDIT_DEED_ACCESS_TOKEN_CREATED]
    seen: list[str] = []
    request = pb.ListAuditEventsRequest(page_size=2, deeds=deeds)
    while True:
        page = await chat.identity.ListAuditEvents(request, metadata=ada.metadata)
        assert len(page.audit_events) <= 2
        seen += [event.target for event in page.audit_events]
        if not page.next_page_token:
            break
        request.page_token = page.next_page_token
        await chat.identity.CreateAccessToken(create, metadata=ada.metadata)
    assert seen == [one.access_token.access_token_id for one in made[::-1]]


async def test_entries_are_listed_by_time(chat: RunningChat, ada: SignedUp) -> None:
    (signed_up,) = await events(chat, ada.metadata)
    await chat.identity.CreateAccessToken(pb.CreateAccessTokenRequest(name="later"), metadata=ada.metadata)
    newest = (await events(chat, ada.metadata))[0]
    assert words(await events(chat, ada.metadata, end_time=newest.create_time)) == ["SIGNED_UP"]
    assert words(await events(chat, ada.metadata, start_time=newest.create_time)) == ["ACCESS_TOKEN_CREATED"]
    both = {"start_time": signed_up.create_time, "end_time": signed_up.create_time}
    assert await events(chat, ada.metadata, **both) == []


@pytest.mark.parametrize(
    ("fields", "wrong"),
    [
        ({"page_size": 101}, "page_size"),
        ({"page_size": -1}, "page_size"),
        ({"page_token": "x" * 513}, "page_token"),
        ({"user_id": "ada"}, "user_id"),
        ({"actor_user_id": "usr_"}, "actor_user_id"),
        ({"user_id": "usr_" + "0" * 32, "all_users": True}, "user_id"),
        ({"deeds": [0]}, "deeds[0]"),
        ({"deeds": [1, 99]}, "deeds[1]"),
        ({"deeds": [1] * 33}, "deeds"),
        ({"start_time": {"seconds": -1}}, "start_time"),
        ({"start_time": {"seconds": 100}, "end_time": {"seconds": 99}}, "end_time"),
    ],
)
async def test_a_wrong_request_names_its_field(
    chat: RunningChat, ada: SignedUp, fields: dict[str, Any], wrong: str
) -> None:
    asked = chat.identity.ListAuditEvents(pb.ListAuditEventsRequest(**fields), metadata=ada.metadata)
    seen = await refused(asked)
    assert (seen.code, seen.fields) == (StatusCode.INVALID_ARGUMENT, (wrong,))


async def test_a_token_without_the_scope_lists_nothing(chat: RunningChat, ada: SignedUp) -> None:
    request = pb.CreateAccessTokenRequest(name="narrow", scopes=["chat:read"])
    made = await chat.identity.CreateAccessToken(request, metadata=ada.metadata)
    asked = chat.identity.ListAuditEvents(pb.ListAuditEventsRequest(), metadata=bearer(made.token))
    assert (await refused(asked)).reason == "SCOPE_MISSING"


async def test_what_a_client_says_of_itself_is_bounded(chat: RunningChat) -> None:
    said = (("x-parley-address", "a" * 500), ("x-parley-user-agent", "b" * 500))
    request = pb.SignUpRequest(email=new_email(), password=PASSWORD)
    made = await chat.identity.SignUp(request, metadata=said)
    (event,) = await events(chat, bearer(made.tokens.access_token))
    assert (event.client_address, event.user_agent) == ("a" * 64, "b" * 200)


async def test_an_entry_that_cannot_be_stored_leaves_nothing_done(
    chat: RunningChat, ada: SignedUp, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*_: object) -> None:
        raise OSError("the disk is full")

    monkeypatch.setattr("parley_chat.adapters.sql_personal_tokens.write_audit", broken)
    create = chat.identity.CreateAccessToken(pb.CreateAccessTokenRequest(name="x"), metadata=ada.metadata)
    with pytest.raises(grpc.aio.AioRpcError):
        await create
    tokens = await chat.identity.ListAccessTokens(pb.ListAccessTokensRequest(), metadata=ada.metadata)
    assert list(tokens.access_tokens) == []


async def test_the_command_shows_it_and_gives_it_as_json(chat: RunningChat, ada: SignedUp, tmp_path: Path) -> None:
    where = {
        "PARLEY_HOME": str(tmp_path),
        "PARLEY_ADDRESS": f"127.0.0.1:{chat.app.server.port}",
        "PARLEY_TOKEN": ada.tokens.access_token,
        "COLUMNS": "160",
    }
    await chat.identity.CreateAccessToken(pb.CreateAccessTokenRequest(name="x"), metadata=(*ada.metadata, *HERE))
    shown, given, all_of_them, unknown = await asyncio.gather(
        run(where, "audit"),
        run(where, "audit", "--deed", "access-token-created", "--json"),
        run(where, "audit", "--all"),
        run(where, "audit", "--deed", "nonsense"),
    )
    assert shown.code == 0, shown.err
    assert ["access-token-created" in shown.out, "signed-up" in shown.out, "192.0.2.1" in shown.out] == [True] * 3
    (event,) = json.loads(given.out)
    assert (event["deed"], event["client_address"]) == ("AUDIT_DEED_ACCESS_TOKEN_CREATED", "192.0.2.1")
    assert (all_of_them.code, "users:read" in all_of_them.err) == (1, True)
    assert (unknown.code, "sign-in-failed" in unknown.err) == (2, True)
