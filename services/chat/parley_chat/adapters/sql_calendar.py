"""The calendar of one user in SQL, within a transaction that somebody else opened."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from parley_shared.sql import UtcDateTime
from sqlalchemy import ColumnElement, Row, and_, case, delete, func, insert, literal, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from parley_chat.adapters.calendar_json import body_from_json, to_json
from parley_chat.adapters.sql_calendar_schema import calendar_accounts, calendar_events
from parley_chat.domain.calendar import (
    AccountCalendar,
    AccountKind,
    AccountState,
    CalendarAccount,
    CalendarEvent,
    SealedCredentials,
)
from parley_chat.domain.errors import NotFoundError
from parley_chat.ports.calendar import KnownEvent, Reach, SourceEvent, SyncClaim


class SqlCalendar:
    """The port `CalendarStore`."""

    def __init__(self, connection: AsyncConnection, user_id: str) -> None:
        self._connection = connection
        self._user_id = user_id

    async def add_account(self, account: CalendarAccount, sealed: SealedCredentials) -> None:
        """Inserts a row."""
        await self._connection.execute(
            insert(calendar_accounts).values(
                user_id=self._user_id,
                sealed=sealed.sealed,
                notice_hash=sealed.notice_hash,
                lease_expire_time=None,
                fence=0,
                failures=0,
                progress="",
                **_account_row(account),
            )
        )

    async def account(self, account_id: str) -> CalendarAccount:
        """Reads a row."""
        query = select(calendar_accounts).where(self._is_account(account_id))
        row = (await self._connection.execute(query)).first()
        if row is None:
            raise NotFoundError("calendar_account")
        return to_account(row)

    async def accounts(self) -> Sequence[CalendarAccount]:
        """Reads along the index."""
        query = (
            select(calendar_accounts)
            .where(calendar_accounts.c.user_id == self._user_id)
            .order_by(calendar_accounts.c.create_time, calendar_accounts.c.account_id)
        )
        return [to_account(row) for row in await self._connection.execute(query)]

    async def sealed(self, account_id: str) -> str:
        """Reads a column."""
        query = select(calendar_accounts.c.sealed).where(self._is_account(account_id))
        sealed: str | None = (await self._connection.execute(query)).scalar_one_or_none()
        if sealed is None:
            raise NotFoundError("calendar_account")
        return sealed

    async def put_account(
        self, account: CalendarAccount, *, sealed: SealedCredentials | None = None, anew: bool = False
    ) -> None:
        """Writes a row anew. A higher fence shuts out who synchronizes it now."""
        values: dict[str, Any] = _account_row(account)
        if sealed is not None:
            values |= {"sealed": sealed.sealed, "notice_hash": sealed.notice_hash}
        if anew:
            values |= {
                "progress": "",
                "failures": 0,
                "lease_expire_time": None,
                "fence": calendar_accounts.c.fence + 1,
            }
        await self._connection.execute(
            update(calendar_accounts).where(self._is_account(account.account_id)).values(**values)
        )

    async def remove_account(self, account_id: str) -> None:
        """Deletes a row."""
        await self._connection.execute(delete(calendar_accounts).where(self._is_account(account_id)))

    async def request_sync(self, account_id: str, time: datetime) -> None:
        """Moves the time towards now."""
        due = calendar_accounts.c.next_sync_time
        await self._connection.execute(
            update(calendar_accounts).where(self._is_account(account_id), due > time).values(next_sync_time=time)
        )

    async def end_sync(self, claim: SyncClaim, account: CalendarAccount, progress: str | None, failures: int) -> bool:
        """Writes what a synchronization changes. A request that came meanwhile stays: it moved the time from that of the claim."""
        due = calendar_accounts.c.next_sync_time
        values: dict[str, Any] = {
            "state": account.state.value,
            "error": account.error,
            "warnings": list(account.warnings),
            "event_count": account.event_count,
            "calendars": to_json(account.calendars),
            "last_sync_time": account.last_sync_time,
            "last_success_time": account.last_success_time,
            "next_sync_time": case((due < claim.expire_time, due), else_=literal(account.next_sync_time, UtcDateTime)),
            "lease_expire_time": None,
            "failures": failures,
        }
        if progress is not None:
            values["progress"] = progress
        ended = await self._connection.execute(
            update(calendar_accounts)
            .where(self._is_account(account.account_id), calendar_accounts.c.fence == claim.fence)
            .values(**values)
        )
        return bool(ended.rowcount)

    async def holds(self, claim: SyncClaim) -> bool:
        """Reads the fence."""
        query = select(calendar_accounts.c.fence).where(self._is_account(claim.account.account_id))
        return (await self._connection.execute(query)).scalar_one_or_none() == claim.fence

    async def add_event(self, event: CalendarEvent, reach: Reach) -> None:
        """Inserts a row."""
        await self._connection.execute(
            insert(calendar_events).values(
                user_id=self._user_id, account_id=None, resource="", etag="", digest="", **_event_row(event, reach)
            )
        )

    async def event(self, event_id: str) -> CalendarEvent:
        """Reads a row."""
        query = select(calendar_events).where(self._is_event(event_id))
        row = (await self._connection.execute(query)).first()
        if row is None:
            raise NotFoundError("calendar_event")
        return _event(row)

    async def put_event(self, event: CalendarEvent, reach: Reach) -> None:
        """Writes a row anew."""
        await self._connection.execute(
            update(calendar_events).where(self._is_event(event.event_id)).values(**_event_row(event, reach))
        )

    async def remove_event(self, event_id: str) -> None:
        """Deletes a row."""
        await self._connection.execute(delete(calendar_events).where(self._is_event(event_id)))

    async def count_events(self, account_id: str) -> int:
        """Counts rows."""
        query = select(func.count()).where(self._of_account(account_id))
        return (await self._connection.execute(query)).scalar_one()

    async def between(self, first: datetime, last: datetime, account_id: str | None) -> Sequence[CalendarEvent]:
        """Reads along the index of times."""
        query = select(calendar_events).where(
            calendar_events.c.user_id == self._user_id,
            calendar_events.c.first_time <= last,
            or_(calendar_events.c.last_time.is_(None), calendar_events.c.last_time >= first),
        )
        if account_id is not None:
            query = query.where(self._of_account(account_id))
        rows = (await self._connection.execute(query)).all()
        # There may be thousands, and the loop has others to serve.
        return await asyncio.to_thread(lambda: [_event(row) for row in rows])

    async def known(self, account_id: str) -> Mapping[str, KnownEvent]:
        """Reads rows without their bodies."""
        table = calendar_events.c
        query = select(table.resource, table.event_id, table.etag, table.digest).where(self._of_account(account_id))
        return {
            row.resource: KnownEvent(row.event_id, row.etag, row.digest)
            for row in await self._connection.execute(query)
        }

    async def put_synced(self, account_id: str, event: CalendarEvent, source: SourceEvent, reach: Reach) -> None:
        """Updates a row, or inserts it when there is none. Nobody else writes those of an account: the claim is held."""
        values = {"etag": source.etag, "digest": source.digest, **_event_row(event, reach)}
        found = await self._connection.execute(
            update(calendar_events).where(self._is_event(event.event_id)).values(**values)
        )
        if not found.rowcount:
            await self._connection.execute(
                insert(calendar_events).values(
                    user_id=self._user_id, account_id=account_id, resource=source.resource, **values
                )
            )

    def _is_account(self, account_id: str) -> ColumnElement[bool]:
        return and_(calendar_accounts.c.account_id == account_id, calendar_accounts.c.user_id == self._user_id)

    def _is_event(self, event_id: str) -> ColumnElement[bool]:
        return and_(calendar_events.c.event_id == event_id, calendar_events.c.user_id == self._user_id)

    def _of_account(self, account_id: str) -> ColumnElement[bool]:
        column = calendar_events.c.account_id
        is_of = column == account_id if account_id else column.is_(None)
        return and_(calendar_events.c.user_id == self._user_id, is_of)


def to_account(row: Row[Any]) -> CalendarAccount:
    """An account, of its row."""
    return CalendarAccount(
        account_id=row.account_id,
        kind=AccountKind(row.kind),
        name=row.name,
        host=row.host,
        username=row.username,
        time_zone=row.time_zone,
        wanted=tuple(row.wanted),
        create_time=row.create_time,
        update_time=row.update_time,
        state=AccountState(row.state),
        error=row.error,
        warnings=tuple(row.warnings),
        event_count=row.event_count,
        calendars=tuple(AccountCalendar(**each) for each in row.calendars),
        last_sync_time=row.last_sync_time,
        last_success_time=row.last_success_time,
        next_sync_time=row.next_sync_time,
        syncing=row.lease_expire_time is not None,
    )


def _account_row(account: CalendarAccount) -> dict[str, Any]:
    return {
        "account_id": account.account_id,
        "kind": account.kind.value,
        "name": account.name,
        "host": account.host,
        "username": account.username,
        "time_zone": account.time_zone,
        "wanted": list(account.wanted),
        "state": account.state.value,
        "error": account.error,
        "warnings": list(account.warnings),
        "event_count": account.event_count,
        "calendars": to_json(account.calendars),
        "last_sync_time": account.last_sync_time,
        "last_success_time": account.last_success_time,
        "next_sync_time": account.next_sync_time,
        "create_time": account.create_time,
        "update_time": account.update_time,
    }


def _event_row(event: CalendarEvent, reach: Reach) -> dict[str, Any]:
    return {
        "event_id": event.event_id,
        "calendar_id": event.calendar_id,
        "first_time": reach.first,
        "last_time": reach.last,
        "body": to_json(event.body),
        "turn_id": event.turn_id,
        "create_time": event.create_time,
        "update_time": event.update_time,
    }


def _event(row: Row[Any]) -> CalendarEvent:
    return CalendarEvent(
        event_id=row.event_id,
        account_id=row.account_id or "",
        calendar_id=row.calendar_id,
        body=body_from_json(row.body),
        create_time=row.create_time,
        update_time=row.update_time,
        turn_id=row.turn_id,
    )
