"""The account of the person at this computer, made at first run so that the first question needs no sign-up.

Not a way around signing in: the account has a random password like any other, which only the owner of the home folder can
read. Installations for many turn it off.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

from parley_chat.domain.accounts import (
    LOCAL_USER_EMAIL,
    LOCAL_USER_NAME,
    Account,
    EmailTakenError,
    User,
    new_user_id,
)
from parley_chat.domain.audit import ActorKind, Deed
from parley_chat.operations.identity_audit import AuditTrail, Caller, tell
from parley_chat.ports.accounts import Accounts
from parley_chat.ports.local_user_file import LocalUser, LocalUserFile
from parley_chat.ports.password_hasher import PasswordHasher, PasswordMatch

_PASSWORD_BYTES = 24


async def ensure_local_user(
    accounts: Accounts, hasher: PasswordHasher, file: LocalUserFile, *, now: Callable[[], datetime]
) -> LocalUser:
    """Makes account and file agree, whichever of the two is missing: the file's password counts, the database's user id does.

    Safe when several processes start at once.
    """
    proposed = LocalUser(LOCAL_USER_EMAIL, secrets.token_urlsafe(_PASSWORD_BYTES), new_user_id())
    local = await asyncio.to_thread(file.read_or_write, proposed)
    account = await accounts.by_email(local.email)
    if account is None:
        user = User(local.user_id, local.email, LOCAL_USER_NAME, now())
        try:
            entry = AuditTrail(Caller, now).entry(Deed.SIGNED_UP, user.user_id, ActorKind.OPERATOR)
            await accounts.add(Account(user, await hasher.hash(local.password)), entry)
        except EmailTakenError:
            # Another process that starts now was first; it read the same file.
            account = await accounts.by_email(local.email)
        else:
            tell(entry)
            return local
    if account is None:
        raise RuntimeError("the local user was deleted while it was being made")
    if await hasher.compare(local.password, account.password_hash) is not PasswordMatch.RIGHT:
        await accounts.set_password_hash(account.user.user_id, await hasher.hash(local.password))
    if account.user.user_id != local.user_id:
        local = replace(local, user_id=account.user.user_id)
        await asyncio.to_thread(file.write, local)
    return local
