"""CalendarService: unpacks, checks, calls, packs. The functions serve the rpcs and the tools of models."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime

import grpc
from parley.workspace.v1 import calendar_pb2, calendar_service_pb2_grpc
from parley.workspace.v1 import calendar_service_pb2 as pb
from parley_shared.status import not_found
from parley_shared.tokens import current_principal

from parley_chat.domain.calendar import CalendarAccount, notice_hash
from parley_chat.domain.outbound import OutboundRules
from parley_chat.operations import calendar
from parley_chat.operations.calendar_syncing import CalendarSyncing
from parley_chat.operations.meetings import meeting_of
from parley_chat.ports.calendar import CalendarSchedule
from parley_chat.ports.rule_days import RuleDays
from parley_chat.ports.secret_box import SecretBox
from parley_chat.ports.workspace import Workspace, Workspaces
from parley_chat.servicers import calendar_account_fields as account_fields
from parley_chat.servicers import calendar_fields as fields
from parley_chat.servicers.calendar_messages import pack_account, pack_event, pack_meeting
from parley_chat.servicers.tasks import Call

Context = grpc.aio.ServicerContext[object, object]

NOTICE_PATH = "/api/v1/calendar/webhook?token="


async def create_event(call: Call, request: pb.CreateEventRequest) -> pb.CreateEventResponse:
    """Makes an event."""
    body = fields.new_event(request)
    event = await calendar.create_event(call.workspace, call.days, body, call.now, call.turn_id)
    return pb.CreateEventResponse(event=pack_event(event))


async def get_event(call: Call, request: pb.GetEventRequest) -> pb.GetEventResponse:
    """Gets one event."""
    fields.check_event_id(request.event_id)
    return pb.GetEventResponse(event=pack_event(await call.workspace.calendar.event(request.event_id)))


async def update_event(call: Call, request: pb.UpdateEventRequest) -> pb.UpdateEventResponse:
    """Changes an event, or one of its occurrences."""
    changes = fields.event_changes(request)
    before = await call.workspace.calendar.event(request.event_id)
    if request.meeting_id and before.body.recurs:
        _, key = calendar.event_and_key(request.meeting_id)
        meeting = meeting_of(before, call.days, key)
        if meeting is None:
            raise not_found("meeting")
        body = calendar.with_override(before, key, changes.details(meeting.details), changes.span(meeting.span))
    else:
        body = changes.body(before.body)
    event = await calendar.change_event(call.workspace, call.days, before, body, call.now, call.turn_id)
    return pb.UpdateEventResponse(event=pack_event(event))


async def delete_event(call: Call, request: pb.DeleteEventRequest) -> pb.DeleteEventResponse:
    """Deletes an event, or one of its occurrences."""
    fields.check_event_and_meeting(request.event_id, request.meeting_id)
    before = await call.workspace.calendar.event(request.event_id)
    if not request.meeting_id or not before.body.recurs:
        await calendar.delete_event(call.workspace, request.event_id, call.turn_id)
        return pb.DeleteEventResponse()
    _, key = calendar.event_and_key(request.meeting_id)
    if meeting_of(before, call.days, key) is None:
        raise not_found("meeting")
    body = calendar.without_occurrence(before, key)
    await calendar.change_event(call.workspace, call.days, before, body, call.now, call.turn_id)
    return pb.DeleteEventResponse()


async def list_meetings(call: Call, request: pb.ListMeetingsRequest) -> pb.ListMeetingsResponse:
    """Lists a page of meetings."""
    page, place = await calendar.list_meetings(call.workspace, call.days, *fields.meetings_wanted(request, call.now))
    return pb.ListMeetingsResponse(
        meetings=[pack_meeting(meeting) for meeting in page], next_page_token=fields.next_page_token(request, place)
    )


async def get_meeting(call: Call, request: pb.GetMeetingRequest) -> pb.GetMeetingResponse:
    """Gets one meeting."""
    fields.check_meeting_id(request.meeting_id)
    meeting = await calendar.get_meeting(call.workspace, call.days, request.meeting_id)
    return pb.GetMeetingResponse(meeting=pack_meeting(meeting, whole=True))


class CalendarServicer(calendar_service_pb2_grpc.CalendarServiceServicer):
    """Serves the calendar to its user, each call in one transaction, but for what waits for other servers."""

    def __init__(
        self,
        workspaces: Workspaces,
        schedule: CalendarSchedule,
        syncing: CalendarSyncing,
        box: SecretBox,
        rules: OutboundRules,
        days: RuleDays,
        now: Callable[[], datetime],
    ) -> None:
        self._workspaces = workspaces
        self._schedule = schedule
        self._syncing = syncing
        self._box = box
        self._rules = rules
        self._days = days
        self._now = now

    async def CreateCalendarAccount(
        self, request: pb.CreateCalendarAccountRequest, context: Context
    ) -> pb.CreateCalendarAccountResponse:
        """Connects an account."""
        new = account_fields.new_account(request, self._rules)
        async with self._workspaces.change(current_principal().user_id) as workspace:
            account = await calendar.create_account(workspace, self._box, new, self._now())
            packed = await self._pack(workspace, account)
        self._syncing.wake()
        return pb.CreateCalendarAccountResponse(account=packed)

    async def ListCalendarAccounts(
        self, request: pb.ListCalendarAccountsRequest, context: Context
    ) -> pb.ListCalendarAccountsResponse:
        """Lists the accounts."""
        return pb.ListCalendarAccountsResponse(accounts=await self._accounts(""))

    async def GetCalendarAccount(
        self, request: pb.GetCalendarAccountRequest, context: Context
    ) -> pb.GetCalendarAccountResponse:
        """Gets one account."""
        account_fields.check_account_id(request.account_id)
        return pb.GetCalendarAccountResponse(account=(await self._accounts(request.account_id))[0])

    async def UpdateCalendarAccount(
        self, request: pb.UpdateCalendarAccountRequest, context: Context
    ) -> pb.UpdateCalendarAccountResponse:
        """Changes an account."""
        change = account_fields.account_changes(request, self._rules)
        async with self._workspaces.change(current_principal().user_id) as workspace:
            before = await workspace.calendar.account(request.account_id)
            sealed_before = await workspace.calendar.sealed(request.account_id)
            credentials_before = calendar.unseal(self._box, request.account_id, sealed_before)
            after, credentials = change(before, credentials_before)
            sealed = None
            if credentials != credentials_before:
                sealed = calendar.seal(self._box, request.account_id, credentials)
            account = await calendar.update_account(workspace, before, after, sealed, self._now())
            packed = await self._pack(workspace, account)
        self._syncing.wake()
        return pb.UpdateCalendarAccountResponse(account=packed)

    async def DeleteCalendarAccount(
        self, request: pb.DeleteCalendarAccountRequest, context: Context
    ) -> pb.DeleteCalendarAccountResponse:
        """Takes an account away."""
        account_fields.check_account_id(request.account_id)
        await calendar.delete_account(self._workspaces, current_principal().user_id, request.account_id, self._now())
        return pb.DeleteCalendarAccountResponse()

    async def SyncCalendars(self, request: pb.SyncCalendarsRequest, context: Context) -> pb.SyncCalendarsResponse:
        """Synchronizes, and waits for it for a while."""
        if request.account_id:
            account_fields.check_account_id(request.account_id)
        await self._syncing.sync_now(current_principal().user_id, request.account_id)
        return pb.SyncCalendarsResponse(accounts=await self._accounts(request.account_id))

    async def NotifyCalendar(self, request: pb.NotifyCalendarRequest, context: Context) -> pb.NotifyCalendarResponse:
        """Takes a notice."""
        account_fields.check_notice(request)
        if not await self._schedule.notice(notice_hash(request.token), self._now()):
            raise not_found("calendar_account")
        self._syncing.wake()
        return pb.NotifyCalendarResponse()

    async def CreateEvent(self, request: pb.CreateEventRequest, context: Context) -> pb.CreateEventResponse:
        """Makes an event."""
        async with self._workspaces.change(current_principal().user_id) as workspace:
            return await create_event(self._call(workspace), request)

    async def GetEvent(self, request: pb.GetEventRequest, context: Context) -> pb.GetEventResponse:
        """Gets one event."""
        async with self._workspaces.read(current_principal().user_id) as workspace:
            return await get_event(self._call(workspace), request)

    async def UpdateEvent(self, request: pb.UpdateEventRequest, context: Context) -> pb.UpdateEventResponse:
        """Changes an event."""
        async with self._workspaces.change(current_principal().user_id) as workspace:
            return await update_event(self._call(workspace), request)

    async def DeleteEvent(self, request: pb.DeleteEventRequest, context: Context) -> pb.DeleteEventResponse:
        """Deletes an event."""
        async with self._workspaces.change(current_principal().user_id) as workspace:
            return await delete_event(self._call(workspace), request)

    async def ListMeetings(self, request: pb.ListMeetingsRequest, context: Context) -> pb.ListMeetingsResponse:
        """Lists a page of meetings."""
        async with self._workspaces.read(current_principal().user_id) as workspace:
            return await list_meetings(self._call(workspace), request)

    async def GetMeeting(self, request: pb.GetMeetingRequest, context: Context) -> pb.GetMeetingResponse:
        """Gets one meeting."""
        async with self._workspaces.read(current_principal().user_id) as workspace:
            return await get_meeting(self._call(workspace), request)

    def _call(self, workspace: Workspace) -> Call:
        return Call(workspace, self._days, self._now())

    async def _accounts(self, account_id: str) -> Sequence[calendar_pb2.CalendarAccount]:
        """One account, or all of them."""
        async with self._workspaces.read(current_principal().user_id) as workspace:
            store = workspace.calendar
            found = [await store.account(account_id)] if account_id else await store.accounts()
            return [await self._pack(workspace, account) for account in found]

    async def _pack(self, workspace: Workspace, account: CalendarAccount) -> calendar_pb2.CalendarAccount:
        sealed = await workspace.calendar.sealed(account.account_id)
        credentials = calendar.unseal(self._box, account.account_id, sealed)
        return pack_account(account, NOTICE_PATH + credentials.notice_token)
