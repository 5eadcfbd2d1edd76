"""Bots of meetings, from a running chat: briefs as turns in a session, once, with few rights, wherever the meeting is moved."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import grpc
import pytest
from parley.chat.v1 import chat_service_pb2, message_pb2
from parley.identity.v1 import identity_service_pb2
from parley.retrieval.v1 import search_service_pb2
from parley.workspace.v1 import calendar_pb2, calendar_service_pb2, calendar_service_pb2_grpc, meeting_bot_pb2
from parley.workspace.v1 import meeting_bot_service_pb2 as pb
from parley.workspace.v1 import meeting_bot_service_pb2_grpc as pb_grpc
from parley_chat.adapters.sql_meeting_bot_schema import meeting_bots
from parley_shared.sql import Database
from parley_shared.status import status_error_from
from parley_testing.databases import database_url
from parley_testing.postgres import PostgresServer
from parley_testing.redis_server import RedisServer
from parley_testing.running_chat import Metadata, Person, RunningChat, running_chat
from parley_testing.scripted_inference import ScriptedInference
from parley_testing.scripted_search import ScriptedSearch
from sqlalchemy import update

WAITING, PREPARING, DONE = (
    meeting_bot_pb2.MEETING_BOT_STATE_WAITING,
    meeting_bot_pb2.MEETING_BOT_STATE_PREPARING,
    meeting_bot_pb2.MEETING_BOT_STATE_DONE,
)
READY, FAILED, MISSED = (
    meeting_bot_pb2.MEETING_BRIEF_STATE_READY,
    meeting_bot_pb2.MEETING_BRIEF_STATE_FAILED,
    meeting_bot_pb2.MEETING_BRIEF_STATE_MISSED,
)


class Calendar:
    """Somebody's meetings and bots."""

    def __init__(self, running: RunningChat, person: Person) -> None:
        self.metadata: Metadata = person.metadata
        self.calendar = calendar_service_pb2_grpc.CalendarServiceStub(running.channel)
        self.bots = pb_grpc.MeetingBotServiceStub(running.channel)
        self.chat = running.chat

    async def meet(self, title: str, start: datetime, **fields: object) -> calendar_pb2.Meeting:
        """Makes an event of an hour, and gives its first meeting."""
        request = calendar_service_pb2.CreateEventRequest(title=title, **fields)  # type: ignore[arg-type] # fields of the request
        request.start_time.FromDatetime(start)
        event = (await self.calendar.CreateEvent(request, metadata=self.metadata)).event
        listing = calendar_service_pb2.ListMeetingsRequest()
        listing.start_time.FromDatetime(start - timedelta(minutes=1))
        listing.end_time.FromDatetime(start + timedelta(minutes=1))
        meetings = (await self.calendar.ListMeetings(listing, metadata=self.metadata)).meetings
        return next(meeting for meeting in meetings if meeting.event_id == event.event_id)

    async def change(self, request: calendar_service_pb2.UpdateEventRequest) -> None:
        await self.calendar.UpdateEvent(request, metadata=self.metadata)

    async def bot(self, request: pb.CreateMeetingBotRequest) -> meeting_bot_pb2.MeetingBot:
        return (await self.bots.CreateMeetingBot(request, metadata=self.metadata)).bot

    async def wait_for(
        self, meeting_id: str, condition: Callable[[meeting_bot_pb2.MeetingBot], bool]
    ) -> meeting_bot_pb2.MeetingBot:
        """The bot of a meeting when it is so."""
        request = pb.GetMeetingBotRequest(meeting_id=meeting_id)
        async with asyncio.timeout(60):
            while True:
                bot = (await self.bots.GetMeetingBot(request, metadata=self.metadata)).bot
                if condition(bot):
                    return bot
                await asyncio.sleep(0.05)

    async def messages(self, session_id: str) -> list[message_pb2.Message]:
        """Of a session, the oldest first."""
        request = chat_service_pb2.ListMessagesRequest(session_id=session_id)
        return list(reversed((await self.chat.ListMessages(request, metadata=self.metadata)).messages))


@pytest.fixture
def ada(running: RunningChat, alice: Person) -> Calendar:
    return Calendar(running, alice)


def soon(minutes: float = 10) -> datetime:
    return datetime.now(UTC).replace(microsecond=0) + timedelta(minutes=minutes)


