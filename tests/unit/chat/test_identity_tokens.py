"""Service tokens and revocation: what is remembered, and for how long."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from parley_chat.domain.accounts import User
from parley_chat.domain.tokens import SERVICE_SCOPES, Claims
from parley_chat.operations import service_tokens, token_revocation
from parley_chat.operations.service_tokens import ServiceTokens
from parley_chat.operations.token_revocation import TokenRevocation

START = datetime(2025, 6, 1, tzinfo=UTC)


class Signer:
    """Gives each signature a number and keeps the claims."""

    def __init__(self) -> None:
        self.signed: list[Claims] = []

    def sign(self, claims: Claims) -> str:
        self.signed.append(claims)
        return f"token {len(self.signed)}"


class Clock:
    def __init__(self) -> None:
        self.seconds = 0.0

    def now(self) -> datetime:
        return START + timedelta(seconds=self.seconds)

    def monotonic(self) -> float:
        return self.seconds


class Store:
    """Accounts and personal tokens of which only existence is asked, counting how often."""

    def __init__(self) -> None:
        self.known = {"usr_a"}
        self.good = {"tok_a"}
        self.asked: list[str] = []

    async def user(self, user_id: str) -> User | None:
        self.asked.append(user_id)
        return User(user_id, "a@b", "a", START) if user_id in self.known else None

    async def is_good(self, access_token_id: str) -> bool:
        self.asked.append(access_token_id)
        return access_token_id in self.good


def revocation(store: Store, clock: Clock) -> TokenRevocation:
    return TokenRevocation(store, store, clock=clock.monotonic)  # type: ignore[arg-type]  # The two questions it asks.


def test_a_service_token_carries_the_user_and_the_service_that_acts() -> None:
    signer, clock = Signer(), Clock()
    ServiceTokens(signer, service="chat", now=clock.now).for_user("usr_a")
    (claims,) = signer.signed
    assert (claims.user_id, claims.acting_service, claims.scopes) == ("usr_a", "chat", SERVICE_SCOPES)
    assert claims.scopes == {"inference:invoke", "documents:read", "documents:write", "index:read", "index:write"}
    assert claims.expire_time == START + timedelta(minutes=5)


def test_a_service_token_is_used_again_until_a_minute_before_its_end() -> None:
    signer, clock = Signer(), Clock()
    tokens = ServiceTokens(signer, service="chat", now=clock.now)
    assert tokens.for_user("usr_a") == "token 1"
    clock.seconds = 239
    assert tokens.for_user("usr_a") == "token 1"
    clock.seconds = 240
    assert tokens.for_user("usr_a") == "token 2"
    clock.seconds = 479
    assert tokens.for_user("usr_a") == "token 2"


def test_users_never_share_a_service_token() -> None:
    signer = Signer()
    tokens = ServiceTokens(signer, service="chat", now=Clock().now)
    assert tokens.for_user("usr_a") != tokens.for_user("usr_b")
    assert [claims.user_id for claims in signer.signed] == ["usr_a", "usr_b"]


def test_the_service_tokens_of_those_who_called_least_lately_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service_tokens, "_REMEMBERED_MOST", 2)
    signer = Signer()
    tokens = ServiceTokens(signer, service="chat", now=Clock().now)
    for user in ("usr_a", "usr_b", "usr_a", "usr_c", "usr_a", "usr_b"):
        tokens.for_user(user)
    assert [claims.user_id for claims in signer.signed] == ["usr_a", "usr_b", "usr_c", "usr_b"]


async def test_a_token_revoked_elsewhere_is_refused_within_a_second() -> None:
    store, clock = Store(), Clock()
    revocations = revocation(store, clock)
    assert not await revocations.is_refused(user_id="usr_a", token_id="tok_a")
    store.good.clear()
    clock.seconds = 0.9
    assert not await revocations.is_refused(user_id="usr_a", token_id="tok_a")
    clock.seconds = 1.0
    assert await revocations.is_refused(user_id="usr_a", token_id="tok_a")
    assert store.asked == ["usr_a", "tok_a", "usr_a", "tok_a"]


async def test_a_token_revoked_here_is_refused_at_once() -> None:
    store, clock = Store(), Clock()
    revocations = revocation(store, clock)
    assert not await revocations.is_refused(user_id="usr_a", token_id="tok_a")
    store.good.clear()
    revocations.forget("tok_a")
    assert await revocations.is_refused(user_id="usr_a", token_id="tok_a")


async def test_a_personal_token_that_is_not_stored_is_refused() -> None:
    assert await revocation(Store(), Clock()).is_refused(user_id="usr_a", token_id="tok_b")


async def test_a_token_of_a_user_who_is_not_in_the_database_is_refused() -> None:
    store = Store()
    revocations = revocation(store, Clock())
    assert not await revocations.is_refused(user_id="usr_a", token_id="act_1")
    assert await revocations.is_refused(user_id="usr_b", token_id="act_2")
    assert not await revocations.is_refused(user_id="usr_a", token_id="act_3")
    assert store.asked == ["usr_a", "usr_b"], "a user is asked for once, not at every call"


async def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(token_revocation, "_REMEMBERED_MOST", 2)
    revocations = revocation(Store(), Clock())
    for number in range(10):
        await revocations.is_refused(user_id="usr_a", token_id=f"tok_{number}")
    assert len(revocations._tokens) == 2
