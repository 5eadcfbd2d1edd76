"""Secrets at rest: sealed with AES-256-GCM under a key that is not in the database, so that a copy of the database tells none.

    box = SealedSecrets.of(settings.secrets_key, signing_pem)
    stored = box.seal(password, f"calendar_account:{account_id}")   # Text, for a column: about 60 characters more than the secret.
    password = box.open(stored, f"calendar_account:{account_id}")   # Raises SecretLostError.

Without a key in the settings it is derived from the signing key, which all replicas share and which is kept as safe: then what was sealed
is lost with the signing key. Of several keys the first seals and all open, so that a key can be replaced. It stores nothing: the text is
its owner's to keep.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
from collections.abc import Sequence
from typing import Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from parley_chat.ports.secret_box import SecretLostError

_VERSION = "s1"
_KEY_BYTES = 32
_NONCE_BYTES = 12
_DERIVED_FOR = b"parley: secrets at rest, 1"


class SealedSecrets:
    """The port `SecretBox`."""

    def __init__(self, keys: Sequence[bytes]) -> None:
        self._ciphers = {_name(key): AESGCM(key) for key in keys}
        self._first = _name(keys[0])

    def __repr__(self) -> str:
        return "SealedSecrets([set])"

    @classmethod
    def of(cls, written_keys: str, signing_pem: bytes) -> Self:
        """With the keys of the setting, or with the one derived from the signing key when there are none.

        Raises ValueError, whose words tell no key, for one that is not 32 bytes in base64.
        """
        return cls(read_keys(written_keys) or [_derived(signing_pem)])

    def seal(self, secret: str, purpose: str) -> str:
        """Encrypts under the first key."""
        nonce = os.urandom(_NONCE_BYTES)
        encrypted = nonce + self._ciphers[self._first].encrypt(nonce, secret.encode(), purpose.encode())
        return f"{_VERSION}.{self._first}.{base64.urlsafe_b64encode(encrypted).decode()}"

    def open(self, sealed: str, purpose: str) -> str:
        """Decrypts with the key that is named."""
        version, _, rest = sealed.partition(".")
        name, _, written = rest.partition(".")
        cipher = self._ciphers.get(name)
        if version != _VERSION or cipher is None:
            raise SecretLostError("sealed with another key")
        try:
            encrypted = base64.urlsafe_b64decode(written)
            return cipher.decrypt(encrypted[:_NONCE_BYTES], encrypted[_NONCE_BYTES:], purpose.encode()).decode()
        except (InvalidTag, binascii.Error, ValueError):
            raise SecretLostError("not what was sealed") from None


def read_keys(written: str) -> list[bytes]:
    """Reads keys in base64 with commas between. Raises ValueError, whose words tell no key."""
    keys = []
    for each in (part.strip() for part in written.split(",") if part.strip()):
        try:
            key = base64.b64decode(each.replace("-", "+").replace("_", "/"), validate=True)
        except (binascii.Error, ValueError):
            key = b""
        if len(key) != _KEY_BYTES:
            raise ValueError("each key is 32 bytes in base64: openssl rand -base64 32")
        keys.append(key)
    return keys


def _derived(signing_pem: bytes) -> bytes:
    return HKDF(algorithm=SHA256(), length=_KEY_BYTES, salt=None, info=_DERIVED_FOR).derive(signing_pem.strip())


def _name(key: bytes) -> str:
    """Says which key it was without telling it."""
    return hashlib.sha256(b"name of a key:" + key).hexdigest()[:12]
