"""Briefs before meetings: `parley.workspace.v1.MeetingBotService`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from parley.workspace.v1 import meeting_bot_pb2
from parley.workspace.v1 import meeting_bot_service_pb2 as pb

from parley_client.rpc import Rpc

if TYPE_CHECKING:
    from parley_client.connection import Connection

_SERVICE = pb.DESCRIPTOR.services_by_name["MeetingBotService"]
CREATE_BOT = Rpc(_SERVICE, "CreateMeetingBot", pb.CreateMeetingBotRequest, pb.CreateMeetingBotResponse)
GET_BOT = Rpc(_SERVICE, "GetMeetingBot", pb.GetMeetingBotRequest, pb.GetMeetingBotResponse)
LIST_BOTS = Rpc(_SERVICE, "ListMeetingBots", pb.ListMeetingBotsRequest, pb.ListMeetingBotsResponse)
DELETE_BOT = Rpc(_SERVICE, "DeleteMeetingBot", pb.DeleteMeetingBotRequest, pb.DeleteMeetingBotResponse)


class MeetingBots:
    """`client.meeting_bots`: what prepares briefs for meetings. Raises ParleyError; NotFoundError for another's meeting."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def create(
        self,
        meeting_id: str,
        *,
        minutes_before: int = 15,
        every_occurrence: bool = False,
        session_id: str = "",
        instructions: str = "",
        time_zone: str = "",
    ) -> meeting_bot_pb2.MeetingBot:
        """Has a brief prepared for a meeting, or for every one of its series. For a meeting that has a bot, it changes that."""
        request = pb.CreateMeetingBotRequest(
            meeting_id=meeting_id,
            minutes_before=minutes_before,
            every_occurrence=every_occurrence,
            session_id=session_id,
            instructions=instructions,
            time_zone=time_zone,
        )
        return (await self._connection.call(CREATE_BOT, request)).bot

    async def get(self, meeting_id: str) -> meeting_bot_pb2.MeetingBot:
        """The bot of a meeting, with its last brief."""
        return (await self._connection.call(GET_BOT, pb.GetMeetingBotRequest(meeting_id=meeting_id))).bot

    async def list(self) -> Sequence[meeting_bot_pb2.MeetingBot]:
        """The newest bots, at most 200."""
        return (await self._connection.call(LIST_BOTS, pb.ListMeetingBotsRequest(page_size=200))).bots

    async def delete(self, meeting_id: str) -> None:
        """No brief comes any more. Those that were written stay in their session."""
        await self._connection.call(DELETE_BOT, pb.DeleteMeetingBotRequest(meeting_id=meeting_id))
