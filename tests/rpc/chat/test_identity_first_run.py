"""What the first run makes, what a restart keeps, and what the process says: chat started as it is in production."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc import StatusCode
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from parley.identity.v1 import identity_service_pb2 as pb
from parley_chat.adapters.sql_accounts import SqlAccounts
from parley_chat.adapters.sql_schema import metadata
from parley_shared.access import access_rules
from parley_shared.channels import bearer
from parley_shared.sql import default_database_url, missing_migrations
from parley_testing.databases import database_variables, lose_database
from parley_testing.identity import SignedUp, refused
from parley_testing.postgres import PostgresServer
from parley_testing.running_chat import RunningChat, running_chat

NOWHERE = "127.0.0.1:1"


def local_user(home: Path) -> dict[str, str]:
    content: dict[str, str] = json.loads((home / "keys" / "local-user.json").read_text())
    return content


@asynccontextmanager
async def run(home: Path) -> AsyncIterator[RunningChat]:
    async with running_chat(home, inference=NOWHERE, PARLEY_CHAT_LOCAL_USER="true") as chat:
        yield chat


async def sign_in(chat: RunningChat, local: dict[str, str]) -> pb.SignInResponse:
    return await chat.identity.SignIn(pb.SignInRequest(email=local["email"], password=local["password"]))


# The local user ------------------------------------------------------------------------------------------------------


async def test_the_first_run_makes_a_local_user_whose_password_signs_in(tmp_path: Path) -> None:
    async with run(tmp_path) as chat:
        local = local_user(tmp_path)
        response = await sign_in(chat, local)
    assert local["email"] == response.user.email == "local@parley.localhost"
    assert response.user.user_id == local["user_id"]
    assert len(local["password"]) >= 32
    assert (tmp_path / "keys" / "local-user.json").stat().st_mode & 0o777 == 0o600


async def test_no_local_user_is_made_where_none_is_wanted(tmp_path: Path) -> None:
    async with running_chat(tmp_path, inference=NOWHERE, PARLEY_CHAT_LOCAL_USER="false") as chat:
        assert await SqlAccounts(chat.app.database).by_email("local@parley.localhost") is None
    assert not (tmp_path / "keys" / "local-user.json").exists()


async def test_a_restart_keeps_the_local_user_and_every_token(tmp_path: Path) -> None:
    async with run(tmp_path) as chat:
        local = local_user(tmp_path)
        tokens = (await sign_in(chat, local)).tokens
    async with run(tmp_path) as chat:
        assert local_user(tmp_path) == local
        me = await chat.identity.GetCurrentUser(pb.GetCurrentUserRequest(), metadata=bearer(tokens.access_token))
        assert me.user.user_id == local["user_id"]
        await chat.identity.RefreshTokens(pb.RefreshTokensRequest(refresh_token=tokens.refresh_token))
        await sign_in(chat, local)


async def test_a_new_database_gets_the_same_local_user_back(tmp_path: Path) -> None:
    async with run(tmp_path):
        local = local_user(tmp_path)
    await asyncio.to_thread(lose_database, "chat", tmp_path)
    async with run(tmp_path) as chat:
        assert local_user(tmp_path) == local
        assert (await sign_in(chat, local)).user.user_id == local["user_id"]


async def test_a_lost_password_file_is_made_anew_for_the_same_user(tmp_path: Path) -> None:
    async with run(tmp_path):
        before = local_user(tmp_path)
    (tmp_path / "keys" / "local-user.json").unlink()
    async with run(tmp_path) as chat:
        after = local_user(tmp_path)
        assert after["user_id"] == before["user_id"]
        assert after["password"] != before["password"]
        await sign_in(chat, after)
        assert (await refused(sign_in(chat, before))).reason == "CREDENTIALS_WRONG"


async def test_a_token_from_before_the_database_was_lost_is_not_valid(tmp_path: Path) -> None:
    async with running_chat(tmp_path, inference=NOWHERE) as chat:
        response = await chat.identity.SignUp(pb.SignUpRequest(email="a@b", password="a password"))
        made = await chat.identity.CreateAccessToken(
            pb.CreateAccessTokenRequest(name="x"), metadata=bearer(response.tokens.access_token)
        )
    await asyncio.to_thread(lose_database, "chat", tmp_path)
    async with running_chat(tmp_path, inference=NOWHERE) as chat:
        for token in (response.tokens.access_token, made.token):
            call = chat.identity.GetCurrentUser(pb.GetCurrentUserRequest(), metadata=bearer(token))
            assert (await refused(call)).reason == "TOKEN_INVALID"


# Health and reflection -----------------------------------------------------------------------------------------------


async def health_of(channel: grpc.aio.Channel, service: str) -> health_pb2.HealthCheckResponse:
    stub: Any = health_pb2_grpc.HealthStub(channel)  # Generated without types.
    answer = await stub.Check(health_pb2.HealthCheckRequest(service=service))
    assert isinstance(answer, health_pb2.HealthCheckResponse)
    return answer


@pytest.mark.parametrize("name", ["", "parley.identity.v1.IdentityService"])
async def test_chat_says_that_it_serves(chat: RunningChat, name: str) -> None:
    answer = await health_of(chat.channel, name)
    assert answer.status == health_pb2.HealthCheckResponse.SERVING


async def reflected(
    chat: RunningChat, request: reflection_pb2.ServerReflectionRequest
) -> reflection_pb2.ServerReflectionResponse:
    make_stub: Any = reflection_pb2_grpc.ServerReflectionStub  # Generated without types.
    stub = make_stub(chat.channel)
    async for response in stub.ServerReflectionInfo(iter([request])):
        assert isinstance(response, reflection_pb2.ServerReflectionResponse)
        return response
    raise AssertionError("reflection said nothing")


async def test_reflection_lists_every_service_of_the_contract(chat: RunningChat) -> None:
    response = await reflected(chat, reflection_pb2.ServerReflectionRequest(list_services=""))
    listed = {service.name for service in response.list_services_response.service}
    contract = {path.split("/")[1] for path in access_rules()}
    assert contract <= listed
    assert {"parley.retrieval.v1.SearchService", "parley.inference.v1.InferenceService"} <= listed
    assert listed - contract == {"grpc.health.v1.Health", "grpc.reflection.v1alpha.ServerReflection"}


async def test_reflection_describes_every_service_that_it_lists(chat: RunningChat) -> None:
    response = await reflected(chat, reflection_pb2.ServerReflectionRequest(list_services=""))
    for service in response.list_services_response.service:
        request = reflection_pb2.ServerReflectionRequest(file_containing_symbol=service.name)
        assert (await reflected(chat, request)).file_descriptor_response.file_descriptor_proto, service.name


# The process ---------------------------------------------------------------------------------------------------------


@asynccontextmanager
async def process(home: Path, module: str = "parley_chat", **variables: str) -> AsyncIterator[Process]:
    """`python -m parley_chat`, and its end whatever happens."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("PARLEY_")}
    inherited |= await asyncio.to_thread(database_variables, "chat", home)
    started = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        module,
        env={**inherited, "PARLEY_HOME": str(home), "PARLEY_CHAT_PORT": "0", "PARLEY_DRAIN_SECONDS": "1", **variables},
        stdout=PIPE,
        stderr=PIPE,
    )
    try:
        yield started
    finally:
        if started.returncode is None:
            started.kill()
        await started.wait()


