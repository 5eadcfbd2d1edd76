"""A server on a real socket that speaks Qdrant's gRPC protocol: Collections, Points and the health check, as far as Parley uses them.

Its state is the client library's local mode, so that its answers are Qdrant's. It stores nothing on a disk and checks no more than the
protocol says. `PARLEY_TEST_QDRANT_URL` names a real server for the same tests.
"""

from __future__ import annotations

import warnings
from collections.abc import Awaitable, Callable
from typing import Any, Self

import grpc
import qdrant_client.grpc as wire
from qdrant_client import AsyncQdrantClient, models
from qdrant_client.conversions.conversion import GrpcToRest, RestToGrpc, json_to_value

API_KEY = "a key for tests"


class LoopbackQdrant:
    """The server. `url` is known once it is started."""

    def __init__(self, *, version: str = "1.19.0", api_key: str = "") -> None:
        """Before 1.19 it does not know whose rarity counts, and passes over what is said about it, as an old server does."""
        self.version = version
        self.api_key = api_key
        self.calls: list[str] = []
        self.state = AsyncQdrantClient(":memory:")
        self.metadata: dict[str, dict[str, Any]] = {}
        self._server: grpc.aio.Server | None = None
        self._port = 0

    @property
    def url(self) -> str:
        """What `PARLEY_RETRIEVAL_QDRANT_URL` is set to."""
        return f"http://127.0.0.1:{self._port}"

    @property
    def counts_rarity_per_user(self) -> bool:
        """Whether it is new enough."""
        major, minor = self.version.split(".")[:2]
        return (int(major), int(minor)) >= (1, 19)

    async def __aenter__(self) -> Self:
        server = grpc.aio.server(interceptors=[_Doorkeeper(self)])
        wire.add_CollectionsServicer_to_server(_Collections(self), server)  # type: ignore[no-untyped-call]  # Generated code has no types.
        wire.add_PointsServicer_to_server(_Points(self), server)  # type: ignore[no-untyped-call]  # Generated code has no types.
        wire.add_QdrantServicer_to_server(_Health(self), server)  # type: ignore[no-untyped-call]  # Generated code has no types.
        self._port = server.add_insecure_port(f"127.0.0.1:{self._port}")
        await server.start()
        self._server = server
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._server is not None:
            await self._server.stop(None)
            self._server = None


class _Doorkeeper(grpc.aio.ServerInterceptor):
    """Notes every call, and refuses those without the key."""

    def __init__(self, server: LoopbackQdrant) -> None:
        self._server = server

    async def intercept_service(
        self, continuation: Callable[[Any], Awaitable[Any]], details: grpc.HandlerCallDetails
    ) -> Any:
        self._server.calls.append(details.method.rpartition("/")[2])
        if self._server.api_key and dict(details.invocation_metadata).get("api-key") != self._server.api_key:

            async def refuse(_: Any, context: grpc.aio.ServicerContext[Any, Any]) -> None:
                await context.abort(grpc.StatusCode.UNAUTHENTICATED, "Invalid API key")

            return grpc.unary_unary_rpc_method_handler(refuse)
        return await continuation(details)


async def _done(work: Awaitable[Any], context: grpc.aio.ServicerContext[Any, Any]) -> Any:
    try:
        return await work
    except ValueError as error:
        code = grpc.StatusCode.NOT_FOUND if "not found" in str(error) else grpc.StatusCode.INVALID_ARGUMENT
        await context.abort(code, str(error))


class _Health(wire.QdrantServicer):
    def __init__(self, server: LoopbackQdrant) -> None:
        self._server = server

    async def HealthCheck(self, request: Any, context: Any) -> Any:
        return wire.HealthCheckReply(title="qdrant - vector search engine", version=self._server.version)


