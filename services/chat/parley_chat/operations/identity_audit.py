"""The audit trail of who got in, who did not, and who may what: how its entries are made, and told to the log `parley.audit`.

Not where it is kept and listed: audit_book.py. Not the events of what users own, which are data: domain/events.py.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime

from parley_chat.domain.audit import (
    TARGET_MOST,
    Actor,
    ActorKind,
    AuditEntry,
    Deed,
    new_audit_event_id,
)

_logger = logging.getLogger("parley.audit")

_TARGETS = {
    Deed.FOREIGN_USER_SEEN: "issuer",
    Deed.TOKEN_CREATED: "access_token_id",
    Deed.TOKEN_REVOKED: "access_token_id",
    Deed.ROLE_SET: "role",
    Deed.FLAG_SET: "flag",
    Deed.FLAG_DELETED: "flag",
    Deed.SERVICE_ACTED: "service",
}
"""What a line of the log calls the target."""


@dataclass(frozen=True)
class Caller:
    """Who makes the call that is being served, and from where; each is empty when it is not known."""

    user_id: str = ""
    token_id: str = ""
    address: str = ""
    user_agent: str = ""
    trace_id: str = ""


class AuditTrail:
    """Makes entries of what happens now."""

    def __init__(self, caller: Callable[[], Caller], now: Callable[[], datetime]) -> None:
        self._caller = caller
        self._now = now

    def entry(
        self, deed: Deed, user_id: str, by: ActorKind = ActorKind.USER, *, actor: Actor | None = None, target: str = ""
    ) -> AuditEntry:
        """An entry on a user. It was the caller who did it, or the user when none is known; unless `by` or `actor` says otherwise."""
        caller, now = self._caller(), self._now()
        if actor is None:
            known = by in (ActorKind.USER, ActorKind.ADMIN)
            actor = Actor(by, caller.user_id or user_id, token_id=caller.token_id) if known else Actor(by)
        return AuditEntry(
            audit_event_id=new_audit_event_id(now),
            user_id=user_id,
            deed=deed,
            create_time=now,
            actor=actor,
            address=caller.address,
            user_agent=caller.user_agent,
            target=target[:TARGET_MOST],
            trace_id=caller.trace_id,
            last_time=now,
        )

    def service_entry(self, service: str, user_id: str) -> AuditEntry:
        """An entry on a service that acts in a user's name: it is the same wherever the user's calls come from."""
        entry = self.entry(
            Deed.SERVICE_ACTED, user_id, actor=Actor(ActorKind.SERVICE, user_id, service), target=service
        )
        return replace(entry, address="", user_agent="")


class Told:
    """Entries that a port asks for in the middle of a change: told to the log once the change is stored."""

    def __init__(self, make: Callable[[str], AuditEntry]) -> None:
        """`make` makes an entry of a user's id."""
        self._make = make
        self._made: list[AuditEntry] = []

    def __call__(self, user_id: str) -> AuditEntry:
        """The entry."""
        entry = self._make(user_id)
        self._made.append(entry)
        return entry

    def tell(self) -> None:
        """Tells those that were asked for."""
        for entry in self._made:
            tell(entry)


def tell(entry: AuditEntry) -> None:
    """Writes a line of the log."""
    details = {"user_id": entry.user_id}
    if entry.deed in _TARGETS:
        details[_TARGETS[entry.deed]] = entry.target
    if entry.actor.kind is ActorKind.ADMIN:
        details["admin_id"] = entry.actor.user_id
    if entry.address:
        details["address"] = entry.address
    level = logging.WARNING if entry.deed is Deed.REFRESH_TOKEN_REUSED else logging.INFO
    _logger.log(level, entry.deed.value, extra=details)
