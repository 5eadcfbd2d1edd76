"""The calendar: `parley.workspace.v1`."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Sequence
from datetime import date, datetime
from typing import TYPE_CHECKING, TypeAlias

from parley.workspace.v1 import calendar_pb2
from parley.workspace.v1 import calendar_service_pb2 as pb

from parley_client.paging import items_of_pages
from parley_client.rpc import Rpc

if TYPE_CHECKING:
    from google.protobuf.timestamp_pb2 import Timestamp

    from parley_client.connection import Connection

_SERVICE = pb.DESCRIPTOR.services_by_name["CalendarService"]
CREATE_ACCOUNT = Rpc(
    _SERVICE, "CreateCalendarAccount", pb.CreateCalendarAccountRequest, pb.CreateCalendarAccountResponse
)
LIST_ACCOUNTS = Rpc(_SERVICE, "ListCalendarAccounts", pb.ListCalendarAccountsRequest, pb.ListCalendarAccountsResponse)
GET_ACCOUNT = Rpc(_SERVICE, "GetCalendarAccount", pb.GetCalendarAccountRequest, pb.GetCalendarAccountResponse)
UPDATE_ACCOUNT = Rpc(
    _SERVICE, "UpdateCalendarAccount", pb.UpdateCalendarAccountRequest, pb.UpdateCalendarAccountResponse
)
DELETE_ACCOUNT = Rpc(
    _SERVICE, "DeleteCalendarAccount", pb.DeleteCalendarAccountRequest, pb.DeleteCalendarAccountResponse
)
SYNC_CALENDARS = Rpc(_SERVICE, "SyncCalendars", pb.SyncCalendarsRequest, pb.SyncCalendarsResponse)
CREATE_EVENT = Rpc(_SERVICE, "CreateEvent", pb.CreateEventRequest, pb.CreateEventResponse)
GET_EVENT = Rpc(_SERVICE, "GetEvent", pb.GetEventRequest, pb.GetEventResponse)
UPDATE_EVENT = Rpc(_SERVICE, "UpdateEvent", pb.UpdateEventRequest, pb.UpdateEventResponse)
DELETE_EVENT = Rpc(_SERVICE, "DeleteEvent", pb.DeleteEventRequest, pb.DeleteEventResponse)
LIST_MEETINGS = Rpc(_SERVICE, "ListMeetings", pb.ListMeetingsRequest, pb.ListMeetingsResponse)
GET_MEETING = Rpc(_SERVICE, "GetMeeting", pb.GetMeetingRequest, pb.GetMeetingResponse)

_SYNC_SECONDS = 60.0
"""Longer than the half minute after which it is answered in any case."""
_Accounts: TypeAlias = Sequence[calendar_pb2.CalendarAccount]


class Calendar:
    """`client.calendar`: events, meetings, and calendars of other places. Raises ParleyError; NotFoundError for another's."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def connect_feed(
        self, url: str, *, name: str = "", username: str = "", password: str = "", time_zone: str = ""
    ) -> calendar_pb2.CalendarAccount:
        """Connects a file of iCalendar at a URL. Its first synchronization ends later: `sync` waits for it."""
        request = pb.CreateCalendarAccountRequest(
            kind=calendar_pb2.CALENDAR_ACCOUNT_KIND_FEED,
            url=url,
            name=name,
            username=username,
            password=password,
            time_zone=time_zone,
        )
        return (await self._connection.call(CREATE_ACCOUNT, request)).account

    async def connect_caldav(
        self,
        url: str,
        username: str,
        password: str,
        *,
        name: str = "",
        time_zone: str = "",
        calendar_ids: Iterable[str] = (),
    ) -> calendar_pb2.CalendarAccount:
        """Connects an account of a CalDAV server. Its first synchronization ends later: `sync` waits for it."""
        request = pb.CreateCalendarAccountRequest(
            kind=calendar_pb2.CALENDAR_ACCOUNT_KIND_CALDAV,
            url=url,
            name=name,
            username=username,
            password=password,
            time_zone=time_zone,
            calendar_ids=calendar_ids,
        )
        return (await self._connection.call(CREATE_ACCOUNT, request)).account

    async def accounts(self) -> _Accounts:
        """All accounts, the oldest first."""
        return (await self._connection.call(LIST_ACCOUNTS, pb.ListCalendarAccountsRequest())).accounts

    async def account(self, account_id: str) -> calendar_pb2.CalendarAccount:
        """One account, and how its last synchronization ended."""
        request = pb.GetCalendarAccountRequest(account_id=account_id)
        return (await self._connection.call(GET_ACCOUNT, request)).account

    async def update_account(self, request: pb.UpdateCalendarAccountRequest) -> calendar_pb2.CalendarAccount:
        """Changes the fields that the request's `update_mask` names, and returns the account as it is now."""
        return (await self._connection.call(UPDATE_ACCOUNT, request)).account

    async def delete_account(self, account_id: str) -> None:
        """Takes an account away, and its events here with it."""
        await self._connection.call(DELETE_ACCOUNT, pb.DeleteCalendarAccountRequest(account_id=account_id))

    async def sync(self, account_id: str = "") -> _Accounts:
        """Synchronizes an account, or all, and waits for that, at most half a minute; returns them as they are now."""
        request = pb.SyncCalendarsRequest(account_id=account_id)
        return (await self._connection.call(SYNC_CALENDARS, request, timeout_seconds=_SYNC_SECONDS)).accounts

    async def create_event(
        self,
        title: str,
        start: datetime | date,
        end: datetime | date | None = None,
        *,
        time_zone: str = "",
        location: str = "",
        description: str = "",
        attendees: Iterable[str] = (),
        recurrence: str = "",
    ) -> calendar_pb2.CalendarEvent:
        """Makes an event: of a time, which needs an offset (ValueError without one), or, with dates, of whole days up to the end."""
        request = pb.CreateEventRequest(
            title=title,
            time_zone=time_zone,
            location=location,
            description=description,
            attendees=attendees,
            recurrence=recurrence,
        )
        if isinstance(start, datetime):
            _set(request.start_time, start)
        else:
            request.start_date = start.isoformat()
        if isinstance(end, datetime):
            _set(request.end_time, end)
        elif end is not None:
            request.end_date = end.isoformat()
        return (await self._connection.call(CREATE_EVENT, request)).event

    async def event(self, event_id: str) -> calendar_pb2.CalendarEvent:
        """One event, as a series when it recurs."""
        return (await self._connection.call(GET_EVENT, pb.GetEventRequest(event_id=event_id))).event

    async def update_event(self, request: pb.UpdateEventRequest) -> calendar_pb2.CalendarEvent:
        """Changes the fields that the request's `update_mask` names, and returns the event as it is now."""
        return (await self._connection.call(UPDATE_EVENT, request)).event

    async def delete_event(self, event_id: str, *, meeting_id: str = "") -> None:
        """Deletes an event for good, or one occurrence of a series."""
        await self._connection.call(DELETE_EVENT, pb.DeleteEventRequest(event_id=event_id, meeting_id=meeting_id))

    def meetings(
        self,
        start: datetime | None = None,
        end: datetime | None = None,
        *,
        time_zone: str = "",
        account_id: str = "",
        query: str = "",
        include_cancelled: bool = False,
        page_size: int = 0,
    ) -> AsyncIterator[calendar_pb2.Meeting]:
        """The meetings of a time, by default of the next 7 days, in the order in which they begin. Times need an offset."""

        async def page(token: str) -> pb.ListMeetingsResponse:
            request = pb.ListMeetingsRequest(
                time_zone=time_zone,
                account_id=account_id,
                query=query,
                include_cancelled=include_cancelled,
                page_size=page_size,
                page_token=token,
            )
            if start is not None:
                _set(request.start_time, start)
            if end is not None:
                _set(request.end_time, end)
            return await self._connection.call(LIST_MEETINGS, request)

        return items_of_pages(page, lambda response: response.meetings)

    async def meeting(self, meeting_id: str) -> calendar_pb2.Meeting:
        """One meeting."""
        return (await self._connection.call(GET_MEETING, pb.GetMeetingRequest(meeting_id=meeting_id))).meeting


def _set(field: Timestamp, time: datetime) -> None:
    if time.tzinfo is None:
        raise ValueError("a time needs an offset from UTC")
    field.FromDatetime(time)