async def test_the_process_says_where_it_listens_serves_and_ends_with_0(tmp_path: Path) -> None:
    async with process(
        tmp_path, PARLEY_LOG_FORMAT="json", PARLEY_CHAT_DATABASE_URL=f"sqlite:///{tmp_path / 'own.db'}"
    ) as chat:
        assert chat.stdout is not None
        assert chat.stderr is not None
        lines: list[str] = []
        while not lines or " listens on " not in lines[-1]:
            line = (await asyncio.wait_for(chat.stderr.readline(), 60)).decode()
            assert line, "".join(lines)
            lines.append(json.loads(line)["message"])
        port = int(lines[-1].rpartition(":")[2])
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            answer = await health_of(channel, "")
        assert answer.status == health_pb2.HealthCheckResponse.SERVING
        chat.send_signal(signal.SIGTERM)
        output, errors = await asyncio.wait_for(chat.communicate(), 60)
    said = "\n".join(lines) + errors.decode()
    assert chat.returncode == 0, said
    assert output == b""
    assert f"database_url = sqlite:///{tmp_path / 'own.db'}" in said
    assert local_user(tmp_path)["password"] not in said
    assert (tmp_path / "keys" / "signing.pem").read_text().splitlines()[1] not in said


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        ({"PARLEY_CHAT_ACCESS_TOKEN_SECONDS": "soon"}, "PARLEY_CHAT_ACCESS_TOKEN_SECONDS"),
        ({"PARLEY_CHAT_SIGN_UP": "perhaps"}, "PARLEY_CHAT_SIGN_UP"),
        ({"PARLEY_CHAT_DATABASE_URL": "mysql://root:hunter2@db/chat"}, "PARLEY_CHAT_DATABASE_URL"),
        ({"PARLEY_CHAT_DATABASE_URL": "hunter2"}, "PARLEY_CHAT_DATABASE_URL"),
    ],
)
async def test_a_wrong_setting_is_one_line_and_2(tmp_path: Path, variables: dict[str, str], words: str) -> None:
    async with process(tmp_path, **variables) as chat:
        _, errors = await asyncio.wait_for(chat.communicate(), 60)
    assert chat.returncode == 2, errors
    (line,) = errors.decode().splitlines()
    assert words in line
    assert "hunter2" not in line


