"""Running Parleys for the tests that go through the edge. See parley_testing.mesh for what they offer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path

import pytest
from parley_testing.fake_openai import FakeOpenAI, Reply
from parley_testing.mesh import Mesh, replicas_of_chat
from parley_testing.postgres import PostgresServer, postgres
from parley_testing.redis_server import RedisServer, redis_server

__all__ = ["postgres", "redis_server"]


@pytest.fixture(scope="session")
def mesh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mesh]:
    """One Parley with the embedded defaults (no key, offline model), for all tests of the session that do not break it."""
    with Mesh.start(tmp_path_factory.mktemp("mesh") / "home") as running:
        yield running


@pytest.fixture(scope="session")
def guarded_mesh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mesh]:
    """One Parley with everything at the edge set: a page, another origin that may call, and limits that a test can reach."""
    folder = tmp_path_factory.mktemp("guarded")
    page = folder / "page"
    (page / "assets").mkdir(parents=True)
    (page / "index.html").write_text("<!doctype html><title>a page</title>")
    (page / "assets" / "index-0f3a.js").write_text("export const answer = 42\n" * 100)
    (page / ".env").write_text("SECRET=1")
    environment = {
        "PARLEY_EDGE_PAGE": str(page),
        "PARLEY_EDGE_ALLOWED_ORIGINS": "http://localhost:5173, https://app.example.com",
        "PARLEY_EDGE_USER_CALLS_PER_SECOND": "5",
        "PARLEY_EDGE_SIGN_INS_PER_MINUTE": "20",
        "PARLEY_EDGE_MAX_REQUEST_BYTES": "300000",
        "PARLEY_MAX_MESSAGE_BYTES": "200000",
    }
    with Mesh.start(folder / "home", environment) as running:
        yield running


@pytest.fixture(scope="session")
async def counted() -> AsyncIterator[FakeOpenAI]:
    """The provider of `replicated`: 200 numbered words, 80 a second. It counts what it is asked."""
    async with FakeOpenAI(Reply(tokens_per_second=80)) as upstream:
        yield upstream


@pytest.fixture(scope="session")
async def replicated(
    counted: FakeOpenAI,
    postgres: PostgresServer,
    redis_server: RedisServer,
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[Mesh]:
    """One Parley with two replicas of chat, `chat` and `chat-2`, on the run's own PostgreSQL and Redis.

    A test that kills one of them waits until it is back.
    """
    environment = {
        **replicas_of_chat(postgres.new_database_url(), redis_server.new_url()),
        "OPENAI_BASE_URL": counted.base_url,
        "OPENAI_API_KEY": "sk-test",
        "PARLEY_INFERENCE_MODEL": "fake-model",
        # A machine that stands still for a moment is no dead replica.
        "PARLEY_CHAT_LEASE_SECONDS": "5",
    }
    home = tmp_path_factory.mktemp("replicated") / "home"
    mesh = await asyncio.to_thread(Mesh.start, home, environment)
    try:
        yield mesh
    finally:
        await asyncio.to_thread(mesh.stop)


@pytest.fixture
def start_mesh(tmp_path: Path) -> Iterator[Callable[..., Mesh]]:
    """Starts a Parley of the test's own, with settings of its own, and stops it: `start_mesh({"OPENAI_BASE_URL": …})`."""
    with ExitStack() as running:

        def start(environment: Mapping[str, str] | None = None, *, home: str = "home") -> Mesh:
            return running.enter_context(Mesh.start(tmp_path / home, environment))

        yield start
