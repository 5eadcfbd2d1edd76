"""A token of another identity provider, changed for one of Parley's own: asks chat, which is who trusts providers."""

from __future__ import annotations

import grpc
from parley.identity.v1 import identity_service_pb2, identity_service_pb2_grpc

from parley_shared.callers import current_origin
from parley_shared.status import StatusError, service_unavailable, status_error_from

_ASKING_SECONDS = 10.0


class GrpcTokenExchange:
    """Answers through a channel to chat. Remembers nothing: the verifier does."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._exchange = identity_service_pb2_grpc.IdentityServiceStub(channel).ExchangeToken

    async def own_token(self, foreign: str) -> str:
        """Parley's access token. Raises StatusError: as chat refuses it, or UNAVAILABLE when chat does not answer."""
        request = identity_service_pb2.ExchangeTokenRequest(token=foreign)
        try:
            # Chat may see the user for the first time here: its audit trail tells of the caller, and not of this service.
            origin = current_origin().as_metadata()
            response = await self._exchange(request, timeout=_ASKING_SECONDS, metadata=origin)
        except grpc.aio.AioRpcError as error:
            if error.code() is not grpc.StatusCode.UNAUTHENTICATED:
                raise service_unavailable("chat") from error
            refused = status_error_from(error)
            raise StatusError(refused.code, refused.reason, refused.message) from error
        return response.access_token
