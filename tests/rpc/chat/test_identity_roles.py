"""Users, admins and those who are disabled: what each may, and how soon it changes; over real gRPC."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import grpc
import pytest
from grpc import StatusCode
from parley.identity.v1 import identity_service_pb2 as pb
from parley.identity.v1 import user_pb2
from parley_chat.adapters.sql_accounts import SqlAccounts
from parley_chat.domain.accounts import Role, UserNotFoundError
from parley_chat.domain.tokens import ADMIN_SCOPES, USER_SCOPES
from parley_chat.operations.users import set_role_by_email
from parley_shared.channels import bearer
from parley_testing.identity import PASSWORD, SignedUp, refused, sign_up
from parley_testing.running_chat import RunningChat

ADMIN, USER = user_pb2.USER_ROLE_ADMIN, user_pb2.USER_ROLE_USER


async def signed_in_again(chat: RunningChat, user: SignedUp) -> SignedUp:
    response = await chat.identity.SignIn(pb.SignInRequest(email=user.user.email, password=PASSWORD))
    return replace(user, user=response.user, tokens=response.tokens)


@pytest.fixture
async def admin(chat: RunningChat) -> SignedUp:
    user = await sign_up(chat.identity, "root")
    await set_role_by_email(SqlAccounts(chat.app.database), user.user.email.upper(), Role.ADMIN)
    return await signed_in_again(chat, user)


async def eventually(holds: Callable[[], Awaitable[bool]], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not await holds():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.05)


async def code_of(call: Awaitable[object]) -> StatusCode:
    try:
        await call
    except grpc.aio.AioRpcError as error:
        return error.code()
    return StatusCode.OK


async def scopes_of(chat: RunningChat, user: SignedUp) -> set[str]:
    return set((await chat.identity.GetCurrentUser(pb.GetCurrentUserRequest(), metadata=user.metadata)).scopes)


async def test_an_admin_has_the_scopes_of_users_and_of_admins_and_a_user_has_not(
    chat: RunningChat, admin: SignedUp, ada: SignedUp
) -> None:
    assert (admin.user.role, ada.user.role) == (ADMIN, USER)
    assert await scopes_of(chat, admin) == USER_SCOPES | ADMIN_SCOPES
    assert await scopes_of(chat, ada) == USER_SCOPES
    for call in (
        chat.identity.ListUsers(pb.ListUsersRequest(), metadata=ada.metadata),
        chat.identity.SetUserRole(pb.SetUserRoleRequest(user_id=ada.user.user_id, role=ADMIN), metadata=ada.metadata),
        chat.identity.DisableUser(pb.DisableUserRequest(user_id=admin.user.user_id), metadata=ada.metadata),
        chat.identity.EnableUser(pb.EnableUserRequest(user_id=admin.user.user_id), metadata=ada.metadata),
    ):
        assert (await refused(call)).reason == "SCOPE_MISSING"


async def test_a_personal_token_has_the_scopes_of_admins_only_when_an_admin_names_them(
    chat: RunningChat, admin: SignedUp, ada: SignedUp
) -> None:
    every_day = await chat.identity.CreateAccessToken(pb.CreateAccessTokenRequest(name="a"), metadata=admin.metadata)
    assert set(every_day.access_token.scopes) == USER_SCOPES
    request = pb.CreateAccessTokenRequest(name="b", scopes=["users:read", "identity:read"])
    named = await chat.identity.CreateAccessToken(request, metadata=admin.metadata)
    listed = await chat.identity.ListUsers(pb.ListUsersRequest(page_size=1), metadata=bearer(named.token))
    assert len(listed.users) == 1
    assert (await refused(chat.identity.CreateAccessToken(request, metadata=ada.metadata))).reason == "SCOPE_MISSING"
    # And they go with the role, while the rest of the token stays.
    await set_role_by_email(SqlAccounts(chat.app.database), admin.user.email, Role.USER)
    await eventually(
        lambda: _is(
            StatusCode.PERMISSION_DENIED, chat.identity.ListUsers(pb.ListUsersRequest(), metadata=bearer(named.token))
        )
    )
    me = await chat.identity.GetCurrentUser(pb.GetCurrentUserRequest(), metadata=bearer(named.token))
    assert list(me.scopes) == ["identity:read"]


async def _is(code: StatusCode, call: Awaitable[object]) -> bool:
    return await code_of(call) is code


async def test_a_role_that_an_admin_takes_away_is_gone_at_once_and_the_sign_in_stays(
    chat: RunningChat, admin: SignedUp, ada: SignedUp
) -> None:
    request = pb.SetUserRoleRequest(user_id=ada.user.user_id, role=ADMIN)
    made = await chat.identity.SetUserRole(request, metadata=admin.metadata)
    assert made.user.role == ADMIN
    # The refresh that follows has the scopes, and no earlier token.
    assert await scopes_of(chat, ada) == USER_SCOPES
    tokens = (await chat.identity.RefreshTokens(pb.RefreshTokensRequest(refresh_token=ada.tokens.refresh_token))).tokens
    other = replace(ada, tokens=tokens)
    assert await scopes_of(chat, other) == USER_SCOPES | ADMIN_SCOPES
    request = pb.SetUserRoleRequest(user_id=ada.user.user_id, role=USER)
    await chat.identity.SetUserRole(request, metadata=admin.metadata)
    assert await scopes_of(chat, other) == USER_SCOPES
    assert await code_of(chat.identity.ListUsers(pb.ListUsersRequest(), metadata=other.metadata)) is (
        StatusCode.PERMISSION_DENIED
    )


async def test_no_token_of_a_disabled_user_is_good_and_they_cannot_sign_in(
    chat: RunningChat, admin: SignedUp, ada: SignedUp
) -> None:
    personal = await chat.identity.CreateAccessToken(pb.CreateAccessTokenRequest(name="a"), metadata=ada.metadata)
    request = pb.DisableUserRequest(user_id=ada.user.user_id)
    disabled = (await chat.identity.DisableUser(request, metadata=admin.metadata)).user
    assert disabled.HasField("disable_time")
    assert (await chat.identity.DisableUser(request, metadata=admin.metadata)).user == disabled
    me = pb.GetCurrentUserRequest()
    assert (await refused(chat.identity.GetCurrentUser(me, metadata=ada.metadata))).reason == "TOKEN_INVALID"
    assert (await refused(chat.identity.GetCurrentUser(me, metadata=bearer(personal.token)))).reason == "TOKEN_INVALID"
    for check in (
        pb.CheckAccessTokenRequest(user_id=ada.user.user_id),
        pb.CheckAccessTokenRequest(access_token_id=personal.access_token.access_token_id),
    ):
        assert not (await chat.identity.CheckAccessToken(check)).good
    refresh = pb.RefreshTokensRequest(refresh_token=ada.tokens.refresh_token)
    assert (await refused(chat.identity.RefreshTokens(refresh))).reason == "TOKEN_INVALID"
    right = pb.SignInRequest(email=ada.user.email, password=PASSWORD)
    wrong = pb.SignInRequest(email=ada.user.email, password="not it")
    seen = await refused(chat.identity.SignIn(right))
    assert (seen.code, seen.reason) == (StatusCode.PERMISSION_DENIED, "ACCOUNT_DISABLED")
    assert (await refused(chat.identity.SignIn(wrong))).reason == "CREDENTIALS_WRONG"
    # Enabled again: the personal token is good, and the old sign-in is not.
    enabled = await chat.identity.EnableUser(pb.EnableUserRequest(user_id=ada.user.user_id), metadata=admin.metadata)
    assert not enabled.user.HasField("disable_time")
    await chat.identity.GetCurrentUser(me, metadata=bearer(personal.token))
    assert (await refused(chat.identity.RefreshTokens(refresh))).reason == "TOKEN_INVALID"
    await chat.identity.SignIn(right)


async def test_an_admin_does_none_of_this_to_their_own_account(chat: RunningChat, admin: SignedUp) -> None:
    mine = admin.user.user_id
    for call in (
        chat.identity.SetUserRole(pb.SetUserRoleRequest(user_id=mine, role=USER), metadata=admin.metadata),
        chat.identity.DisableUser(pb.DisableUserRequest(user_id=mine), metadata=admin.metadata),
        chat.identity.EnableUser(pb.EnableUserRequest(user_id=mine), metadata=admin.metadata),
    ):
        seen = await refused(call)
        assert (seen.code, seen.fields) == (StatusCode.INVALID_ARGUMENT, ("user_id",))


async def test_a_wrong_request_of_an_admin_names_its_fields(chat: RunningChat, admin: SignedUp) -> None:
    nobody = "usr_" + "0" * 32
    seen = await refused(chat.identity.SetUserRole(pb.SetUserRoleRequest(user_id="x"), metadata=admin.metadata))
    assert set(seen.fields) == {"user_id", "role"}
    seen = await refused(chat.identity.DisableUser(pb.DisableUserRequest(user_id=nobody), metadata=admin.metadata))
    assert seen.code is StatusCode.NOT_FOUND
    for fields in ({"page_size": 101}, {"query": "x" * 255}, {"query": "\0"}, {"page_token": "x" * 513}):
        (field,) = fields
        seen = await refused(chat.identity.ListUsers(pb.ListUsersRequest(**fields), metadata=admin.metadata))
        assert (seen.code, seen.fields) == (StatusCode.INVALID_ARGUMENT, (field,))
    both = pb.CheckAccessTokenRequest(user_id=nobody, access_token_id="tok_" + "0" * 32)
    assert (await refused(chat.identity.CheckAccessToken(both))).fields == ("user_id",)


async def test_users_are_listed_newest_first_page_by_page_and_found_by_address_or_name(
    chat: RunningChat, admin: SignedUp
) -> None:
    made = [(await sign_up(chat.identity, "100%_Ludwig")).user.user_id for _ in range(3)]
    found: list[str] = []
    token = ""
    while True:
        request = pb.ListUsersRequest(page_size=2, query="100%_LUDWIG", page_token=token)
        page = await chat.identity.ListUsers(request, metadata=admin.metadata)
        found += [user.user_id for user in page.users]
        token = page.next_page_token
        if not token:
            break
        other = pb.ListUsersRequest(query="another", page_token=token)
        seen = await refused(chat.identity.ListUsers(other, metadata=admin.metadata))
        assert seen.reason == "INVALID_PAGE_TOKEN"
    assert found == made[::-1]
    nobody = pb.ListUsersRequest(query="100x_ludwig")
    assert not (await chat.identity.ListUsers(nobody, metadata=admin.metadata)).users


async def test_the_operator_makes_the_first_admin_at_the_machine(chat: RunningChat, ada: SignedUp) -> None:
    accounts = SqlAccounts(chat.app.database)
    with pytest.raises(UserNotFoundError):
        await set_role_by_email(accounts, "nobody@example.org", Role.ADMIN)
    settings = chat.app.settings
    variables = {
        "PARLEY_HOME": str(settings.service.home),
        "PARLEY_CHAT_DATABASE_URL": settings.database_url,
        "PATH": str(Path(sys.executable).parent),
    }

    def command(*words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "parley_chat.set_role", *words]
        return subprocess.run(command, env=variables, capture_output=True, text=True, timeout=110, check=False)

    done = await asyncio.to_thread(command, ada.user.email, "admin")
    assert (done.returncode, ada.user.user_id in done.stdout) == (0, True), done.stderr
    told = [json.loads(line) for line in done.stderr.splitlines()]
    trail = [(line["message"], line["user_id"], line["role"]) for line in told if line["logger"] == "parley.audit"]
    assert trail == [("role set", ada.user.user_id, "admin")]
    assert (await signed_in_again(chat, ada)).user.role == ADMIN
    failed = await asyncio.to_thread(command, "nobody@example.org", "admin")
    assert failed.returncode == 1
    assert "Traceback" not in failed.stderr
