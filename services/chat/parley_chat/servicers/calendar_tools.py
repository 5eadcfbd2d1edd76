"""The tools by which models keep the user's calendar: rpcs of CalendarService. Not those of accounts, which are the user's own business."""

from __future__ import annotations

from parley.workspace.v1 import calendar_service_pb2 as pb

from parley_chat.servicers import calendar
from parley_chat.servicers.rpc_tools import RpcTool, rpc_tool

_CALENDAR = "parley.workspace.v1.CalendarService"


def calendar_tools() -> tuple[RpcTool, ...]:
    """All of them."""
    return (
        rpc_tool(_CALENDAR, pb.ListMeetingsRequest, calendar.list_meetings),
        rpc_tool(_CALENDAR, pb.GetMeetingRequest, calendar.get_meeting),
        rpc_tool(_CALENDAR, pb.CreateEventRequest, calendar.create_event),
        rpc_tool(_CALENDAR, pb.UpdateEventRequest, calendar.update_event),
        rpc_tool(_CALENDAR, pb.DeleteEventRequest, calendar.delete_event),
    )
