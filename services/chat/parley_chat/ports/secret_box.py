"""Where secrets of users that must be told again rest: passwords of calendars, keys of webhooks. Not what is only compared, like the
password of an account, which is hashed."""

from __future__ import annotations

from typing import Protocol

from parley_chat.domain.errors import ChatError


class SecretLostError(ChatError):
    """What was sealed cannot be opened: with another key, for another purpose, or it was changed."""


class SecretBox(Protocol):
    """Seals secrets for the database, and opens them."""

    def seal(self, secret: str, purpose: str) -> str:
        """What may be stored. It opens only for the same purpose, like `webhook:whk_…`: a row that is copied over another opens not."""
        ...

    def open(self, sealed: str, purpose: str) -> str:
        """The secret. Raises SecretLostError."""
        ...
