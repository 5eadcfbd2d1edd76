"""The inference service as an embedding model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

import grpc
from google.rpc import error_details_pb2, status_pb2
from parley.inference.v1 import embedding_service_pb2, embedding_service_pb2_grpc
from parley_shared.channels import bearer

from parley_retrieval.domain.errors import EmbeddingRefusedError, EmbeddingUnavailableError
from parley_retrieval.ports.embedding_model import Embeddings

TEXTS_OF_A_CALL = 64
"""Below what inference takes, and so few that vectors of 16,000 components fit into a message of 4 MiB."""

_MENDED_BY_PEOPLE = frozenset(
    {
        grpc.StatusCode.FAILED_PRECONDITION,
        grpc.StatusCode.INVALID_ARGUMENT,
        grpc.StatusCode.NOT_FOUND,
        grpc.StatusCode.PERMISSION_DENIED,
        grpc.StatusCode.UNIMPLEMENTED,
    }
)
_WORDS_BY_REASON = {
    "ERROR_REASON_PROVIDER_CREDENTIALS": "The provider of the embedding model refuses Parley's key. The operator has to set another one.",
    "ERROR_REASON_PROVIDER_QUOTA": "Parley's account at the provider of the embedding model has no credit. The operator has to see to it.",
}
D = TypeVar("D", error_details_pb2.ErrorInfo, error_details_pb2.RetryInfo)

_LIMIT = "ERROR_REASON_LIMIT_EXCEEDED"


class GrpcEmbeddingModel:
    """Embeds through a channel to inference, on retrieval's own account."""

    def __init__(self, channel: grpc.aio.Channel, token: Callable[[], str], model: str) -> None:
        """`model` is a model or alias that inference knows."""
        self._embed = embedding_service_pb2_grpc.EmbeddingServiceStub(channel).Embed
        self._token = token
        self._model = model
        self._texts = TEXTS_OF_A_CALL

    async def embed(self, texts: Sequence[str], *, seconds: float, model: str = "") -> Embeddings:
        """See `EmbeddingModel`. `seconds` is for each call of inference."""
        vectors: list[Sequence[float]] = []
        models: set[str] = set()
        while len(vectors) < len(texts):
            batch = list(texts[len(vectors) : len(vectors) + self._texts])
            request = embedding_service_pb2.EmbedRequest(texts=batch, model=model or self._model)
            try:
                response = await self._embed(request, timeout=seconds, metadata=bearer(self._token()))
            except grpc.aio.AioRpcError as error:
                fewer = _fitting(error)
                if fewer is None or not 1 <= fewer < len(batch):
                    raise _failure(error) from error
                # The vectors are longer than was thought. Those that were made are kept by inference.
                self._texts = fewer
                continue
            if len(response.embeddings) != len(batch):
                raise EmbeddingUnavailableError("inference sent another number of vectors than asked")
            vectors += [embedding.values for embedding in response.embeddings]
            models.add(response.model)
        if len(models) > 1:
            raise EmbeddingUnavailableError("the model became another one in the middle of the work")
        return Embeddings(next(iter(models), ""), vectors)


def _fitting(error: grpc.aio.AioRpcError) -> int | None:
    """How many texts inference says to ask for at once; None when it failed with something else."""
    info = _detail(error, error_details_pb2.ErrorInfo())
    if error.code() != grpc.StatusCode.RESOURCE_EXHAUSTED or info is None or info.reason != _LIMIT:
        return None
    limit = info.metadata.get("limit", "")
    return int(limit) if limit.isdecimal() else None


def _failure(error: grpc.aio.AioRpcError) -> EmbeddingUnavailableError | EmbeddingRefusedError:
    detail = f"inference: {error.code().name}: {error.details()}"
    if error.code() in _MENDED_BY_PEOPLE:
        info = _detail(error, error_details_pb2.ErrorInfo())
        words = _WORDS_BY_REASON.get(info.reason) if info is not None else None
        return EmbeddingRefusedError(detail) if words is None else EmbeddingRefusedError(detail, words)
    retry = _detail(error, error_details_pb2.RetryInfo())
    seconds = retry.retry_delay.ToTimedelta().total_seconds() if retry is not None else None
    return EmbeddingUnavailableError(detail, retry_after_seconds=seconds)


def _detail(error: grpc.aio.AioRpcError, wanted: D) -> D | None:
    trailers = dict(error.trailing_metadata() or ())
    packed = trailers.get("grpc-status-details-bin", b"")
    status = status_pb2.Status.FromString(packed if isinstance(packed, bytes) else packed.encode())
    return wanted if any(detail.Unpack(wanted) for detail in status.details) else None
