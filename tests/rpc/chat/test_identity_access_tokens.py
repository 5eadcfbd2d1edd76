"""Who am I, and personal access tokens: each sentence of the contract, over real gRPC."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import grpc
import jwt
import pytest
from google.protobuf.duration_pb2 import Duration
from grpc import StatusCode
from parley.identity.v1 import identity_service_pb2 as pb
from parley_chat.adapters.sql_personal_tokens import SqlPersonalTokens
from parley_chat.domain.tokens import USER_SCOPES, Claims, PersonalToken, new_personal_token_id
from parley_chat.operations import identity as identity_operations
from parley_shared.channels import bearer
from parley_shared.paging import encode_page_token
from parley_testing.identity import SignedUp, refused, sign_up
from parley_testing.running_chat import RunningChat


async def create(
    chat: RunningChat, user: SignedUp, name: str = "laptop", **fields: Any
) -> pb.CreateAccessTokenResponse:
    return await chat.identity.CreateAccessToken(
        pb.CreateAccessTokenRequest(name=name, **fields), metadata=user.metadata
    )


async def pages(chat: RunningChat, user: SignedUp, size: int) -> list[list[str]]:
    """The ids of the user's tokens, page by page."""
    found: list[list[str]] = []
    token = ""
    while True:
        response = await chat.identity.ListAccessTokens(
            pb.ListAccessTokensRequest(page_size=size, page_token=token), metadata=user.metadata
        )
        found.append([one.access_token_id for one in response.access_tokens])
        token = response.next_page_token
        if not token:
            return found


# GetCurrentUser ------------------------------------------------------------------------------------------------------


async def test_a_sign_in_may_do_everything_a_user_may_and_is_told_so_in_alphabetical_order(
    chat: RunningChat, ada: SignedUp
) -> None:
    me = await chat.identity.GetCurrentUser(pb.GetCurrentUserRequest(), metadata=ada.metadata)
    assert me.user == ada.user
    assert list(me.scopes) == sorted(USER_SCOPES)


async def test_a_good_token_of_a_user_who_is_not_in_the_database_is_not_valid(chat: RunningChat) -> None:
    token = chat.app.service_tokens._signer.sign(
        Claims("usr_" + "0" * 32, "act_1", USER_SCOPES, datetime.now(UTC), datetime.now(UTC) + timedelta(minutes=1))
    )
    refusal = await refused(chat.identity.GetCurrentUser(pb.GetCurrentUserRequest(), metadata=bearer(token)))
    assert (refusal.code, refusal.reason) == (StatusCode.UNAUTHENTICATED, "TOKEN_INVALID")


# CreateAccessToken ---------------------------------------------------------------------------------------------------


async def test_a_personal_access_token_works_and_has_the_scopes_of_its_maker_for_90_days(
    chat: RunningChat, ada: SignedUp
) -> None:
    made = await create(chat, ada)
    me = await chat.identity.GetCurrentUser(pb.GetCurrentUserRequest(), metadata=bearer(made.token))
    assert me.user == ada.user
    assert list(me.scopes) == list(made.access_token.scopes) == sorted(USER_SCOPES)
    assert made.access_token.name == "laptop"
    assert made.access_token.access_token_id.startswith("tok_")
    assert not made.access_token.HasField("revoke_time")
    life = made.access_token.expire_time.ToDatetime() - made.access_token.create_time.ToDatetime()
    assert timedelta(days=90) - life < timedelta(seconds=1)
    claims = jwt.decode(made.token, options={"verify_signature": False})
    assert claims["jti"] == made.access_token.access_token_id
    assert claims["exp"] == made.access_token.expire_time.seconds


async def test_a_token_may_do_only_what_it_was_made_for(chat: RunningChat, ada: SignedUp) -> None:
    made = await create(chat, ada, scopes=["identity:read", "chat:read", "chat:read"])
    assert list(made.access_token.scopes) == ["chat:read", "identity:read"]
    metadata = bearer(made.token)
    await chat.identity.ListAccessTokens(pb.ListAccessTokensRequest(), metadata=metadata)
    for call in (
        chat.identity.CreateAccessToken(pb.CreateAccessTokenRequest(name="x"), metadata=metadata),
        chat.identity.RevokeAccessToken(
            pb.RevokeAccessTokenRequest(access_token_id=made.access_token.access_token_id), metadata=metadata
        ),
    ):
        refusal = await refused(call)
        assert (refusal.code, refusal.reason) == (StatusCode.PERMISSION_DENIED, "SCOPE_MISSING")
        assert refusal.metadata == {"scope": "identity:write"}


