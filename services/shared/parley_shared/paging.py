"""Page tokens: opaque to callers, bound to the list they belong to.

A token says where a list goes on. It grants nothing, so it is checked for damage and not signed: every query still filters by user.
"""

from __future__ import annotations

import binascii
import hashlib
import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence

import grpc

from parley_shared.status import StatusError

_CHECKSUM_BYTES = 6
_MOST_CHARACTERS = 2048


def encode_page_token(list_name: str, cursor: Sequence[str | int]) -> str:
    """The token for the page after `cursor`, the sort key of the last row. Never "".

    `list_name` says which list, its filters included when a changed filter must not go on with the token.
    """
    body = json.dumps(list(cursor), ensure_ascii=False, separators=(",", ":")).encode()
    return urlsafe_b64encode(_checksum(list_name, body) + body).rstrip(b"=").decode()


def decode_page_token(list_name: str, token: str) -> list[str | int] | None:
    """The cursor of the token; None for "", which is the first page. Raises StatusError when it is damaged or of another list."""
    if not token:
        return None
    try:
        if len(token) > _MOST_CHARACTERS:
            raise ValueError("too long")
        raw = urlsafe_b64decode(token.encode("ascii") + b"=" * (-len(token) % 4))
        body = raw[_CHECKSUM_BYTES:]
        if raw[:_CHECKSUM_BYTES] != _checksum(list_name, body):
            raise ValueError("of another list")
        cursor = json.loads(body)
    except (ValueError, binascii.Error, RecursionError) as error:
        raise invalid_page_token() from error
    if not isinstance(cursor, list) or not all(isinstance(part, str | int) for part in cursor):
        raise invalid_page_token()
    return cursor


def _checksum(list_name: str, body: bytes) -> bytes:
    return hashlib.blake2s(list_name.encode() + b"\0" + body, digest_size=_CHECKSUM_BYTES).digest()


def invalid_page_token() -> StatusError:
    """What a page token is answered with that is damaged, of another list, or holds what no row of the list has."""
    return StatusError(
        grpc.StatusCode.INVALID_ARGUMENT,
        "ERROR_REASON_INVALID_PAGE_TOKEN",
        "page_token does not belong to this list. Start again without one.",
        metadata={"field": "page_token"},
        violations=[("page_token", "must be a next_page_token of the same list")],
    )
