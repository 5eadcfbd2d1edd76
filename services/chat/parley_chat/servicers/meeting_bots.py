"""MeetingBotService: unpacks, checks, calls, packs."""

from __future__ import annotations

import grpc
from parley.workspace.v1 import meeting_bot_pb2, meeting_bot_service_pb2, meeting_bot_service_pb2_grpc
from parley_shared.status import StatusError
from parley_shared.tokens import current_principal
from parley_shared.validation import Violations

from parley_chat.domain.meeting_bots import READ_SCOPES, WRITE_SCOPE, BotState, Brief, BriefState, MeetingBot
from parley_chat.operations.meeting_bots import MeetingBots, NewBot
from parley_chat.servicers.calendar_fields import check_meeting, check_meeting_id
from parley_chat.servicers.times import check_time_zone

MINUTES_DEFAULT, MINUTES_MOST = 15, 1440
INSTRUCTIONS_MOST = 1000
PAGE_SIZE_DEFAULT, PAGE_SIZE_MOST = 100, 200

_STATES = {
    BotState.WAITING: meeting_bot_pb2.MEETING_BOT_STATE_WAITING,
    BotState.PREPARING: meeting_bot_pb2.MEETING_BOT_STATE_PREPARING,
    BotState.DONE: meeting_bot_pb2.MEETING_BOT_STATE_DONE,
}
_BRIEF_STATES = {
    BriefState.PREPARING: meeting_bot_pb2.MEETING_BRIEF_STATE_PREPARING,
    BriefState.READY: meeting_bot_pb2.MEETING_BRIEF_STATE_READY,
    BriefState.FAILED: meeting_bot_pb2.MEETING_BRIEF_STATE_FAILED,
    BriefState.MISSED: meeting_bot_pb2.MEETING_BRIEF_STATE_MISSED,
}

Context = grpc.aio.ServicerContext[object, object]


class MeetingBotServicer(meeting_bot_service_pb2_grpc.MeetingBotServiceServicer):
    """Serves bots to their user."""

    def __init__(self, bots: MeetingBots) -> None:
        self._bots = bots

    async def CreateMeetingBot(
        self, request: meeting_bot_service_pb2.CreateMeetingBotRequest, context: Context
    ) -> meeting_bot_service_pb2.CreateMeetingBotResponse:
        """Makes the bot of a meeting."""
        principal = current_principal()
        if WRITE_SCOPE not in principal.scopes:
            raise StatusError(
                grpc.StatusCode.PERMISSION_DENIED,
                "ERROR_REASON_SCOPE_MISSING",
                f"Briefs are posted to a session, and this token lacks the scope {WRITE_SCOPE}.",
                metadata={"scope": WRITE_SCOPE},
            )
        violations = Violations()
        check_meeting(violations, request.meeting_id)
        violations.integer("minutes_before", request.minutes_before, least=0, most=MINUTES_MOST)
        violations.stored_text("instructions", request.instructions, most=INSTRUCTIONS_MOST)
        if request.session_id:
            violations.identifier("session_id", request.session_id, "ses_")
        check_time_zone(violations, request.time_zone)
        violations.check()
        new = NewBot(
            meeting_id=request.meeting_id,
            minutes_before=request.minutes_before if request.HasField("minutes_before") else MINUTES_DEFAULT,
            every_occurrence=request.every_occurrence,
            session_id=request.session_id,
            instructions=request.instructions.strip(),
            time_zone=request.time_zone,
            scopes=tuple(sorted(READ_SCOPES & principal.scopes)),
        )
        bot = await self._bots.create(principal.user_id, new)
        return meeting_bot_service_pb2.CreateMeetingBotResponse(bot=_pack(bot))

    async def GetMeetingBot(
        self, request: meeting_bot_service_pb2.GetMeetingBotRequest, context: Context
    ) -> meeting_bot_service_pb2.GetMeetingBotResponse:
        """Gets the bot of a meeting."""
        check_meeting_id(request.meeting_id)
        bot = await self._bots.get(current_principal().user_id, request.meeting_id)
        return meeting_bot_service_pb2.GetMeetingBotResponse(bot=_pack(bot))

    async def ListMeetingBots(
        self, request: meeting_bot_service_pb2.ListMeetingBotsRequest, context: Context
    ) -> meeting_bot_service_pb2.ListMeetingBotsResponse:
        """Lists bots."""
        violations = Violations()
        violations.integer("page_size", request.page_size, least=0, most=PAGE_SIZE_MOST)
        violations.check()
        found = await self._bots.list(current_principal().user_id, request.page_size or PAGE_SIZE_DEFAULT)
        return meeting_bot_service_pb2.ListMeetingBotsResponse(bots=[_pack(bot) for bot in found])

    async def DeleteMeetingBot(
        self, request: meeting_bot_service_pb2.DeleteMeetingBotRequest, context: Context
    ) -> meeting_bot_service_pb2.DeleteMeetingBotResponse:
        """Deletes the bot of a meeting."""
        check_meeting_id(request.meeting_id)
        await self._bots.delete(current_principal().user_id, request.meeting_id)
        return meeting_bot_service_pb2.DeleteMeetingBotResponse()


def _pack(bot: MeetingBot) -> meeting_bot_pb2.MeetingBot:
    packed = meeting_bot_pb2.MeetingBot(
        bot_id=bot.bot_id,
        meeting_id=bot.meeting_id,
        event_id=bot.event_id,
        every_occurrence=bot.every_occurrence,
        minutes_before=bot.minutes_before,
        session_id=bot.session_id,
        instructions=bot.instructions,
        time_zone=bot.time_zone,
        state=_STATES[bot.state],
        next_meeting_id=bot.next_meeting_id,
    )
    packed.create_time.FromDatetime(bot.create_time)
    packed.update_time.FromDatetime(bot.update_time)
    if bot.next_brief_time is not None:
        packed.next_brief_time.FromDatetime(bot.next_brief_time)
    if bot.brief is not None:
        packed.last_brief.CopyFrom(_pack_brief(bot.brief))
    return packed


def _pack_brief(brief: Brief) -> meeting_bot_pb2.MeetingBrief:
    packed = meeting_bot_pb2.MeetingBrief(
        meeting_id=brief.meeting_id,
        state=_BRIEF_STATES[brief.state],
        session_id=brief.session_id,
        turn_id=brief.turn_id,
        attempts=brief.attempts,
        error=brief.error,
    )
    packed.time.FromDatetime(brief.time)
    return packed
