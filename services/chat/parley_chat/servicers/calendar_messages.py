"""The calendar's messages, packed of the domain's values."""

from __future__ import annotations

from datetime import UTC

from parley.workspace.v1 import calendar_pb2

from parley_chat.domain.calendar import (
    SHOWN_DESCRIPTION,
    AccountKind,
    AccountState,
    CalendarAccount,
    CalendarEvent,
    EventStatus,
    Meeting,
    Person,
    Span,
)

_KINDS = {
    AccountKind.FEED: calendar_pb2.CALENDAR_ACCOUNT_KIND_FEED,
    AccountKind.CALDAV: calendar_pb2.CALENDAR_ACCOUNT_KIND_CALDAV,
}
_STATES = {
    AccountState.PENDING: calendar_pb2.CALENDAR_ACCOUNT_STATE_PENDING,
    AccountState.READY: calendar_pb2.CALENDAR_ACCOUNT_STATE_READY,
    AccountState.FAILED: calendar_pb2.CALENDAR_ACCOUNT_STATE_FAILED,
}
_STATUSES = {
    EventStatus.CONFIRMED: calendar_pb2.EVENT_STATUS_CONFIRMED,
    EventStatus.TENTATIVE: calendar_pb2.EVENT_STATUS_TENTATIVE,
    EventStatus.CANCELLED: calendar_pb2.EVENT_STATUS_CANCELLED,
}


def pack_account(account: CalendarAccount, notice_path: str = "") -> calendar_pb2.CalendarAccount:
    """Packs an account."""
    packed = calendar_pb2.CalendarAccount(
        account_id=account.account_id,
        kind=_KINDS[account.kind],
        name=account.name,
        host=account.host,
        username=account.username,
        time_zone=account.time_zone,
        state=_STATES[account.state],
        error=account.error,
        warnings=account.warnings,
        event_count=account.event_count,
        calendars=[
            calendar_pb2.AccountCalendar(
                calendar_id=each.calendar_id, name=each.name, selected=each.selected, writable=each.writable
            )
            for each in account.calendars
        ],
        syncing=account.syncing,
        notice_path=notice_path,
    )
    packed.create_time.FromDatetime(account.create_time)
    packed.update_time.FromDatetime(account.update_time)
    if account.last_sync_time:
        packed.last_sync_time.FromDatetime(account.last_sync_time)
    if account.last_success_time:
        packed.last_success_time.FromDatetime(account.last_success_time)
    if account.next_sync_time:
        packed.next_sync_time.FromDatetime(account.next_sync_time)
    return packed


def pack_event(event: CalendarEvent) -> calendar_pb2.CalendarEvent:
    """Packs an event, as a series."""
    details, span = event.body.details, event.body.span
    packed = calendar_pb2.CalendarEvent(
        event_id=event.event_id,
        account_id=event.account_id,
        calendar_id=event.calendar_id,
        title=details.title,
        description=details.description,
        location=details.location,
        all_day=span.all_day,
        time_zone="" if span.all_day else span.zone.name,
        recurrence=event.body.recurrence,
        attendees=[_person(each) for each in details.attendees],
        organizer=_person(details.organizer) if details.organizer else None,
        status=_STATUSES[details.status],
        url=details.url,
        read_only=event.read_only,
        turn_id=event.turn_id,
    )
    _set_times(packed, span)
    packed.create_time.FromDatetime(event.create_time)
    packed.update_time.FromDatetime(event.update_time)
    return packed


def pack_meeting(meeting: Meeting, *, whole: bool = False) -> calendar_pb2.Meeting:
    """Packs a meeting, with its whole description when it is asked for alone."""
    event, details, span = meeting.event, meeting.details, meeting.span
    packed = calendar_pb2.Meeting(
        meeting_id=meeting.meeting_id,
        event_id=event.event_id,
        account_id=event.account_id,
        calendar_id=event.calendar_id,
        title=details.title,
        description=details.description if whole else details.description[:SHOWN_DESCRIPTION],
        location=details.location,
        all_day=span.all_day,
        time_zone="" if span.all_day else span.zone.name,
        attendees=[_person(each) for each in details.attendees],
        organizer=_person(details.organizer) if details.organizer else None,
        status=_STATUSES[details.status],
        url=details.url,
        recurring=event.body.recurs,
        read_only=event.read_only,
    )
    _set_times(packed, span)
    if meeting.original_start:
        packed.original_start_time.FromDatetime(meeting.original_start)
    return packed


def _set_times(packed: calendar_pb2.CalendarEvent | calendar_pb2.Meeting, span: Span) -> None:
    if span.all_day:
        end = span.begin + span.length
        packed.start_date, packed.end_date = span.begin.date().isoformat(), end.date().isoformat()
        packed.start_time.FromDatetime(span.begin.replace(tzinfo=UTC))
        packed.end_time.FromDatetime(end.replace(tzinfo=UTC))
        return
    packed.start_time.FromDatetime(span.start)
    packed.end_time.FromDatetime(span.end)


def _person(person: Person) -> calendar_pb2.Attendee:
    return calendar_pb2.Attendee(email=person.email, name=person.name, response=person.response)
