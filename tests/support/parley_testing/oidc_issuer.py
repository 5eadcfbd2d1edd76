"""An identity provider on a real socket of this machine: it serves its discovery document and its keys, signs tokens, and lies when told.

async with OidcIssuer() as issuer:
    issuer.url                                   # "http://127.0.0.1:41234": its claim `iss`
    issuer.table(audiences=["parley"])           # "[oidc.issuers.work] …" for parley.toml
    issuer.token("ada", email="ada@example.com") # signed with its newest key
    issuer.rotate()                              # another key; the old one is published no more
"""

from __future__ import annotations

import json
import time
from typing import Any, Self

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

from parley_testing.remote_server import Answer, Asked, RemoteServer

AUDIENCE = "parley"


class OidcIssuer:
    """The provider. `answers` replaces what it says at a path."""

    def __init__(self, *, algorithm: str = "RS256", key_bits: int = 2048) -> None:
        self.algorithm = algorithm
        self.answers: dict[str, Answer] = {}
        self._key_bits = key_bits
        self._rotations = 0
        self._server = RemoteServer(self._answer)
        self.rotate()

    async def __aenter__(self) -> Self:
        await self._server.__aenter__()
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._server.__aexit__(*error)

    @property
    def url(self) -> str:
        """Its issuer."""
        return self._server.url("")

    def asked(self, path: str) -> int:
        """How often somebody came for a path."""
        return sum(each.target == path for each in self._server.asked)

    def rotate(self) -> None:
        """Signs with a new key from now on, and publishes that one only."""
        self._rotations += 1
        self.key_id = f"key-{self._rotations}"
        if self.algorithm.startswith("ES"):
            self._key: Any = ec.generate_private_key(ec.SECP256R1())
        else:
            self._key = rsa.generate_private_key(65537, self._key_bits)

    @property
    def public_pem(self) -> bytes:
        """Its public key, which is no secret."""
        from cryptography.hazmat.primitives import serialization

        encoding, form = serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        pem: bytes = self._key.public_key().public_bytes(encoding, form)
        return pem

    def jwk(self) -> dict[str, Any]:
        """Its public key as it is published."""
        algorithm = ECAlgorithm if self.algorithm.startswith("ES") else RSAAlgorithm
        public: dict[str, Any] = algorithm.to_jwk(self._key.public_key(), as_dict=True)
        return {**public, "kid": self.key_id, "use": "sig"}

    def table(self, name: str = "work", **settings: Any) -> str:
        """Its table of parley.toml."""
        said = {"issuer": self.url, "audiences": [AUDIENCE], "allow_http": True, **settings}
        lines = [f"{key} = {json.dumps(value)}" for key, value in said.items() if not isinstance(value, dict)]
        for key, value in said.items():
            if isinstance(value, dict):
                inner = ", ".join(f"{json.dumps(each)} = {json.dumps(one)}" for each, one in value.items())
                lines.append(f"{key} = {{ {inner} }}")
        return "\n".join([f"[oidc.issuers.{name}]", *lines, ""])

    def token(self, subject: str | None, *, signed_with: Any = None, algorithm: str = "", **claims: Any) -> str:
        """A token that is good for an hour. `claims` replace or add claims; None leaves one out."""
        now = int(time.time())
        payload = {"iss": self.url, "aud": AUDIENCE, "sub": subject, "iat": now, "exp": now + 3600} | claims
        payload = {name: value for name, value in payload.items() if value is not None}
        key = self._key if signed_with is None else signed_with
        return jwt.encode(payload, key, algorithm=algorithm or self.algorithm, headers={"kid": self.key_id})

    def _answer(self, asked: Asked) -> Answer:
        if asked.target in self.answers:
            return self.answers[asked.target]
        if asked.target == "/.well-known/openid-configuration":
            return _json({"issuer": self.url, "jwks_uri": f"{self.url}/keys"})
        if asked.target == "/keys":
            return _json({"keys": [self.jwk()]})
        return Answer(404)


def _json(value: Any) -> Answer:
    return Answer(200, json.dumps(value).encode(), {"content-type": "application/json"})
