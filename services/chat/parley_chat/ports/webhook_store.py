"""Where webhooks are kept: those of one user in a transaction of theirs, and whose turn it is over all users."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from parley_chat.domain.webhooks import Delivery, SealedKeys, Standing, Webhook


@dataclass(frozen=True, slots=True)
class KeptWebhook:
    """A webhook, and how its deliveries stand."""

    webhook: Webhook
    standing: Standing


class WebhookStore(Protocol):
    """The webhooks of one user, in the transaction of a workspace."""

    async def add(self, webhook: Webhook, keys: SealedKeys) -> None:
        """Stores a new one, which delivers what the log holds after this transaction."""
        ...

    async def get(self, webhook_id: str) -> KeptWebhook:
        """One of them. Raises NotFoundError."""
        ...

    async def list(self) -> Sequence[KeptWebhook]:
        """All of them, the oldest first."""
        ...

    async def put(self, webhook: Webhook) -> None:
        """Writes one anew, and takes it from whoever delivers it just then. Its failures are forgotten."""
        ...

    async def put_keys(self, webhook_id: str, keys: SealedKeys) -> None:
        """Writes its secrets anew."""
        ...

    async def skip(self, webhook_id: str, *, passes_this: bool) -> None:
        """Passes over what the log holds, and the one event of this transaction when there is one."""
        ...

    async def remove(self, webhook_id: str) -> bool:
        """Deletes one with its deliveries; gives whether it was there."""
        ...

    async def keys(self, webhook_id: str) -> SealedKeys:
        """Its secrets. Raises NotFoundError."""
        ...

    async def deliveries(self, webhook_id: str, limit: int) -> Sequence[Delivery]:
        """The last attempts, the newest first."""
        ...


@dataclass(frozen=True, slots=True)
class Claim:
    """A webhook that one replica delivers for a while."""

    user_id: str
    webhook_id: str
    lease_id: str


class WebhookQueue(Protocol):
    """Whose turn it is. Replicas that ask together divide the webhooks among them."""

    async def due(self, limit: int) -> Sequence[tuple[str, str]]:
        """User and webhook, where something is to be delivered that nobody delivers: those first that have waited longest since their last
        turn."""
        ...

    async def seconds_to_next(self) -> float | None:
        """How long it is until the next attempt that waits; None when none does."""
        ...

    async def claim(self, user_id: str, webhook_id: str) -> Claim | None:
        """Takes a webhook, for as long as a lease lasts; None when it is another's, or not due any more."""
        ...

    async def advance(self, claim: Claim, sequence: int, delivery: Delivery | None = None) -> bool:
        """Notes that all up to an event is delivered or passed over, and renews the lease; gives whether the claim still holds."""
        ...

    async def postpone(self, claim: Claim, delivery: Delivery, seconds: float) -> bool:
        """Notes a failure and when to try again, and gives the webhook back; gives whether the claim still held."""
        ...

    async def release(self, claim: Claim) -> None:
        """Gives the webhook back."""
        ...

    async def release_all(self) -> None:
        """Gives all back, whoever has them: for the start of a process that is the only one."""
        ...

    async def note(self, webhook_id: str, delivery: Delivery) -> None:
        """Notes an attempt that was made by request."""
        ...
