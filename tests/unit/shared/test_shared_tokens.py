"""Tokens: who is let in, who is not, and how the keys are found."""

from __future__ import annotations

import asyncio
import hmac
import json
import logging
import time
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from parley_shared.status import StatusError
from parley_shared.tokens import Principal, TokenVerifier
from parley_testing.tokens import TestKeys


@pytest.fixture
def keys(tmp_path: Path) -> TestKeys:
    return TestKeys(tmp_path)


@pytest.fixture
def verifier(keys: TestKeys) -> TokenVerifier:
    return TokenVerifier(keys.jwks_file, "parley", "parley")


async def refusal(verifier: TokenVerifier, token: str) -> str:
    with pytest.raises(StatusError) as caught:
        await verifier.verify(token)
    assert token == "" or token not in caught.value.message
    return caught.value.reason


async def test_a_good_token_says_who_its_caller_is(keys: TestKeys, verifier: TokenVerifier) -> None:
    token = keys.mint("usr_1", ["chat:read", "chat:write"], jti="tok_1", exp=int(time.time()) + 60)
    principal = await verifier.verify(token)
    assert principal.user_id == "usr_1"
    assert principal.scopes == {"chat:read", "chat:write"}
    assert (principal.token_id, principal.service) == ("tok_1", "")
    assert principal.expire_time == pytest.approx(time.time() + 60, abs=2)
    assert await verifier.verify(token) == principal


async def test_a_service_that_acts_for_a_user_is_named(keys: TestKeys, verifier: TokenVerifier) -> None:
    principal = await verifier.verify(keys.mint("usr_1", act={"sub": "chat"}))
    assert (principal.user_id, principal.service) == ("usr_1", "chat")


@pytest.mark.parametrize(
    "claims",
    [
        {"iss": "somebody"},
        {"aud": "something"},
        {"iss": None},
        {"aud": None},
        {"sub": None},
        {"sub": ""},
        {"exp": None},
        {"exp": "tomorrow"},
        {"scope": ["chat:read"]},
        {"act": "chat"},
        {"nbf": 4_000_000_000},
    ],
)
async def test_a_token_with_a_missing_or_wrong_claim_is_invalid(
    keys: TestKeys, verifier: TokenVerifier, claims: dict[str, Any]
) -> None:
    assert await refusal(verifier, keys.mint("usr_1", **claims)) == "ERROR_REASON_TOKEN_INVALID"


@pytest.mark.parametrize("token", ["", "x", "a.b.c", "é" * 20, "ey" * 10_000, "\x00.\x00.\x00"])
async def test_what_is_no_token_is_invalid(verifier: TokenVerifier, token: str) -> None:
    assert await refusal(verifier, token) == "ERROR_REASON_TOKEN_INVALID"


async def test_an_expired_token_says_so_and_clocks_may_differ_by_some_seconds(
    keys: TestKeys, verifier: TokenVerifier
) -> None:
    now = int(time.time())
    assert await refusal(verifier, keys.mint("usr_1", exp=now - 10)) == "ERROR_REASON_TOKEN_EXPIRED"
    await verifier.verify(keys.mint("usr_1", exp=now - 1))


async def test_a_token_that_was_good_before_expires_nevertheless(
    keys: TestKeys, verifier: TokenVerifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = keys.mint("usr_1", exp=int(time.time()) + 60)
    await verifier.verify(token)
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() + 70)
    assert await refusal(verifier, token) == "ERROR_REASON_TOKEN_EXPIRED"


async def test_a_token_signed_with_another_key_of_the_same_name_is_invalid(
    verifier: TokenVerifier, tmp_path: Path
) -> None:
    forger = TestKeys(tmp_path / "forger")
    assert await refusal(verifier, forger.mint("usr_1")) == "ERROR_REASON_TOKEN_INVALID"


async def test_no_other_algorithm_is_taken_whatever_the_token_says(keys: TestKeys, verifier: TokenVerifier) -> None:
    claims = {"iss": "parley", "aud": "parley", "sub": "usr_1", "exp": int(time.time()) + 60}
    header = {"kid": keys.key_id}
    # The public key as the secret of an HMAC is the oldest trick there is; the library refuses to make such a token, so by hand.
    signed = b".".join(
        jwt.utils.base64url_encode(json.dumps(part).encode()) for part in (header | {"alg": "HS256"}, claims)
    )
    signature = hmac.digest(json.dumps(keys.public_jwk()).encode(), signed, "sha256")
    tokens = [f"{signed.decode()}.{jwt.utils.base64url_encode(signature).decode()}"]
    tokens.append(jwt.encode(claims, "", algorithm="none", headers=header))
    other_curve = ec.generate_private_key(ec.SECP384R1())
    tokens.append(jwt.encode(claims, other_curve, algorithm="ES384", headers=header))
    for token in tokens:
        assert await refusal(verifier, token) == "ERROR_REASON_TOKEN_INVALID"