async def test_a_brief_is_an_answer_in_a_session_made_with_rights_to_read(
    running: RunningChat, inference: ScriptedInference, ada: Calendar
) -> None:
    meeting = await ada.meet(
        "Budget review", soon(), location="Room 4", description="Bring the numbers.", attendees=["bob@example.org"]
    )
    bot = await ada.bot(
        pb.CreateMeetingBotRequest(
            meeting_id=meeting.meeting_id, instructions="Above all the travel costs.", time_zone="Europe/Berlin"
        )
    )
    assert (bot.minutes_before, bot.every_occurrence) == (15, False)
    call = await inference.next_call()
    told = call.request.messages[-1].text
    for words in (
        "Budget review",
        "Room 4",
        "> Bring the numbers.",
        "bob@example.org",
        "travel costs",
    ):
        assert words in told
    assert "Europe/Berlin" in call.request.messages[0].text
    offered = {tool.name for tool in call.request.tools}
    assert "list_tasks" in offered
    assert not offered & {"create_task", "update_task", "delete_task", "create_event", "delete_event"}
    call.say("It is about the budget.")
    call.finish()
    bot = await ada.wait_for(meeting.meeting_id, lambda bot: bot.state == DONE)
    assert (bot.last_brief.state, bot.last_brief.attempts, bot.last_brief.session_id) == (READY, 1, bot.session_id)
    asked, answered = await ada.messages(bot.session_id)
    assert asked.text == told
    assert (answered.text, answered.turn_id) == ("It is about the budget.", bot.last_brief.turn_id)
    session = await running.chat.GetSession(
        chat_service_pb2.GetSessionRequest(session_id=bot.session_id), metadata=ada.metadata
    )
    assert session.session.title == "Meeting briefs"


async def test_a_brief_is_searched_for_with_the_meetings_words_and_cites_what_was_found(
    tmp_path: Path, inference: ScriptedInference
) -> None:
    async with (
        ScriptedSearch() as search,
        running_chat(tmp_path, inference=inference.address, retrieval=search.address) as running,
    ):
        search.hits.append(
            search_service_pb2.SearchHit(
                chunk_id="chk_1", document_id="doc_1", document_title="Costs", text="The zeppelin costs 40 euros."
            )
        )
        ada = Calendar(running, await running.sign_up())
        meeting = await ada.meet("Zeppelin", soon())
        await ada.bot(pb.CreateMeetingBotRequest(meeting_id=meeting.meeting_id))
        call = await inference.next_call()
        assert "The zeppelin costs 40 euros." in str(call.request)
        call.say("It costs 40 euros [1].")
        call.finish()
        bot = await ada.wait_for(meeting.meeting_id, lambda bot: bot.state == DONE)
        assert "Zeppelin" in search.requests[0].query
        assert search.requests[0].include_items
        (_, answered) = await ada.messages(bot.session_id)
        assert [citation.document_title for citation in answered.citations] == ["Costs"]


async def test_what_was_said_in_other_sessions_is_told(
    running: RunningChat, inference: ScriptedInference, ada: Calendar
) -> None:
    send = chat_service_pb2.SendMessageRequest(message="The zeppelin costs 40 euros.")
    sending = asyncio.ensure_future(running.chat.SendMessage(send, metadata=ada.metadata))
    call = await inference.next_call()
    call.say("Noted.")
    call.finish()
    await sending
    meeting = await ada.meet("Zeppelin", soon())
    await ada.bot(pb.CreateMeetingBotRequest(meeting_id=meeting.meeting_id))
    brief = await inference.next_call()
    assert "costs 40 euros" in brief.request.messages[-1].text
    brief.finish()


async def test_bots_of_a_user_post_to_one_session_unless_another_is_named(
    running: RunningChat, inference: ScriptedInference, ada: Calendar
) -> None:
    later = soon(3 * 24 * 60)
    first = await ada.bot(pb.CreateMeetingBotRequest(meeting_id=(await ada.meet("A", later)).meeting_id))
    second = await ada.bot(pb.CreateMeetingBotRequest(meeting_id=(await ada.meet("B", later)).meeting_id))
    assert first.session_id == second.session_id
    made = await running.chat.CreateSession(chat_service_pb2.CreateSessionRequest(title="Mine"), metadata=ada.metadata)
    third = await ada.bot(
        pb.CreateMeetingBotRequest(
            meeting_id=(await ada.meet("C", later)).meeting_id, session_id=made.session.session_id
        )
    )
    assert third.session_id == made.session.session_id
    listed = await ada.bots.ListMeetingBots(pb.ListMeetingBotsRequest(), metadata=ada.metadata)
    assert [bot.bot_id for bot in listed.bots] == [third.bot_id, second.bot_id, first.bot_id]
    again = await ada.bot(pb.CreateMeetingBotRequest(meeting_id=first.meeting_id, minutes_before=60))
    assert (again.bot_id, again.minutes_before) == (first.bot_id, 60)
    await ada.bots.DeleteMeetingBot(pb.DeleteMeetingBotRequest(meeting_id=first.meeting_id), metadata=ada.metadata)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await ada.bots.GetMeetingBot(pb.GetMeetingBotRequest(meeting_id=first.meeting_id), metadata=ada.metadata)
    assert status_error_from(caught.value).metadata["resource"] == "meeting_bot"


