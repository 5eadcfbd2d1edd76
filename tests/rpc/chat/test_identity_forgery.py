"""Tokens that somebody made up, and secrets that somebody might find: what chat does with both."""

from __future__ import annotations

import base64
import hmac
import json
import logging
import time
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from grpc import StatusCode
from parley.identity.v1 import identity_service_pb2 as pb
from parley_shared.channels import bearer
from parley_testing.identity import PASSWORD, Refusal, SignedUp, new_email, refused
from parley_testing.running_chat import RunningChat


def base64url(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def unsigned(header: dict[str, Any], claims: dict[str, Any]) -> str:
    return f"{base64url(json.dumps(header).encode())}.{base64url(json.dumps(claims).encode())}."


async def called_with(chat: RunningChat, token: str) -> Refusal:
    return await refused(chat.identity.GetCurrentUser(pb.GetCurrentUserRequest(), metadata=bearer(token)))


@pytest.fixture
def signing_key(chat: RunningChat) -> bytes:
    return (chat.app.settings.keys_folder / "signing.pem").read_bytes()


@pytest.fixture
def good(ada: SignedUp) -> tuple[dict[str, Any], dict[str, Any]]:
    """The header and the claims of a token that is good."""
    token = ada.tokens.access_token
    return jwt.get_unverified_header(token), jwt.decode(token, options={"verify_signature": False})


def signed(key: Any, header: dict[str, Any], claims: dict[str, Any]) -> str:
    return jwt.encode(claims, key, algorithm="ES256", headers={"kid": header["kid"]})


async def test_the_claims_that_the_forgeries_start_from_are_good(
    chat: RunningChat, good: tuple[dict[str, Any], dict[str, Any]], signing_key: bytes
) -> None:
    token = signed(signing_key, *good)
    await chat.identity.GetCurrentUser(pb.GetCurrentUserRequest(), metadata=bearer(token))


async def test_a_token_without_a_signature_is_refused(
    chat: RunningChat, good: tuple[dict[str, Any], dict[str, Any]]
) -> None:
    header, claims = good
    for algorithm in ("none", "None", "NONE", "ES256"):
        refusal = await called_with(chat, unsigned({**header, "alg": algorithm}, claims))
        assert (refusal.code, refusal.reason) == (StatusCode.UNAUTHENTICATED, "TOKEN_INVALID")


async def test_a_token_signed_with_the_public_key_as_a_shared_secret_is_refused(
    chat: RunningChat, good: tuple[dict[str, Any], dict[str, Any]]
) -> None:
    header, claims = good
    content = unsigned({**header, "alg": "HS256"}, claims).removesuffix(".")
    # Every form in which somebody might take what is published for a secret.
    published = chat.app.settings.service.jwks_file.read_bytes()
    public = jwt.PyJWK(json.loads(published)["keys"][0]).key
    assert isinstance(public, ec.EllipticCurvePublicKey)
    pem = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    for secret in (published, pem, pem.strip(), b""):
        signature = base64url(hmac.digest(secret, content.encode(), "sha256"))
        refusal = await called_with(chat, f"{content}.{signature}")
        assert (refusal.code, refusal.reason) == (StatusCode.UNAUTHENTICATED, "TOKEN_INVALID")


async def test_a_token_signed_with_another_key_under_the_same_name_is_refused(
    chat: RunningChat, good: tuple[dict[str, Any], dict[str, Any]]
) -> None:
    refusal = await called_with(chat, signed(ec.generate_private_key(ec.SECP256R1()), *good))
    assert (refusal.code, refusal.reason) == (StatusCode.UNAUTHENTICATED, "TOKEN_INVALID")


@pytest.mark.parametrize(
    "changed",
    [{"iss": "somebody"}, {"aud": "somebody"}, {"aud": ["somebody"]}, {"sub": ""}, {"scope": ["identity:read"]}],
    ids=str,
)
async def test_a_token_of_another_issuer_audience_or_form_is_refused(
    chat: RunningChat,
    good: tuple[dict[str, Any], dict[str, Any]],
    signing_key: bytes,
    changed: dict[str, Any],
) -> None:
    header, claims = good
    refusal = await called_with(chat, signed(signing_key, header, {**claims, **changed}))
    assert (refusal.code, refusal.reason) == (StatusCode.UNAUTHENTICATED, "TOKEN_INVALID")


@pytest.mark.parametrize("claim", ["iss", "aud", "sub", "exp"])
async def test_a_token_that_leaves_something_out_is_refused(
    chat: RunningChat, good: tuple[dict[str, Any], dict[str, Any]], signing_key: bytes, claim: str
) -> None:
    header, claims = good
    claims.pop(claim)
    refusal = await called_with(chat, signed(signing_key, header, claims))
    assert (refusal.code, refusal.reason) == (StatusCode.UNAUTHENTICATED, "TOKEN_INVALID")


async def test_a_token_whose_time_is_over_is_told_so(
    chat: RunningChat, good: tuple[dict[str, Any], dict[str, Any]], signing_key: bytes
) -> None:
    header, claims = good
    refusal = await called_with(chat, signed(signing_key, header, {**claims, "exp": int(time.time()) - 60}))
    assert (refusal.code, refusal.reason) == (StatusCode.UNAUTHENTICATED, "TOKEN_EXPIRED")


async def test_changed_claims_break_the_signature(chat: RunningChat, ada: SignedUp, bob: SignedUp) -> None:
    header, _, signature = ada.tokens.access_token.split(".")
    _, claims, _ = bob.tokens.access_token.split(".")
    assert (await called_with(chat, f"{header}.{claims}.{signature}")).reason == "TOKEN_INVALID"


@pytest.mark.parametrize("token", ["x", "a.b.c", "..", "x" * 6000, "prt_" + "x" * 43])
async def test_what_is_no_token_at_all_is_refused(chat: RunningChat, token: str) -> None:
    refusal = await called_with(chat, token)
    assert (refusal.code, refusal.reason) == (StatusCode.UNAUTHENTICATED, "TOKEN_INVALID")


async def test_a_refresh_token_is_no_access_token(chat: RunningChat, ada: SignedUp) -> None:
    assert (await called_with(chat, ada.tokens.refresh_token)).reason == "TOKEN_INVALID"


async def test_a_service_token_is_no_users_token(chat: RunningChat, ada: SignedUp) -> None:
    refusal = await called_with(chat, chat.app.service_tokens.for_user(ada.user.user_id))
    assert (refusal.code, refusal.reason) == (StatusCode.PERMISSION_DENIED, "SCOPE_MISSING")


async def test_every_call_that_needs_a_token_is_refused_without_one(chat: RunningChat) -> None:
    for call in (
        chat.identity.GetCurrentUser(pb.GetCurrentUserRequest()),
        chat.identity.CreateAccessToken(pb.CreateAccessTokenRequest(name="x")),
        chat.identity.ListAccessTokens(pb.ListAccessTokensRequest()),
        chat.identity.RevokeAccessToken(pb.RevokeAccessTokenRequest(access_token_id="tok_" + "0" * 32)),
    ):
        refusal = await refused(call)
        assert (refusal.code, refusal.reason) == (StatusCode.UNAUTHENTICATED, "TOKEN_MISSING")


async def test_headers_that_name_a_user_make_nobody_one(chat: RunningChat, ada: SignedUp) -> None:
    metadata = (("x-user-id", ada.user.user_id), ("x-jwt-payload", base64url(b"{}")))
    refusal = await refused(chat.identity.GetCurrentUser(pb.GetCurrentUserRequest(), metadata=metadata))
    assert refusal.reason == "TOKEN_MISSING"


async def test_the_key_set_is_what_the_services_read_and_verifies_the_tokens(chat: RunningChat, ada: SignedUp) -> None:
    response = await chat.identity.GetJsonWebKeySet(pb.GetJsonWebKeySetRequest())
    (key,) = response.keys
    published = {name: getattr(key, name) for name in ("kty", "crv", "x", "y", "kid", "use", "alg")}
    assert json.loads(chat.app.settings.service.jwks_file.read_text()) == {"keys": [published]}
    claims = jwt.decode(ada.tokens.access_token, jwt.PyJWK(published), audience="parley", issuer="parley")
    assert claims["sub"] == ada.user.user_id


async def test_no_password_and_no_token_is_in_a_log_or_in_an_error(
    chat: RunningChat, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    caplog.handler.setFormatter(logging.Formatter("%(message)s %(exc_text)s"))
    email, secret = new_email("secretive"), "a password that nobody may find"
    signed_up = await chat.identity.SignUp(pb.SignUpRequest(email=email, password=secret))
    signed_in = await chat.identity.SignIn(pb.SignInRequest(email=email, password=secret))
    refreshed = await chat.identity.RefreshTokens(pb.RefreshTokensRequest(refresh_token=signed_up.tokens.refresh_token))
    metadata = bearer(signed_in.tokens.access_token)
    made = await chat.identity.CreateAccessToken(pb.CreateAccessTokenRequest(name="x"), metadata=metadata)
    await chat.identity.RevokeAccessToken(
        pb.RevokeAccessTokenRequest(access_token_id=made.access_token.access_token_id), metadata=metadata
    )
    refusals = [
        await refused(chat.identity.SignUp(pb.SignUpRequest(email=email, password=secret))),
        await refused(chat.identity.SignUp(pb.SignUpRequest(email="nowhere", password=secret + PASSWORD * 20))),
        await refused(chat.identity.SignIn(pb.SignInRequest(email=email, password=secret + "!"))),
        await refused(
            chat.identity.RefreshTokens(pb.RefreshTokensRequest(refresh_token=signed_up.tokens.refresh_token))
        ),
        await refused(
            chat.identity.RefreshTokens(pb.RefreshTokensRequest(refresh_token=signed_in.tokens.refresh_token * 20))
        ),
        await called_with(chat, made.token),
        await called_with(chat, made.token + "x"),
    ]
    await chat.identity.SignOut(pb.SignOutRequest(refresh_token=refreshed.tokens.refresh_token))
    pairs = [signed_up.tokens, signed_in.tokens, refreshed.tokens]
    secrets = [secret, made.token, *(one.access_token for one in pairs), *(one.refresh_token for one in pairs)]
    for record in caplog.records:
        said = f"{record.getMessage()} {record.__dict__}"
        assert not [one for one in secrets if one in said], record.name
    for refusal in refusals:
        assert not [one for one in secrets if one in repr(refusal)], refusal.reason
        assert email not in repr(refusal)
    assert caplog.records, "something was logged"
