"""Feeds: fetched, read, fetched again only when they changed, and whatever they hold, bounded and reported."""

from __future__ import annotations

import gzip
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from parley.events.v1 import event_pb2, event_service_pb2, event_service_pb2_grpc
from parley.workspace.v1 import calendar_pb2
from parley.workspace.v1 import calendar_service_pb2 as pb
from parley_testing.calendars import Feed, UsersCalendar, calendar, event, moment, starts, violated_fields
from parley_testing.remote_server import Answer, RemoteServer
from parley_testing.running_chat import RunningChat, running_chat

READY, FAILED = calendar_pb2.CALENDAR_ACCOUNT_STATE_READY, calendar_pb2.CALENDAR_ACCOUNT_STATE_FAILED
BERLIN = "DTSTART;TZID=Europe/Berlin:20261123T090000", "DTEND;TZID=Europe/Berlin:20261123T100000"
WEEK = moment(2026, 11, 22), moment(2026, 11, 29)


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
async def bob(laptop: RunningChat) -> UsersCalendar:
    return UsersCalendar(laptop, (await laptop.sign_up()).metadata)


async def test_a_feeds_events_are_meetings(ada: UsersCalendar) -> None:
    feed = Feed(
        calendar(event("a@x", *BERLIN, "LOCATION:Room 5", "ATTENDEE;CN=Ann;PARTSTAT=ACCEPTED:mailto:ann@x.org"))
    )
    async with RemoteServer(feed) as remote:
        account = await ada.connect(remote.url("/me.ics?secret=s3cret"), name="Work")
        assert (account.state, account.error, account.event_count) == (READY, "", 1), account
        assert "s3cret" not in str(account)
        [meeting] = await ada.meetings(*WEEK)
        assert (meeting.title, meeting.location, meeting.time_zone) == ("Meeting", "Room 5", "Europe/Berlin")
        assert (meeting.start_time, meeting.end_time) == (moment(2026, 11, 23, 8), moment(2026, 11, 23, 9))
        assert meeting.attendees[0] == calendar_pb2.Attendee(email="ann@x.org", name="Ann", response="accepted")
        assert meeting.read_only
        request = pb.GetMeetingRequest(meeting_id=meeting.meeting_id)
        assert (await ada.stub.GetMeeting(request, metadata=ada.metadata)).meeting == meeting


async def test_a_feed_that_did_not_change_is_not_sent_again_and_one_that_did_keeps_the_names_of_its_meetings(
    ada: UsersCalendar,
) -> None:
    feed = Feed(calendar(event("a@x", *BERLIN), event("b@x", *BERLIN, title="Other")))
    async with RemoteServer(feed) as remote:
        account = await ada.connect(remote.url("/me.ics"))
        before = {meeting.title: meeting for meeting in await ada.meetings(*WEEK)}
        await ada.sync(account.account_id)
        assert feed.statuses == [200, 304]
        feed.content = calendar(
            event("a@x", "DTSTART;TZID=Europe/Berlin:20261123T110000", "DURATION:PT30M"),
            event("c@x", *BERLIN, title="C"),
        )
        after = await ada.sync(account.account_id)
        assert (after.event_count, feed.statuses) == (2, [200, 304, 200])
        found = {meeting.title: meeting for meeting in await ada.meetings(*WEEK)}
        assert set(found) == {"Meeting", "C"}
        # The begin is a part of a meeting's name: of one that was moved without a trace, only the event is the same.
        assert found["Meeting"].event_id == before["Meeting"].event_id
        assert starts([found["Meeting"]]) == ["11-23 10:00"]


async def test_what_only_says_when_it_was_written_anew_is_no_change(laptop: RunningChat, ada: UsersCalendar) -> None:
    feed = Feed(calendar(event("a@x", *BERLIN)), has_etag=False)
    async with RemoteServer(feed) as remote:
        account = await ada.connect(remote.url("/me.ics"))
        stub = event_service_pb2_grpc.EventServiceStub(laptop.channel)
        listing = event_service_pb2.ListEventsRequest()
        before = await stub.ListEvents(listing, metadata=ada.metadata)
        feed.content = feed.content.replace(b"DTSTAMP:20261101", b"DTSTAMP:20261102")
        await ada.sync(account.account_id)
        after = await stub.ListEvents(listing, metadata=ada.metadata)
        assert after.newest_sequence == before.newest_sequence
        kinds = [(each.action, each.WhichOneof("resource")) for each in after.events]
        assert kinds == [
            (event_pb2.ACTION_CREATED, "calendar_account"),
            (event_pb2.ACTION_CREATED, "calendar_event"),
            (event_pb2.ACTION_UPDATED, "calendar_account"),
        ]
        assert after.events[1].calendar_event.title == "Meeting"
        assert after.events[2].calendar_account.notice_path == ""