async def test_a_meeting_that_is_moved_or_cancelled_is_followed(inference: ScriptedInference, ada: Calendar) -> None:
    start = soon(3 * 24 * 60)
    meeting = await ada.meet("Moved", start)
    await ada.bot(pb.CreateMeetingBotRequest(meeting_id=meeting.meeting_id))
    bot = await ada.wait_for(meeting.meeting_id, lambda bot: bot.HasField("next_brief_time"))
    assert bot.next_brief_time.ToDatetime(UTC) == start - timedelta(minutes=15)
    assert bot.next_meeting_id == meeting.meeting_id
    change = calendar_service_pb2.UpdateEventRequest(event_id=meeting.event_id)
    change.start_time.FromDatetime(start + timedelta(hours=2))
    await ada.change(change)
    moved = start + timedelta(hours=2, minutes=-15)
    bot = await ada.wait_for(meeting.meeting_id, lambda bot: bot.next_brief_time.ToDatetime(UTC) == moved)
    assert (await ada.wait_for(bot.next_meeting_id, lambda _: True)).bot_id == bot.bot_id
    await ada.change(
        calendar_service_pb2.UpdateEventRequest(event_id=meeting.event_id, status=calendar_pb2.EVENT_STATUS_CANCELLED)
    )
    bot = await ada.wait_for(meeting.meeting_id, lambda bot: not bot.HasField("next_brief_time"))
    assert (bot.state, bot.next_meeting_id) == (WAITING, "")
    back = calendar_service_pb2.UpdateEventRequest(
        event_id=meeting.event_id, status=calendar_pb2.EVENT_STATUS_CONFIRMED
    )
    back.start_time.FromDatetime(soon())
    await ada.change(back)
    (await inference.next_call()).finish()
    bot = await ada.wait_for(meeting.meeting_id, lambda bot: bot.state == DONE)
    assert bot.last_brief.state == READY


async def test_a_series_is_prepared_for_each_time_or_once(inference: ScriptedInference, ada: Calendar) -> None:
    start = soon()
    meeting = await ada.meet("Weekly", start, recurrence="FREQ=WEEKLY;COUNT=3")
    await ada.bot(pb.CreateMeetingBotRequest(meeting_id=meeting.meeting_id, every_occurrence=True))
    (await inference.next_call()).finish()
    next_week = start + timedelta(days=7)
    bot = await ada.wait_for(
        meeting.meeting_id, lambda bot: bot.next_brief_time.ToDatetime(UTC) == next_week - timedelta(minutes=15)
    )
    assert (bot.state, bot.last_brief.state, bot.last_brief.meeting_id) == (WAITING, READY, meeting.meeting_id)
    assert bot.next_meeting_id != meeting.meeting_id
    of_next = await ada.bots.GetMeetingBot(
        pb.GetMeetingBotRequest(meeting_id=bot.next_meeting_id), metadata=ada.metadata
    )
    assert of_next.bot.bot_id == bot.bot_id, "it is that of every meeting of the series"
    # One of them comes earlier: this one, and the next stays where it was.
    change = calendar_service_pb2.UpdateEventRequest(event_id=meeting.event_id, meeting_id=bot.next_meeting_id)
    change.start_time.FromDatetime(soon(5))
    await ada.change(change)
    (await inference.next_call()).finish()
    last = start + timedelta(days=14)
    bot = await ada.wait_for(
        meeting.meeting_id, lambda bot: bot.next_brief_time.ToDatetime(UTC) == last - timedelta(minutes=15)
    )
    assert bot.last_brief.state == READY


