"""A service's own key: it signs tokens with which the service calls another one on its own account, with no user behind it.

Not the key of chat, which speaks for users. Who trusts such a key says how far (`tokens.TrustedService`); the edge trusts none.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import secrets
import stat
import time
import uuid
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key
from jwt.algorithms import ECAlgorithm

_logger = logging.getLogger(__name__)

_ALGORITHM = "ES256"
_LIFE_SECONDS = 300
_RENEWED_BEFORE_END_SECONDS = 60
_OTHERS = 0o077


class ServiceKeyError(Exception):
    """The key file cannot be used. The message is one line for the operator, and never holds what is in the file."""


class ServiceTokens:
    """Tokens of one service, signed anew before they end."""

    def __init__(
        self,
        key: ec.EllipticCurvePrivateKey,
        service: str,
        scopes: Collection[str],
        *,
        issuer: str,
        audience: str,
        now: Callable[[], float] = time.time,
    ) -> None:
        """`scopes` is all that they allow."""
        self._key = key
        self._headers = {"kid": key_id_of(key)}
        self._claims = {
            "iss": issuer,
            "aud": audience,
            "sub": service,
            "act": {"sub": service},
            "scope": " ".join(sorted(scopes)),
        }
        self._now = now
        self._token = ""
        self._expire_time = 0.0

    def token(self) -> str:
        """A bearer token, good for another minute at least."""
        now = self._now()
        if now > self._expire_time - _RENEWED_BEFORE_END_SECONDS:
            self._expire_time = int(now) + _LIFE_SECONDS
            times = {"iat": int(now), "exp": int(self._expire_time), "jti": f"svc_{uuid.uuid4().hex}"}
            self._token = jwt.encode(self._claims | times, self._key, algorithm=_ALGORITHM, headers=self._headers)
        return self._token


def load_or_make_service_key(key_file: Path, jwks_file: Path) -> ec.EllipticCurvePrivateKey:
    """The key in the file, made with mode 0600 when there is none; its public half is written beside. Blocks: file access.

    Processes that start at once agree on one key. A public half that cannot be written, because the folder is mounted read-only, is
    logged: the operator may have put it where it is read. Raises ServiceKeyError for a file that others may read, or that is no such key.
    """
    try:
        content = _read(key_file)
        if content is None:
            key_file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            new = ec.generate_private_key(ec.SECP256R1())
            _make(key_file, new.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
            content = _read(key_file) or b""
    except OSError as error:
        raise ServiceKeyError(f"{key_file} cannot be read or made: {error.strerror}") from error
    key = _key_of(key_file, content)
    _publish(key, jwks_file)
    return key


def key_id_of(key: ec.EllipticCurvePrivateKey) -> str:
    """The id of a key: a digest of its public half."""
    return hashlib.sha256(json.dumps(_public(key), sort_keys=True).encode()).hexdigest()[:32]


def _public(key: ec.EllipticCurvePrivateKey) -> dict[str, Any]:
    return ECAlgorithm.to_jwk(key.public_key(), as_dict=True)


def _read(path: Path) -> bytes | None:
    try:
        with path.open("rb") as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            if mode & _OTHERS:
                raise ServiceKeyError(f"{path} can be read by others (mode {mode:04o}): chmod 600 {path}")
            return file.read()
    except FileNotFoundError:
        return None


def _make(path: Path, content: bytes) -> None:
    """Makes the file whole, unless another process was faster: then its key is the key."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    _write(temporary, content, 0o600)
    try:
        os.link(temporary, path)
    except FileExistsError:
        return
    finally:
        temporary.unlink()


def _write(path: Path, content: bytes, mode: int) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    with os.fdopen(descriptor, "wb") as file:
        os.fchmod(file.fileno(), mode)  # Whatever the umask is.
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _key_of(path: Path, content: bytes) -> ec.EllipticCurvePrivateKey:
    try:
        key = load_pem_private_key(content, password=None)
    except (ValueError, TypeError):
        # The library's words may quote the file.
        raise ServiceKeyError(f"{path} is not a private key in PEM format") from None
    if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP256R1):
        raise ServiceKeyError(f"{path} is not a P-256 key")
    return key


def _publish(key: ec.EllipticCurvePrivateKey, jwks_file: Path) -> None:
    entry = _public(key) | {"kid": key_id_of(key), "use": "sig", "alg": _ALGORITHM}
    content = json.dumps({"keys": [entry]}, indent=2).encode() + b"\n"
    temporary = jwks_file.with_name(f".{jwks_file.name}.{secrets.token_hex(8)}")
    try:
        if jwks_file.is_file() and jwks_file.read_bytes() == content:
            return
        jwks_file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        _write(temporary, content, 0o644)
        temporary.replace(jwks_file)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        _logger.warning(
            "the public half of the key could not be written", extra={"file": str(jwks_file), "error": error.strerror}
        )
