"""The retrieval service as the place where documents name their project."""

from __future__ import annotations

from collections.abc import Callable

import grpc
from parley.retrieval.v1 import document_service_pb2, document_service_pb2_grpc
from parley_shared.channels import bearer

from parley_chat.domain.errors import KnowledgeUnavailableError

SECONDS = 30.0
PAGE = 100


class GrpcProjectLabels:
    """Changes documents through a channel to retrieval, in the name of the user."""

    def __init__(self, channel: grpc.aio.Channel, token_for: Callable[[str], str]) -> None:
        self._stub = document_service_pb2_grpc.DocumentServiceStub(channel)
        self._token_for = token_for

    async def clear(self, user_id: str, project_id: str) -> None:
        """Looks for documents of the project until there are none. Each that is changed is one less, whoever changes it."""
        try:
            while document_ids := await self._documents(user_id, project_id):
                for document_id in document_ids:
                    await self._clear(user_id, document_id)
        except grpc.aio.AioRpcError as error:
            raise KnowledgeUnavailableError from error

    async def _documents(self, user_id: str, project_id: str) -> list[str]:
        request = document_service_pb2.ListDocumentsRequest(project=project_id, page_size=PAGE)
        response = await self._stub.ListDocuments(
            request, metadata=bearer(self._token_for(user_id)), timeout=SECONDS
        )
        return [document.document_id for document in response.documents]

    async def _clear(self, user_id: str, document_id: str) -> None:
        request = document_service_pb2.UpdateDocumentRequest(document_id=document_id, project="")
        request.update_mask.paths.append("project")
        try:
            await self._stub.UpdateDocument(request, metadata=bearer(self._token_for(user_id)), timeout=SECONDS)
        except grpc.aio.AioRpcError as error:
            # Its user was faster, and deleted it.
            if error.code() is not grpc.StatusCode.NOT_FOUND:
                raise
