"""Whether a token was revoked, or its user disabled: asks chat, because the signature cannot tell.

Tokens of services are not asked about: they live for minutes, and chat has looked at the user's.
"""

from __future__ import annotations

import time
from collections import OrderedDict

import grpc
from parley.identity.v1 import identity_service_pb2, identity_service_pb2_grpc

from parley_shared.status import service_unavailable
from parley_shared.tokens import Principal

PERSONAL_TOKEN_PREFIX = "tok_"  # noqa: S105 - how the ids of personal access tokens begin, no secret
BELIEVED_SECONDS = 5.0
"""How long an answer is believed: a revoked token works here no longer than that."""

_REMEMBERED_MOST = 10_000
_ASKING_SECONDS = 2.0


class GrpcTokenRevocation:
    """Answers through a channel to chat, and from memory for a few seconds."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._check = identity_service_pb2_grpc.IdentityServiceStub(channel).CheckAccessToken
        self._answers: OrderedDict[str, tuple[float, bool]] = OrderedDict()

    async def is_revoked(self, principal: Principal) -> bool:
        """Whether to refuse the token. Raises StatusError UNAVAILABLE when chat does not answer for a token that lives for months."""
        token_id = principal.token_id
        if principal.service:
            return False
        is_personal = token_id.startswith(PERSONAL_TOKEN_PREFIX)
        key = token_id if is_personal else principal.user_id
        asked = time.monotonic()
        known = self._answers.get(key)
        if known is not None and asked - known[0] < BELIEVED_SECONDS:
            return known[1]
        request = identity_service_pb2.CheckAccessTokenRequest(access_token_id=key)
        if not is_personal:
            request = identity_service_pb2.CheckAccessTokenRequest(user_id=key)
        try:
            response = await self._check(request, timeout=_ASKING_SECONDS)
        except grpc.aio.AioRpcError as error:
            if is_personal:
                raise service_unavailable("chat") from error
            # A sign-in's token lives for minutes: while chat is away it is as good as it was, and nobody waits for chat again at once.
            revoked = known is not None and known[1]
        else:
            revoked = not response.good
        self._answers[key] = (asked, revoked)
        self._answers.move_to_end(key)
        if len(self._answers) > _REMEMBERED_MOST:
            self._answers.popitem(last=False)
        return revoked
