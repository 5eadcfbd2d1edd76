"""The ports `Accounts`, `SignIns` and `PersonalTokens`: one suite, on SQLite and on PostgreSQL."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from parley_chat.adapters.sql_accounts import SqlAccounts
from parley_chat.adapters.sql_personal_tokens import SqlPersonalTokens
from parley_chat.adapters.sql_schema import refresh_tokens, sign_ins
from parley_chat.adapters.sql_sign_ins import SqlSignIns
from parley_chat.domain.accounts import Account, EmailTakenError, User, new_user_id
from parley_chat.domain.tokens import (
    PersonalToken,
    RefreshToken,
    SignIn,
    new_personal_token_id,
    new_refresh_token,
    new_sign_in_id,
    refresh_token_hash,
)
from parley_shared.sql import Database
from sqlalchemy import func, select

NOW = datetime(2025, 6, 1, 12, 0, 0, 123456, tzinfo=UTC)
DAY = timedelta(days=1)


def account(email: str = "ada@example.org") -> Account:
    return Account(User(new_user_id(), email, "Ada", NOW), "$argon2id$hash")


def token(at: datetime = NOW, life: timedelta = DAY) -> RefreshToken:
    return RefreshToken(refresh_token_hash(new_refresh_token()), at, at + life)


async def new_user(database: Database, email: str = "ada@example.org") -> str:
    made = account(email)
    await SqlAccounts(database).add(made)
    return made.user.user_id


async def new_sign_in(database: Database, user_id: str, first: RefreshToken) -> None:
    await SqlSignIns(database).open(SignIn(new_sign_in_id(), user_id, first.create_time), first)


def personal(user_id: str, *, at: datetime = NOW, life: timedelta = DAY) -> PersonalToken:
    return PersonalToken(new_personal_token_id(), user_id, "laptop", ("chat:read", "chat:write"), at, at + life)


# Accounts ------------------------------------------------------------------------------------------------------------


async def test_an_account_comes_back_as_it_was_stored(chat_database: Database) -> None:
    accounts, made = SqlAccounts(chat_database), account()
    await accounts.add(made)
    assert await accounts.by_email("ada@example.org") == made
    assert await accounts.user(made.user.user_id) == made.user


async def test_an_account_that_is_not_there_is_none(chat_database: Database) -> None:
    accounts = SqlAccounts(chat_database)
    assert await accounts.by_email("ada@example.org") is None
    assert await accounts.user("usr_0") is None
    await accounts.set_password_hash("usr_0", "x")


async def test_of_many_accounts_added_at_once_with_one_address_one_is_stored(chat_database: Database) -> None:
    accounts = SqlAccounts(chat_database)
    results = await asyncio.gather(*(accounts.add(account()) for _ in range(8)), return_exceptions=True)
    assert [result for result in results if result is None] == [None]
    assert [type(result) for result in results if result is not None] == [EmailTakenError] * 7


async def test_a_taken_address_is_told_without_the_databases_words(chat_database: Database) -> None:
    accounts = SqlAccounts(chat_database)
    await accounts.add(account())
    with pytest.raises(EmailTakenError) as refused:
        await accounts.add(account())
    assert refused.value.__suppress_context__
    assert str(refused.value) == ""


async def test_a_password_hash_is_replaced_for_one_user_only(chat_database: Database) -> None:
    accounts, ada, bob = SqlAccounts(chat_database), account(), account("bob@example.org")
    await accounts.add(ada)
    await accounts.add(bob)
    await accounts.set_password_hash(ada.user.user_id, "new")
    changed = await accounts.by_email(ada.user.email)
    assert changed is not None
    assert changed.password_hash == "new"
    assert await accounts.by_email(bob.user.email) == bob


# Sign-ins ------------------------------------------------------------------------------------------------------------


async def test_a_refresh_token_works_once_and_gives_its_user(chat_database: Database) -> None:
    ada = await new_user(chat_database)
    first, second, third = token(), token(NOW + DAY / 2), token(NOW + DAY)
    await new_sign_in(chat_database, ada, first)
    store = SqlSignIns(chat_database)
    assert await store.rotate(first.token_hash, second) == ada
    assert await store.rotate(second.token_hash, third) == ada


async def test_a_refresh_token_used_twice_ends_its_whole_family_and_no_other(chat_database: Database) -> None:
    ada = await new_user(chat_database)
    first, second, other = token(), token(), token()
    await new_sign_in(chat_database, ada, first)
    await new_sign_in(chat_database, ada, other)
    store = SqlSignIns(chat_database)
    assert await store.rotate(first.token_hash, second) == ada
    assert await store.rotate(first.token_hash, token()) is None
    assert await store.rotate(second.token_hash, token()) is None
    assert await store.rotate(other.token_hash, token()) == ada


async def test_of_many_uses_at_once_of_one_token_one_works_and_the_family_ends(chat_database: Database) -> None:
    ada = await new_user(chat_database)
    first = token()
    await new_sign_in(chat_database, ada, first)
    store = SqlSignIns(chat_database)
    following = [token() for _ in range(6)]
    results = await asyncio.gather(*(store.rotate(first.token_hash, one) for one in following))
    assert sorted(results, key=str) == [None] * 5 + [ada]
    winner = following[results.index(ada)]
    assert await store.rotate(winner.token_hash, token()) is None


async def test_a_refresh_token_that_is_over_or_unknown_works_not_at_all(chat_database: Database) -> None:
    ada = await new_user(chat_database)
    first = token()
    await new_sign_in(chat_database, ada, first)
    store = SqlSignIns(chat_database)
    assert await store.rotate(first.token_hash, token(first.expire_time)) is None
    assert await store.rotate(token().token_hash, token()) is None


async def test_a_used_token_ends_its_family_even_after_its_own_time(chat_database: Database) -> None:
    ada = await new_user(chat_database)
    first, second = token(life=DAY), token(NOW + DAY / 2)
    await new_sign_in(chat_database, ada, first)
    store = SqlSignIns(chat_database)
    assert await store.rotate(first.token_hash, second) == ada
    late = first.expire_time + timedelta(hours=1)
    assert await store.rotate(first.token_hash, token(late)) is None
    assert await store.rotate(second.token_hash, token(late)) is None


async def test_ending_a_sign_in_ends_every_token_of_it_and_may_be_repeated(chat_database: Database) -> None:
    ada = await new_user(chat_database)
    first, second, other = token(), token(), token()
    await new_sign_in(chat_database, ada, first)
    await new_sign_in(chat_database, ada, other)
    store = SqlSignIns(chat_database)
    await store.rotate(first.token_hash, second)
    await store.end(first.token_hash, NOW)
    await store.end(second.token_hash, NOW)
    await store.end(token().token_hash, NOW)
    assert await store.rotate(second.token_hash, token()) is None
    assert await store.rotate(other.token_hash, token()) == ada


async def test_a_new_sign_in_forgets_the_users_families_that_are_wholly_over(chat_database: Database) -> None:
    ada, bob = await new_user(chat_database), await new_user(chat_database, "bob@example.org")
    over, kept = token(), token()
    await new_sign_in(chat_database, ada, over)
    await new_sign_in(chat_database, bob, kept)
    long_lived = token(life=10 * DAY)
    await new_sign_in(chat_database, ada, long_lived)
    await new_sign_in(chat_database, ada, token(NOW + 2 * DAY))
    async with chat_database.read() as connection:
        counted = select(sign_ins.c.user_id, func.count().label("families")).group_by(sign_ins.c.user_id)
        families = {row.user_id: row.families for row in await connection.execute(counted)}
        hashes = set((await connection.execute(select(refresh_tokens.c.token_hash))).scalars())
    assert families == {ada: 2, bob: 1}
    assert over.token_hash not in hashes
    assert {kept.token_hash, long_lived.token_hash} <= hashes


# Personal access tokens ----------------------------------------------------------------------------------------------


async def test_a_personal_token_comes_back_as_it_was_stored(chat_database: Database) -> None:
    ada = await new_user(chat_database)
    store, made = SqlPersonalTokens(chat_database), personal(ada)
    await store.add(made)
    assert await store.page(ada, limit=10, after=None) == [made]
    assert await store.is_good(made.access_token_id)


async def test_pages_are_newest_first_without_gap_or_repeat_also_within_one_instant(chat_database: Database) -> None:
    ada = await new_user(chat_database)
    store = SqlPersonalTokens(chat_database)
    made = [personal(ada, at=NOW + timedelta(microseconds=number // 3)) for number in range(9)]
    for one in made:
        await store.add(one)
    newest_first = sorted(made, key=lambda one: (one.create_time, one.access_token_id), reverse=True)
    seen: list[PersonalToken] = []
    while page := await store.page(
        ada, limit=2, after=(seen[-1].create_time, seen[-1].access_token_id) if seen else None
    ):
        assert len(page) <= 2
        seen += page
    assert seen == newest_first


async def test_the_first_revocation_counts_and_others_cannot_revoke(chat_database: Database) -> None:
    ada, bob = await new_user(chat_database), await new_user(chat_database, "bob@example.org")
    store, made = SqlPersonalTokens(chat_database), personal(ada)
    await store.add(made)
    assert await store.revoke(bob, made.access_token_id, NOW) is None
    assert await store.is_good(made.access_token_id)
    revoked = await store.revoke(ada, made.access_token_id, NOW)
    assert revoked is not None
    assert revoked.revoke_time == NOW
    assert await store.revoke(ada, made.access_token_id, NOW + DAY) == revoked
    assert not await store.is_good(made.access_token_id)


async def test_users_see_their_own_personal_tokens_only(chat_database: Database) -> None:
    ada, bob = await new_user(chat_database), await new_user(chat_database, "bob@example.org")
    store = SqlPersonalTokens(chat_database)
    await store.add(personal(ada))
    assert await store.page(bob, limit=10, after=None) == []
    assert await store.count_good(bob, NOW) == 0


async def test_only_tokens_that_are_neither_revoked_nor_over_are_counted(chat_database: Database) -> None:
    ada = await new_user(chat_database)
    store = SqlPersonalTokens(chat_database)
    good, over, revoked = personal(ada), personal(ada, life=timedelta(hours=1)), personal(ada)
    for one in (good, over, revoked):
        await store.add(one)
    await store.revoke(ada, revoked.access_token_id, NOW)
    assert await store.count_good(ada, NOW) == 2
    assert await store.count_good(ada, NOW + timedelta(hours=1)) == 1


async def test_a_personal_token_that_was_never_stored_is_not_good(chat_database: Database) -> None:
    assert not await SqlPersonalTokens(chat_database).is_good(new_personal_token_id())
