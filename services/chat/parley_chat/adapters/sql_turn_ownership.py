"""Who writes which turn, in SQL. Leases run by the database's clock, so those of the machines need not agree."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import uuid4

from parley_shared.sql import Database, UtcDateTime
from sqlalchemy import ColumnElement, Interval, Select, Update, delete, func, insert, literal, select, update

from parley_chat.adapters.sql_message_rows import to_turn
from parley_chat.adapters.sql_schema import replicas, turns
from parley_chat.domain.turn import Turn, TurnState
from parley_chat.ports.turn_ownership import AnotherReplicaError

_RUNNING = TurnState.RUNNING.value
_FORGOTTEN_AFTER = timedelta(hours=1)


class SqlTurnOwnership:
    """The part of one replica."""

    def __init__(self, database: Database, lease_seconds: float) -> None:
        self._database = database
        self._lease = timedelta(seconds=lease_seconds)
        self._has_shared_log = False
        self._replica_id = f"rpl_{uuid4().hex}"

    @property
    def replica_id(self) -> str:
        """Names this process."""
        return self._replica_id

    @property
    def lease_seconds(self) -> float:
        """How long a replica is believed to live."""
        return self._lease.total_seconds()

    async def join(self, *, has_shared_log: bool, is_only_process: bool) -> None:
        """Begins the lease, unless another lives with which no log is shared."""
        self._has_shared_log = has_shared_log
        async with self._database.write() as connection:
            if is_only_process:
                await connection.execute(delete(replicas))
            alive = select(replicas.c.has_shared_log).where(replicas.c.lease_expire_time > self._after(timedelta()))
            if any(not (shared and has_shared_log) for shared in await connection.scalars(alive)):
                raise AnotherReplicaError
            await connection.execute(
                delete(replicas).where(replicas.c.lease_expire_time < self._after(-_FORGOTTEN_AFTER))
            )
            await connection.execute(insert(replicas).values(self._row()))

    async def renew(self) -> None:
        """Moves the end of the lease on."""
        row = self._row()
        async with self._database.write() as connection:
            renewed = await connection.execute(
                update(replicas).where(replicas.c.replica_id == self._replica_id).values(row)
            )
            if not renewed.rowcount:
                await connection.execute(insert(replicas).values(row))

    async def claim(self, limit: int) -> list[Turn]:
        """Takes turns without a living owner. Replicas that claim together divide them."""
        orphans = self._orphans().limit(limit)
        async with self._database.read() as connection:
            # Mostly there is nothing to do, and then nothing is locked.
            if (await connection.execute(orphans)).first() is None:
                return []
        async with self._database.write() as connection:
            turn_ids = (await connection.scalars(orphans.with_for_update(skip_locked=True))).all()
            taken = await connection.execute(self._take().where(turns.c.turn_id.in_(turn_ids)).returning(turns))
            return _oldest_first([to_turn(row) for row in taken])

    async def release(self, turn: Turn) -> None:
        """Leaves a turn without an owner."""
        async with self._database.write() as connection:
            await connection.execute(
                update(turns).where(turns.c.turn_id == turn.turn_id, turns.c.fence == turn.fence).values(owner_id="")
            )

    async def leave(self) -> None:
        """Ends the lease."""
        async with self._database.write() as connection:
            await connection.execute(delete(replicas).where(replicas.c.replica_id == self._replica_id))

    async def request_stop(self, turn_id: str) -> bool:
        """Notes the wish where every owner looks."""
        async with self._database.write() as connection:
            noted = await connection.execute(
                update(turns)
                .where(turns.c.turn_id == turn_id, turns.c.state == _RUNNING, turns.c.stop_request_time.is_(None))
                .values(stop_request_time=datetime.now(UTC))
            )
            return bool(noted.rowcount)

    async def stop_requests(self) -> list[str]:
        """Looks for wishes about this replica's turns."""
        query = select(turns.c.turn_id).where(
            turns.c.state == _RUNNING, turns.c.owner_id == self._replica_id, turns.c.stop_request_time.is_not(None)
        )
        async with self._database.read() as connection:
            return list((await connection.scalars(query)).all())

    def _orphans(self) -> Select[tuple[str]]:
        owner_lives = (
            select(literal(1))
            .where(replicas.c.replica_id == turns.c.owner_id, replicas.c.lease_expire_time > self._after(timedelta()))
            .correlate(turns)
            .exists()
        )
        return select(turns.c.turn_id).where(turns.c.state == _RUNNING, ~owner_lives).order_by(turns.c.create_time)

    def _take(self) -> Update:
        return update(turns).values(owner_id=self._replica_id, fence=turns.c.fence + 1)

    def _row(self) -> dict[str, object]:
        return {
            "replica_id": self._replica_id,
            "has_shared_log": self._has_shared_log,
            "lease_expire_time": self._after(self._lease),
        }

    def _after(self, time: timedelta) -> ColumnElement[datetime]:
        """The database's time, and some more. SQLite has no other clock than this machine's, and no finer one than this process."""
        if self._database.dialect == "sqlite":
            return literal(datetime.now(UTC) + time, UtcDateTime)
        return func.clock_timestamp(type_=UtcDateTime) + literal(time, Interval)


def _oldest_first(taken: list[Turn]) -> list[Turn]:
    return sorted(taken, key=lambda turn: (turn.create_time, turn.turn_id))
