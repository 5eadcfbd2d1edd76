"""Changes a token of another identity provider for one of Parley's own, and makes its user on first sight.

Not a sign-in: no refresh token comes of it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

from parley_chat.domain.accounts import Role, User
from parley_chat.domain.audit import Actor, ActorKind, AuditEntry, Deed
from parley_chat.domain.foreign_tokens import ForeignTokenRefusedError, foreign_user, scopes_of
from parley_chat.domain.tokens import Claims, expire_after, new_access_token_id
from parley_chat.operations.audit_book import AuditBook
from parley_chat.operations.identity_audit import AuditTrail, tell
from parley_chat.ports.foreign_tokens import ForeignTokens, ForeignUsers
from parley_chat.ports.token_signer import TokenSigner


class TokenExchange:
    """What the door does with a token that is not Parley's own."""

    def __init__(
        self,
        tokens: ForeignTokens,
        users: ForeignUsers,
        signer: TokenSigner,
        life_seconds: int,
        trail: AuditTrail,
        book: AuditBook,
        now: Callable[[], datetime],
    ) -> None:
        self._tokens = tokens
        self._users = users
        self._signer = signer
        self._life_seconds = life_seconds
        self._trail = trail
        self._book = book
        self._now = now

    async def exchange(self, token: str) -> tuple[User, str, datetime]:
        """The user, the access token and when it ends. Raises ForeignTokenRefusedError or IssuerUnreachableError."""
        verified = await self._tokens.verify(token)
        foreign = foreign_user(verified)
        now = self._now()
        told: list[AuditEntry] = []

        def entry_of(deed: Deed, user_id: str) -> AuditEntry:
            if deed is Deed.ROLE_SET:
                said = Actor(ActorKind.ISSUER, name=foreign.issuer)
                entry = self._trail.entry(deed, user_id, actor=said, target=(foreign.role or Role.USER).value)
            else:
                entry = self._trail.entry(deed, user_id, actor=Actor(ActorKind.USER, user_id), target=foreign.issuer)
            told.append(entry)
            return entry

        user = await self._users.ensure(foreign, now, entry_of)
        for entry in told:
            tell(entry)
        if user.disable_time is not None:
            refused = self._trail.entry(Deed.SIGN_IN_REFUSED, user.user_id, actor=Actor(ActorKind.USER, user.user_id))
            self._book.gather(refused)
            tell(refused)
            raise ForeignTokenRefusedError
        expire_time = min(expire_after(now, self._life_seconds), verified.expire_time)
        claims = Claims(user.user_id, new_access_token_id(), scopes_of(verified, user.role), now, expire_time)
        return user, self._signer.sign(claims), expire_time

    async def keys(self, issuer_name: str) -> Sequence[Mapping[str, str]]:
        """The keys of a provider. Raises IssuerNotFoundError or IssuerUnreachableError."""
        return await self._tokens.keys(issuer_name)
