"""Whether a token whose signature and time are good is refused all the same.

A personal access token is refused once it is revoked; any token is refused when its user is not in this database, which
happens when the data was deleted and the keys were not.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Awaitable, Callable

from parley_chat.domain.tokens import PERSONAL_TOKEN_PREFIX
from parley_chat.ports.accounts import Accounts
from parley_chat.ports.personal_tokens import PersonalTokens

TOKEN_ANSWER_SECONDS = 1.0
"""How long an answer about a token is believed: one revoked by another process of chat is refused within this time."""

USER_ANSWER_SECONDS = 60.0
"""How long an answer about a user is believed. Users leave only together with the whole database."""

_REMEMBERED_MOST = 10_000


class TokenRevocation:
    """Answers from the database, and from memory within the same second."""

    def __init__(self, accounts: Accounts, personal_tokens: PersonalTokens, *, clock: Callable[[], float]) -> None:
        self._accounts = accounts
        self._personal_tokens = personal_tokens
        self._clock = clock
        self._tokens: OrderedDict[str, tuple[float, bool]] = OrderedDict()
        self._users: OrderedDict[str, tuple[float, bool]] = OrderedDict()

    async def is_refused(self, *, user_id: str, token_id: str) -> bool:
        """Whether to refuse the token of this name and user."""
        if token_id.startswith(PERSONAL_TOKEN_PREFIX):
            # Its row goes with its user, so one look-up answers for both.
            return not await self._remembered(
                self._tokens, token_id, self._personal_tokens.is_good, TOKEN_ANSWER_SECONDS
            )
        return not await self._remembered(self._users, user_id, self._user_exists, USER_ANSWER_SECONDS)

    def forget(self, token_id: str) -> None:
        """Asks the database again at the next call: this process revoked the token itself."""
        self._tokens.pop(token_id, None)

    async def _user_exists(self, user_id: str) -> bool:
        return await self._accounts.user(user_id) is not None

    async def _remembered(
        self,
        answers: OrderedDict[str, tuple[float, bool]],
        key: str,
        ask: Callable[[str], Awaitable[bool]],
        believed_seconds: float,
    ) -> bool:
        # The age counts from the moment of asking: what changes while the database answers must not be missed for longer.
        asked = self._clock()
        known = answers.get(key)
        if known is not None and asked - known[0] < believed_seconds:
            return known[1]
        answer = await ask(key)
        answers[key] = (asked, answer)
        answers.move_to_end(key)
        while len(answers) > _REMEMBERED_MOST:
            answers.popitem(last=False)
        return answer
