"""The map of Parley: its parts, the ways between them, and what goes over each. Not how each part is: that is the status's."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from parley_chat.domain.models import Circuit, Provider
from parley_chat.domain.traffic import ProcessReport, Traffic

EDGE = "edge"
USERS = ""
"""Who calls through the edge, in a process's report."""

_WAYS = (
    (EDGE, "chat"),
    (EDGE, "retrieval"),
    (EDGE, "inference"),
    ("chat", "retrieval"),
    ("chat", "inference"),
    ("retrieval", "inference"),
)
"""Who calls whom to get answers written. The services ask chat about tokens now and then, too, which is no way of an answer."""


class NodeKind(StrEnum):
    """What a part is."""

    EDGE = "edge"
    SERVICE = "service"
    PROVIDER = "provider"
    STORE = "store"


@dataclass(frozen=True, slots=True)
class Node:
    """A part."""

    node_id: str
    kind: NodeKind
    technology: str = ""
    process_id: str = ""
    """Whose figures are told, of a service; empty while it does not answer."""


@dataclass(frozen=True, slots=True)
class Link:
    """A way."""

    start: str
    end: str
    traffic: Traffic | None = None
    """None while it is not known, and where nothing is counted."""
    circuit: Circuit = Circuit.UNKNOWN
    silent_traffic: Traffic | None = field(default=None, compare=False)
    """The same of a store: whoever looks makes some of it, so it is no news."""


@dataclass(frozen=True, slots=True)
class SystemMap:
    """All of it."""

    nodes: tuple[Node, ...]
    links: tuple[Link, ...]


def map_of(processes: Mapping[str, ProcessReport | None], providers: Sequence[Provider]) -> SystemMap:
    """Draws it. `processes` are the services in their order, each as it told; None for one that does not answer."""
    services = [
        Node(name, NodeKind.SERVICE, process_id=process.process_id if process else "")
        for name, process in processes.items()
    ]
    to_providers = [
        (
            Node(f"provider:{provider.provider}", NodeKind.PROVIDER, provider.kind),
            Link("inference", f"provider:{provider.provider}", provider.traffic, provider.circuit),
        )
        for provider in providers
    ]
    to_stores = list(_stores(processes))
    ways = [Link(start, end, _served(processes.get(end), start)) for start, end in _WAYS]
    return SystemMap(
        (Node(EDGE, NodeKind.EDGE), *services, *(node for node, _ in (*to_providers, *to_stores))),
        (*ways, *(link for _, link in (*to_providers, *to_stores))),
    )


def _served(process: ProcessReport | None, caller: str) -> Traffic | None:
    if process is None:
        return None
    window = max((traffic.window_seconds for traffic in process.callers.values()), default=1)
    # Who never called is not in its books.
    return process.callers.get(USERS if caller == EDGE else caller, Traffic(window, 0, 0, 0))


def _stores(processes: Mapping[str, ProcessReport | None]) -> Iterator[tuple[Node, Link]]:
    for name, process in processes.items():
        for store in process.stores if process else ():
            node_id = f"{name}:{store.name}"
            yield Node(node_id, NodeKind.STORE, store.kind), Link(name, node_id, silent_traffic=store.traffic)
