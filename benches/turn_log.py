"""Measures what an append to the turn log takes: the file of one process beside the Redis of many replicas, in one run.

Not what a token takes on its whole way; that is smoke.py's.
"""

from __future__ import annotations

import asyncio
import statistics
import tempfile
import time
from pathlib import Path

from parley_chat.adapters.file_turn_log import FileTurnLog
from parley_chat.adapters.redis_connection import RedisConnection
from parley_chat.adapters.redis_turn_log import RedisTurnLog
from parley_chat.domain.conversation import new_turn_id
from parley_chat.domain.turn import TextDelta
from parley_chat.ports.turn_log import TurnLog, TurnLogWriter
from parley_testing.redis_server import running_redis

APPENDS = 3000
TURNS = 100
READS = 500


def row(name: str, seconds: list[float]) -> str:
    """One line of the table, microseconds."""
    p95 = statistics.quantiles(seconds, n=20)[-1]
    return f"| {name} | {statistics.median(seconds) * 1e6:,.0f} µs | {p95 * 1e6:,.0f} µs |"


async def appends_in_a_row(log: TurnLog) -> list[float]:
    """Appends tokens to one turn, one after the other."""
    writer = await log.begin(new_turn_id())
    seconds = []
    for number in range(APPENDS):
        began = time.perf_counter()
        await writer.append([TextDelta(f"token {number} ")])
        seconds.append(time.perf_counter() - began)
    await writer.close()
    return seconds


async def appends_per_second(log: TurnLog) -> float:
    """Appends tokens to many turns at once."""
    writers = [await log.begin(new_turn_id()) for _ in range(TURNS)]

    async def append(writer: TurnLogWriter) -> None:
        for _ in range(APPENDS // TURNS):
            await writer.append([TextDelta("token ")])

    began = time.perf_counter()
    await asyncio.gather(*map(append, writers))
    return APPENDS / (time.perf_counter() - began)


async def appends_until_read_elsewhere(log: TurnLog, other: TurnLog) -> list[float]:
    """Appends tokens that a reader of another replica waits for."""
    turn_id = new_turn_id()
    writer = await log.begin(turn_id)
    reader = await other.open_reader(turn_id, 0)
    # The first is not counted: the other replica begins to listen.
    seconds = []
    for _ in range(READS + 1):
        reading = asyncio.create_task(reader.next())
        await asyncio.sleep(0.005)
        began = time.perf_counter()
        await writer.append([TextDelta("token ")])
        await reading
        seconds.append(time.perf_counter() - began)
    reader.close()
    await writer.close()
    return seconds[1:]


async def measure(url: str) -> None:
    """Measures both and prints the table."""
    one, two = RedisConnection(url), RedisConnection(url)
    redis, other = RedisTurnLog(one, retention_seconds=60), RedisTurnLog(two, retention_seconds=60)
    with tempfile.TemporaryDirectory() as folder:
        files = FileTurnLog(Path(folder))
        print("| | median | p95 |\n|---|---|---|")
        print(row("append to a file", await appends_in_a_row(files)))
        print(row("append to Redis", await appends_in_a_row(redis)))
        print(
            row("append to Redis, until another replica has read it", await appends_until_read_elsewhere(redis, other))
        )
        for name, log in (("files", files), ("Redis", redis)):
            print(f"| {TURNS} turns at once to {name} | {await appends_per_second(log):,.0f} appends/s | |")
        files.close()
    for log, connection in ((redis, one), (other, two)):
        await log.close()
        await connection.close()


def main() -> None:
    """Runs it against a Redis of its own, with an append-only file."""
    with running_redis() as server:
        asyncio.run(measure(server.new_url()))


if __name__ == "__main__":
    main()