async def test_a_failure_is_tried_again_and_after_three_it_is_told(
    running: RunningChat, inference: ScriptedInference, ada: Calendar
) -> None:
    meeting = await ada.meet("Hard", soon())
    await ada.bot(pb.CreateMeetingBotRequest(meeting_id=meeting.meeting_id))
    for attempt in (1, 2, 3):
        call = await inference.next_call()
        call.fail(grpc.StatusCode.INVALID_ARGUMENT, "no")
        bot = await ada.wait_for(
            meeting.meeting_id,
            lambda bot, attempt=attempt: (  # type: ignore[misc] # the attempt of this round
                bot.last_brief.attempts == attempt and (not bot.last_brief.turn_id or bot.state == DONE)
            ),
        )
        assert bot.last_brief.error
        # Nobody waits for the pause.
        async with running.app.database.write() as connection:
            await connection.execute(update(meeting_bots).values(wake_time=datetime.now(UTC)))
        await ada.meet("An event, so that chat looks", soon(24 * 60))
    assert (bot.state, bot.last_brief.state) == (DONE, FAILED)


async def test_a_meeting_that_is_over_is_missed_and_asking_again_is_another_bot(ada: Calendar) -> None:
    meeting = await ada.meet("Yesterday", soon(-24 * 60))
    first = await ada.bot(pb.CreateMeetingBotRequest(meeting_id=meeting.meeting_id))
    bot = await ada.wait_for(meeting.meeting_id, lambda bot: bot.state == DONE)
    assert bot.last_brief.state == MISSED
    again = await ada.bot(pb.CreateMeetingBotRequest(meeting_id=meeting.meeting_id))
    assert again.bot_id != first.bot_id


async def test_a_session_that_was_deleted_is_made_anew(
    running: RunningChat, inference: ScriptedInference, ada: Calendar
) -> None:
    later = soon(3 * 24 * 60)
    meeting = await ada.meet("Later", later)
    bot = await ada.bot(pb.CreateMeetingBotRequest(meeting_id=meeting.meeting_id))
    await running.chat.DeleteSession(
        chat_service_pb2.DeleteSessionRequest(session_id=bot.session_id), metadata=ada.metadata
    )
    change = calendar_service_pb2.UpdateEventRequest(event_id=meeting.event_id)
    change.start_time.FromDatetime(soon())
    await ada.change(change)
    (await inference.next_call()).finish()
    after = await ada.wait_for(meeting.meeting_id, lambda bot: bot.state == DONE)
    assert after.session_id != bot.session_id
    assert len(await ada.messages(after.session_id)) == 2


async def test_what_was_due_while_no_chat_ran_is_prepared_by_the_next_and_what_runs_is_not_begun_again(
    tmp_path: Path, inference: ScriptedInference
) -> None:
    async with running_chat(tmp_path, inference=inference.address) as running:
        person = await running.sign_up()
        ada = Calendar(running, person)
        later = await ada.meet("Later", soon(60))
        await ada.bot(pb.CreateMeetingBotRequest(meeting_id=later.meeting_id))
        await ada.wait_for(later.meeting_id, lambda bot: bot.HasField("next_brief_time"))
        now = await ada.meet("Now", soon())
        await ada.bot(pb.CreateMeetingBotRequest(meeting_id=now.meeting_id))
        cut = await inference.next_call()
        cut.say("Half ")
    # As if half an hour had passed while no chat ran.
    database = Database.open(await asyncio.to_thread(database_url, "chat", tmp_path))
    async with database.write() as connection:
        moved = update(meeting_bots).where(meeting_bots.c.meeting_id == later.meeting_id)
        await connection.execute(moved.values(wake_time=datetime.now(UTC), minutes_before=90))
    await database.close()
    async with running_chat(tmp_path, inference=inference.address) as running:
        ada = Calendar(running, person)
        for _ in range(2):
            call = await inference.next_call()
            call.say("whole.")
            call.finish()
        for meeting in (now, later):
            bot = await ada.wait_for(meeting.meeting_id, lambda bot: bot.state == DONE)
            assert (bot.last_brief.state, bot.last_brief.attempts) == (READY, 1)
        assert len(await ada.messages(bot.session_id)) == 4


