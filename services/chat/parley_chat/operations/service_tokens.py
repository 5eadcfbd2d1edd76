"""The tokens with which chat calls inference and retrieval in a user's name. Not tokens that a user ever holds."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from datetime import datetime, timedelta

from parley_chat.domain.tokens import SERVICE_SCOPES, Claims, expire_after, new_access_token_id
from parley_chat.ports.token_signer import TokenSigner

LIFE_SECONDS = 300
RENEWED_BEFORE_END = timedelta(seconds=60)
_REMEMBERED_MOST = 10_000


class ServiceTokens:
    """One token per user, signed anew before it ends, so that a call costs a look-up and not a signature."""

    def __init__(
        self,
        signer: TokenSigner,
        *,
        service: str,
        now: Callable[[], datetime],
        on_made: Callable[[str], None] = lambda user_id: None,
    ) -> None:
        """`on_made` is told the user whenever a token is made."""
        self._signer = signer
        self._service = service
        self._now = now
        self._on_made = on_made
        self._tokens: OrderedDict[str, tuple[str, datetime]] = OrderedDict()

    def for_user(self, user_id: str) -> str:
        """A bearer token for calls in this user's name; good for another minute at least."""
        now = self._now()
        known = self._tokens.get(user_id)
        if known is not None and now < known[1] - RENEWED_BEFORE_END:
            self._tokens.move_to_end(user_id)
            return known[0]
        expire_time = expire_after(now, LIFE_SECONDS)
        claims = Claims(user_id, new_access_token_id(), SERVICE_SCOPES, now, expire_time, acting_service=self._service)
        token = self._signer.sign(claims)
        self._on_made(user_id)
        self._tokens[user_id] = (token, expire_time)
        self._tokens.move_to_end(user_id)
        while len(self._tokens) > _REMEMBERED_MOST:
            self._tokens.popitem(last=False)
        return token
