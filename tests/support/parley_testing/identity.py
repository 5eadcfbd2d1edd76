"""People who signed up, and what a refused call says: for tests that call chat's identity over real gRPC."""

from __future__ import annotations

import uuid
from collections.abc import Awaitable
from dataclasses import dataclass

import grpc
import pytest
from parley.identity.v1 import identity_service_pb2, identity_service_pb2_grpc, user_pb2
from parley_shared.channels import bearer
from parley_shared.status import status_error_from

PASSWORD = "correct horse battery staple"


@dataclass(frozen=True)
class SignedUp:
    """Somebody who signed up just now."""

    user: user_pb2.User
    tokens: user_pb2.TokenPair

    @property
    def metadata(self) -> tuple[tuple[str, str], ...]:
        """The metadata of a call in this user's name."""
        return bearer(self.tokens.access_token)


@dataclass(frozen=True)
class Refusal:
    """What an error says, without the trace id, so that two can be compared."""

    code: grpc.StatusCode
    reason: str
    message: str
    metadata: dict[str, str]
    fields: tuple[str, ...]


def new_email(name: str = "ada") -> str:
    """An address that nobody else has."""
    return f"{name}-{uuid.uuid4().hex}@example.org"


async def sign_up(identity: identity_service_pb2_grpc.IdentityServiceAsyncStub, name: str = "ada") -> SignedUp:
    """Makes an account with PASSWORD."""
    request = identity_service_pb2.SignUpRequest(email=new_email(name), password=PASSWORD)
    response = await identity.SignUp(request)
    return SignedUp(response.user, response.tokens)


async def refused(call: Awaitable[object]) -> Refusal:
    """What the call is refused with. Fails when it succeeds."""
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await call
    error = status_error_from(raised.value)
    return Refusal(
        error.code,
        error.reason.removeprefix("ERROR_REASON_"),
        error.message,
        error.metadata,
        tuple(field for field, _ in error.violations),
    )
