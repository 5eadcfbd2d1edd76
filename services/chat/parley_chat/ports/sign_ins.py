"""Where sign-ins and their refresh tokens are kept."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Protocol

from parley_chat.domain.audit import AuditEntry
from parley_chat.domain.tokens import RefreshToken, SignIn


class SignIns(Protocol):
    """Families of refresh tokens. Each token is found by its hash and belongs to one sign-in.

    An `entry` of the audit trail is stored with the change.
    """

    async def open(self, sign_in: SignIn, first: RefreshToken, entry: AuditEntry | None = None) -> None:
        """Stores a sign-in with its first token, and forgets those of the same user whose every token is over."""

    async def rotate(
        self, token_hash: str, following: RefreshToken, on_reuse: Callable[[str], AuditEntry] | None = None
    ) -> str | None:
        """Uses a token up and stores the one that follows it, at the moment `following.create_time`; gives the user's id.

        None when the token is unknown, over, used before, or its sign-in has ended. A token that was used before ends its
        sign-in, and what `on_reuse` makes of the user's id is stored.
        Of two calls at once with the same token at most one gives a user's id.
        """

    async def end(self, token_hash: str, now: datetime, on_end: Callable[[str], AuditEntry] | None = None) -> None:
        """Ends the sign-in that the token came from, and stores what `on_end` makes of the user's id.

        Does nothing when it is unknown or has ended.
        """
