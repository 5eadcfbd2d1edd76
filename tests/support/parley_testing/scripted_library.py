"""A retrieval service that lists the documents a test gives it and finds their parts by words, in the order in which they stand there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import grpc
from parley.retrieval.v1 import (
    document_pb2,
    document_service_pb2,
    document_service_pb2_grpc,
    search_service_pb2,
    search_service_pb2_grpc,
)


@dataclass(frozen=True)
class ScriptedDocument:
    """A document whose parts are headings, each with a text."""

    document_id: str
    title: str
    parts: dict[str, str]
    shared: bool = False
    project: str = ""


class ScriptedLibrary:
    """Serves ListDocuments and Search of what `documents` holds."""

    def __init__(self, *documents: ScriptedDocument) -> None:
        self.documents = list(documents)
        self.address = ""
        self.listed = 0
        self.searches: list[search_service_pb2.SearchRequest] = []
        self.broken = False
        """Whether every call is refused."""
        self._server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])

    async def __aenter__(self) -> Self:
        # The generated classes ask for every rpc by name; these tests need two.
        listing: Any = type("Listing", (document_service_pb2_grpc.DocumentServiceServicer,), {})()
        listing.ListDocuments = self._list
        document_service_pb2_grpc.add_DocumentServiceServicer_to_server(listing, self._server)
        searching: Any = type("Searching", (search_service_pb2_grpc.SearchServiceServicer,), {})()
        searching.Search = self._search
        search_service_pb2_grpc.add_SearchServiceServicer_to_server(searching, self._server)
        self.address = f"127.0.0.1:{self._server.add_insecure_port('127.0.0.1:0')}"
        await self._server.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._server.stop(None)

    async def _list(
        self, request: document_service_pb2.ListDocumentsRequest, context: Any
    ) -> document_service_pb2.ListDocumentsResponse:
        self.listed += 1
        if self.broken:
            await context.abort(grpc.StatusCode.UNAVAILABLE, "scripted")
        return document_service_pb2.ListDocumentsResponse(
            documents=[
                document_pb2.Document(document_id=each.document_id, title=each.title, shared=each.shared)
                for each in self.documents
                if (request.include_shared or not each.shared) and request.project in {"", each.project}
            ]
        )

    async def _search(
        self, request: search_service_pb2.SearchRequest, context: Any
    ) -> search_service_pb2.SearchResponse:
        self.searches.append(request)
        if self.broken:
            await context.abort(grpc.StatusCode.UNAVAILABLE, "scripted")
        hits = [
            search_service_pb2.SearchHit(
                chunk_id=f"{document.document_id}-{place}",
                document_id=document.document_id,
                document_title=document.title,
                heading=heading,
                text=text,
                start_offset=place * 100,
                end_offset=place * 100 + len(text),
                shared=document.shared,
            )
            for document in self.documents
            if not request.document_ids or document.document_id in request.document_ids
            if request.project in {"", document.project}
            for place, (heading, text) in enumerate(document.parts.items())
        ]
        return search_service_pb2.SearchResponse(hits=hits[: request.limit or 5])