async def test_an_account_takes_its_events_with_it(ada: UsersCalendar) -> None:
    async with RemoteServer(Feed(calendar(*(event(f"{n}@x", *BERLIN) for n in range(600))))) as remote:
        account = await ada.connect(remote.url("/me.ics"))
        assert account.event_count == 600
        assert len(await ada.meetings(*WEEK, page_size=200)) == 600
        request = pb.DeleteCalendarAccountRequest(account_id=account.account_id)
        await ada.stub.DeleteCalendarAccount(request, metadata=ada.metadata)
        assert await ada.meetings(*WEEK) == []
        with pytest.raises(grpc.aio.AioRpcError) as missing:
            await ada.account(account.account_id)
        assert missing.value.code() is grpc.StatusCode.NOT_FOUND


async def test_nobody_sees_or_changes_what_is_anothers(ada: UsersCalendar, bob: UsersCalendar) -> None:
    async with RemoteServer(Feed(calendar(event("a@x", *BERLIN)))) as remote:
        account = await ada.connect(remote.url("/me.ics"))
        [meeting] = await ada.meetings(*WEEK)
        assert await bob.meetings(*WEEK, account_id=account.account_id) == []
        listed = await bob.stub.ListCalendarAccounts(pb.ListCalendarAccountsRequest(), metadata=bob.metadata)
        assert list(listed.accounts) == []
        calls: list[tuple[Any, Any]] = [
            (bob.stub.GetCalendarAccount, pb.GetCalendarAccountRequest(account_id=account.account_id)),
            (bob.stub.UpdateCalendarAccount, pb.UpdateCalendarAccountRequest(account_id=account.account_id, name="x")),
            (bob.stub.DeleteCalendarAccount, pb.DeleteCalendarAccountRequest(account_id=account.account_id)),
            (bob.stub.SyncCalendars, pb.SyncCalendarsRequest(account_id=account.account_id)),
            (bob.stub.GetEvent, pb.GetEventRequest(event_id=meeting.event_id)),
            (bob.stub.UpdateEvent, pb.UpdateEventRequest(event_id=meeting.event_id, title="x")),
            (bob.stub.DeleteEvent, pb.DeleteEventRequest(event_id=meeting.event_id)),
            (bob.stub.GetMeeting, pb.GetMeetingRequest(meeting_id=meeting.meeting_id)),
        ]
        for call, request in calls:
            with pytest.raises(grpc.aio.AioRpcError) as missing:
                await call(request, metadata=bob.metadata)
            assert missing.value.code() is grpc.StatusCode.NOT_FOUND, request
        assert len(await ada.meetings(*WEEK)) == 1


async def test_a_notice_begins_a_synchronization_and_needs_its_own_secret_only(ada: UsersCalendar) -> None:
    feed = Feed(calendar(event("a@x", *BERLIN)))
    async with RemoteServer(feed) as remote:
        account = await ada.connect(remote.url("/me.ics"))
        token = account.notice_path.removeprefix("/api/v1/calendar/webhook?token=")
        assert len(token) > 40
        feed.content = calendar(event("b@x", *BERLIN, title="New"), event("a@x", *BERLIN))
        for _ in range(3):
            await ada.stub.NotifyCalendar(pb.NotifyCalendarRequest(token=token))
        assert (await ada.wait_for(account.account_id, lambda each: each.event_count == 2)).state == READY
        assert feed.statuses == [200, 200]
        for wrong in (token[:-1], "x", account.account_id):
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await ada.stub.NotifyCalendar(pb.NotifyCalendarRequest(token=wrong))
            assert refused.value.code() is grpc.StatusCode.NOT_FOUND


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (Answer(200, b"<html>Sign in</html>"), "not a calendar"),
        (Answer(200, b""), "not a calendar"),
        (Answer(200, calendar(event("a@x", *BERLIN))[:120]), "breaks off"),
        (Answer(404, b"nothing"), "no calendar at this address (404)"),
        (Answer(401), "password wrong"),
        (Answer(503), "status 503"),
        (Answer(302, headers={"Location": "/me.ics"}), "without an end"),
        (Answer(302, headers={"Location": "http://169.254.169.254/latest"}), "private network"),
        (Answer(200, b"x" * 11_000_000), "larger than 10 MB"),
        (Answer(200, gzip.compress(b"x" * 50_000_000), {"Content-Encoding": "gzip"}), "larger than 10 MB"),
        (Answer(raw=b"what is this\r\n\r\n"), "is not HTTP"),
    ],
)
async def test_a_feed_that_cannot_be_read_is_reported_and_takes_nothing_away(
    ada: UsersCalendar, answer: Answer, words: str
) -> None:
    feed = Feed(calendar(event("a@x", *BERLIN)))
    async with RemoteServer(feed) as remote:
        account = await ada.connect(remote.url("/me.ics"))
        remote.answering = lambda _: answer
        after = await ada.sync(account.account_id)
        assert (after.state, after.event_count) == (FAILED, 1)
        assert words in after.error
        assert after.last_success_time == account.last_success_time
        assert len(await ada.meetings(*WEEK)) == 1
        remote.answering = feed
        assert (await ada.sync(account.account_id)).state == READY


