"""Changes a token of another identity provider for one of Parley's own, and makes its user on first sight.

Not a sign-in: no refresh token comes of it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

from parley_chat.domain.accounts import User
from parley_chat.domain.foreign_tokens import ForeignTokenRefusedError, foreign_user, scopes_of
from parley_chat.domain.tokens import Claims, expire_after, new_access_token_id
from parley_chat.operations.identity_audit import Deed, audit
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
        now: Callable[[], datetime],
    ) -> None:
        self._tokens = tokens
        self._users = users
        self._signer = signer
        self._life_seconds = life_seconds
        self._now = now

    async def exchange(self, token: str) -> tuple[User, str, datetime]:
        """The user, the access token and when it ends. Raises ForeignTokenRefusedError or IssuerUnreachableError."""
        verified = await self._tokens.verify(token)
        foreign = foreign_user(verified)
        now = self._now()
        user = await self._users.ensure(foreign, now)
        if user.create_time == now:
            audit(Deed.FOREIGN_USER_SEEN, user.user_id, issuer=foreign.issuer)
        if user.disable_time is not None:
            raise ForeignTokenRefusedError
        expire_time = min(expire_after(now, self._life_seconds), verified.expire_time)
        claims = Claims(user.user_id, new_access_token_id(), scopes_of(verified, user.role), now, expire_time)
        return user, self._signer.sign(claims), expire_time

    async def keys(self, issuer_name: str) -> Sequence[Mapping[str, str]]:
        """The keys of a provider. Raises IssuerNotFoundError or IssuerUnreachableError."""
        return await self._tokens.keys(issuer_name)
