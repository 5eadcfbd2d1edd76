"""Tokens signed as JSON Web Tokens (RFC 7519) with ES256."""

from __future__ import annotations

from typing import Any

import jwt

from parley_chat.domain.tokens import Claims

_ALGORITHM = "ES256"


class Es256TokenSigner:
    """The port `TokenSigner`. The claims are those that `parley_shared.tokens` reads."""

    def __init__(self, private_key_pem: bytes, key_id: str, *, issuer: str, audience: str) -> None:
        # Prepared once: reading a PEM costs more than the signature.
        self._key: Any = jwt.get_algorithm_by_name(_ALGORITHM).prepare_key(private_key_pem)
        self._headers = {"kid": key_id}
        self._issuer = issuer
        self._audience = audience

    def sign(self, claims: Claims) -> str:
        payload: dict[str, Any] = {
            "iss": self._issuer,
            "aud": self._audience,
            "sub": claims.user_id,
            "iat": int(claims.issue_time.timestamp()),
            "exp": int(claims.expire_time.timestamp()),
            "jti": claims.token_id,
            "scope": " ".join(sorted(claims.scopes)),
        }
        if claims.acting_service:
            payload["act"] = {"sub": claims.acting_service}
        return jwt.encode(payload, self._key, algorithm=_ALGORITHM, headers=self._headers)