class _Collections(wire.CollectionsServicer):
    def __init__(self, server: LoopbackQdrant) -> None:
        self._server = server
        self._state = server.state

    async def Create(self, request: Any, context: Any) -> Any:
        if await self._state.collection_exists(request.collection_name):
            await context.abort(grpc.StatusCode.ALREADY_EXISTS, "Collection already exists")
        work = self._state.create_collection(
            request.collection_name,
            vectors_config=GrpcToRest.convert_vectors_config(request.vectors_config),
            sparse_vectors_config=GrpcToRest.convert_sparse_vector_config(request.sparse_vectors_config),
        )
        await _done(work, context)
        self._server.metadata[request.collection_name] = GrpcToRest.convert_payload(request.metadata)
        return wire.CollectionOperationResponse(result=True)

    async def Delete(self, request: Any, context: Any) -> Any:
        await _done(self._state.delete_collection(request.collection_name), context)
        return wire.CollectionOperationResponse(result=True)

    async def Get(self, request: Any, context: Any) -> Any:
        info = await _done(self._state.get_collection(request.collection_name), context)
        answer = wire.GetCollectionInfoResponse(result=RestToGrpc.convert_collection_info(info))
        for name, value in self._server.metadata[request.collection_name].items():
            answer.result.config.metadata[name].CopyFrom(json_to_value(value))
        return answer

    async def List(self, request: Any, context: Any) -> Any:
        found = (await self._state.get_collections()).collections
        return wire.ListCollectionsResponse(
            collections=[wire.CollectionDescription(name=collection.name) for collection in found]
        )

    async def CollectionExists(self, request: Any, context: Any) -> Any:
        exists = await self._state.collection_exists(request.collection_name)
        return wire.CollectionExistsResponse(result=wire.CollectionExists(exists=exists))

    async def ListAliases(self, request: Any, context: Any) -> Any:
        found = (await self._state.get_aliases()).aliases
        return wire.ListAliasesResponse(aliases=[RestToGrpc.convert_alias_description(alias) for alias in found])

    async def UpdateAliases(self, request: Any, context: Any) -> Any:
        operations = [GrpcToRest.convert_alias_operations(action) for action in request.actions]
        await _done(self._state.update_collection_aliases(operations), context)
        return wire.CollectionOperationResponse(result=True)


class _Points(wire.PointsServicer):
    def __init__(self, server: LoopbackQdrant) -> None:
        self._server = server
        self._state = server.state

    async def Upsert(self, request: Any, context: Any) -> Any:
        points = [GrpcToRest.convert_point_struct(point) for point in request.points]
        await _done(self._state.upsert(request.collection_name, points), context)
        return _completed()

    async def UpdateVectors(self, request: Any, context: Any) -> Any:
        points = [GrpcToRest.convert_point_vectors(point) for point in request.points]
        await _done(self._state.update_vectors(request.collection_name, points), context)
        return _completed()

    async def Delete(self, request: Any, context: Any) -> Any:
        selector = GrpcToRest.convert_points_selector(request.points)
        await _done(self._state.delete(request.collection_name, selector), context)
        return _completed()

    async def CreateFieldIndex(self, request: Any, context: Any) -> Any:
        with warnings.catch_warnings():
            # Local mode says that it needs no indexes. A server has them.
            warnings.simplefilter("ignore")
            schema = models.PayloadSchemaType.KEYWORD
            await _done(self._state.create_payload_index(request.collection_name, request.field_name, schema), context)
        return _completed()

    async def Scroll(self, request: Any, context: Any) -> Any:
        work = self._state.scroll(
            request.collection_name,
            scroll_filter=GrpcToRest.convert_filter(request.filter) if request.HasField("filter") else None,
            limit=request.limit,
            offset=GrpcToRest.convert_point_id(request.offset) if request.HasField("offset") else None,
            with_payload=False,
            with_vectors=False,
        )
        records, offset = await _done(work, context)
        return wire.ScrollResponse(
            result=[wire.RetrievedPoint(id=RestToGrpc.convert_extended_point_id(record.id)) for record in records],
            next_page_offset=None if offset is None else RestToGrpc.convert_extended_point_id(offset),
        )

    async def Query(self, request: Any, context: Any) -> Any:
        if not self._server.counts_rarity_per_user:
            request.params.ClearField("idf")
            for prefetch in request.prefetch:
                _forget_rarity(prefetch)
        work = self._state.query_points(
            request.collection_name,
            query=GrpcToRest.convert_query(request.query),
            using=request.using if request.HasField("using") else None,
            prefetch=[GrpcToRest.convert_prefetch_query(prefetch) for prefetch in request.prefetch] or None,
            query_filter=GrpcToRest.convert_filter(request.filter) if request.HasField("filter") else None,
            search_params=GrpcToRest.convert_search_params(request.params) if request.HasField("params") else None,
            limit=request.limit,
            with_payload=GrpcToRest.convert_with_payload_selector(request.with_payload),
        )
        answer = await _done(work, context)
        return wire.QueryResponse(result=[RestToGrpc.convert_scored_point(point) for point in answer.points])


def _forget_rarity(prefetch: Any) -> None:
    prefetch.params.ClearField("idf")
    for inner in prefetch.prefetch:
        _forget_rarity(inner)


def _completed() -> Any:
    return wire.PointsOperationResponse(result=wire.UpdateResult(operation_id=0, status=wire.UpdateStatus.Completed))
