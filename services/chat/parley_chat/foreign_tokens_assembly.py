"""Puts together what verifies the tokens of other identity providers. A part of bootstrap.py, which says where it goes."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AsyncExitStack
from datetime import datetime

from parley_shared.settings import SettingsError
from parley_shared.sql import Database
from parley_shared.token_issuers import TokenIssuersError, read_token_issuers

from parley_chat.adapters.guarded_http import GuardedHttp
from parley_chat.adapters.http_issuer_keys import HttpIssuerKeys
from parley_chat.adapters.jwt_foreign_tokens import JwtForeignTokens, TrustedIssuer
from parley_chat.adapters.sql_foreign_users import SqlForeignUsers
from parley_chat.audit_assembly import audit_trail
from parley_chat.domain.foreign_tokens import ForeignRules
from parley_chat.domain.outbound import OutboundRules
from parley_chat.operations.audit_book import AuditBook
from parley_chat.operations.token_exchange import TokenExchange
from parley_chat.ports.token_signer import TokenSigner
from parley_chat.settings import ChatSettings


def open_token_exchange(
    settings: ChatSettings,
    database: Database,
    signer: TokenSigner,
    book: AuditBook,
    now: Callable[[], datetime],
    closing: AsyncExitStack,
) -> TokenExchange:
    """Reads the providers of the configuration file; fetches nothing yet. Raises SettingsError."""
    try:
        issuers = read_token_issuers(settings.config_file, own_issuer=settings.service.token_issuer)
    except TokenIssuersError as error:
        raise SettingsError("PARLEY_CHAT_CONFIG_FILE", f"{settings.config_file}: {error}.") from error
    # The operator names them, not a user: a company's own provider is on a private network.
    http = GuardedHttp(OutboundRules(private_addresses=True))
    closing.push_async_callback(http.close)
    trusted = []
    for each in issuers:
        keys = HttpIssuerKeys(http, each.issuer, each.jwks_url, each.keys_seconds)
        closing.push_async_callback(keys.close)
        rules = ForeignRules(each.name, each.issuer, each.scopes_claim, each.scopes, each.role_claim, each.admins)
        trusted.append(TrustedIssuer(rules, each.audiences, each.algorithms, each.clock_skew_seconds, keys))
    return TokenExchange(
        JwtForeignTokens(trusted),
        SqlForeignUsers(database),
        signer,
        settings.access_token_seconds,
        audit_trail(now),
        book,
        now,
    )
