"""A service's own key and tokens, and how far they are trusted."""

from __future__ import annotations

import json
import stat
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from parley_shared.service_keys import ServiceKeyError, ServiceTokens, key_id_of, load_or_make_service_key
from parley_shared.status import StatusError
from parley_shared.tokens import TokenVerifier, TrustedService
from parley_testing.tokens import TestKeys

SCOPE = "inference:invoke"


def made(folder: Path) -> ec.EllipticCurvePrivateKey:
    return load_or_make_service_key(folder / "keys" / "retrieval.pem", folder / "keys" / "retrieval.jwks.json")


def tokens(key: ec.EllipticCurvePrivateKey, service: str = "retrieval", *scopes: str) -> ServiceTokens:
    return ServiceTokens(key, service, scopes or (SCOPE,), issuer="parley", audience="parley")


def verifier(folder: Path) -> TokenVerifier:
    trusted = TrustedService("retrieval", folder / "keys" / "retrieval.jwks.json", frozenset({SCOPE}))
    return TokenVerifier(folder / "keys" / "jwks.json", "parley", "parley", trusted_services=(trusted,))


async def reason(folder: Path, token: str) -> str:
    with pytest.raises(StatusError) as raised:
        await verifier(folder).verify(token)
    return raised.value.reason


async def test_a_services_token_is_taken_where_it_is_trusted(tmp_path: Path) -> None:
    TestKeys(tmp_path)
    principal = await verifier(tmp_path).verify(tokens(made(tmp_path)).token())
    assert (principal.user_id, principal.service, principal.scopes) == ("retrieval", "retrieval", frozenset({SCOPE}))
    assert principal.expire_time <= time.time() + 300


async def test_nobody_who_does_not_trust_it_takes_it(tmp_path: Path) -> None:
    keys = TestKeys(tmp_path)
    plain = TokenVerifier(keys.jwks_file, "parley", "parley")
    with pytest.raises(StatusError):
        await plain.verify(tokens(made(tmp_path)).token())


async def test_it_is_good_for_what_it_is_trusted_with_and_for_nobody_else(tmp_path: Path) -> None:
    TestKeys(tmp_path)
    key = made(tmp_path)
    for bad in (
        tokens(key, "retrieval", SCOPE, "documents:read"),
        tokens(key, "retrieval", "chat:write"),
        tokens(key, "chat"),
        tokens(key, f"usr_{'1' * 32}"),
    ):
        assert await reason(tmp_path, bad.token()) == "ERROR_REASON_TOKEN_INVALID"


async def test_a_user_named_by_a_services_key_is_refused(tmp_path: Path) -> None:
    TestKeys(tmp_path)
    key = made(tmp_path)
    now = int(time.time())
    claims = {"iss": "parley", "aud": "parley", "sub": f"usr_{'1' * 32}", "exp": now + 60, "scope": SCOPE}
    for more in ({}, {"act": {"sub": "retrieval"}}):
        token = jwt.encode(claims | more, key, algorithm="ES256", headers={"kid": key_id_of(key)})
        assert await reason(tmp_path, token) == "ERROR_REASON_TOKEN_INVALID"


async def test_a_service_cannot_stand_in_for_the_key_of_chat(tmp_path: Path) -> None:
    chat = TestKeys(tmp_path)
    key = made(tmp_path)
    jwks_file = tmp_path / "keys" / "retrieval.jwks.json"
    published = json.loads(jwks_file.read_text())
    published["keys"][0]["kid"] = chat.key_id
    jwks_file.write_text(json.dumps(published))
    claims = {"iss": "parley", "aud": "parley", "sub": f"usr_{'1' * 32}", "exp": int(time.time()) + 60}
    token = jwt.encode(claims, key, algorithm="ES256", headers={"kid": chat.key_id})
    assert await reason(tmp_path, token) == "ERROR_REASON_TOKEN_INVALID"
    user = await verifier(tmp_path).verify(chat.mint(f"usr_{'1' * 32}", ["chat:write"]))
    assert user.scopes == frozenset({"chat:write"})


async def test_a_verifier_that_was_there_first_learns_the_key_when_it_is_made(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("parley_shared.tokens._READ_AGAIN_SECONDS", 0.0)
    user = TestKeys(tmp_path).mint(f"usr_{'1' * 32}")
    early = verifier(tmp_path)
    await early.verify(user)
    assert not caplog.records, "a service without a key is none to worry about"
    assert (await early.verify(tokens(made(tmp_path)).token())).service == "retrieval"


def test_the_key_is_made_once_for_its_owner_alone(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as threads:
        ids = {key_id_of(key) for key in threads.map(lambda _: made(tmp_path), range(16))}
    assert len(ids) == 1
    assert stat.S_IMODE((tmp_path / "keys" / "retrieval.pem").stat().st_mode) == 0o600
    published = json.loads((tmp_path / "keys" / "retrieval.jwks.json").read_text())
    assert [entry["kid"] for entry in published["keys"]] == list(ids)
    assert "d" not in published["keys"][0], "the private half is not published"
    assert sorted(path.name for path in (tmp_path / "keys").iterdir()) == ["retrieval.jwks.json", "retrieval.pem"]


@pytest.mark.parametrize("content", [b"", b"no key", b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"])
def test_a_file_that_is_no_key_is_an_error_that_does_not_repeat_it(tmp_path: Path, content: bytes) -> None:
    made(tmp_path)
    path = tmp_path / "keys" / "retrieval.pem"
    path.write_bytes(content)
    with pytest.raises(ServiceKeyError, match="not a private key") as raised:
        made(tmp_path)
    assert "AAAA" not in str(raised.value)


def test_a_key_that_others_may_read_is_not_used(tmp_path: Path) -> None:
    made(tmp_path)
    (tmp_path / "keys" / "retrieval.pem").chmod(0o640)
    with pytest.raises(ServiceKeyError, match="chmod 600"):
        made(tmp_path)


def test_a_token_is_signed_anew_before_it_ends(tmp_path: Path) -> None:
    now = [1_000_000.0]
    key = made(tmp_path)
    signing = ServiceTokens(key, "retrieval", {SCOPE}, issuer="parley", audience="parley", now=lambda: now[0])
    first = signing.token()
    now[0] += 200
    assert signing.token() == first
    now[0] += 50
    assert signing.token() != first
