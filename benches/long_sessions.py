"""Measures what a turn and a page cost in a session of 10 messages, of 200 and of 10,000, in interleaved rounds of one run.

The model answers at once and is not measured: what is left is chat's own work. Not the way through the edge, which is smoke.py's.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import re
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
from parley.chat.v1 import chat_service_pb2 as pb
from parley.chat.v1 import chat_service_pb2_grpc, message_pb2
from parley.identity.v1 import identity_service_pb2, identity_service_pb2_grpc
from parley_shared.sql import Database
from parley_testing.long_sessions import ANSWER, QUESTION, seed
from parley_testing.postgres import running_postgres
from parley_testing.scripted_inference import ScriptedInference

SIZES = (10, 200, 10_000)


@dataclass(frozen=True)
class Chat:
    """A chat process, and one person."""

    pid: int
    stub: Any
    metadata: tuple[tuple[str, str], ...]
    user_id: str


async def main() -> None:
    """Runs the bench and prints its tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--postgres", action="store_true", help="PostgreSQL too; it must be installed")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as home:
        await measure("SQLite", Path(home), "", asked.rounds)
    if asked.postgres:
        with tempfile.TemporaryDirectory() as home, running_postgres() as server:
            await measure("PostgreSQL", Path(home), server.new_database_url(), asked.rounds)


async def measure(name: str, home: Path, database_url: str, rounds: int) -> None:
    """Measures on one database and prints its table."""
    async with ScriptedInference() as inference, started(home, inference.address, database_url) as chat:
        answering = asyncio.create_task(answer_all(inference))
        database = Database.open(database_url or f"sqlite:///{home / 'chat' / 'chat.db'}")
        try:
            kept = {size: await seed(database, chat.user_id, size) for size in SIZES}
            turns: dict[int, list[tuple[float, float]]] = {size: [] for size in SIZES}
            pages: dict[int, list[tuple[float, float]]] = {size: [] for size in SIZES}
            for number in range(-5, rounds):
                for size in SIZES[number % len(SIZES) :] + SIZES[: number % len(SIZES)]:
                    # A short session grows with each turn, so that each has a new one.
                    session_id = kept[size] if size == SIZES[-1] else await seed(database, chat.user_id, size)
                    turn = await timed(chat, send, session_id)
                    page = await timed(chat, first_page, session_id)
                    if number >= 0:
                        turns[size].append(turn)
                        pages[size].append(page)
        finally:
            await database.close()
            answering.cancel()
    print(f"\n{name}, {rounds} rounds, medians\n")
    print("| messages | turn, wall | turn, CPU | page of 50, wall | page of 50, CPU |")
    print("|---|---|---|---|---|")
    for size in SIZES:
        cells = [
            f"{statistics.median(values) * 1000:.2f} ms"
            for kind in (turns, pages)
            for values in zip(*kind[size], strict=True)
        ]
        print(f"| {size:,} | {' | '.join(cells)} |")
    for size in SIZES[:-1]:
        cells = [
            f"{statistics.median(long) / statistics.median(short):.2f}"
            for kind in (turns, pages)
            for long, short in zip(zip(*kind[SIZES[-1]], strict=True), zip(*kind[size], strict=True), strict=True)
        ]
        print(f"| {SIZES[-1]:,} : {size:,} | {' | '.join(cells)} |")


async def timed(
    chat: Chat, work: Callable[[Chat, str], Coroutine[Any, Any, None]], session_id: str
) -> tuple[float, float]:
    """Seconds until the call had ended, and of the chat process's CPU until it was quiet again."""
    cpu, began = cpu_seconds(chat.pid), time.perf_counter()
    await work(chat, session_id)
    took = time.perf_counter() - began
    # What follows a turn is its cost too.
    await asyncio.sleep(0.03)
    return took, cpu_seconds(chat.pid) - cpu


def cpu_seconds(pid: int) -> float:
    """What all threads of a process have run until now."""
    nanoseconds = 0
    for thread in Path(f"/proc/{pid}/task").iterdir():
        with contextlib.suppress(FileNotFoundError):
            nanoseconds += int((thread / "schedstat").read_text().split()[0])
    return nanoseconds / 1e9


async def send(chat: Chat, session_id: str) -> None:
    """One turn, to its end."""
    request = pb.SendMessageRequest(session_id=session_id, message=QUESTION, route=message_pb2.ROUTE_STANDARD)
    await chat.stub.SendMessage(request, metadata=chat.metadata)


async def first_page(chat: Chat, session_id: str) -> None:
    """What the page shows when a session is opened."""
    await chat.stub.GetSession(pb.GetSessionRequest(session_id=session_id), metadata=chat.metadata)
    request = pb.ListMessagesRequest(session_id=session_id, page_size=50)
    await chat.stub.ListMessages(request, metadata=chat.metadata)


async def answer_all(inference: ScriptedInference) -> None:
    """A model that answers at once."""
    while True:
        call = await inference.next_call()
        call.say(ANSWER)
        call.finish()


@contextlib.asynccontextmanager
async def started(home: Path, inference: str, database_url: str) -> AsyncIterator[Chat]:
    """`python -m parley_chat` with somebody who is signed in."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PARLEY_")}
    variables = {
        "PARLEY_HOME": str(home),
        "PARLEY_CHAT_PORT": "0",
        "PARLEY_CHAT_LOCAL_USER": "false",
        "PARLEY_CHAT_TITLE_SECONDS": "0",
        "PARLEY_INFERENCE_ADDRESS": inference,
        "PARLEY_RETRIEVAL_ADDRESS": "127.0.0.1:1",
        **({"PARLEY_CHAT_DATABASE_URL": database_url} if database_url else {}),
    }
    log = home / "log"
    with log.open("wb") as stream:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "parley_chat", env={**kept, **variables}, stdout=stream, stderr=stream
        )
    try:
        async with asyncio.timeout(120):
            while not (said := re.search(r"listens on [^ ]*:(\d+)", log.read_text())):
                if process.returncode is not None:
                    raise RuntimeError(log.read_text())
                await asyncio.sleep(0.1)
        async with grpc.aio.insecure_channel(f"127.0.0.1:{said[1]}") as channel:
            identity: Any = identity_service_pb2_grpc.IdentityServiceStub(channel)
            somebody = identity_service_pb2.SignUpRequest(email="ada@example.org", password="correct horse")
            signed_up = await identity.SignUp(somebody)
            metadata = (("authorization", f"Bearer {signed_up.tokens.access_token}"),)
            stub = chat_service_pb2_grpc.ChatServiceStub(channel)
            yield Chat(process.pid, stub, metadata, signed_up.user.user_id)
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        await process.wait()


if __name__ == "__main__":
    asyncio.run(main())
