"""Where personal access tokens are kept."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

from parley_chat.domain.audit import AuditEntry
from parley_chat.domain.tokens import PersonalToken


class PersonalTokens(Protocol):
    """Personal access tokens, each owned by one user. Another user's are as absent as those that never were. An `entry` of the audit
    trail is stored with the change, if it is one.
    """

    async def add(self, token: PersonalToken, entry: AuditEntry | None = None) -> None:
        """Stores a new token."""

    async def count_good(self, user_id: str, now: datetime) -> int:
        """How many of the user's tokens are neither revoked nor over."""

    async def page(self, user_id: str, *, limit: int, after: tuple[datetime, str] | None) -> list[PersonalToken]:
        """The user's tokens, newest first, at most `limit`, beginning after the one of this creation time and id."""

    async def revoke(
        self, user_id: str, access_token_id: str, now: datetime, entry: AuditEntry | None = None
    ) -> PersonalToken | None:
        """Revokes a token and gives it as it is now; the first revocation's time stays. None when the user has none such."""

    async def is_good(self, access_token_id: str) -> bool:
        """Whether the token is stored and not revoked, and its user not disabled. Says nothing about its expiry: that is in the token."""
