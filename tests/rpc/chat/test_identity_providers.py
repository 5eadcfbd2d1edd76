"""Tokens of other identity providers, straight to chat: whose are taken, as whom, for what; against a provider on a real socket."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from grpc import StatusCode
from jwt.warnings import InsecureKeyLengthWarning
from parley.chat.v1 import chat_service_pb2
from parley.identity.v1 import identity_service_pb2 as pb
from parley.identity.v1 import user_pb2
from parley_chat.adapters import http_issuer_keys
from parley_chat.adapters.guarded_http import OutboundLimits
from parley_chat.domain.tokens import ADMIN_SCOPES, USER_SCOPES
from parley_shared.channels import bearer
from parley_testing.identity import refused, sign_up
from parley_testing.oidc_issuer import OidcIssuer
from parley_testing.remote_server import Answer
from parley_testing.running_chat import RunningChat, running_chat

NOWHERE = "127.0.0.1:1"
Starting = Callable[..., AbstractAsyncContextManager[RunningChat]]


@pytest.fixture
async def issuer() -> AsyncIterator[OidcIssuer]:
    async with OidcIssuer() as issuer:
        yield issuer


@pytest.fixture
def start(tmp_path: Path) -> Starting:
    @asynccontextmanager
    async def started(*tables: str) -> AsyncIterator[RunningChat]:
        (tmp_path / "parley.toml").write_text("\n".join(tables), encoding="utf-8")
        async with running_chat(tmp_path, inference=NOWHERE) as chat:
            yield chat

    return started


async def me(chat: RunningChat, token: str) -> pb.GetCurrentUserResponse:
    return await chat.identity.GetCurrentUser(pb.GetCurrentUserRequest(), metadata=bearer(token))


async def test_a_token_of_a_trusted_provider_is_taken_as_it_is_and_its_user_is_the_same_every_time(
    start: Starting, issuer: OidcIssuer
) -> None:
    async with start(issuer.table()) as chat:
        token = issuer.token("ada", email="Ada@Example.com", name="Ada Lovelace")
        first = await me(chat, token)
        assert (first.user.email, first.user.display_name) == ("ada@example.com", "Ada Lovelace")
        assert first.user.issuer == issuer.url
        assert first.user.role == user_pb2.USER_ROLE_USER
        assert set(first.scopes) == USER_SCOPES
        again = await me(chat, issuer.token("ada", email="other@example.com"))
        assert again.user == first.user
        other = await me(chat, issuer.token("bob", email="ada@example.com"))
        assert other.user.user_id != first.user.user_id
        # What it is for: what belongs to users.
        request = chat_service_pb2.CreateSessionRequest(title="Engines")
        made = await chat.chat.CreateSession(request, metadata=bearer(token))
        asked = chat_service_pb2.GetSessionRequest(session_id=made.session.session_id)
        seen = await refused(chat.chat.GetSession(asked, metadata=bearer(issuer.token("bob"))))
        assert seen.code is StatusCode.NOT_FOUND


async def test_many_who_see_a_user_first_at_the_same_time_see_one(start: Starting, issuer: OidcIssuer) -> None:
    async with start(issuer.table()) as chat:
        # Different tokens: each is verified, and none is remembered.
        found = await asyncio.gather(*(me(chat, issuer.token("ada", jti=str(number))) for number in range(12)))
        assert len({each.user.user_id for each in found}) == 1


async def test_an_address_that_the_provider_tells_gives_no_way_into_an_account_with_that_address(
    start: Starting, issuer: OidcIssuer
) -> None:
    async with start(issuer.table()) as chat:
        ada = await sign_up(chat.identity, "ada")
        foreign = await me(chat, issuer.token("ada", email=ada.user.email))
        assert foreign.user.email == ada.user.email
        assert foreign.user.user_id != ada.user.user_id
        # And nobody signs in as the foreign user with a password.
        address = f"{foreign.user.user_id}@foreign.invalid"
        for password in ("x", " ", "null"):
            seen = await refused(chat.identity.SignIn(pb.SignInRequest(email=address, password=password)))
            assert seen.reason == "CREDENTIALS_WRONG"
        taken = await refused(chat.identity.SignUp(pb.SignUpRequest(email=address, password="long enough")))
        assert taken.reason == "EMAIL_TAKEN"


def unsigned(issuer: OidcIssuer) -> str:
    head, body, _ = issuer.token("ada").split(".")
    head = base64.urlsafe_b64encode(json.dumps({"alg": "none", "kid": issuer.key_id}).encode()).rstrip(b"=").decode()
    return f"{head}.{body}."


def with_the_public_key_as_secret(issuer: OidcIssuer) -> str:
    _, body, _ = issuer.token("ada").split(".")
    head = base64.urlsafe_b64encode(json.dumps({"alg": "HS256", "kid": issuer.key_id}).encode()).rstrip(b"=").decode()
    signature = hmac.new(issuer.public_pem, f"{head}.{body}".encode(), hashlib.sha256).digest()
    return f"{head}.{body}.{base64.urlsafe_b64encode(signature).rstrip(b'=').decode()}"


FORGED: dict[str, Callable[[OidcIssuer], str]] = {
    "no signature": unsigned,
    "the public key as a secret": with_the_public_key_as_secret,
    "a key of somebody else": lambda it: it.token("ada", signed_with=rsa.generate_private_key(65537, 2048)),
    "an algorithm that is not allowed": lambda it: it.token("ada", algorithm="RS512"),
    "another audience": lambda it: it.token("ada", aud="another"),
    "no audience": lambda it: it.token("ada", aud=None),
    "another issuer": lambda it: it.token("ada", iss="https://evil.example"),
    "almost the issuer": lambda it: it.token("ada", iss=it.url + "/"),
    "no issuer": lambda it: it.token("ada", iss=None),
    "not yet": lambda it: it.token("ada", nbf=int(time.time()) + 3600),
    "issued in the future": lambda it: it.token("ada", iat=int(time.time()) + 3600),
    "no end": lambda it: it.token("ada", exp=None),
    "nobody": lambda it: it.token(None),
    "a blank subject": lambda it: it.token(" "),
    "a subject that is too long": lambda it: it.token("x" * 256),
    "a token of ours that it signed": lambda it: it.token("ada", iss="parley"),
}


async def test_a_token_that_is_not_good_is_refused_at_every_rpc_and_exchanged_for_nothing(
    start: Starting, issuer: OidcIssuer
) -> None:
    async with start(issuer.table()) as chat:
        await me(chat, issuer.token("ada"))
        for why, forge in FORGED.items():
            token = forge(issuer)
            seen = await refused(me(chat, token))
            assert (seen.code, seen.reason) == (StatusCode.UNAUTHENTICATED, "TOKEN_INVALID"), why
            exchanged = await refused(chat.identity.ExchangeToken(pb.ExchangeTokenRequest(token=token)))
            assert exchanged.code in {StatusCode.UNAUTHENTICATED, StatusCode.INVALID_ARGUMENT}, why


async def test_the_clock_of_a_provider_may_be_off_a_little_and_expiry_is_told_by_its_name(
    start: Starting, issuer: OidcIssuer
) -> None:
    async with start(issuer.table(clock_skew_seconds=120)) as chat:
        await me(chat, issuer.token("ada", exp=int(time.time()) - 30))
        await me(chat, issuer.token("ada", nbf=int(time.time()) + 60, iat=int(time.time()) + 60))
        seen = await refused(me(chat, issuer.token("ada", exp=int(time.time()) - 3600)))
        assert (seen.code, seen.reason) == (StatusCode.UNAUTHENTICATED, "TOKEN_EXPIRED")


async def test_any_number_of_providers_with_other_algorithms_each_with_users_of_its_own(
    start: Starting, issuer: OidcIssuer
) -> None:
    async with (
        OidcIssuer(algorithm="ES256") as second,
        OidcIssuer() as stranger,
        start(issuer.table(), second.table("second", jwks_url=f"{second.url}/keys")) as chat,
    ):
        one, other = await me(chat, issuer.token("ada")), await me(chat, second.token("ada"))
        assert one.user.user_id != other.user.user_id
        assert second.asked("/.well-known/openid-configuration") == 0
        assert (await refused(me(chat, stranger.token("ada")))).reason == "TOKEN_INVALID"
        # Nobody asks whom the operator does not trust.
        assert stranger.asked("/.well-known/openid-configuration") == 0


async def test_a_key_that_is_new_is_found_and_one_that_is_gone_is_good_no_more(
    start: Starting, issuer: OidcIssuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    # No wait between two looks: how long it is, is said by another test.
    monkeypatch.setattr(http_issuer_keys, "WAIT_SECONDS", 0.0)
    async with start(issuer.table()) as chat:
        await me(chat, issuer.token("ada"))
        old = issuer.token("ada", jti="old")
        issuer.rotate()
        await me(chat, issuer.token("ada"))
        assert (await refused(me(chat, old))).reason == "TOKEN_INVALID"


async def test_tokens_with_keys_that_nobody_knows_do_not_make_us_ask_again_and_again(
    start: Starting, issuer: OidcIssuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http_issuer_keys, "WAIT_SECONDS", 3600.0)
    async with start(issuer.table(keys_seconds=3600)) as chat:
        await me(chat, issuer.token("ada"))
        asked = issuer.asked("/keys")
        for number in range(20):
            issuer.key_id = f"made-up-{number}"
            assert (await refused(me(chat, issuer.token("ada")))).reason == "TOKEN_INVALID"
        assert issuer.asked("/keys") == asked


async def test_a_provider_that_dies_is_believed_for_what_it_said_and_its_tokens_stay_good(
    start: Starting, tmp_path: Path
) -> None:
    issuer = OidcIssuer()
    async with issuer:
        table, token, later = issuer.table(), issuer.token("ada"), issuer.token("ada", jti="later")
        starting = start(table)
        chat = await starting.__aenter__()
        try:
            first = await me(chat, token)
        except BaseException:
            await starting.__aexit__(None, None, None)
            raise
    try:
        assert (await me(chat, later)).user == first.user
    finally:
        await starting.__aexit__(None, None, None)


LIES: dict[str, tuple[str, Answer]] = {
    "ten megabytes of keys": ("/keys", Answer(200, b'{"keys": [' + b" " * 10_000_000 + b"]}")),
    "no JSON": ("/keys", Answer(200, b"<html>")),
    "JSON that goes deep": ("/keys", Answer(200, b"[" * 200_000)),
    "no keys": ("/keys", Answer(200, b'{"keys": []}')),
    "secrets for keys": ("/keys", Answer(200, b'{"keys": [{"kty": "oct", "k": "c2VjcmV0", "kid": "key-1"}]}')),
    "keys that are none": ("/keys", Answer(200, b'{"keys": [1, null, {"kty": "RSA", "n": 5}]}')),
    "another issuer's discovery": (
        "/.well-known/openid-configuration",
        Answer(200, b'{"issuer": "https://evil.example", "jwks_uri": "https://evil.example/keys"}'),
    ),
    "a redirect": ("/.well-known/openid-configuration", Answer(302, b"", {"location": "/elsewhere"})),
    "an error": ("/keys", Answer(500)),
    "metadata of the cloud": ("/.well-known/openid-configuration", Answer(404)),
}


async def test_a_provider_that_lies_lets_nobody_in_and_a_later_truth_does(
    start: Starting, issuer: OidcIssuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http_issuer_keys, "WAIT_SECONDS", 0.0)
    async with start(issuer.table()) as chat:
        for why, (path, answer) in LIES.items():
            issuer.answers = {path: answer}
            seen = await refused(me(chat, issuer.token("ada", jti=why)))
            assert (seen.code, seen.reason) == (StatusCode.UNAVAILABLE, "SERVICE_UNAVAILABLE"), why
            assert "evil" not in seen.message
        issuer.answers = {}
        await me(chat, issuer.token("ada"))


async def test_a_provider_that_stalls_is_waited_for_no_longer_than_a_while(
    start: Starting, issuer: OidcIssuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    limits = OutboundLimits(body_bytes=256_000, read_seconds=0.2, total_seconds=0.2)
    monkeypatch.setattr(http_issuer_keys, "LIMITS", limits)
    issuer.answers = {"/keys": Answer(200, b"{}", stalls=True)}
    async with start(issuer.table()) as chat:
        seen = await refused(me(chat, issuer.token("ada")))
        assert seen.code is StatusCode.UNAVAILABLE


async def test_a_weak_key_is_no_key(start: Starting) -> None:
    async with OidcIssuer(key_bits=1024) as weak, start(weak.table()) as chat:
        with pytest.warns(InsecureKeyLengthWarning):
            token = weak.token("ada")
        assert (await refused(me(chat, token))).reason == "TOKEN_INVALID"


async def test_claims_say_what_a_token_may_be_used_for(start: Starting, issuer: OidcIssuer) -> None:
    table = issuer.table(
        scopes_claim="realm.roles", scopes={"readers": ["chat:read", "inference:invoke"], "all": ["users:write"]}
    )
    async with start(table) as chat:
        token = issuer.token("ada", realm={"roles": ["readers", "all", "others", 7]})
        assert list(await me_by_exchange(chat, token)) == ["chat:read"]
        request = chat_service_pb2.CreateSessionRequest(title="Engines")
        seen = await refused(chat.chat.CreateSession(request, metadata=bearer(token)))
        assert (seen.code, seen.metadata["scope"]) == (StatusCode.PERMISSION_DENIED, "chat:write")
        assert list(await me_by_exchange(chat, issuer.token("bob"))) == []


async def me_by_exchange(chat: RunningChat, token: str) -> list[str]:
    """What a token that is exchanged may be used for."""
    exchanged = await chat.identity.ExchangeToken(pb.ExchangeTokenRequest(token=token))
    said: dict[str, Any] = json.loads(base64.urlsafe_b64decode(exchanged.access_token.split(".")[1] + "=="))
    assert said["exp"] <= time.time() + 15 * 60
    assert said["sub"] == exchanged.user.user_id
    return str(said["scope"]).split()


async def test_the_claim_scope_may_name_scopes_of_parley_itself(start: Starting, issuer: OidcIssuer) -> None:
    async with start(issuer.table(scopes_claim="scope")) as chat:
        found = await me_by_exchange(chat, issuer.token("ada", scope="openid chat:read identity:read index:write"))
        assert found == ["chat:read", "identity:read"]


async def test_a_claim_makes_an_admin_and_its_loss_unmakes_one(start: Starting, issuer: OidcIssuer) -> None:
    async with start(issuer.table(role_claim="groups", admins=["ops"])) as chat:
        token = issuer.token("ada", groups=["staff", "ops"])
        admin = await me(chat, token)
        assert admin.user.role == user_pb2.USER_ROLE_ADMIN
        assert set(admin.scopes) == USER_SCOPES | ADMIN_SCOPES
        users = await chat.identity.ListUsers(pb.ListUsersRequest(), metadata=bearer(token))
        assert [each.user_id for each in users.users] == [admin.user.user_id]
        # The provider says otherwise now. Nobody need sleep: what was known of the user is asked for again within a second.
        assert (await me(chat, issuer.token("ada", groups=["staff"]))).user.role == user_pb2.USER_ROLE_USER
        await eventually(lambda: is_refused(chat.identity.ListUsers(pb.ListUsersRequest(), metadata=bearer(token))))


async def is_refused(call: Awaitable[object]) -> bool:
    try:
        await call
    except grpc.aio.AioRpcError as error:
        return error.code() in {StatusCode.PERMISSION_DENIED, StatusCode.UNAUTHENTICATED}
    return False


async def eventually(holds: Callable[[], Awaitable[bool]], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not await holds():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.05)


async def test_the_keys_of_a_provider_are_published_for_the_edge_without_what_is_private(
    start: Starting, issuer: OidcIssuer
) -> None:
    secret = {**issuer.jwk(), "d": "private", "p": "private"}
    issuer.answers = {"/keys": Answer(200, json.dumps({"keys": [secret]}).encode())}
    async with start(issuer.table()) as chat:
        found = await chat.identity.GetIssuerKeySet(pb.GetIssuerKeySetRequest(issuer_name="work"))
        assert [(key.kid, key.kty, key.n) for key in found.keys] == [("key-1", "RSA", issuer.jwk()["n"])]
        assert b"private" not in found.SerializeToString()
        seen = await refused(chat.identity.GetIssuerKeySet(pb.GetIssuerKeySetRequest(issuer_name="nobody")))
        assert seen.code is StatusCode.NOT_FOUND
