"""Who writes which turn: leases, claims and fences, on SQLite and on PostgreSQL."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from parley_chat.adapters.sql_conversations import SqlConversations
from parley_chat.adapters.sql_schema import metadata, users
from parley_chat.adapters.sql_turn_ownership import SqlTurnOwnership
from parley_chat.domain.conversation import MessageState
from parley_chat.domain.turn import Turn, TurnState
from parley_chat.ports.conversations import NewTurn
from parley_chat.ports.turn_ownership import AnotherReplicaError
from parley_shared.sql import Database, migrate
from parley_testing.new_turns import new_turn
from parley_testing.postgres import PostgresServer
from sqlalchemy import insert

LONG = 3600.0
USER = "usr_1"


@pytest.fixture(params=["sqlite", "postgresql"])
async def database(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Database]:
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path / 'chat.db'}"
    else:
        server: PostgresServer = request.getfixturevalue("postgres")
        url = server.new_database_url()
    await migrate(url, "parley_chat", metadata)
    database = Database.open(url)
    async with database.write() as connection:
        now = datetime.now(UTC)
        await connection.execute(
            insert(users).values(user_id=USER, email="a@b.c", display_name="", password_hash="", create_time=now)
        )
    yield database
    await database.close()


async def begin(database: Database, owner: SqlTurnOwnership) -> Turn:
    turn: NewTurn = replace(
        new_turn(USER, ""), new_session_id=f"ses_{datetime.now(UTC).timestamp()}", owner_id=owner.replica_id
    )
    return (await SqlConversations(database).begin_turn(turn)).turn


async def claimed(owner: SqlTurnOwnership) -> list[tuple[str, int]]:
    return [(turn.turn_id, turn.fence) for turn in await owner.claim(100)]


async def test_what_a_living_replica_writes_is_nobody_elses(database: Database) -> None:
    mine, other = SqlTurnOwnership(database, LONG), SqlTurnOwnership(database, LONG)
    await mine.join(has_shared_log=True, is_only_process=False)
    await other.join(has_shared_log=True, is_only_process=False)
    await begin(database, mine)
    assert await claimed(other) == await claimed(mine) == []


async def test_the_turns_of_a_replica_whose_lease_ran_out_go_to_another_with_the_next_fence(database: Database) -> None:
    dead, other, late = (SqlTurnOwnership(database, seconds) for seconds in (0.0, LONG, LONG))
    for replica in (dead, other, late):
        await replica.join(has_shared_log=True, is_only_process=False)
    first, second = await begin(database, dead), await begin(database, dead)
    assert (first.fence, second.fence) == (1, 1)
    assert await claimed(other) == [(first.turn_id, 2), (second.turn_id, 2)]
    assert await claimed(late) == [], "it has a living owner again"


async def test_a_claim_takes_no_more_than_it_may_and_the_oldest_first(database: Database) -> None:
    dead, other = SqlTurnOwnership(database, 0.0), SqlTurnOwnership(database, LONG)
    await dead.join(has_shared_log=True, is_only_process=False)
    await other.join(has_shared_log=True, is_only_process=False)
    turns = [await begin(database, dead) for _ in range(3)]
    assert [turn.turn_id for turn in await other.claim(2)] == [turn.turn_id for turn in turns[:2]]
    assert [turn.turn_id for turn in await other.claim(2)] == [turns[2].turn_id]


async def test_replicas_that_claim_at_once_divide_the_turns(database: Database) -> None:
    dead = SqlTurnOwnership(database, 0.0)
    await dead.join(has_shared_log=True, is_only_process=False)
    turns = [await begin(database, dead) for _ in range(20)]
    others = [SqlTurnOwnership(database, LONG) for _ in range(4)]
    for other in others:
        await other.join(has_shared_log=True, is_only_process=False)
    taken = [turn for claim in await asyncio.gather(*map(claimed, others)) for turn in claim]
    taken += await claimed(others[0])
    assert sorted(taken) == sorted((turn.turn_id, 2) for turn in turns)


async def test_a_lease_is_renewed_and_also_one_that_is_forgotten(database: Database) -> None:
    mine, other = SqlTurnOwnership(database, 0.5), SqlTurnOwnership(database, LONG)
    await other.join(has_shared_log=True, is_only_process=False)
    turn = await begin(database, mine)
    # It never joined, or was taken for dead long ago.
    await mine.renew()
    assert await claimed(other) == []
    async with asyncio.timeout(30):
        while not (taken := await claimed(other)):  # noqa: ASYNC110 - the end of a lease is not told
            await asyncio.sleep(0.02)
    assert taken == [(turn.turn_id, 2)], "nobody renewed it"


async def test_a_replica_that_leaves_gives_its_turns_free_at_once(database: Database) -> None:
    leaving, other = SqlTurnOwnership(database, LONG), SqlTurnOwnership(database, LONG)
    await leaving.join(has_shared_log=True, is_only_process=False)
    await other.join(has_shared_log=True, is_only_process=False)
    turn = await begin(database, leaving)
    await leaving.leave()
    assert await claimed(other) == [(turn.turn_id, 2)]


async def test_a_turn_that_is_given_back_is_claimed_again(database: Database) -> None:
    mine, other = SqlTurnOwnership(database, LONG), SqlTurnOwnership(database, LONG)
    await mine.join(has_shared_log=True, is_only_process=False)
    await other.join(has_shared_log=True, is_only_process=False)
    turn = await begin(database, mine)
    await mine.release(replace(turn, fence=9))
    assert await claimed(other) == [], "who has another fence has nothing to give"
    await mine.release(turn)
    assert await claimed(other) == [(turn.turn_id, 2)]


async def test_the_only_process_there_can_be_waits_for_no_lease(database: Database) -> None:
    before, now = SqlTurnOwnership(database, LONG), SqlTurnOwnership(database, LONG)
    await before.join(has_shared_log=False, is_only_process=True)
    turn = await begin(database, before)
    ended = await begin(database, before)
    conversations = SqlConversations(database)
    message = replace(await conversations.get_message(ended.message_id), state=MessageState.STOPPED)
    assert await conversations.finish_turn(ended.turn_id, 1, TurnState.STOPPED, message)
    await now.join(has_shared_log=False, is_only_process=True)
    assert await claimed(now) == [(turn.turn_id, 2)]
    assert await claimed(now) == []


@pytest.mark.parametrize(("first", "second"), [(False, False), (False, True), (True, False)])
async def test_a_replica_that_could_not_read_the_others_log_does_not_join(
    database: Database, first: bool, second: bool
) -> None:
    await SqlTurnOwnership(database, LONG).join(has_shared_log=first, is_only_process=False)
    with pytest.raises(AnotherReplicaError):
        await SqlTurnOwnership(database, LONG).join(has_shared_log=second, is_only_process=False)


async def test_who_lost_a_turn_can_neither_end_it_nor_let_it_wait(database: Database) -> None:
    dead, other = SqlTurnOwnership(database, 0.0), SqlTurnOwnership(database, LONG)
    await dead.join(has_shared_log=True, is_only_process=False)
    await other.join(has_shared_log=True, is_only_process=False)
    turn = await begin(database, dead)
    (taken,) = await other.claim(1)
    conversations = SqlConversations(database)
    message = replace(await conversations.get_message(turn.message_id), state=MessageState.COMPLETED, text="late")
    await conversations.queue_turn(turn.turn_id, turn.fence, datetime.now(UTC))
    assert not await conversations.finish_turn(turn.turn_id, turn.fence, TurnState.COMPLETED, message)
    assert await conversations.queued_turns() == []
    assert (await conversations.get_message(turn.message_id)).text == ""
    assert await conversations.finish_turn(turn.turn_id, taken.fence, TurnState.COMPLETED, message)


async def test_a_stop_is_seen_by_the_owner_and_by_whoever_takes_over(database: Database) -> None:
    dead, other = SqlTurnOwnership(database, 0.0), SqlTurnOwnership(database, LONG)
    await dead.join(has_shared_log=True, is_only_process=False)
    await other.join(has_shared_log=True, is_only_process=False)
    turn = await begin(database, dead)
    assert await dead.stop_requests() == []
    assert await other.request_stop(turn.turn_id)
    assert not await other.request_stop(turn.turn_id), "somebody asked before"
    assert not await other.request_stop("trn_none")
    assert await dead.stop_requests() == [turn.turn_id]
    assert await other.stop_requests() == []
    assert [taken.stop_requested for taken in await other.claim(1)] == [True]
    assert await other.stop_requests() == [turn.turn_id]


async def test_turns_that_wait_are_listed_in_the_order_in_which_they_came(database: Database) -> None:
    mine = SqlTurnOwnership(database, LONG)
    turns = [await begin(database, mine) for _ in range(3)]
    conversations = SqlConversations(database)
    for turn, second in zip(turns, (30, 10, 20), strict=True):
        await conversations.queue_turn(turn.turn_id, 1, datetime(2026, 1, 1, 0, 0, second, tzinfo=UTC))
    assert await conversations.queued_turns() == [turns[1].turn_id, turns[2].turn_id, turns[0].turn_id]
    await conversations.queue_turn(turns[1].turn_id, 1, None)
    message = replace(await conversations.get_message(turns[2].message_id), state=MessageState.STOPPED)
    await conversations.finish_turn(turns[2].turn_id, 1, TurnState.STOPPED, message)
    assert await conversations.queued_turns() == [turns[0].turn_id]
