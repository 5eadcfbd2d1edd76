"""Entries of the audit trail: their names, what is folded together, and what is not shown to whom."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest
from parley.identity.v1 import audit_event_pb2
from parley_chat.domain.audit import (
    Actor,
    ActorKind,
    AuditEntry,
    AuditQuery,
    Deed,
    Outcome,
    first_audit_event_id,
    new_audit_event_id,
)
from parley_chat.operations.audit_book import GATHERED_MOST, AuditBook
from parley_chat.operations.identity_audit import AuditTrail, Caller
from parley_chat.servicers import audit_fields

NOW = datetime(2026, 3, 1, 12, 34, 56, 789012, tzinfo=UTC)
USER = "usr_" + "a" * 32


def entry(deed: Deed = Deed.SIGN_IN_HELD_BACK, *, at: datetime = NOW, address: str = "192.0.2.1") -> AuditEntry:
    return AuditEntry(new_audit_event_id(at), USER, deed, at, Actor(ActorKind.UNKNOWN), address=address)


class Kept:
    """A log that keeps what is written to it, or is away."""

    def __init__(self) -> None:
        self.entries: list[AuditEntry] = []
        self.is_away = False

    async def write(self, entries: Sequence[AuditEntry]) -> None:
        if self.is_away:
            raise OSError("away")
        self.entries += entries

    async def page(self, query: AuditQuery, *, limit: int, before: str) -> list[AuditEntry]:
        return self.entries[:limit]

    async def forget(self, before: datetime, *, most: int) -> int:
        return 0


def test_a_later_entry_has_a_greater_name_and_no_two_have_the_same() -> None:
    times = [NOW, NOW + timedelta(microseconds=1), NOW + timedelta(days=400), datetime(9000, 1, 1, tzinfo=UTC)]
    names = [new_audit_event_id(time) for time in times]
    assert names == sorted(names)
    assert {len(name) for name in names} == {36}
    assert len({new_audit_event_id(NOW) for _ in range(1000)}) == 1000
    assert first_audit_event_id(NOW) <= names[0] < first_audit_event_id(times[1])


def test_windows_begin_with_the_hour_and_the_day_whenever_one_looks() -> None:
    assert entry().window_start == datetime(2026, 3, 1, 12, tzinfo=UTC)
    assert entry(at=NOW + timedelta(minutes=25)).window_start == datetime(2026, 3, 1, 12, tzinfo=UTC)
    assert entry(at=NOW + timedelta(minutes=26)).window_start == datetime(2026, 3, 1, 13, tzinfo=UTC)
    assert entry(Deed.SERVICE_ACTED).window_start == datetime(2026, 3, 1, tzinfo=UTC)
    assert entry(Deed.SIGNED_IN).window_start is None


@pytest.mark.parametrize("deed", list(Deed))
def test_every_deed_outcome_and_kind_has_a_value_of_the_contract(deed: Deed) -> None:
    for kind in ActorKind:
        packed = audit_fields.pack(AuditEntry("aud_x", "", deed, NOW, Actor(kind)), hidden=False)
        assert packed.deed != audit_event_pb2.AUDIT_DEED_UNSPECIFIED
        assert packed.outcome != audit_event_pb2.AUDIT_OUTCOME_UNSPECIFIED
        assert packed.actor.kind != audit_event_pb2.AUDIT_ACTOR_KIND_UNSPECIFIED


def test_every_value_of_the_contract_is_a_deed() -> None:
    packed = {audit_fields.pack(entry(deed), hidden=False).deed for deed in Deed}
    assert packed == set(audit_event_pb2.AuditDeed.values()) - {audit_event_pb2.AUDIT_DEED_UNSPECIFIED}
    assert entry(Deed.SIGN_IN_FAILED).outcome is Outcome.FAILED
    assert entry(Deed.REFRESH_TOKEN_REUSED).outcome is Outcome.REFUSED
    assert entry(Deed.SIGNED_IN).outcome is Outcome.SUCCEEDED


def test_what_somebody_else_did_hides_where_and_with_which_token() -> None:
    caller = Caller("usr_admin", "tok_admin", "192.0.2.1", "curl/8", "0" * 32)
    made = AuditTrail(lambda: caller, lambda: NOW).entry(Deed.ROLE_SET, USER, ActorKind.ADMIN, target="admin")
    assert (made.hidden_from(USER), made.hidden_from("usr_admin"), entry().hidden_from(USER)) == (True, False, False)
    shown = audit_fields.pack(made, hidden=True)
    assert (shown.actor.user_id, shown.target) == ("usr_admin", "admin")
    assert (shown.actor.token_id, shown.client_address, shown.user_agent, shown.trace_id) == ("", "", "", "")
    whole = audit_fields.pack(made, hidden=False)
    assert (whole.actor.token_id, whole.client_address, whole.user_agent) == ("tok_admin", "192.0.2.1", "curl/8")


async def test_what_is_gathered_is_folded_and_written_when_somebody_asks() -> None:
    log = Kept()
    book = AuditBook(log, timedelta(days=1), lambda: NOW)
    for minutes in range(3):
        book.gather(entry(at=NOW + timedelta(minutes=minutes)))
    book.gather(entry(address="192.0.2.2"))
    assert log.entries == []
    listed = await book.list(AuditQuery(), limit=10, before="")
    assert [(one.address, one.count, one.create_time, one.newest_time) for one in listed] == [
        ("192.0.2.1", 3, NOW, NOW + timedelta(minutes=2)),
        ("192.0.2.2", 1, NOW, NOW),
    ]
    await book.list(AuditQuery(), limit=10, before="")
    assert len(log.entries) == 2


async def test_what_cannot_be_written_is_kept_and_no_more_than_so_much() -> None:
    log = Kept()
    book = AuditBook(log, timedelta(days=1), lambda: NOW)
    log.is_away = True
    for number in range(GATHERED_MOST + 50):
        book.gather(entry(address=str(number)))
    with pytest.raises(OSError, match="away"):
        await book.list(AuditQuery(), limit=1, before="")
    book.gather(entry(address="0"))
    log.is_away = False
    await book.list(AuditQuery(), limit=1, before="")
    assert len(log.entries) == GATHERED_MOST
    assert sum(one.count for one in log.entries) == GATHERED_MOST + 1


async def test_a_book_writes_by_itself_and_at_the_end() -> None:
    log = Kept()
    book = AuditBook(log, timedelta(days=1), lambda: NOW)
    book.start()
    book.gather(entry())
    deadline = time.monotonic() + 60
    while not log.entries:
        assert time.monotonic() < deadline
        await asyncio.sleep(0.02)
    book.gather(entry(address="192.0.2.2"))
    await book.close()
    assert [one.address for one in log.entries] == ["192.0.2.1", "192.0.2.2"]
