"""The retrieval service as the place where documents name their project."""

from __future__ import annotations

import logging
from collections.abc import Callable

import grpc
from parley.retrieval.v1 import document_service_pb2, document_service_pb2_grpc
from parley_shared.channels import bearer

from parley_chat.domain.errors import KnowledgeUnavailableError

logger = logging.getLogger(__name__)

SECONDS = 30.0
PAGE = 100
_PASSING = {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.CANCELLED}


class GrpcProjectLabels:
    """Changes documents through a channel to retrieval, in the name of the user."""

    def __init__(self, channel: grpc.aio.Channel, token_for: Callable[[str], str]) -> None:
        self._stub = document_service_pb2_grpc.DocumentServiceStub(channel)
        self._token_for = token_for

    async def clear(self, user_id: str, project_id: str) -> None:
        """Looks for documents of the project until there are none but those that cannot be changed, which are left as they are."""
        left: set[str] = set()
        try:
            while document_ids := set(await self._documents(user_id, project_id)) - left:
                for document_id in document_ids:
                    if not await self._clear(user_id, document_id):
                        left.add(document_id)
        except grpc.aio.AioRpcError as error:
            raise KnowledgeUnavailableError from error

    async def _documents(self, user_id: str, project_id: str) -> list[str]:
        request = document_service_pb2.ListDocumentsRequest(project=project_id, page_size=PAGE)
        response = await self._stub.ListDocuments(request, metadata=bearer(self._token_for(user_id)), timeout=SECONDS)
        return [document.document_id for document in response.documents]

    async def _clear(self, user_id: str, document_id: str) -> bool:
        """False when another try would not help. Raises AioRpcError when it may."""
        request = document_service_pb2.UpdateDocumentRequest(document_id=document_id, project="")
        request.update_mask.paths.append("project")
        try:
            await self._stub.UpdateDocument(request, metadata=bearer(self._token_for(user_id)), timeout=SECONDS)
        except grpc.aio.AioRpcError as error:
            if error.code() in _PASSING:
                raise
            # Its user was faster and deleted it; or it stays where it is, so that it does not hold up what comes after it.
            if error.code() is not grpc.StatusCode.NOT_FOUND:
                logger.warning(
                    "a document could not be moved out of its project",
                    extra={"document_id": document_id, "code": error.code().name},
                )
            return False
        return True
