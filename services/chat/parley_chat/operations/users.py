"""What an admin does with the users of the installation, and the operator with the first admin. Not what users do with their accounts."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

from parley_chat.domain.accounts import OwnAccountError, Role, User, UserNotFoundError, normalize_email
from parley_chat.domain.audit import ActorKind, Deed
from parley_chat.operations.identity_audit import AuditTrail, Caller, tell
from parley_chat.operations.token_revocation import TokenRevocation
from parley_chat.ports.accounts import Accounts


class Users:
    """Lists users and changes what they may. Every argument is within its bounds already."""

    def __init__(
        self, accounts: Accounts, revocation: TokenRevocation, trail: AuditTrail, now: Callable[[], datetime]
    ) -> None:
        self._accounts = accounts
        self._revocation = revocation
        self._trail = trail
        self._now = now

    async def list(self, *, query: str, limit: int, after: tuple[datetime, str] | None) -> list[User]:
        """Users, newest first, at most `limit`, beginning after the one given."""
        return await self._accounts.page(query=query, limit=limit, after=after)

    async def set_role(self, admin_id: str, user_id: str, role: Role) -> User:
        """Gives another user a role. Raises OwnAccountError or UserNotFoundError."""
        entry = self._trail.entry(Deed.ROLE_SET, user_id, ActorKind.ADMIN, target=role.value)
        user = self._changed(await self._accounts.set_role(self._other(admin_id, user_id), role, entry))
        tell(entry)
        return user

    async def disable(self, admin_id: str, user_id: str) -> User:
        """Disables another user. Raises OwnAccountError or UserNotFoundError."""
        entry = self._trail.entry(Deed.USER_DISABLED, user_id, ActorKind.ADMIN)
        user = self._changed(await self._accounts.set_disabled(self._other(admin_id, user_id), self._now(), entry))
        tell(entry)
        return user

    async def enable(self, admin_id: str, user_id: str) -> User:
        """Enables another user. Raises OwnAccountError or UserNotFoundError."""
        entry = self._trail.entry(Deed.USER_ENABLED, user_id, ActorKind.ADMIN)
        user = self._changed(await self._accounts.set_disabled(self._other(admin_id, user_id), None, entry))
        tell(entry)
        return user

    def _other(self, admin_id: str, user_id: str) -> str:
        if user_id == admin_id:
            raise OwnAccountError
        return user_id

    def _changed(self, user: User | None) -> User:
        if user is None:
            raise UserNotFoundError
        self._revocation.forget_user(user.user_id)
        return user


async def set_role_by_email(accounts: Accounts, email: str, role: Role) -> User:
    """Gives the one who signs in with this address a role, in the operator's name. Raises UserNotFoundError."""
    account = await accounts.by_email(normalize_email(email))
    if account is None:
        raise UserNotFoundError
    trail = AuditTrail(Caller, lambda: datetime.now(UTC))
    entry = trail.entry(Deed.ROLE_SET, account.user.user_id, ActorKind.OPERATOR, target=role.value)
    user = await accounts.set_role(account.user.user_id, role, entry)
    if user is None:
        raise UserNotFoundError
    tell(entry)
    return user
