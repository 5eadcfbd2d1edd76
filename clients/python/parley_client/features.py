"""What a client calls the parts of the contract: a feature is a service, by the name that the client has for it.

It says what belongs to what. Which side serves a feature, and whether it is there, others decide.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal, TypeAlias

FeatureName: TypeAlias = Literal[
    "agents",
    "batches",
    "budgets",
    "calendar",
    "chat",
    "content",
    "documents",
    "events",
    "flags",
    "generation",
    "identity",
    "index",
    "ingestion",
    "meeting_bots",
    "projects",
    "recommendations",
    "scoring",
    "search",
    "system",
    "tasks",
    "tools",
    "usage",
    "users",
    "webhooks",
]
"""A feature. Sessions and messages belong to `chat`."""

PartName: TypeAlias = Literal["chat", "inference", "retrieval"]
"""A service of Parley's, as its status names it."""

_FEATURES: Mapping[str, FeatureName] = MappingProxyType(
    {
        "AgentService": "agents",
        "BatchService": "batches",
        "BudgetService": "budgets",
        "CalendarService": "calendar",
        "ChatService": "chat",
        "ContentService": "content",
        "DocumentService": "documents",
        "EventService": "events",
        "FlagService": "flags",
        "GenerationService": "generation",
        "IdentityService": "identity",
        "IndexService": "index",
        "IngestService": "ingestion",
        "MeetingBotService": "meeting_bots",
        "ProjectService": "projects",
        "RecommendationService": "recommendations",
        "ScoringService": "scoring",
        "SearchService": "search",
        "SystemService": "system",
        "TaskService": "tasks",
        "ToolService": "tools",
        "UsageService": "usage",
        "UserService": "users",
        "WebhookService": "webhooks",
    }
)

_PARTS: Mapping[str, frozenset[PartName]] = MappingProxyType(
    {
        "chat": frozenset[PartName]({"chat", "inference"}),
        "agents": frozenset[PartName]({"inference"}),
        "content": frozenset[PartName]({"inference"}),
        "generation": frozenset[PartName]({"inference"}),
        "scoring": frozenset[PartName]({"inference"}),
        "documents": frozenset[PartName]({"retrieval"}),
        "index": frozenset[PartName]({"retrieval"}),
        "ingestion": frozenset[PartName]({"retrieval"}),
        "recommendations": frozenset[PartName]({"retrieval"}),
        "search": frozenset[PartName]({"retrieval"}),
    }
)


def feature_of(service: str) -> str:
    """The feature of a service of the contract: of `ChatService` it is `chat`. The name itself of one that is not known."""
    name = service.rpartition(".")[2]
    return _FEATURES.get(name, name)


def parts_of(feature: str) -> frozenset[PartName]:
    """The services of Parley's that a feature cannot do without."""
    return _PARTS.get(feature, frozenset[PartName]({"chat"}))
