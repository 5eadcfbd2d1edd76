"""The whole of Parley with TLS between the edge and the services.

Users see no difference, and nobody reaches a service without a certificate.
"""

from __future__ import annotations

from pathlib import Path

import grpc
import pytest
from parley.chat.v1 import chat_service_pb2, chat_service_pb2_grpc, message_pb2
from parley_shared.channels import open_channel
from parley_shared.settings import Environment, TlsFiles
from parley_testing.certificate_authority import CertificateAuthority
from parley_testing.mesh import Mesh

HOST = "127.0.0.1"


async def test_an_answer_goes_through_every_service_and_no_service_answers_a_stranger(tmp_path: Path) -> None:
    authority = CertificateAuthority(tmp_path / "authority")
    settings = authority.settings(HOST)
    with Mesh.start(tmp_path / "home", settings) as mesh:
        user = mesh.sign_up()
        send = chat_service_pb2.SendMessageRequest(
            message="What is Parley?", client_message_id="one", route=message_pb2.ROUTE_ENHANCED
        )
        async with grpc.aio.insecure_channel(mesh.grpc_address) as edge:
            answer = await chat_service_pb2_grpc.ChatServiceStub(edge).SendMessage(
                send, metadata=user.metadata, timeout=60
            )
        # Found by retrieval, written by inference.
        assert answer.citations
        request = chat_service_pb2.ListSessionsRequest()
        async with grpc.aio.insecure_channel(mesh.address("chat")) as straight:
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await chat_service_pb2_grpc.ChatServiceStub(straight).ListSessions(
                    request, metadata=user.metadata, timeout=30
                )
        assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
        tls = TlsFiles.read(Environment(settings))
        async with open_channel(mesh.address("chat"), tls=tls) as trusted:
            listed = await chat_service_pb2_grpc.ChatServiceStub(trusted).ListSessions(
                request, metadata=user.metadata, timeout=30
            )
        assert len(listed.sessions) == 1