async def test_a_token_cannot_make_one_that_may_do_more_than_itself(chat: RunningChat, ada: SignedUp) -> None:
    maker = bearer((await create(chat, ada, scopes=["identity:write", "chat:read"])).token)
    refusal = await refused(
        chat.identity.CreateAccessToken(
            pb.CreateAccessTokenRequest(name="x", scopes=["chat:read", "chat:write"]), metadata=maker
        )
    )
    assert (refusal.code, refusal.reason) == (StatusCode.PERMISSION_DENIED, "SCOPE_MISSING")
    assert refusal.metadata == {"scope": "chat:write"}
    made = await chat.identity.CreateAccessToken(pb.CreateAccessTokenRequest(name="x"), metadata=maker)
    assert list(made.access_token.scopes) == ["chat:read", "identity:write"]


@pytest.mark.parametrize("scope", ["inference:invoke", "chat:delete", "everything"])
async def test_a_scope_that_no_user_has_is_refused_by_name(chat: RunningChat, ada: SignedUp, scope: str) -> None:
    refusal = await refused(create(chat, ada, scopes=["chat:read", scope]))
    assert (refusal.code, refusal.fields) == (StatusCode.INVALID_ARGUMENT, ("scopes[1]",))


@pytest.mark.parametrize(
    ("field", "fields"),
    [
        ("name", {"name": ""}),
        ("name", {"name": "   "}),
        ("name", {"name": "x" * 101}),
        ("name", {"name": "two\nlines"}),
        ("name", {"name": "nothing\x00"}),
        ("scopes", {"scopes": ["chat:read"] * 65}),
        ("scopes[0]", {"scopes": [""]}),
        ("scopes[0]", {"scopes": ["a:" + "b" * 63]}),
        ("scopes[1]", {"scopes": ["chat:read", "chat:read\x00"]}),
        ("time_to_live", {"time_to_live": Duration(seconds=59, nanos=999_999_999)}),
        ("time_to_live", {"time_to_live": Duration()}),
        ("time_to_live", {"time_to_live": Duration(seconds=-90)}),
        ("time_to_live", {"time_to_live": Duration(seconds=366 * 86400, nanos=1)}),
        ("time_to_live", {"time_to_live": Duration(seconds=9_223_372_036_854_775_807)}),
        ("time_to_live", {"time_to_live": Duration(seconds=90, nanos=2_000_000_000)}),
    ],
)
async def test_create_names_the_field_that_is_out_of_its_bounds(
    chat: RunningChat, ada: SignedUp, field: str, fields: dict[str, Any]
) -> None:
    refusal = await refused(create(chat, ada, **fields))
    assert (refusal.code, refusal.reason, refusal.fields) == (StatusCode.INVALID_ARGUMENT, "INVALID_FIELD", (field,))


@pytest.mark.parametrize("seconds", [60, 366 * 86400])
async def test_a_token_lives_as_long_as_it_was_asked_to(chat: RunningChat, ada: SignedUp, seconds: int) -> None:
    made = (await create(chat, ada, name="n" * 100, time_to_live=Duration(seconds=seconds))).access_token
    assert 0 <= seconds - (made.expire_time.ToDatetime() - made.create_time.ToDatetime()).total_seconds() < 1


