"""The port `AuditLog`: on SQLite and on PostgreSQL."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from parley_chat.adapters.sql_accounts import SqlAccounts
from parley_chat.adapters.sql_audit_log import SqlAuditLog
from parley_chat.adapters.sql_audit_schema import audit_events
from parley_chat.domain.accounts import Account, EmailTakenError, Role, User, new_user_id
from parley_chat.domain.audit import (
    FOLDED_ADDRESSES_MOST,
    Actor,
    ActorKind,
    AuditEntry,
    AuditQuery,
    Deed,
    new_audit_event_id,
)
from parley_chat.operations.audit_book import FORGOTTEN_AT_ONCE, AuditBook
from parley_shared.sql import Database
from sqlalchemy import func, insert, select

NOW = datetime(2026, 3, 1, 12, 0, 0, 123456, tzinfo=UTC)
ALL = AuditQuery()
ADA, BOB = "usr_" + "a" * 32, "usr_" + "b" * 32


def entry(deed: Deed = Deed.SIGNED_IN, user_id: str = ADA, *, at: datetime = NOW, address: str = "") -> AuditEntry:
    actor = Actor(ActorKind.USER, user_id, "", "tok_1")
    return AuditEntry(
        new_audit_event_id(at), user_id, deed, at, actor, address, "curl/8", "what", "0" * 32, last_time=at
    )


async def count(database: Database) -> int:
    async with database.read() as connection:
        return int((await connection.execute(select(func.count()).select_from(audit_events))).scalar_one())


async def test_entries_come_back_as_they_were_written_newest_first(chat_database: Database) -> None:
    log = SqlAuditLog(chat_database)
    written = [entry(at=NOW + timedelta(seconds=number), address="192.0.2.1") for number in range(3)]
    await log.write(written)
    assert await log.page(ALL, limit=10, before="") == written[::-1]


async def test_pages_have_no_gap_and_no_repeat_while_new_entries_come(chat_database: Database) -> None:
    log = SqlAuditLog(chat_database)
    written = [entry(at=NOW + timedelta(microseconds=number // 3)) for number in range(10)]
    await log.write(written)
    seen: list[str] = []
    while page := await log.page(ALL, limit=3, before=seen[-1] if seen else ""):
        seen += [one.audit_event_id for one in page]
        await log.write([entry(at=NOW + timedelta(days=1))])
    assert seen == sorted((one.audit_event_id for one in written), reverse=True)


async def test_entries_are_found_by_user_actor_deed_and_time(chat_database: Database) -> None:
    log = SqlAuditLog(chat_database)
    mine, yours = entry(), entry(user_id=BOB, at=NOW + timedelta(hours=1))
    set_role = replace(entry(Deed.ROLE_SET, at=NOW + timedelta(hours=2)), actor=Actor(ActorKind.ADMIN, BOB))
    await log.write([mine, yours, set_role])

    async def found(query: AuditQuery) -> list[AuditEntry]:
        return await log.page(query, limit=10, before="")

    assert await found(AuditQuery(user_id=ADA)) == [set_role, mine]
    assert await found(AuditQuery(user_id="")) == []
    assert await found(AuditQuery(actor_user_id=BOB)) == [set_role, yours]
    assert await found(AuditQuery(deeds=(Deed.SIGNED_IN,))) == [yours, mine]
    assert await found(AuditQuery(start_time=yours.create_time)) == [set_role, yours]
    assert await found(AuditQuery(end_time=yours.create_time)) == [mine]
    later = yours.create_time + timedelta(microseconds=1)
    assert await found(AuditQuery(start_time=yours.create_time, end_time=later)) == [yours]


async def test_many_failures_at_once_are_one_row_with_their_count(chat_database: Database) -> None:
    log = SqlAuditLog(chat_database)
    failures = [
        entry(Deed.SIGN_IN_FAILED, at=NOW + timedelta(seconds=number), address="192.0.2.1") for number in range(30)
    ]
    await asyncio.gather(*(log.write([one]) for one in failures))
    (folded,) = await log.page(ALL, limit=10, before="")
    assert (folded.count, folded.newest_time) == (30, failures[-1].create_time)
    # Another hour, another account and another deed are rows of their own.
    await log.write([entry(Deed.SIGN_IN_FAILED, at=NOW + timedelta(hours=1), address="192.0.2.1")])
    await log.write([entry(Deed.SIGN_IN_FAILED, BOB, address="192.0.2.1")])
    await log.write([entry(Deed.SIGN_IN_HELD_BACK, address="192.0.2.1")])
    assert await count(chat_database) == 4


async def test_failures_from_ever_new_addresses_fill_no_more_than_so_many_rows(chat_database: Database) -> None:
    log = SqlAuditLog(chat_database)
    addresses = FOLDED_ADDRESSES_MOST + 30
    for number in range(addresses):
        await log.write([entry(Deed.SIGN_IN_FAILED, "", address=f"192.0.2.{number}")])
    found = await log.page(ALL, limit=100, before="")
    assert len(found) == FOLDED_ADDRESSES_MOST + 1
    assert sum(one.count for one in found) == addresses
    (together,) = [one for one in found if not one.address]
    assert (together.count, together.user_agent) == (30, "")
    # One that is known goes on with its own.
    await log.write([entry(Deed.SIGN_IN_FAILED, "", address="192.0.2.0")])
    found = await log.page(ALL, limit=100, before="")
    assert [one.count for one in found if one.address == "192.0.2.0"] == [2]


async def test_what_is_old_is_forgotten_in_bounded_steps_and_what_went_on_stays(chat_database: Database) -> None:
    log, now = SqlAuditLog(chat_database), NOW + timedelta(days=10)
    old = [entry(at=NOW - timedelta(seconds=number)) for number in range(7)]
    went_on = replace(entry(Deed.SERVICE_ACTED), last_time=now)
    await log.write([*old, went_on, entry(at=now)])
    assert await log.forget(NOW - timedelta(seconds=5), most=10) == 1
    assert await log.forget(now, most=4) == 4
    assert await log.forget(now, most=4) == 2
    assert await log.forget(now, most=4) == 0
    assert await count(chat_database) == 2


async def test_the_book_forgets_all_that_is_older_than_its_retention(chat_database: Database) -> None:
    row = {
        **{column.name: "" for column in audit_events.columns},
        "deed": "signed in",
        "fold_key": None,
        "count": 1,
        "actor_kind": "user",
    }
    times = [NOW - timedelta(days=3, seconds=number) for number in range(FORGOTTEN_AT_ONCE + 10)] + [NOW]
    rows = [{**row, "audit_event_id": new_audit_event_id(at), "create_time": at, "last_time": at} for at in times]
    async with chat_database.write() as connection:
        await connection.execute(insert(audit_events), rows)
    book = AuditBook(SqlAuditLog(chat_database), timedelta(days=2), lambda: NOW)
    book.start()
    deadline = time.monotonic() + 60
    while await count(chat_database) > 1:
        assert time.monotonic() < deadline
        await asyncio.sleep(0.02)
    await book.close()


async def test_an_entry_is_stored_with_its_change_or_not_at_all(chat_database: Database) -> None:
    accounts = SqlAccounts(chat_database)
    user = User(new_user_id(), "ada@example.org", "Ada", NOW)
    await accounts.add(Account(user, "$argon2id$hash"), entry(Deed.SIGNED_UP, user.user_id))
    with pytest.raises(EmailTakenError):
        await accounts.add(Account(replace(user, user_id=new_user_id()), "x"), entry(Deed.SIGNED_UP))
    assert await count(chat_database) == 1
    for role, rows in ((Role.ADMIN, 2), (Role.ADMIN, 2), (Role.USER, 3)):
        await accounts.set_role(user.user_id, role, entry(Deed.ROLE_SET, user.user_id))
        assert await count(chat_database) == rows
    assert await accounts.set_role("usr_0", Role.ADMIN, entry(Deed.ROLE_SET)) is None
    assert await count(chat_database) == 3
