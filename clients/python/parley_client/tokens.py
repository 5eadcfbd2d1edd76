"""Where the bearer token of a call comes from. It keeps no token anywhere but in memory."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from parley_client.errors import ParleyError

if TYPE_CHECKING:
    from parley.identity.v1 import user_pb2

    from parley_client.identity import Identity


# What a header may hold, without spaces: no token of any kind has other characters.
_TOKEN = re.compile(r"[\x21-\x7e]+")


class TokenError(ValueError):
    """What was given is no token: it has characters that no header can hold. The message is for a person and does not have the token."""


def check_token(token: str) -> str:
    """The token, when a call can carry it; raises TokenError otherwise. Whether Parley takes it is another question."""
    if _TOKEN.fullmatch(token):
        return token
    if not token:
        raise TokenError("it is empty")
    if token.strip() != token or "\n" in token or "\r" in token:
        raise TokenError("it has a space or a line break in it")
    raise TokenError("it has characters that no token has")


class TokenProvider(Protocol):
    """Gives a bearer token whenever a call needs one. Used by many calls at once."""

    async def token(self, identity: Identity) -> str:
        """A token that is good now. `identity` makes the calls that need no token: signing in and refreshing."""
        ...

    def forget(self, token: str) -> None:
        """Is told that Parley refused the token. A provider that then gives another one has the call tried once more."""
        ...


class FixedToken:
    """One token that somebody made before: a personal access token."""

    def __init__(self, token: str) -> None:
        """Raises TokenError for what no call can carry."""
        self._token = check_token(token)

    async def token(self, identity: Identity) -> str:
        """The token."""
        return self._token

    def forget(self, token: str) -> None:
        """Keeps it: there is no other."""


class PasswordTokens:
    """Signs in with an e-mail address and a password, and refreshes before the token ends.

    However many calls ask at once, one of them signs in and the others wait for it: a refresh token works once, and using it
    twice would end the whole sign-in.
    """

    def __init__(
        self, email: str, password: str, *, renew_before_seconds: float = 60.0, clock: Callable[[], float] = time.time
    ) -> None:
        """`renew_before_seconds`: how long before its end a token is no longer used. `clock`: seconds since 1970."""
        self._email = email
        self._password = password
        self._renew_before_seconds = renew_before_seconds
        self._clock = clock
        self._pair: user_pb2.TokenPair | None = None
        self._forgotten = ""
        self._renewing = asyncio.Lock()

    async def token(self, identity: Identity) -> str:
        """The current access token; signs in or refreshes when there is none that is good for long enough."""
        if (pair := self._good_pair()) is not None:
            return pair.access_token
        async with self._renewing:
            # Whoever held the lock before may have done it for everybody.
            if (pair := self._good_pair()) is None:
                pair = self._pair = await self._renew(identity)
            return pair.access_token

    def forget(self, token: str) -> None:
        """Never uses the token again."""
        self._forgotten = token

    @property
    def expire_time(self) -> float:
        """When the current access token ends, seconds since 1970; 0 before the first."""
        return float(self._pair.access_token_expire_time.seconds) if self._pair is not None else 0.0

    def _good_pair(self) -> user_pb2.TokenPair | None:
        pair = self._pair
        if pair is None or pair.access_token == self._forgotten:
            return None
        ends = pair.access_token_expire_time.seconds
        return pair if ends - self._clock() > self._renew_before_seconds else None

    async def _renew(self, identity: Identity) -> user_pb2.TokenPair:
        # The refresh token is spent by the attempt, whatever becomes of it.
        spent, self._pair = self._pair, None
        if spent is not None and spent.refresh_token_expire_time.seconds > self._clock():
            try:
                return await identity.refresh_tokens(spent.refresh_token)
            except ParleyError:
                # It ended, was revoked, or its answer was lost on the way. The password still works, or says why not.
                pass
        return (await identity.sign_in(self._email, self._password)).tokens
