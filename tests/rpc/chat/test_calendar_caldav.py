"""CalDAV accounts against a real server: found, synchronized in parts, and whatever is moved, cancelled and deleted there."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from parley.workspace.v1 import calendar_pb2
from parley.workspace.v1 import calendar_service_pb2 as pb
from parley_testing.calendars import UsersCalendar, calendar, event, moment, starts
from parley_testing.radicale_server import PASSWORD, USER, Radicale, radicale_server
from parley_testing.remote_server import Answer, RemoteServer
from parley_testing.running_chat import RunningChat, running_chat

CALDAV = calendar_pb2.CALENDAR_ACCOUNT_KIND_CALDAV
READY, FAILED = calendar_pb2.CALENDAR_ACCOUNT_STATE_READY, calendar_pb2.CALENDAR_ACCOUNT_STATE_FAILED
WEEK = moment(2026, 11, 22), moment(2026, 11, 29)
MONTH = moment(2026, 11, 1), moment(2026, 12, 1)


@pytest.fixture(scope="module")
async def laptop(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[RunningChat]:
    """Chat that may ask servers on this machine."""
    home: Path = tmp_path_factory.mktemp("home")
    async with running_chat(home, inference="127.0.0.1:1", PARLEY_CHAT_OUTBOUND_PRIVATE_ADDRESSES="true") as chat:
        yield chat


@pytest.fixture
async def ada(laptop: RunningChat) -> UsersCalendar:
    return UsersCalendar(laptop, (await laptop.sign_up()).metadata)


@pytest.fixture
async def radicale(tmp_path: Path) -> AsyncIterator[Radicale]:
    async with radicale_server(tmp_path / "radicale") as server:
        yield server


async def connect(
    ada: UsersCalendar, url: str, password: str = PASSWORD, **fields: object
) -> calendar_pb2.CalendarAccount:
    return await ada.connect(url, kind=CALDAV, username=USER, password=password, **fields)


def at(hour: int, day: int = 23) -> tuple[str, str]:
    return f"DTSTART:202611{day}T{hour:02}0000Z", f"DTEND:202611{day}T{hour + 1:02}0000Z"


async def test_the_calendars_of_an_account_are_found_from_the_address_of_its_server(
    ada: UsersCalendar, radicale: Radicale
) -> None:
    work = await radicale.make_calendar("work", "Work & more")
    home = await radicale.make_calendar("home", "Home")
    await radicale.put(f"{work}a.ics", calendar(event("a@x", *at(8), title="At work")))
    await radicale.put(f"{home}b.ics", calendar(event("b@x", *at(9), title="At home")))
    account = await connect(ada, radicale.url)
    assert (account.state, account.event_count, account.error) == (READY, 2, "")
    assert [(each.name, each.calendar_id, each.selected) for each in account.calendars] == [
        ("Home", home, True),
        ("Work & more", work, True),
    ]
    assert all(each.writable for each in account.calendars)
    found = await ada.meetings(*WEEK)
    assert [(each.title, each.calendar_id) for each in found] == [("At work", work), ("At home", home)]


async def test_only_what_changed_is_fetched_again_and_what_was_deleted_goes(
    ada: UsersCalendar, radicale: Radicale
) -> None:
    work = await radicale.make_calendar("work")
    for name, hour in (("a", 8), ("b", 9), ("c", 10)):
        await radicale.put(f"{work}{name}.ics", calendar(event(f"{name}@x", *at(hour), title=name)))
    account = await connect(ada, radicale.url)
    before = {meeting.title: meeting for meeting in await ada.meetings(*WEEK)}

    await radicale.put(f"{work}b.ics", calendar(event("b@x", *at(9), title="changed")))
    await radicale.delete(f"{work}c.ics")
    await radicale.put(f"{work}d.ics", calendar(event("d@x", *at(7), title="new")))
    asked = len(radicale.asked)
    after = await ada.sync()
    assert (after.state, after.event_count) == (READY, 3)
    found = await ada.meetings(*WEEK)
    assert [meeting.title for meeting in found] == ["new", "a", "changed"]
    assert found[1] == before["a"]
    assert found[2].meeting_id == before["b"].meeting_id
    # What is where, the changes, and the contents of the two that changed.
    assert [method for method, _ in radicale.asked[asked:]].count("REPORT") == 2

    asked = len(radicale.asked)
    assert (await ada.sync()).event_count == 3
    assert [method for method, _ in radicale.asked[asked:]].count("REPORT") == 1
    assert (await ada.account(account.account_id)).warnings == []


async def test_moved_and_cancelled_occurrences_of_a_series_are_where_the_server_has_them(
    ada: UsersCalendar, radicale: Radicale
) -> None:
    work = await radicale.make_calendar("work")
    series = event(
        "s@x",
        "DTSTART;TZID=Europe/Berlin:20261102T090000",
        "DURATION:PT1H",
        "RRULE:FREQ=WEEKLY;BYDAY=MO",
        "EXDATE;TZID=Europe/Berlin:20261109T090000",
        title="Standup",
    )
    await radicale.put(f"{work}s.ics", calendar(series))
    await connect(ada, radicale.url)
    before = await ada.meetings(*MONTH)
    assert starts(before) == ["11-02 08:00", "11-16 08:00", "11-23 08:00", "11-30 08:00"]

    moved = event(
        "s@x", "RECURRENCE-ID;TZID=Europe/Berlin:20261116T090000", "DTSTART:20261117T120000Z", "DURATION:PT30M"
    )
    gone = event(
        "s@x", "RECURRENCE-ID:20261123T080000Z", "DTSTART:20261123T080000Z", "DURATION:PT1H", "STATUS:CANCELLED"
    )
    await radicale.put(f"{work}s.ics", calendar(series, moved, gone))
    await ada.sync()
    after = await ada.meetings(*MONTH)
    assert starts(after) == ["11-02 08:00", "11-17 12:00", "11-30 08:00"]
    assert after[1].meeting_id == before[1].meeting_id
    assert after[1].original_start_time == before[1].start_time
    cancelled = await ada.meetings(*MONTH, include_cancelled=True)
    assert [each.status for each in cancelled if each.meeting_id == before[2].meeting_id] == [
        calendar_pb2.EVENT_STATUS_CANCELLED
    ]


async def test_calendars_are_chosen_and_what_is_chosen_no_more_goes(ada: UsersCalendar, radicale: Radicale) -> None:
    work, home = await radicale.make_calendar("work"), await radicale.make_calendar("home")
    await radicale.put(f"{work}a.ics", calendar(event("a@x", *at(8), title="work")))
    await radicale.put(f"{home}b.ics", calendar(event("b@x", *at(9), title="home")))
    account = await connect(ada, radicale.url)
    update = pb.UpdateCalendarAccountRequest(account_id=account.account_id, calendar_ids=[home])
    await ada.stub.UpdateCalendarAccount(update, metadata=ada.metadata)
    after = await ada.wait_for(account.account_id, lambda each: each.event_count == 1)
    assert [(each.name, each.selected) for each in after.calendars] == [("home", True), ("work", False)]
    assert [each.title for each in await ada.meetings(*WEEK)] == ["home"]
    # A calendar that the server has no more takes its events with it.
    await radicale.delete(home)
    await ada.sync()
    assert await ada.meetings(*WEEK) == []


async def test_one_calendar_may_be_named_by_its_own_address(ada: UsersCalendar, radicale: Radicale) -> None:
    work, _ = await radicale.make_calendar("work"), await radicale.make_calendar("home")
    await radicale.put(f"{work}a.ics", calendar(event("a@x", *at(8))))
    account = await connect(ada, radicale.url + work)
    assert ([each.name for each in account.calendars], account.event_count) == (["work"], 1)


async def test_a_wrong_password_is_said_and_a_right_one_mends_it(ada: UsersCalendar, radicale: Radicale) -> None:
    await radicale.make_calendar("work")
    account = await connect(ada, radicale.url, password="wrong")
    assert account.state == FAILED
    assert "password wrong" in account.error
    assert "wrong" not in account.error.replace("password wrong", "")
    update = pb.UpdateCalendarAccountRequest(account_id=account.account_id, password=PASSWORD)
    await ada.stub.UpdateCalendarAccount(update, metadata=ada.metadata)
    assert (await ada.wait_for(account.account_id, lambda each: each.state == READY)).error == ""


async def test_an_event_that_is_kept_elsewhere_cannot_be_changed_here(ada: UsersCalendar, radicale: Radicale) -> None:
    work = await radicale.make_calendar("work")
    await radicale.put(f"{work}a.ics", calendar(event("a@x", *at(8))))
    await connect(ada, radicale.url)
    [meeting] = await ada.meetings(*WEEK)
    calls: list[tuple[Any, Any]] = [
        (ada.stub.UpdateEvent, pb.UpdateEventRequest(event_id=meeting.event_id, title="Mine")),
        (ada.stub.DeleteEvent, pb.DeleteEventRequest(event_id=meeting.event_id)),
    ]
    for call, request in calls:
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await call(request, metadata=ada.metadata)
        assert refused.value.code() is grpc.StatusCode.FAILED_PRECONDITION


BOMB = (
    b'<?xml version="1.0"?><!DOCTYPE m [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>'
    b'<multistatus xmlns="DAV:"><response><href>&b;</href></response></multistatus>'
)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (Answer(207, BOMB, {"Content-Type": "application/xml"}), "not one of CalDAV"),
        (Answer(207, BOMB.decode().encode("utf-16-le"), {"Content-Type": "application/xml"}), "not one of CalDAV"),
        (Answer(207, b"<multistatus", {"Content-Type": "application/xml"}), "not one of CalDAV"),
        (Answer(207, b"\x00\xff" * 100, {"Content-Type": "application/xml"}), "not one of CalDAV"),
        (Answer(207, b"<a/>", {"Content-Type": "application/xml"}), "no calendar in this account"),
        (Answer(200, b"<html>Welcome</html>", {"Content-Type": "text/html"}), "no calendar in this account"),
        (Answer(500), "the status 500"),
        (Answer(429), "too often"),
        (Answer(401), "password"),
        (Answer(401, headers={"WWW-Authenticate": 'Negotiate realm="x"'}), "not one of CalDAV"),
        (Answer(302, headers={"Location": "/round"}), "without an end"),
    ],
)
async def test_a_server_that_speaks_otherwise_is_reported(ada: UsersCalendar, answer: Answer, words: str) -> None:
    async with RemoteServer(lambda _: answer) as remote:
        account = await connect(ada, remote.url("/dav"))
        assert account.state == FAILED
        assert words in account.error
    assert await ada.meetings(*WEEK) == []