async def test_a_feed_that_lies_is_bounded_and_reported(ada: UsersCalendar) -> None:
    events = [
        event("fine", *BERLIN, title="Fine"),
        event("seconds", *BERLIN, "RRULE:FREQ=SECONDLY", title="Every second"),
        event("never", *BERLIN, "RRULE:FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30", title="Never again"),
        event("endless", "DTSTART:19000101T000000Z", "RRULE:FREQ=DAILY", title="Since ever"),
        event("zone", "DTSTART;TZID=Mars/Olympus:20261124T120000", title="On Mars"),
        event("begin", title="Without a begin"),
        event("year", "DTSTART:99991231T235959Z", "DURATION:P9999999999W", title="Too late"),
        event("long", *BERLIN, "DESCRIPTION:" + "long " * 10_000, title="Long " * 1_000),
        event("many", *BERLIN, *(f"ATTENDEE:mailto:a{n}@x.org" for n in range(2_000)), title="Crowd"),
        event(
            "dates", *BERLIN, *(f"EXDATE:2026{n % 12 + 1:02}01T{n % 24:02}0000Z" for n in range(5_000)), title="Holes"
        ),
        "BEGIN:VEVENT\r\nSUMMARY:No uid\r\nEND:VEVENT",
        event("nested", "BEGIN:VEVENT", "BEGIN:VALARM", "END:VALARM", "END:VEVENT", *BERLIN, title="Nested"),
        event("nul", *BERLIN, title="Nul\0 and \x1b[31mred"),
    ]
    async with RemoteServer(Feed(calendar(*events))) as remote:
        account = await ada.connect(remote.url("/me.ics"))
        assert (account.state, account.error) == (READY, "")
        said = " ".join(account.warnings)
        assert "cannot be read" in said
        assert "rules that are not supported" in said
        assert "Mars/Olympus" in said
        found = {meeting.title: meeting for meeting in await ada.meetings(*WEEK)}
        assert {"Fine", "Every second", "Never again", "Since ever", "On Mars", "Crowd", "Holes", "Nested"} <= set(
            found
        )
        assert "Without a begin" not in found
        assert "Nul and [31mred" in found
        assert len(found["Crowd"].attendees) == 100
        assert max(len(title) for title in found) <= 300
        assert len([each for each in await ada.meetings(*WEEK) if each.title == "Every second"]) == 1
        # What was said is said again as long as it holds, also when nothing changed.
        assert (await ada.sync(account.account_id)).warnings == account.warnings


async def test_private_addresses_are_refused_unless_the_operator_allows_them(chat: RunningChat) -> None:
    carol = UsersCalendar(chat, (await chat.sign_up()).metadata)
    for url in ("http://127.0.0.1/me.ics", "https://127.0.0.1/me.ics", "https://localhost/x", "file:/me.ics"):
        request = pb.CreateCalendarAccountRequest(kind=calendar_pb2.CALENDAR_ACCOUNT_KIND_FEED, url=url)
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await carol.stub.CreateCalendarAccount(request, metadata=carol.metadata)
        assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
        assert violated_fields(refused.value) == ["url"]


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"kind": 0}, "kind"),
        ({"url": ""}, "url"),
        ({"url": "https://me:pw@x.org/a"}, "url"),
        ({"username": "me"}, "password"),
        ({"password": "pw"}, "password"),
        ({"kind": calendar_pb2.CALENDAR_ACCOUNT_KIND_CALDAV}, "username"),
        ({"name": "a\nb"}, "name"),
        ({"time_zone": "Mars/Olympus"}, "time_zone"),
        ({"calendar_ids": ["a"]}, "calendar_ids"),
    ],
)
async def test_what_is_out_of_bounds_is_named(chat: RunningChat, fields: dict[str, Any], field: str) -> None:
    carol = UsersCalendar(chat, (await chat.sign_up()).metadata)
    asked = {"kind": calendar_pb2.CALENDAR_ACCOUNT_KIND_FEED, "url": "https://example.org/a.ics", **fields}
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await carol.stub.CreateCalendarAccount(pb.CreateCalendarAccountRequest(**asked), metadata=carol.metadata)
    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert field in violated_fields(refused.value)


async def test_a_password_is_not_sent_to_another_host_than_it_was_given_for(ada: UsersCalendar) -> None:
    async with RemoteServer(Feed(calendar(event("a@x", *BERLIN)))) as remote, RemoteServer(Feed()) as other:
        account = await ada.connect(remote.url("/me.ics"), username="me", password="secret")
        assert "authorization" in remote.asked[0].headers
        update = pb.UpdateCalendarAccountRequest(account_id=account.account_id, url=other.url("/me.ics"))
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await ada.stub.UpdateCalendarAccount(update, metadata=ada.metadata)
        assert violated_fields(refused.value) == ["password"]
        remote.answering = lambda _: Answer(302, headers={"Location": other.url("/me.ics")})
        await ada.sync(account.account_id)
        assert other.asked
        assert all("authorization" not in asked.headers for asked in other.asked)
