"""Puts together who somebody is and how it is proved. A part of bootstrap.py, which says where it goes."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from datetime import datetime

from parley_shared.settings import SettingsError
from parley_shared.sql import Database
from parley_shared.tokens import Principal, TokenVerifier

from parley_chat.adapters.argon2_password_hasher import Argon2PasswordHasher
from parley_chat.adapters.es256_token_signer import Es256TokenSigner
from parley_chat.adapters.file_signing_key import SigningKey, load_or_make_signing_key
from parley_chat.adapters.json_local_user_file import JsonLocalUserFile
from parley_chat.adapters.private_files import PrivateFileError
from parley_chat.adapters.sql_accounts import SqlAccounts
from parley_chat.adapters.sql_personal_tokens import SqlPersonalTokens
from parley_chat.adapters.sql_sign_in_failures import SqlSignInFailures
from parley_chat.adapters.sql_sign_ins import SqlSignIns
from parley_chat.audit_assembly import audit_trail, open_audit_book
from parley_chat.domain.foreign_tokens import ForeignTokenRefusedError, IssuerUnreachableError
from parley_chat.foreign_tokens_assembly import open_token_exchange
from parley_chat.operations.audit_book import AuditBook
from parley_chat.operations.identity import Identity, IdentityRules
from parley_chat.operations.local_user import ensure_local_user
from parley_chat.operations.service_tokens import ServiceTokens
from parley_chat.operations.token_exchange import TokenExchange
from parley_chat.operations.token_revocation import TokenRevocation
from parley_chat.operations.users import Users
from parley_chat.servicers.status import to_status_error
from parley_chat.settings import SERVICE, ChatSettings


@dataclass(frozen=True)
class IdentityParts:
    """Who somebody is, and how it is proved."""

    identity: Identity
    users: Users
    exchange: TokenExchange
    book: AuditBook
    verifier: TokenVerifier
    service_tokens: ServiceTokens
    key: SigningKey


async def open_identity(
    settings: ChatSettings, database: Database, now: Callable[[], datetime], closing: AsyncExitStack
) -> IdentityParts:
    """Makes what the first run makes: keys and the local user. Raises SettingsError when a key file is not as it must be."""
    accounts = SqlAccounts(database)
    personal_tokens = SqlPersonalTokens(database)
    hasher = await asyncio.to_thread(Argon2PasswordHasher)
    closing.callback(hasher.close)
    try:
        key = await asyncio.to_thread(load_or_make_signing_key, settings.keys_folder, settings.service.jwks_file)
        if settings.local_user:
            await ensure_local_user(accounts, hasher, JsonLocalUserFile(settings.keys_folder), now=now)
    except PrivateFileError as error:
        raise SettingsError("PARLEY_CHAT_KEYS_FOLDER", str(error)) from error

    signer = Es256TokenSigner(
        key.private_pem,
        key.public.key_id,
        issuer=settings.service.token_issuer,
        audience=settings.service.token_audience,
    )
    trail, book = audit_trail(now), open_audit_book(settings, database, now, closing)
    revocation = TokenRevocation(accounts, personal_tokens, clock=time.monotonic)
    identity = Identity(
        accounts=accounts,
        sign_ins=SqlSignIns(database),
        failures=SqlSignInFailures(database),
        personal_tokens=personal_tokens,
        hasher=hasher,
        signer=signer,
        revocation=revocation,
        trail=trail,
        book=book,
        rules=IdentityRules(
            sign_up_open=settings.sign_up_open,
            access_token_seconds=settings.access_token_seconds,
            refresh_token_seconds=settings.refresh_token_seconds,
        ),
        now=now,
    )

    async def is_revoked(principal: Principal) -> bool:
        return await revocation.is_refused(user_id=principal.user_id, token_id=principal.token_id)

    async def narrowed(principal: Principal) -> Principal:
        scopes = await revocation.narrowed(principal.user_id, principal.scopes)
        return principal if scopes == principal.scopes else replace(principal, scopes=scopes)

    users = Users(accounts, revocation, trail, now)
    exchange = open_token_exchange(settings, database, signer, book, now, closing)

    async def own_token(foreign: str) -> str:
        try:
            return (await exchange.exchange(foreign))[1]
        except (ForeignTokenRefusedError, IssuerUnreachableError) as error:
            raise (to_status_error(error) or error) from error

    verifier = TokenVerifier(
        settings.service.jwks_file,
        settings.service.token_issuer,
        settings.service.token_audience,
        is_revoked=is_revoked,
        narrowed=narrowed,
        exchange=own_token,
    )

    def on_service_token(user_id: str) -> None:
        book.gather(trail.service_entry(SERVICE, user_id))

    service_tokens = ServiceTokens(signer, service=SERVICE, now=now, on_made=on_service_token)
    return IdentityParts(identity, users, exchange, book, verifier, service_tokens, key)
