"""Events of one's own: made, changed and deleted, whole or one occurrence of a series, by their user and by models."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.field_mask_pb2 import FieldMask
from parley.events.v1 import event_pb2, event_service_pb2, event_service_pb2_grpc
from parley.inference.v1 import generation_pb2
from parley.workspace.v1 import calendar_pb2
from parley.workspace.v1 import calendar_service_pb2 as pb
from parley_testing.calendars import UsersCalendar, moment, starts, violated_fields
from parley_testing.running_chat import Person, RunningChat, running_chat
from parley_testing.scripted_index import ScriptedIndex
from parley_testing.scripted_inference import ScriptedInference
from parley_testing.turn_readers import stream

MONTH = moment(2026, 11, 1), moment(2026, 12, 1)


@pytest.fixture
async def ada(chat: RunningChat) -> UsersCalendar:
    return UsersCalendar(chat, (await chat.sign_up()).metadata)


async def weekly(ada: UsersCalendar) -> calendar_pb2.CalendarEvent:
    return await ada.create(
        "Standup",
        start_time=moment(2026, 11, 2, 8),
        end_time=moment(2026, 11, 2, 9),
        time_zone="Europe/Berlin",
        recurrence="RRULE:FREQ=WEEKLY;COUNT=4",
    )


async def test_an_event_is_made_with_everything_that_was_said_and_read_back(ada: UsersCalendar) -> None:
    made = await ada.create(
        " Lunch ",
        start_time=moment(2026, 11, 3, 11),
        time_zone="Europe/Berlin",
        location="Canteen",
        description="With *everybody*",
        attendees=["ann@example.org"],
        status=calendar_pb2.EVENT_STATUS_TENTATIVE,
    )
    assert (made.title, made.location, made.description) == ("Lunch", "Canteen", "With *everybody*")
    assert (made.start_time, made.end_time) == (moment(2026, 11, 3, 11), moment(2026, 11, 3, 12))
    assert (made.time_zone, made.status, made.read_only) == (
        "Europe/Berlin",
        calendar_pb2.EVENT_STATUS_TENTATIVE,
        False,
    )
    got = await ada.stub.GetEvent(pb.GetEventRequest(event_id=made.event_id), metadata=ada.metadata)
    assert got.event == made
    [meeting] = await ada.meetings(*MONTH, account_id="own")
    assert (meeting.event_id, [each.email for each in meeting.attendees]) == (made.event_id, ["ann@example.org"])


async def test_whole_days_have_no_time(ada: UsersCalendar) -> None:
    one = await ada.create("Holiday", start_date="2026-11-05")
    more = await ada.create("Trip", start_date="2026-11-10", end_date="2026-11-13")
    assert (one.all_day, one.start_date, one.end_date, one.time_zone) == (True, "2026-11-05", "2026-11-06", "")
    assert (more.start_date, more.end_date) == ("2026-11-10", "2026-11-13")
    assert starts(await ada.meetings(*MONTH)) == ["2026-11-05", "2026-11-10"]
    # From the second day on.
    assert starts(await ada.meetings(moment(2026, 11, 11, 12), moment(2026, 12, 1))) == ["2026-11-10"]
    moved = pb.UpdateEventRequest(event_id=more.event_id, start_date="2026-11-20")
    after = (await ada.stub.UpdateEvent(moved, metadata=ada.metadata)).event
    assert (after.start_date, after.end_date) == ("2026-11-20", "2026-11-23")
    timed = pb.UpdateEventRequest(event_id=more.event_id, start_time=moment(2026, 11, 20, 9))
    after = (await ada.stub.UpdateEvent(timed, metadata=ada.metadata)).event
    assert (after.all_day, after.end_time) == (False, moment(2026, 11, 20, 10))


async def test_one_occurrence_of_a_series_is_changed_and_deleted(ada: UsersCalendar) -> None:
    series = await weekly(ada)
    first, second, third, fourth = await ada.meetings(*MONTH)
    change = pb.UpdateEventRequest(
        event_id=series.event_id, meeting_id=second.meeting_id, start_time=moment(2026, 11, 10, 13), title="Moved"
    )
    await ada.stub.UpdateEvent(change, metadata=ada.metadata)
    gone = pb.DeleteEventRequest(event_id=series.event_id, meeting_id=third.meeting_id)
    await ada.stub.DeleteEvent(gone, metadata=ada.metadata)
    after = await ada.meetings(*MONTH)
    assert [each.meeting_id for each in after] == [each.meeting_id for each in (first, second, fourth)]
    assert starts(after) == ["11-02 08:00", "11-10 13:00", "11-23 08:00"]
    assert (after[1].title, after[1].end_time) == ("Moved", moment(2026, 11, 10, 14))
    assert after[1].original_start_time == second.start_time
    with pytest.raises(grpc.aio.AioRpcError) as missing:
        await ada.stub.DeleteEvent(gone, metadata=ada.metadata)
    assert missing.value.code() is grpc.StatusCode.NOT_FOUND
    # A new title leaves what was changed of single ones; a new begin does not.
    title = pb.UpdateEventRequest(event_id=series.event_id, title="Daily")
    await ada.stub.UpdateEvent(title, metadata=ada.metadata)
    assert [each.title for each in await ada.meetings(*MONTH)] == ["Daily", "Moved", "Daily"]
    begin = pb.UpdateEventRequest(event_id=series.event_id, start_time=moment(2026, 11, 3, 7))
    await ada.stub.UpdateEvent(begin, metadata=ada.metadata)
    assert starts(await ada.meetings(*MONTH)) == ["11-03 07:00", "11-10 07:00", "11-17 07:00", "11-24 07:00"]
    whole = pb.DeleteEventRequest(event_id=series.event_id)
    await ada.stub.DeleteEvent(whole, metadata=ada.metadata)
    assert await ada.meetings(*MONTH) == []


async def test_a_series_becomes_a_single_event_and_fields_are_emptied_when_they_are_named(ada: UsersCalendar) -> None:
    series = await weekly(ada)
    change = pb.UpdateEventRequest(event_id=series.event_id, recurrence="")
    after = (await ada.stub.UpdateEvent(change, metadata=ada.metadata)).event
    assert after.recurrence == ""
    assert len(await ada.meetings(*MONTH)) == 1
    fields = pb.UpdateEventRequest(event_id=series.event_id, attendees=["a@x.org"], location="Here")
    await ada.stub.UpdateEvent(fields, metadata=ada.metadata)
    mask = FieldMask(paths=["attendees", "location"])
    emptied = pb.UpdateEventRequest(event_id=series.event_id, update_mask=mask)
    after = (await ada.stub.UpdateEvent(emptied, metadata=ada.metadata)).event
    assert (list(after.attendees), after.location) == ([], "")


async def test_meetings_come_in_pages_in_their_order_and_by_words(ada: UsersCalendar) -> None:
    series = await weekly(ada)
    lunch = await ada.create("Lunch", start_time=moment(2026, 11, 9, 8), location="Café Übersee")
    whole = await ada.meetings(*MONTH)
    assert starts(whole) == ["11-02 08:00", "11-09 08:00", "11-09 08:00", "11-16 08:00", "11-23 08:00"]
    assert await ada.meetings(*MONTH, page_size=2) == whole
    assert [each.event_id for each in await ada.meetings(*MONTH, query="übersee LUNCH")] == [lunch.event_id]
    request = pb.ListMeetingsRequest(start_time=MONTH[0], end_time=MONTH[1], page_size=1)
    page = await ada.stub.ListMeetings(request, metadata=ada.metadata)
    request.query = "standup"
    request.page_token = page.next_page_token
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await ada.stub.ListMeetings(request, metadata=ada.metadata)
    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert series.event_id != lunch.event_id


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"title": ""}, "title"),
        ({"title": "a\nb"}, "title"),
        ({"start_time": None}, "start_time"),
        ({"start_date": "2026-11-05"}, "start_time"),
        ({"start_time": None, "start_date": "5.11.2026"}, "start_date"),
        ({"start_time": None, "start_date": "2026-11-05", "end_date": "2026-11-05"}, "end_date"),
        ({"end_time": moment(2026, 11, 1)}, "end_time"),
        ({"end_time": moment(2027, 11, 1)}, "end_time"),
        ({"time_zone": "Mars/Olympus"}, "time_zone"),
        ({"recurrence": "FREQ=SECONDLY"}, "recurrence"),
        ({"recurrence": "FREQ=DAILY;UNTIL=20200101"}, "recurrence"),
        ({"attendees": ["nobody"]}, "attendees[0]"),
        ({"attendees": ["a@x.org", "A@x.org"]}, "attendees[1]"),
        ({"attendees": [f"a{n}@x.org" for n in range(101)]}, "attendees"),
        ({"location": "x" * 501}, "location"),
        ({"status": 9}, "status"),
    ],
)
async def test_what_is_out_of_bounds_is_named(ada: UsersCalendar, fields: dict[str, Any], field: str) -> None:
    asked = {"title": "Lunch", "start_time": moment(2026, 11, 3, 11), **fields}
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await ada.stub.CreateEvent(pb.CreateEventRequest(**asked), metadata=ada.metadata)
    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert field in violated_fields(refused.value)


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"end_time": moment(2026, 11, 1)}, "end_time"),
        ({"end_time": moment(2028, 11, 1)}, "end_time"),
        ({"account_id": "mine"}, "account_id"),
        ({"time_zone": "Mars/Olympus"}, "time_zone"),
        ({"query": "x" * 201}, "query"),
        ({"page_size": 201}, "page_size"),
    ],
)
async def test_what_is_out_of_bounds_of_a_list_is_named(ada: UsersCalendar, fields: dict[str, Any], field: str) -> None:
    asked = {"start_time": MONTH[0], "end_time": MONTH[1], **fields}
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await ada.stub.ListMeetings(pb.ListMeetingsRequest(**asked), metadata=ada.metadata)
    assert violated_fields(refused.value) == [field]


async def test_every_change_is_an_event_of_the_log(chat: RunningChat, ada: UsersCalendar) -> None:
    made = await ada.create(start_time=moment(2026, 11, 3, 11))
    await ada.stub.UpdateEvent(pb.UpdateEventRequest(event_id=made.event_id, title="Dinner"), metadata=ada.metadata)
    await ada.stub.DeleteEvent(pb.DeleteEventRequest(event_id=made.event_id), metadata=ada.metadata)
    stub = event_service_pb2_grpc.EventServiceStub(chat.channel)
    only = event_service_pb2.ListEventsRequest(resource_types=[event_pb2.RESOURCE_TYPE_CALENDAR_EVENT])
    told = (await stub.ListEvents(only, metadata=ada.metadata)).events
    assert [(each.action, each.resource_id, each.calendar_event.title) for each in told] == [
        (event_pb2.ACTION_CREATED, made.event_id, "Lunch"),
        (event_pb2.ACTION_UPDATED, made.event_id, "Dinner"),
        (event_pb2.ACTION_DELETED, made.event_id, ""),
    ]


async def test_events_are_found_until_they_are_deleted(tmp_path: Path) -> None:
    async with (
        ScriptedIndex() as index,
        running_chat(tmp_path, inference="127.0.0.1:1", retrieval=index.address) as running,
    ):
        ada = UsersCalendar(running, (await running.sign_up()).metadata)
        made = await ada.create("Review", start_time=moment(2026, 11, 3, 11), location="Room 7", attendees=["a@x.org"])
        await index.until("Review")
        item = index.items[made.event_id]
        assert item.item_type == "calendar_event"
        assert all(
            words in item.text for words in ("Event: Review", "from Tuesday, 2026-11-03 11:00", "Room 7", "a@x.org")
        )
        await ada.stub.DeleteEvent(pb.DeleteEventRequest(event_id=made.event_id), metadata=ada.metadata)
        await index.until()


async def test_a_model_keeps_the_calendar_in_the_users_zone_and_each_call_counts_once(
    running: RunningChat, inference: ScriptedInference, alice: Person
) -> None:
    reader = stream(running, alice, time_zone="Europe/Berlin")
    call = await inference.next_call()
    offered = {tool.name for tool in call.request.tools}
    assert {"list_meetings", "get_meeting", "create_event", "update_event", "delete_event"} <= offered
    assert not {name for name in offered if "account" in name}
    call.call_tool("create_event", json.dumps({"title": "Dentist", "start_time": "2026-11-03T09:00:00"}))
    call.finish(generation_pb2.FINISH_REASON_TOOL_CALLS)
    following = await inference.next_call()
    following.finish()
    await reader.to_end()
    users = UsersCalendar(running, alice.metadata)
    [meeting] = await users.meetings(*MONTH)
    assert (meeting.title, meeting.start_time, meeting.time_zone) == (
        "Dentist",
        moment(2026, 11, 3, 8),
        "Europe/Berlin",
    )
    made = await users.stub.GetEvent(pb.GetEventRequest(event_id=meeting.event_id), metadata=alice.metadata)
    assert made.event.turn_id
