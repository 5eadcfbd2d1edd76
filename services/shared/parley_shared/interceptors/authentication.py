"""Who calls, from where, and whether they may: the rule of the contract, enforced in every service.

The edge checks tokens too; whoever gets past it meets this. While a stream runs it is asked again: who has a token that is revoked reads
nothing more after some seconds. A token that ends does not end the stream that it began.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import grpc

from parley_shared.access import Rule
from parley_shared.callers import origin_of, set_current_origin
from parley_shared.interceptors.call import Behaviour, Call, Concern, Method
from parley_shared.status import StatusError
from parley_shared.telemetry import untraced
from parley_shared.tokens import Principal, TokenVerifier, set_current_principal

logger = logging.getLogger(__name__)

AGAIN_SECONDS = 10.0
"""How long a stream goes on before it is asked again whether its caller still may read it. Each time may cost a look into a database."""

_NOBODY = Rule(anonymous=False, scope="")
_REFUSALS = frozenset({grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.PERMISSION_DENIED})


def authenticated(verifier: TokenVerifier) -> Concern:
    """Admits callers whose token carries the scope of the rpc, where it names one. An rpc without a rule admits nobody."""

    def concern(method: Method, behaviour: Behaviour) -> Behaviour:
        rule = method.rule or _NOBODY

        async def serve(request: Any, call: Call) -> Any:
            # The task is this call's alone: nothing to set back.
            set_current_origin(origin_of(call.metadata))
            if rule.anonymous:
                return await behaviour(request, call)
            principal = await verifier.verify(_token(call))
            call.principal = principal
            _check_scope(rule, principal)
            set_current_principal(principal)
            if not (method.streams or method.takes_stream):
                return await behaviour(request, call)
            watch = _Watch(verifier, rule, principal)
            try:
                async with watch.limit:
                    return await behaviour(request, call)
            except TimeoutError as error:
                if watch.refusal is not None and watch.limit.expired():
                    raise watch.refusal from error
                raise
            finally:
                watch.stop()

        return serve

    return concern


class _Watch:
    """Asks again and again for one stream. `limit` ends the block it guards when the caller may no longer read, and `refusal` says why."""

    def __init__(self, verifier: TokenVerifier, rule: Rule, principal: Principal) -> None:
        self.limit = asyncio.timeout(None)
        self.refusal: StatusError | None = None
        self._verifier = verifier
        self._rule = rule
        self._principal = principal
        self._loop = asyncio.get_running_loop()
        self._asking: asyncio.Task[None] | None = None
        # A timer costs a short stream next to nothing; there is a task only while one asks.
        self._timer = self._loop.call_later(AGAIN_SECONDS, self._ask)

    def stop(self) -> None:
        self._timer.cancel()
        if self._asking is not None:
            self._asking.cancel()

    def _ask(self) -> None:
        self._asking = self._loop.create_task(self._look(), name="ask whether a stream may go on")

    async def _look(self) -> None:
        try:
            with untraced():
                _check_scope(self._rule, await self._verifier.admitted(self._principal))
        except StatusError as error:
            if error.code in _REFUSALS:
                self.refusal = error
                self.limit.reschedule(self._loop.time())
                return
            # Whom to ask is away: the stream goes on, and asks again.
            logger.debug("whether a stream may go on is not known", exc_info=True)
        except Exception:
            logger.warning("whether a stream may go on is not known", exc_info=True)
        self._timer = self._loop.call_later(AGAIN_SECONDS, self._ask)


def _check_scope(rule: Rule, principal: Principal) -> None:
    if not rule.any_token and (not rule.scope or rule.scope not in principal.scopes):
        raise StatusError(
            grpc.StatusCode.PERMISSION_DENIED,
            "ERROR_REASON_SCOPE_MISSING",
            f"The token lacks the scope {rule.scope}." if rule.scope else "Nobody may call this method.",
            metadata={"scope": rule.scope},
        )


def _token(call: Call) -> str:
    scheme, _, token = call.metadata.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise StatusError(
            grpc.StatusCode.UNAUTHENTICATED,
            "ERROR_REASON_TOKEN_MISSING",
            "This needs a token: send the metadata `authorization: Bearer <token>`.",
        )
    return token.strip()
