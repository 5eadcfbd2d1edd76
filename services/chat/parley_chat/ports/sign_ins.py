"""Where sign-ins and their refresh tokens are kept."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

from parley_chat.domain.tokens import RefreshToken, SignIn


class SignIns(Protocol):
    """Families of refresh tokens. Each token is found by its hash and belongs to one sign-in."""

    async def open(self, sign_in: SignIn, first: RefreshToken) -> None:
        """Stores a sign-in with its first token, and forgets those of the same user whose every token is over."""

    async def rotate(self, token_hash: str, following: RefreshToken) -> str | None:
        """Uses a token up and stores the one that follows it, at the moment `following.create_time`; gives the user's id.

        None when the token is unknown, over, used before, or its sign-in has ended. A token that was used before ends its
        sign-in. Of two calls at once with the same token at most one gives a user's id.
        """

    async def end(self, token_hash: str, now: datetime) -> None:
        """Ends the sign-in that the token came from. Does nothing when it is unknown or has ended."""
