"""Bounds the streams that one user has open at the same time, in this process.

A stream costs memory and a place for as long as it is open, which no rate of calls bounds. What a service does in a user's name is
bounded where the user asked for it, and not counted again.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import grpc

from parley_shared.interceptors.call import Behaviour, Call, Concern, Method
from parley_shared.status import StatusError


def bounded(most: int) -> Concern:
    """Admits `most` streams of a user, of all rpcs together; the next one is refused until one of them has ended."""
    running: Counter[str] = Counter()

    def concern(method: Method, behaviour: Behaviour) -> Behaviour:
        if not (method.streams or method.takes_stream):
            return behaviour

        async def serve(request: Any, call: Call) -> Any:
            principal = call.principal
            if principal is None or principal.service:
                return await behaviour(request, call)
            user_id = principal.user_id
            if running[user_id] >= most:
                raise StatusError(
                    grpc.StatusCode.RESOURCE_EXHAUSTED,
                    "ERROR_REASON_LIMIT_EXCEEDED",
                    f"You have {most} streams open already. Close one of them, and try again.",
                    metadata={"limit": str(most)},
                    retry_after_seconds=1,
                )
            running[user_id] += 1
            try:
                return await behaviour(request, call)
            finally:
                running[user_id] -= 1
                if not running[user_id]:
                    del running[user_id]

        return serve

    return concern