async def test_a_token_without_a_key_id_is_invalid(keys: TestKeys, verifier: TokenVerifier) -> None:
    header, _, rest = keys.mint("usr_1").partition(".")
    del header
    bare = jwt.utils.base64url_encode(b'{"alg":"ES256","typ":"JWT"}').decode()
    assert await refusal(verifier, f"{bare}.{rest}") == "ERROR_REASON_TOKEN_INVALID"


async def test_the_key_file_may_appear_after_the_service_has_started(tmp_path: Path) -> None:
    keys = TestKeys(tmp_path)
    content = keys.jwks_file.read_text()
    keys.jwks_file.unlink()
    verifier = TokenVerifier(keys.jwks_file, "parley", "parley")
    assert await refusal(verifier, keys.mint("usr_1")) == "ERROR_REASON_TOKEN_INVALID"
    keys.jwks_file.write_text(content)
    await becomes_good(verifier, keys.mint("usr_1"))


async def test_a_new_key_is_found_without_a_restart_and_the_file_is_read_at_most_once_a_second(
    keys: TestKeys, verifier: TokenVerifier, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await verifier.verify(keys.mint("usr_1"))
    newer = TestKeys(tmp_path / "newer", key_id="newer")
    keys.jwks_file.write_text(json.dumps({"keys": [keys.public_jwk(), newer.public_jwk()]}))
    reads = 0
    read_bytes = Path.read_bytes

    def counted(path: Path) -> bytes:
        nonlocal reads
        reads += path == keys.jwks_file
        return read_bytes(path)

    monkeypatch.setattr(Path, "read_bytes", counted)
    await becomes_good(verifier, newer.mint("usr_2"))
    for _ in range(20):
        await refusal(verifier, TestKeys(tmp_path / "unknown", key_id="unknown").mint("usr_1"))
    assert reads <= 3


@pytest.mark.parametrize(
    "content", ["", "{}", "[]", '{"keys": [1]}', '{"keys": [{"kid": "test-key", "kty": "EC", "crv": "P-256"}]}']
)
async def test_a_damaged_key_file_lets_nobody_in_and_is_logged(
    keys: TestKeys, verifier: TokenVerifier, content: str, caplog: pytest.LogCaptureFixture
) -> None:
    keys.jwks_file.write_text(content)
    with caplog.at_level(logging.ERROR):
        assert await refusal(verifier, keys.mint("usr_1")) == "ERROR_REASON_TOKEN_INVALID"
    assert "the key file cannot be read" in caplog.text


async def test_revocation_is_asked_at_every_call_also_for_a_remembered_token(keys: TestKeys) -> None:
    revoked: set[str] = set()

    async def is_revoked(principal: Principal) -> bool:
        return principal.token_id in revoked

    verifier = TokenVerifier(keys.jwks_file, "parley", "parley", is_revoked=is_revoked)
    token = keys.mint("usr_1", jti="tok_1")
    await verifier.verify(token)
    revoked.add("tok_1")
    assert await refusal(verifier, token) == "ERROR_REASON_TOKEN_INVALID"


async def test_no_token_is_ever_logged(
    keys: TestKeys, verifier: TokenVerifier, caplog: pytest.LogCaptureFixture
) -> None:
    tokens = [keys.mint("usr_1"), keys.mint("usr_1", iss="x"), keys.mint("usr_1", exp=1)]
    with caplog.at_level(logging.DEBUG):
        for token in tokens:
            await asyncio.gather(verifier.verify(token), return_exceptions=True)
    assert not any(part in caplog.text for token in tokens for part in token.split("."))


async def becomes_good(verifier: TokenVerifier, token: str) -> None:
    """The file is read again at most once a second."""
    async with asyncio.timeout(5):
        while True:
            try:
                await verifier.verify(token)
            except StatusError:
                await asyncio.sleep(0.05)
            else:
                return
