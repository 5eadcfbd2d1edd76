"""The key that tokens are signed with: a PEM file made at first run, and the public half as a JSON Web Key Set file.

Replacing the PEM file ends every token there is: only the current key is published.
"""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from parley_chat.adapters.private_files import PUBLIC, PrivateFileError, only_process, read_private, write_whole
from parley_chat.domain.tokens import PublicKey

KEY_FILE = "signing.pem"
_COORDINATE_BYTES = 32


@dataclass(frozen=True)
class SigningKey:
    """A private key and its public half."""

    private_pem: bytes
    public: PublicKey

    def __repr__(self) -> str:
        return f"SigningKey([set], {self.public.key_id})"


def load_or_make_signing_key(keys_folder: Path, jwks_file: Path) -> SigningKey:
    """The key of this installation; makes it when there is none. Blocks: file access.

    Processes that start at once agree on one key. Afterwards the JWKS file holds its public half. Raises PrivateFileError
    when the key file is readable by others or is no P-256 key.
    """
    path = keys_folder / KEY_FILE
    content = read_private(path)
    if content is None:
        with only_process(keys_folder):
            content = read_private(path)
            if content is None:
                content = _new_key()
                write_whole(path, content)
    key = SigningKey(content, _public_key(path, content))
    _publish(key.public, jwks_file)
    return key


def _new_key() -> bytes:
    key = ec.generate_private_key(ec.SECP256R1())
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _public_key(path: Path, content: bytes) -> PublicKey:
    try:
        key = load_pem_private_key(content, password=None)
    except (ValueError, TypeError):
        # The library's words may quote the file.
        raise PrivateFileError(f"{path} is not a private key in PEM format") from None
    if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP256R1):
        raise PrivateFileError(f"{path} is not a P-256 key")
    numbers = key.public_key().public_numbers()
    x, y = _base64url(numbers.x), _base64url(numbers.y)
    # RFC 7638: the required members in alphabetical order, without white space.
    canonical = json.dumps({"crv": "P-256", "kty": "EC", "x": x, "y": y}, separators=(",", ":"), sort_keys=True)
    thumbprint = base64.urlsafe_b64encode(hashlib.sha256(canonical.encode()).digest()).rstrip(b"=").decode()
    return PublicKey(key_id=thumbprint, x=x, y=y)


def _base64url(coordinate: int) -> str:
    return base64.urlsafe_b64encode(coordinate.to_bytes(_COORDINATE_BYTES, "big")).rstrip(b"=").decode()


def _publish(key: PublicKey, jwks_file: Path) -> None:
    content = json.dumps({"keys": [key.as_json_web_key()]}, indent=2).encode() + b"\n"
    # Written only when it differs, so that a folder mounted read-only will do once the file is right.
    if not jwks_file.is_file() or jwks_file.read_bytes() != content:
        jwks_file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_whole(jwks_file, content, PUBLIC)
