"""Calendars in the iCalendar format, written for tests, and a chat's calendar as its user calls it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import grpc
from google.protobuf.timestamp_pb2 import Timestamp
from parley.workspace.v1 import calendar_pb2, calendar_service_pb2_grpc
from parley.workspace.v1 import calendar_service_pb2 as pb
from parley_shared.status import status_error_from

from parley_testing.remote_server import Answer, Asked
from parley_testing.running_chat import Metadata, RunningChat

WAIT_SECONDS = 60.0


def event(uid: str, *lines: str, title: str = "Meeting") -> str:
    """A VEVENT."""
    return "\r\n".join(
        ["BEGIN:VEVENT", f"UID:{uid}", "DTSTAMP:20261101T000000Z", f"SUMMARY:{title}", *lines, "END:VEVENT"]
    )


def calendar(*parts: str, headers: Sequence[str] = ()) -> bytes:
    """A VCALENDAR of events and zones."""
    lines = ["BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//test//EN", *headers, *parts, "END:VCALENDAR", ""]
    return "\r\n".join(lines).encode()


def moment(year: int, month: int, day: int, hour: int = 0, minute: int = 0) -> Timestamp:
    """A time, UTC."""
    time = Timestamp()
    time.FromDatetime(datetime(year, month, day, hour, minute, tzinfo=UTC))
    return time


@dataclass
class Feed:
    """A feed, as a server has it: with a version, and told to who knows the version that nothing changed."""

    content: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    has_etag: bool = True
    asked: list[Asked] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)

    def __call__(self, asked: Asked) -> Answer:
        """Answers a request."""
        self.asked.append(asked)
        etag = f'"{hash(self.content)}"'
        if self.has_etag and asked.headers.get("if-none-match") == etag:
            self.statuses.append(304)
            return Answer(304, headers={"ETag": etag})
        self.statuses.append(200)
        headers = {"Content-Type": "text/calendar", **({"ETag": etag} if self.has_etag else {}), **self.headers}
        return Answer(200, self.content, headers)


class UsersCalendar:
    """CalendarService with the token of one user."""

    def __init__(self, chat: RunningChat, metadata: Metadata) -> None:
        self.stub = calendar_service_pb2_grpc.CalendarServiceStub(chat.channel)
        self.metadata = metadata

    async def connect(self, url: str, **fields: Any) -> calendar_pb2.CalendarAccount:
        """Connects an account, a feed unless said otherwise, and waits for its first synchronization."""
        request = pb.CreateCalendarAccountRequest(
            **{"kind": calendar_pb2.CALENDAR_ACCOUNT_KIND_FEED, "url": url, **fields}
        )
        made = (await self.stub.CreateCalendarAccount(request, metadata=self.metadata)).account
        return await self.wait_for(made.account_id, lambda account: account.HasField("last_sync_time"))

    async def account(self, account_id: str) -> calendar_pb2.CalendarAccount:
        """An account as it is now."""
        request = pb.GetCalendarAccountRequest(account_id=account_id)
        return (await self.stub.GetCalendarAccount(request, metadata=self.metadata)).account

    async def wait_for(
        self, account_id: str, wanted: Callable[[calendar_pb2.CalendarAccount], bool]
    ) -> calendar_pb2.CalendarAccount:
        """Waits until an account is as it is wanted."""
        async with asyncio.timeout(WAIT_SECONDS):
            while True:
                account = await self.account(account_id)
                if wanted(account):
                    return account
                await asyncio.sleep(0.05)

    async def sync(self, account_id: str = "") -> calendar_pb2.CalendarAccount:
        """Synchronizes, and gives the first account."""
        request = pb.SyncCalendarsRequest(account_id=account_id)
        return (await self.stub.SyncCalendars(request, metadata=self.metadata)).accounts[0]

    async def meetings(
        self, first: Timestamp | None = None, last: Timestamp | None = None, **fields: Any
    ) -> list[calendar_pb2.Meeting]:
        """All pages of meetings."""
        found: list[calendar_pb2.Meeting] = []
        token = ""
        while True:
            request = pb.ListMeetingsRequest(start_time=first, end_time=last, page_token=token, **fields)
            page = await self.stub.ListMeetings(request, metadata=self.metadata)
            found += page.meetings
            token = page.next_page_token
            if not token:
                return found

    async def create(self, title: str = "Lunch", **fields: Any) -> calendar_pb2.CalendarEvent:
        """Makes an event of one's own."""
        request = pb.CreateEventRequest(title=title, **fields)
        return (await self.stub.CreateEvent(request, metadata=self.metadata)).event


def violated_fields(refused: grpc.aio.AioRpcError) -> list[str]:
    """The fields that a refusal names."""
    return [field for field, _ in status_error_from(refused).violations]


def starts(meetings: Sequence[calendar_pb2.Meeting]) -> list[str]:
    """When meetings begin, as `11-22 08:00`, UTC, or the day of whole days."""
    return [meeting.start_date or f"{meeting.start_time.ToDatetime():%m-%d %H:%M}" for meeting in meetings]
