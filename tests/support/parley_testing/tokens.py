"""Tokens for tests: a key pair of its own, its JWKS file, and tokens signed with it."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec
from jwt.algorithms import ECAlgorithm


class TestKeys:
    """An ES256 key in a home folder: `TokenVerifier(keys.jwks_file, "parley", "parley")` accepts what `mint` makes."""

    __test__ = False  # not a test class, whatever its name begins with

    def __init__(self, home: Path, *, key_id: str = "test-key") -> None:
        self.key_id = key_id
        self.jwks_file = home / "keys" / "jwks.json"
        self._private_key = ec.generate_private_key(ec.SECP256R1())
        self.jwks_file.parent.mkdir(parents=True, exist_ok=True)
        self.jwks_file.write_text(json.dumps({"keys": [self.public_jwk()]}))

    def public_jwk(self) -> dict[str, Any]:
        """The public key as an entry of a JWKS file."""
        public: dict[str, Any] = ECAlgorithm.to_jwk(self._private_key.public_key(), as_dict=True)
        return public | {"kid": self.key_id, "alg": "ES256", "use": "sig"}

    def mint(self, user_id: str, scopes: Iterable[str] = (), **claims: Any) -> str:
        """A token of the user that is good for an hour. `claims` replace or add claims; None leaves one out."""
        now = int(time.time())
        payload: dict[str, Any] = {
            "iss": "parley",
            "aud": "parley",
            "sub": user_id,
            "iat": now,
            "exp": now + 3600,
            "jti": uuid.uuid4().hex,
            "scope": " ".join(scopes),
        }
        payload = {name: value for name, value in (payload | claims).items() if value is not None}
        return jwt.encode(payload, self._private_key, algorithm="ES256", headers={"kid": self.key_id})