async def test_a_key_that_others_can_read_is_one_line_and_2(tmp_path: Path) -> None:
    async with run(tmp_path):
        pass
    (tmp_path / "keys" / "signing.pem").chmod(0o644)
    async with process(tmp_path) as chat:
        _, errors = await asyncio.wait_for(chat.communicate(), 60)
    assert chat.returncode == 2, errors
    (line,) = errors.decode().splitlines()
    assert "signing.pem" in line
    assert "chmod 600" in line


async def test_postgresql_without_its_driver_is_one_line_that_says_what_to_install(tmp_path: Path) -> None:
    (tmp_path / "asyncpg.py").write_text("raise ModuleNotFoundError('No module named asyncpg', name='asyncpg')")
    url = "postgresql://ada:hunter2@127.0.0.1:1/chat"
    async with process(tmp_path, PYTHONPATH=str(tmp_path), PARLEY_CHAT_DATABASE_URL=url) as chat:
        _, errors = await asyncio.wait_for(chat.communicate(), 60)
    assert chat.returncode == 2, errors
    (line,) = errors.decode().splitlines()
    assert "parley-chat[postgres]" in line
    assert "hunter2" not in line


@pytest.mark.parametrize("dialect", ["sqlite", "postgresql"])
async def test_the_database_can_be_migrated_without_the_service(
    tmp_path: Path, postgres: PostgresServer, dialect: str
) -> None:
    url = postgres.new_database_url() if dialect == "postgresql" else default_database_url(tmp_path, "chat")
    for _ in range(2):
        async with process(tmp_path, "parley_chat.migrate", PARLEY_CHAT_DATABASE_URL=url) as migration:
            _, errors = await asyncio.wait_for(migration.communicate(), 60)
        assert migration.returncode == 0, errors
    assert await missing_migrations(url, "parley_chat", metadata) == []
    assert not (tmp_path / "keys").exists()


async def test_whoever_signs_in_can_do_so_while_others_do(chat: RunningChat, ada: SignedUp) -> None:
    request = pb.SignInRequest(email=ada.user.email, password="wrong password")
    results = await asyncio.gather(*(chat.identity.SignIn(request) for _ in range(4)), return_exceptions=True)
    assert {one.code() for one in results if isinstance(one, grpc.aio.AioRpcError)} == {StatusCode.UNAUTHENTICATED}
    await chat.identity.SignIn(pb.SignInRequest(email=ada.user.email, password="correct horse battery staple"))