async def test_two_replicas_prepare_once(
    tmp_path: Path, postgres: PostgresServer, redis_server: RedisServer, inference: ScriptedInference
) -> None:
    shared = {
        "PARLEY_CHAT_DATABASE_URL": postgres.new_database_url(),
        "PARLEY_CHAT_REDIS_URL": redis_server.new_url(),
    }
    async with (
        running_chat(tmp_path, inference=inference.address, **shared) as one,
        running_chat(tmp_path, inference=inference.address, **shared) as two,
    ):
        person = await one.sign_up()
        here, there = Calendar(one, person), Calendar(two, person)
        meetings = [await here.meet(str(number), soon()) for number in range(4)]
        for place, meeting in enumerate(meetings):
            await (here, there)[place % 2].bot(pb.CreateMeetingBotRequest(meeting_id=meeting.meeting_id))
        for _ in meetings:
            (await inference.next_call()).finish()
        for meeting in meetings:
            bot = await here.wait_for(meeting.meeting_id, lambda bot: bot.state == DONE)
            assert (bot.last_brief.state, bot.last_brief.attempts) == (READY, 1)
        sessions = await one.chat.ListSessions(chat_service_pb2.ListSessionsRequest(), metadata=person.metadata)
        messages = [len(await here.messages(session.session_id)) for session in sessions.sessions]
        assert sum(messages) == 2 * len(meetings)


# Rights and bounds -----------------------------------------------------------------------------------------------------


async def test_a_brief_rests_on_no_more_than_its_token_could_read(
    running: RunningChat, inference: ScriptedInference, alice: Person, ada: Calendar
) -> None:
    meeting = await ada.meet("Small rights", soon())

    async def with_scopes(*scopes: str) -> Metadata:
        made = await running.identity.CreateAccessToken(
            identity_service_pb2.CreateAccessTokenRequest(name="bots", scopes=scopes), metadata=alice.metadata
        )
        return (("authorization", f"Bearer {made.token}"),)

    request = pb.CreateMeetingBotRequest(meeting_id=meeting.meeting_id)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await ada.bots.CreateMeetingBot(request, metadata=await with_scopes("calendar:write"))
    assert status_error_from(caught.value).metadata["scope"] == "chat:write"
    await ada.bots.CreateMeetingBot(request, metadata=await with_scopes("calendar:write", "chat:write"))
    call = await inference.next_call()
    assert not call.request.tools
    call.finish()


async def test_anothers_meetings_sessions_and_bots_do_not_exist(running: RunningChat, ada: Calendar) -> None:
    bob = Calendar(running, await running.sign_up())
    later = soon(3 * 24 * 60)
    meeting = await ada.meet("Hers", later)
    bot = await ada.bot(pb.CreateMeetingBotRequest(meeting_id=meeting.meeting_id))
    for request, resource in (
        (pb.CreateMeetingBotRequest(meeting_id=meeting.meeting_id), "meeting"),
        (
            pb.CreateMeetingBotRequest(meeting_id=(await bob.meet("His", later)).meeting_id, session_id=bot.session_id),
            "session",
        ),
    ):
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await bob.bot(request)
        assert status_error_from(caught.value).metadata["resource"] == resource
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await bob.bots.DeleteMeetingBot(
            pb.DeleteMeetingBotRequest(meeting_id=meeting.meeting_id), metadata=bob.metadata
        )
    assert caught.value.code() == grpc.StatusCode.NOT_FOUND


@pytest.mark.parametrize(
    ("request_", "field"),
    [
        (pb.CreateMeetingBotRequest(), "meeting_id"),
        (pb.CreateMeetingBotRequest(meeting_id="mtg_nonsense"), "meeting_id"),
        (pb.CreateMeetingBotRequest(meeting_id="mtg_" + 32 * "a" + "_20261122", minutes_before=-1), "minutes_before"),
        (pb.CreateMeetingBotRequest(meeting_id="mtg_" + 32 * "a" + "_20261122", minutes_before=1441), "minutes_before"),
        (pb.CreateMeetingBotRequest(meeting_id="mtg_" + 32 * "a" + "_20261122", session_id="x"), "session_id"),
        (
            pb.CreateMeetingBotRequest(meeting_id="mtg_" + 32 * "a" + "_20261122", instructions="x" * 1001),
            "instructions",
        ),
        (
            pb.CreateMeetingBotRequest(meeting_id="mtg_" + 32 * "a" + "_20261122", instructions="a\0b"),
            "instructions",
        ),
        (pb.CreateMeetingBotRequest(meeting_id="mtg_" + 32 * "a" + "_20261122", time_zone="Nowhere"), "time_zone"),
    ],
)
async def test_each_bound_is_named(chat: RunningChat, request_: pb.CreateMeetingBotRequest, field: str) -> None:
    ada = Calendar(chat, await chat.sign_up())
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await ada.bot(request_)
    assert [name for name, _ in status_error_from(caught.value).violations] == [field]
