"""Whether a token whose signature and time are good is refused all the same, and which of its scopes are still its user's.

A personal access token is refused once it is revoked; any token is refused when its user is disabled, or not in this database, which
happens when the data was deleted and the keys were not. The scopes of admins are good while their user is one.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import TypeVar

from parley_chat.domain.accounts import Role, User
from parley_chat.domain.tokens import ADMIN_SCOPES, PERSONAL_TOKEN_PREFIX
from parley_chat.ports.accounts import Accounts
from parley_chat.ports.personal_tokens import PersonalTokens

ANSWER_SECONDS = 1.0
"""How long an answer about a token or a user is believed: what another process of chat changes is known within this time."""

_Answer = TypeVar("_Answer")

_REMEMBERED_MOST = 10_000


class TokenRevocation:
    """Answers from the database, and from memory within the same second."""

    def __init__(self, accounts: Accounts, personal_tokens: PersonalTokens, *, clock: Callable[[], float]) -> None:
        self._accounts = accounts
        self._personal_tokens = personal_tokens
        self._clock = clock
        self._tokens: OrderedDict[str, tuple[float, bool]] = OrderedDict()
        self._users: OrderedDict[str, tuple[float, User | None]] = OrderedDict()

    async def is_refused(self, *, user_id: str, token_id: str) -> bool:
        """Whether to refuse the token of this name and user."""
        if await self._is_out(user_id):
            return True
        if not token_id.startswith(PERSONAL_TOKEN_PREFIX):
            return False
        return not await self._remembered(self._tokens, token_id, self._personal_tokens.is_good)

    async def is_good_user(self, user_id: str) -> bool:
        """Whether the user is there, and not disabled."""
        return not await self._is_out(user_id)

    async def is_good_personal_token(self, token_id: str) -> bool:
        """Whether the token is one of ours and not revoked, and its user not disabled. Asks the database: who asks remembers the answer."""
        return await self._personal_tokens.is_good(token_id)

    async def narrowed(self, user_id: str, scopes: frozenset[str]) -> frozenset[str]:
        """What is left of a token's scopes: all, or all but those of admins when its user is none (any more)."""
        if not scopes & ADMIN_SCOPES:
            return scopes
        user = await self._remembered(self._users, user_id, self._accounts.user)
        if user is not None and user.role is not Role.ADMIN:
            # Who became an admin a moment ago, and has a token that says so, need not wait.
            self.forget_user(user_id)
            user = await self._remembered(self._users, user_id, self._accounts.user)
        return scopes if user is not None and user.role is Role.ADMIN else scopes - ADMIN_SCOPES

    def forget(self, token_id: str) -> None:
        """Asks the database again at the next call: this process revoked the token itself."""
        self._tokens.pop(token_id, None)

    def forget_user(self, user_id: str) -> None:
        """Asks the database again at the next call: this process changed the user itself."""
        self._users.pop(user_id, None)

    async def _is_out(self, user_id: str) -> bool:
        user = await self._remembered(self._users, user_id, self._accounts.user)
        return user is None or user.disable_time is not None

    async def _remembered(
        self, answers: OrderedDict[str, tuple[float, _Answer]], key: str, ask: Callable[[str], Awaitable[_Answer]]
    ) -> _Answer:
        # The age counts from the moment of asking: what changes while the database answers must not be missed for longer.
        asked = self._clock()
        known = answers.get(key)
        if known is not None and asked - known[0] < ANSWER_SECONDS:
            return known[1]
        answer = await ask(key)
        answers[key] = (asked, answer)
        answers.move_to_end(key)
        while len(answers) > _REMEMBERED_MOST:
            answers.popitem(last=False)
        return answer
