"""Between services TLS with certificates on both sides: who has none, or another authority's, gets no word in."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from parley.inference.v1 import inference_service_pb2_grpc
from parley_shared.channels import open_channel
from parley_shared.settings import Environment, SettingsError, TlsFiles
from parley_testing.certificate_authority import CertificateAuthority
from parley_testing.toy_service import Request, Toy, running_toy

HOST = "127.0.0.1"


@pytest.fixture
def authority(tmp_path: Path) -> CertificateAuthority:
    return CertificateAuthority(tmp_path / "authority")


@pytest.fixture
async def toy(tmp_path: Path, authority: CertificateAuthority) -> AsyncIterator[Toy]:
    settings: Any = authority.settings(HOST)
    async with running_toy(tmp_path / "home", **settings) as toy:
        yield toy


def files(settings: dict[str, str]) -> TlsFiles:
    read = TlsFiles.read(Environment(settings))
    assert read is not None
    return read


async def refused(channel: grpc.aio.Channel, toy: Toy) -> None:
    async with channel:
        stub = inference_service_pb2_grpc.InferenceServiceStub(channel)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await stub.Generate(Request(), metadata=toy.token(), timeout=30)
        assert caught.value.code() is grpc.StatusCode.UNAVAILABLE


async def test_a_service_with_a_certificate_of_the_same_authority_is_served(
    toy: Toy, authority: CertificateAuthority
) -> None:
    async with open_channel(toy.address, tls=files(authority.settings("chat"))) as channel:
        stub = inference_service_pb2_grpc.InferenceServiceStub(channel)
        await stub.Generate(Request(), metadata=toy.token(), timeout=30)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            # A certificate is no token.
            await stub.Generate(Request(), timeout=30)
        assert caught.value.code() is grpc.StatusCode.UNAUTHENTICATED


async def test_who_speaks_no_tls_or_has_no_certificate_is_not_served(toy: Toy, authority: CertificateAuthority) -> None:
    await refused(open_channel(toy.address), toy)
    nobody = grpc.ssl_channel_credentials(authority.file.read_bytes())
    await refused(grpc.aio.secure_channel(toy.address, nobody), toy)


async def test_a_certificate_of_another_authority_is_believed_by_neither_side(
    toy: Toy, authority: CertificateAuthority, tmp_path: Path
) -> None:
    other = CertificateAuthority(tmp_path / "other", "somebody else")
    foreign = other.settings("chat")
    await refused(open_channel(toy.address, tls=files(foreign)), toy)
    # Whose client believes the right authority, and shows a certificate of the wrong one.
    mixed = {**foreign, "PARLEY_TLS_AUTHORITIES_FILE": str(authority.file)}
    await refused(open_channel(toy.address, tls=files(mixed)), toy)


async def test_a_service_whose_certificate_is_for_another_host_is_not_called(
    tmp_path: Path, authority: CertificateAuthority
) -> None:
    settings: Any = authority.settings("retrieval")
    async with running_toy(tmp_path / "elsewhere", **settings) as toy:
        await refused(open_channel(toy.address, tls=files(authority.settings("chat"))), toy)


async def test_a_probe_asks_with_the_certificate_of_its_container(
    toy: Toy, authority: CertificateAuthority, tmp_path: Path
) -> None:
    async def probe(settings: dict[str, str]) -> int:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("PARLEY_")} | settings
        asking = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "parley_shared.check_health", toy.address, env=environment
        )
        return await asking.wait()

    own = authority.settings(HOST)
    async with open_channel(toy.address, tls=files(own)) as channel:
        health = health_pb2_grpc.HealthStub(channel)
        answer = await health.Check(health_pb2.HealthCheckRequest(), timeout=30)  # type: ignore[attr-defined]  # its published types know no rpcs
        assert answer.status == health_pb2.HealthCheckResponse.SERVING
    assert await probe(own) == 0
    assert await probe({}) == 1
    assert await probe({"PARLEY_TLS_KEY_FILE": str(tmp_path / "missing")}) == 2


@pytest.mark.parametrize(
    ("changed", "variable"),
    [
        ({"PARLEY_TLS_KEY_FILE": ""}, "PARLEY_TLS_KEY_FILE"),
        ({"PARLEY_TLS_AUTHORITIES_FILE": ""}, "PARLEY_TLS_AUTHORITIES_FILE"),
        ({"PARLEY_TLS_AUTHORITIES_FILE": __file__}, "PARLEY_TLS_AUTHORITIES_FILE"),
        ({"PARLEY_TLS_CERTIFICATE_FILE": "missing.pem"}, "PARLEY_TLS_CERTIFICATE_FILE"),
        ({"PARLEY_TLS_CERTIFICATE_FILE": __file__}, "PARLEY_TLS_CERTIFICATE_FILE"),
    ],
)
def test_files_that_do_not_do_are_named_at_the_start(
    authority: CertificateAuthority, changed: dict[str, str], variable: str
) -> None:
    with pytest.raises(SettingsError) as caught:
        TlsFiles.read(Environment(authority.settings(HOST) | changed))
    assert caught.value.variable == variable


def test_a_key_of_another_certificate_and_one_with_a_password_are_refused(authority: CertificateAuthority) -> None:
    one, other = authority.settings(HOST), authority.settings(HOST)
    with pytest.raises(SettingsError, match="PARLEY_TLS_KEY_FILE"):
        TlsFiles.read(Environment(one | {"PARLEY_TLS_KEY_FILE": other["PARLEY_TLS_KEY_FILE"]}))
    locked = authority.settings(HOST, password=b"secret")
    with pytest.raises(SettingsError, match="without a password"):
        TlsFiles.read(Environment(locked))
