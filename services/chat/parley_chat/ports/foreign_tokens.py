"""What chat needs for tokens of other identity providers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Protocol

from parley_chat.domain.accounts import User
from parley_chat.domain.audit import AuditEntry, Deed
from parley_chat.domain.foreign_tokens import ForeignUser, VerifiedToken


class ForeignTokens(Protocol):
    """Verifies tokens of the providers that the operator trusts."""

    async def verify(self, token: str) -> VerifiedToken:
        """What the token says. Raises ForeignTokenRefusedError, ForeignTokenExpiredError or IssuerUnreachableError."""

    async def keys(self, issuer_name: str) -> Sequence[Mapping[str, str]]:
        """The usable keys of a provider, as JSON Web Keys. Raises IssuerNotFoundError or IssuerUnreachableError."""


class ForeignUsers(Protocol):
    """Users that came from other identity providers, by issuer and subject."""

    async def ensure(
        self, foreign: ForeignUser, now: datetime, entry_of: Callable[[Deed, str], AuditEntry] | None = None
    ) -> User:
        """The user, made on first sight, and once however many see it; with the role that the provider says, if it does.

        With either change, what `entry_of` makes of the deed and the user's id is stored in the audit trail.
        """
