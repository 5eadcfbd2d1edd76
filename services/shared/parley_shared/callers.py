"""Where a call comes from: the caller's place in the network and what its client calls itself. Not who calls: `tokens.py`.

Nothing here is proved: a place is what the edge says, and somebody who gets past the edge may say anything.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass

ADDRESS_HEADER = "x-parley-address"
"""Set by the edge, over whatever the caller says."""
USER_AGENT_HEADER = "x-parley-user-agent"
"""Set by a service that asks another one for a caller: `user-agent` is its own there."""
ADDRESS_MOST, USER_AGENT_MOST = 64, 200


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a call comes from; each is empty when it is not known, and printable."""

    address: str = ""
    """At most `ADDRESS_MOST` characters."""
    user_agent: str = ""
    """At most `USER_AGENT_MOST` characters."""

    def as_metadata(self) -> tuple[tuple[str, str], ...]:
        """What tells another service of it."""
        said = ((ADDRESS_HEADER, self.address), (USER_AGENT_HEADER, self.user_agent))
        return tuple((key, value) for key, value in said if value)


_NOWHERE = Origin()
_origin: ContextVar[Origin] = ContextVar("parley_origin", default=_NOWHERE)


def origin_of(metadata: Mapping[str, str]) -> Origin:
    """What the metadata of a call says."""
    user_agent = metadata.get(USER_AGENT_HEADER) or metadata.get("user-agent", "")
    return Origin(_plain(metadata.get(ADDRESS_HEADER, ""), ADDRESS_MOST), _plain(user_agent, USER_AGENT_MOST))


def current_origin() -> Origin:
    """Where the call comes from that is being served; nowhere known outside of one."""
    return _origin.get()


def set_current_origin(origin: Origin) -> None:
    """Says where the call comes from, for the running task and the tasks it starts. The interceptor does."""
    _origin.set(origin)


def _plain(text: str, most: int) -> str:
    """ASCII that prints: metadata can hold nothing else on the wire, and goes back to it."""
    return "".join(character for character in text[:most] if " " <= character <= "~").strip()
