"""A retrieval service on a free port in this process, on a folder of its own, and callers with tokens."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import grpc
import pytest
from parley.retrieval.v1 import (
    document_service_pb2,
    document_service_pb2_grpc,
    search_service_pb2,
    search_service_pb2_grpc,
)
from parley_retrieval.bootstrap import RetrievalApp, open_retrieval
from parley_retrieval.settings import RetrievalSettings
from parley_shared.settings import Environment
from parley_testing.addresses import NOBODY
from parley_testing.databases import database_variables
from parley_testing.postgres import postgres
from parley_testing.tokens import TestKeys

__all__ = ["postgres"]

SCOPES = ("documents:read", "documents:write")


@dataclass(frozen=True)
class Caller:
    """Somebody who calls, with the calls that tests make most."""

    retrieval: Retrieval
    user_id: str
    metadata: tuple[tuple[str, str], ...]

    async def create(self, text: str, **fields: Any) -> document_service_pb2.CreateDocumentResponse:
        request = document_service_pb2.CreateDocumentRequest(text=text, **fields)
        return await self.retrieval.documents.CreateDocument(request, metadata=self.metadata)

    async def get(self, document_id: str, version: int = 0) -> document_service_pb2.GetDocumentResponse:
        request = document_service_pb2.GetDocumentRequest(document_id=document_id, version=version)
        return await self.retrieval.documents.GetDocument(request, metadata=self.metadata)

    async def versions(self, document_id: str) -> list[document_service_pb2.DocumentVersion]:
        request = document_service_pb2.ListDocumentVersionsRequest(document_id=document_id)
        return list((await self.retrieval.documents.ListDocumentVersions(request, metadata=self.metadata)).versions)

    async def update(self, **fields: Any) -> document_service_pb2.UpdateDocumentResponse:
        request = document_service_pb2.UpdateDocumentRequest(**fields)
        return await self.retrieval.documents.UpdateDocument(request, metadata=self.metadata)

    async def delete(self, document_id: str) -> None:
        request = document_service_pb2.DeleteDocumentRequest(document_id=document_id)
        await self.retrieval.documents.DeleteDocument(request, metadata=self.metadata)

    async def page(self, **fields: Any) -> document_service_pb2.ListDocumentsResponse:
        request = document_service_pb2.ListDocumentsRequest(**fields)
        return await self.retrieval.documents.ListDocuments(request, metadata=self.metadata)

    async def search(self, query: str, **fields: Any) -> list[search_service_pb2.SearchHit]:
        request = search_service_pb2.SearchRequest(query=query, **fields)
        return list((await self.retrieval.search.Search(request, metadata=self.metadata)).hits)


@dataclass(frozen=True)
class Retrieval:
    """A retrieval service that answers."""

    app: RetrievalApp
    keys: TestKeys
    channel: grpc.aio.Channel
    documents: document_service_pb2_grpc.DocumentServiceAsyncStub
    search: search_service_pb2_grpc.SearchServiceAsyncStub

    def caller(self, user_id: str = "", scopes: tuple[str, ...] = SCOPES) -> Caller:
        """Somebody new, unless named."""
        user_id = user_id or f"usr_{uuid.uuid4().hex}"
        return Caller(self, user_id, (("authorization", f"Bearer {self.keys.mint(user_id, scopes)}"),))


class Serve(Protocol):
    """Runs a service on a home folder, with further variables."""

    def __call__(self, home: Path, **variables: str) -> AbstractAsyncContextManager[Retrieval]: ...


@asynccontextmanager
async def running(home: Path, **variables: str) -> AsyncIterator[Retrieval]:
    keys = TestKeys(home)
    if "PARLEY_RETRIEVAL_DATABASE_URL" not in variables:
        variables |= await asyncio.to_thread(database_variables, "retrieval", home)
    environment = {
        "PARLEY_HOME": str(home),
        "PARLEY_RETRIEVAL_PORT": "0",
        "PARLEY_DRAIN_SECONDS": "1",
        "PARLEY_CHAT_ADDRESS": NOBODY,
        **variables,
    }
    async with open_retrieval(RetrievalSettings.read(Environment(environment))) as app:
        await app.server.start()
        async with grpc.aio.insecure_channel(f"127.0.0.1:{app.server.port}") as channel:
            yield Retrieval(
                app,
                keys,
                channel,
                document_service_pb2_grpc.DocumentServiceStub(channel),
                search_service_pb2_grpc.SearchServiceStub(channel),
            )
        await app.server.drain()


@pytest.fixture(scope="session")
def serve() -> Serve:
    """For tests that start services themselves."""
    return running


@pytest.fixture(scope="session")
async def retrieval(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Retrieval]:
    """One service for all tests that only need callers of their own. It has one shared document."""
    corpus = tmp_path_factory.mktemp("corpus")
    (corpus / "quokka.md").write_text("# About quokkas\n\nThe quokka smiles for everybody.\n")
    async with running(tmp_path_factory.mktemp("home"), PARLEY_RETRIEVAL_SAMPLE_CORPUS=str(corpus)) as service:
        yield service


@pytest.fixture
def caller(retrieval: Retrieval) -> Caller:
    """Somebody without documents."""
    return retrieval.caller()
