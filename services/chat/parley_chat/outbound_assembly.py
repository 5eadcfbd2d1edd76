"""What features need that ask servers of others, plugged together: the guarded way out, and the box for secrets."""

from __future__ import annotations

from contextlib import AsyncExitStack
from dataclasses import dataclass

from parley_shared.settings import SettingsError

from parley_chat.adapters.guarded_http import GuardedHttp
from parley_chat.adapters.sealed_secrets import SealedSecrets
from parley_chat.domain.outbound import OutboundRules
from parley_chat.settings import ChatSettings


@dataclass(frozen=True)
class Outbound:
    """What asks, and where the secrets for it rest."""

    http: GuardedHttp
    secrets: SealedSecrets


def open_outbound(settings: ChatSettings, signing_pem: bytes, closing: AsyncExitStack) -> Outbound:
    """Makes both. Raises SettingsError for a key that is none."""
    http = GuardedHttp(OutboundRules(settings.outbound_private_addresses))
    closing.push_async_callback(http.close)
    try:
        secrets = SealedSecrets.of(settings.secrets_key, signing_pem)
    except ValueError as error:
        raise SettingsError("PARLEY_CHAT_SECRETS_KEY", f"PARLEY_CHAT_SECRETS_KEY: {error}.") from None
    return Outbound(http, secrets)
