"""Who calls, from where, and whether they may: the rule of the contract, enforced in every service.

The edge checks tokens too; whoever gets past it meets this.
"""

from __future__ import annotations

from typing import Any

import grpc

from parley_shared.access import Rule
from parley_shared.callers import origin_of, set_current_origin
from parley_shared.interceptors.call import Behaviour, Call, Concern, Method
from parley_shared.status import StatusError
from parley_shared.tokens import TokenVerifier, set_current_principal

_NOBODY = Rule(anonymous=False, scope="")


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
            if not rule.any_token and (not rule.scope or rule.scope not in principal.scopes):
                raise StatusError(
                    grpc.StatusCode.PERMISSION_DENIED,
                    "ERROR_REASON_SCOPE_MISSING",
                    f"The token lacks the scope {rule.scope}." if rule.scope else "Nobody may call this method.",
                    metadata={"scope": rule.scope},
                )
            set_current_principal(principal)
            return await behaviour(request, call)

        return serve

    return concern


def _token(call: Call) -> str:
    scheme, _, token = call.metadata.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise StatusError(
            grpc.StatusCode.UNAUTHENTICATED,
            "ERROR_REASON_TOKEN_MISSING",
            "This needs a token: send the metadata `authorization: Bearer <token>`.",
        )
    return token.strip()
