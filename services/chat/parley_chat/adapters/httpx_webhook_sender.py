"""Posts to webhooks through the guarded way out. Nothing of what a server answers is looked at but its status and Retry-After."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress

from parley_chat.adapters.guarded_http import GuardedClient, GuardedHttp, OutboundLimits
from parley_chat.domain.outbound import AddressRefusedError, OutboundError, RemoteUnreachableError
from parley_chat.domain.webhooks import DeliveryOutcome
from parley_chat.ports.webhook_sender import Sent

_READ_BYTES = 65_536
_MOST_DIGITS = 9
# How long an answer may be does not matter: the rest is not read.
_LIMITS = OutboundLimits(
    body_bytes=2**40, connect_seconds=5, read_seconds=15, total_seconds=20, redirects=0, connections=40
)
_ASK_AGAIN = frozenset({429, 503})
_OK = range(200, 300)
_AGENT = "Parley-Webhooks/1"


class HttpxWebhookSender:
    """The port `WebhookSender`."""

    def __init__(self, outbound: GuardedHttp, limits: OutboundLimits = _LIMITS) -> None:
        self._outbound = outbound
        self._limits = limits
        self._client: GuardedClient | None = None

    async def send(self, url: str, headers: Mapping[str, str], body: bytes) -> Sent:
        """Posts once."""
        if self._client is None:
            self._client = self._outbound.client(self._limits)
        whole = {**headers, "Content-Type": "application/json", "User-Agent": _AGENT}
        try:
            async with self._client.stream("POST", url, headers=whole, content=body) as response:
                # A short answer is read to its end, so that the connection is good for the next message.
                with suppress(OutboundError):
                    size = 0
                    async for piece in response.aiter_raw():
                        size += len(piece)
                        if size > _READ_BYTES:
                            break
        except AddressRefusedError as error:
            return Sent(DeliveryOutcome.REFUSED, trouble=error.refusal.value)
        except RemoteUnreachableError as error:
            return Sent(DeliveryOutcome.UNREACHABLE, trouble=error.trouble.value)
        if response.status_code in _OK:
            return Sent(DeliveryOutcome.DELIVERED, response.status_code)
        wish = response.headers.get("Retry-After", "") if response.status_code in _ASK_AGAIN else ""
        # It may also be a date, which nobody sends.
        seconds = float(wish) if wish.isascii() and wish.isdecimal() and len(wish) <= _MOST_DIGITS else 0.0
        return Sent(DeliveryOutcome.REJECTED, response.status_code, retry_after_seconds=seconds)

    async def close(self) -> None:
        """Closes the connections."""
        if self._client is not None:
            await self._client.aclose()