async def test_a_user_has_no_more_good_tokens_than_one_may_have(
    chat: RunningChat, ada: SignedUp, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(identity_operations, "PERSONAL_TOKENS_MOST", 2)
    first = (await create(chat, ada)).access_token
    await create(chat, ada)
    refusal = await refused(create(chat, ada))
    assert (refusal.code, refusal.reason) == (StatusCode.RESOURCE_EXHAUSTED, "LIMIT_EXCEEDED")
    assert refusal.metadata == {"limit": "2"}
    await chat.identity.RevokeAccessToken(
        pb.RevokeAccessTokenRequest(access_token_id=first.access_token_id), metadata=ada.metadata
    )
    await create(chat, ada)


# ListAccessTokens ----------------------------------------------------------------------------------------------------


async def test_tokens_are_listed_newest_first_revoked_ones_included(chat: RunningChat, ada: SignedUp) -> None:
    made = [(await create(chat, ada, name=str(number))).access_token for number in range(5)]
    await chat.identity.RevokeAccessToken(
        pb.RevokeAccessTokenRequest(access_token_id=made[2].access_token_id), metadata=ada.metadata
    )
    newest_first = [one.access_token_id for one in reversed(made)]
    assert await pages(chat, ada, 0) == [newest_first]
    assert await pages(chat, ada, 2) == [newest_first[:2], newest_first[2:4], newest_first[4:]]
    assert await pages(chat, ada, 5) == [newest_first], "a full page that is the last has no next one"
    listed = await chat.identity.ListAccessTokens(pb.ListAccessTokensRequest(), metadata=ada.metadata)
    assert [one.HasField("revoke_time") for one in listed.access_tokens] == [False, False, True, False, False]
    assert listed.access_tokens[0] == made[4]


async def test_a_page_has_50_tokens_unless_it_is_asked_otherwise(chat: RunningChat, ada: SignedUp) -> None:
    store = SqlPersonalTokens(chat.app.database)
    now = datetime.now(UTC)
    for number in range(51):
        await store.add(
            PersonalToken(
                new_personal_token_id(),
                ada.user.user_id,
                "many",
                ("chat:read",),
                now + timedelta(seconds=number),
                now + timedelta(days=1),
            )
        )
    assert [len(page) for page in await pages(chat, ada, 0)] == [50, 1]
    assert [len(page) for page in await pages(chat, ada, 100)] == [51]


async def test_a_token_made_between_two_pages_neither_repeats_nor_hides_one(chat: RunningChat, ada: SignedUp) -> None:
    made = [(await create(chat, ada)).access_token.access_token_id for _ in range(4)]
    first = await chat.identity.ListAccessTokens(pb.ListAccessTokensRequest(page_size=2), metadata=ada.metadata)
    await create(chat, ada)
    second = await chat.identity.ListAccessTokens(
        pb.ListAccessTokensRequest(page_size=2, page_token=first.next_page_token), metadata=ada.metadata
    )
    seen = [one.access_token_id for one in (*first.access_tokens, *second.access_tokens)]
    assert seen == list(reversed(made))


@pytest.mark.parametrize(
    ("field", "fields"),
    [("page_size", {"page_size": -1}), ("page_size", {"page_size": 101}), ("page_token", {"page_token": "x" * 513})],
)
async def test_list_names_the_field_that_is_out_of_its_bounds(
    chat: RunningChat, ada: SignedUp, field: str, fields: dict[str, Any]
) -> None:
    refusal = await refused(chat.identity.ListAccessTokens(pb.ListAccessTokensRequest(**fields), metadata=ada.metadata))
    assert (refusal.code, refusal.fields) == (StatusCode.INVALID_ARGUMENT, (field,))


@pytest.mark.parametrize(
    "token",
    [
        "damaged",
        "é",
        encode_page_token("sessions", [1, "tok_" + "0" * 32]),
        encode_page_token("access_tokens", []),
        encode_page_token("access_tokens", ["1", "tok_" + "0" * 32]),
        encode_page_token("access_tokens", [1, "tok_\x00"]),
        encode_page_token("access_tokens", [-1, "tok_" + "0" * 32]),
        encode_page_token("access_tokens", [1 << 62, "tok_" + "0" * 32]),
    ],
)
async def test_a_page_token_that_this_list_never_gave_is_refused(chat: RunningChat, ada: SignedUp, token: str) -> None:
    refusal = await refused(
        chat.identity.ListAccessTokens(pb.ListAccessTokensRequest(page_token=token), metadata=ada.metadata)
    )
    assert (refusal.code, refusal.reason) == (StatusCode.INVALID_ARGUMENT, "INVALID_PAGE_TOKEN")
    assert refusal.fields == ("page_token",)


# RevokeAccessToken ---------------------------------------------------------------------------------------------------


async def test_a_revoked_token_is_refused_and_revoking_it_again_changes_nothing(
    chat: RunningChat, ada: SignedUp
) -> None:
    made = await create(chat, ada)
    call = bearer(made.token)
    await chat.identity.GetCurrentUser(pb.GetCurrentUserRequest(), metadata=call)
    request = pb.RevokeAccessTokenRequest(access_token_id=made.access_token.access_token_id)
    revoked = (await chat.identity.RevokeAccessToken(request, metadata=ada.metadata)).access_token
    assert revoked.HasField("revoke_time")
    refusal = await refused(chat.identity.GetCurrentUser(pb.GetCurrentUserRequest(), metadata=call))
    assert (refusal.code, refusal.reason) == (StatusCode.UNAUTHENTICATED, "TOKEN_INVALID")
    assert (await chat.identity.RevokeAccessToken(request, metadata=ada.metadata)).access_token == revoked


async def test_a_token_revoked_by_another_process_is_refused_within_a_second(chat: RunningChat, ada: SignedUp) -> None:
    made = await create(chat, ada)
    call = bearer(made.token)
    await chat.identity.GetCurrentUser(pb.GetCurrentUserRequest(), metadata=call)
    # What another process does: the row changes, and nobody tells this one.
    await SqlPersonalTokens(chat.app.database).revoke(
        ada.user.user_id, made.access_token.access_token_id, datetime.now(UTC)
    )
    deadline = time.monotonic() + 30
    code = None
    while code is None and time.monotonic() < deadline:
        try:
            await chat.identity.GetCurrentUser(pb.GetCurrentUserRequest(), metadata=call)
        except grpc.aio.AioRpcError as error:
            code = error.code()
        await asyncio.sleep(0.05)
    assert code is StatusCode.UNAUTHENTICATED


async def test_a_token_can_revoke_itself(chat: RunningChat, ada: SignedUp) -> None:
    made = await create(chat, ada)
    request = pb.RevokeAccessTokenRequest(access_token_id=made.access_token.access_token_id)
    await chat.identity.RevokeAccessToken(request, metadata=bearer(made.token))
    assert (await refused(chat.identity.RevokeAccessToken(request, metadata=bearer(made.token)))).reason == (
        "TOKEN_INVALID"
    )


@pytest.mark.parametrize("access_token_id", ["", "tok_", "tok_" + "0" * 31, "ses_" + "0" * 32, "tok_" + "G" * 32])
async def test_revoke_names_an_id_that_is_none(chat: RunningChat, ada: SignedUp, access_token_id: str) -> None:
    refusal = await refused(
        chat.identity.RevokeAccessToken(
            pb.RevokeAccessTokenRequest(access_token_id=access_token_id), metadata=ada.metadata
        )
    )
    assert (refusal.code, refusal.fields) == (StatusCode.INVALID_ARGUMENT, ("access_token_id",))


# Other people --------------------------------------------------------------------------------------------------------


async def test_users_see_nothing_of_each_others_tokens(chat: RunningChat, ada: SignedUp, bob: SignedUp) -> None:
    made = await create(chat, ada)
    assert await pages(chat, bob, 0) == [[]]
    refusals = [
        await refused(
            chat.identity.RevokeAccessToken(
                pb.RevokeAccessTokenRequest(access_token_id=access_token_id), metadata=bob.metadata
            )
        )
        for access_token_id in (made.access_token.access_token_id, "tok_" + "0" * 32)
    ]
    assert refusals[0] == refusals[1], "what is another's and what never was are told in the same words"
    assert (refusals[0].code, refusals[0].reason) == (StatusCode.NOT_FOUND, "RESOURCE_NOT_FOUND")
    await chat.identity.GetCurrentUser(pb.GetCurrentUserRequest(), metadata=bearer(made.token))


async def test_a_page_token_of_another_user_shows_only_ones_own(chat: RunningChat, ada: SignedUp) -> None:
    for _ in range(3):
        await create(chat, ada)
    theirs = await chat.identity.ListAccessTokens(pb.ListAccessTokensRequest(page_size=1), metadata=ada.metadata)
    carol = await sign_up(chat.identity, "carol")
    page = await chat.identity.ListAccessTokens(
        pb.ListAccessTokensRequest(page_token=theirs.next_page_token), metadata=carol.metadata
    )
    assert not page.access_tokens


async def test_every_user_is_told_who_they_are_and_no_other(chat: RunningChat, ada: SignedUp, bob: SignedUp) -> None:
    for one in (ada, bob):
        me = await chat.identity.GetCurrentUser(pb.GetCurrentUserRequest(), metadata=one.metadata)
        assert me.user == one.user
    assert ada.user.user_id != bob.user.user_id
