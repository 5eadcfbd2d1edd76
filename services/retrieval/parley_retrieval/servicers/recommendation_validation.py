"""The bounds of RecommendationService's requests, as the contract states them. Each check names all fields that break one."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from parley.retrieval.v1 import recommendation_service_pb2 as pb
from parley_shared.validation import Violations

from parley_retrieval.domain.catalog import WEIGHTS, Interaction, InteractionKind

_ID_CHARACTERS = 100
_TITLE_CHARACTERS = 300
_TEXT_CHARACTERS = 20_000
_CATEGORY_CHARACTERS = 100
_LABELS = 20
_LABEL_NAME = re.compile(r"[a-z0-9_]{1,64}")
_LABEL_CHARACTERS = 500
_ITEMS = 100
_INTERACTIONS = 1_000
_LIMIT = 100
_WEIGHT = 10
_CLOCKS = timedelta(minutes=1)
"""How far the caller's clock may be ahead: what happened in this minute, happened now."""
_KINDS: Mapping[int, InteractionKind] = {
    pb.INTERACTION_KIND_VIEW: InteractionKind.VIEW,
    pb.INTERACTION_KIND_LIKE: InteractionKind.LIKE,
    pb.INTERACTION_KIND_DISLIKE: InteractionKind.DISLIKE,
    pb.INTERACTION_KIND_PURCHASE: InteractionKind.PURCHASE,
    pb.INTERACTION_KIND_CUSTOM: InteractionKind.CUSTOM,
}


def check_put_items(request: pb.PutCatalogItemsRequest) -> None:
    """Checks PutCatalogItems."""
    violations = Violations()
    violations.count("items", request.items, least=1, most=_ITEMS)
    ids: set[str] = set()
    for place, item in enumerate(request.items[:_ITEMS]):
        field = f"items[{place}]"
        _id(violations, f"{field}.item_id", item.item_id)
        if item.item_id in ids:
            violations.add(f"{field}.item_id", "must not be that of another item of the request")
        ids.add(item.item_id)
        violations.stored_text(f"{field}.title", item.title, least=1, most=_TITLE_CHARACTERS)
        violations.stored_text(f"{field}.text", item.text, most=_TEXT_CHARACTERS)
        violations.stored_text(f"{field}.category", item.category, most=_CATEGORY_CHARACTERS)
        _labels(violations, f"{field}.labels", item.labels)
    violations.check()


def check_delete_items(request: pb.DeleteCatalogItemsRequest) -> None:
    """Checks DeleteCatalogItems."""
    violations = Violations()
    violations.count("item_ids", request.item_ids, least=1, most=_ITEMS)
    for place, item_id in enumerate(request.item_ids[:_ITEMS]):
        _id(violations, f"item_ids[{place}]", item_id)
    violations.check()


def check_interactions(request: pb.RecordInteractionsRequest, now: datetime) -> None:
    """Checks RecordInteractions."""
    violations = Violations()
    violations.count("interactions", request.interactions, least=1, most=_INTERACTIONS)
    for place, interaction in enumerate(request.interactions[:_INTERACTIONS]):
        field = f"interactions[{place}]"
        _id(violations, f"{field}.person_id", interaction.person_id)
        _id(violations, f"{field}.item_id", interaction.item_id)
        violations.choice(f"{field}.kind", interaction.kind, _KINDS.keys())
        violations.number(f"{field}.weight", interaction.weight, least=-_WEIGHT, most=_WEIGHT)
        violations.stored_text(f"{field}.interaction_id", interaction.interaction_id, most=_ID_CHARACTERS)
        if interaction.HasField("time"):
            _past(violations, f"{field}.time", interaction, now)
    violations.check()


def interaction_of(interaction: pb.Interaction, now: datetime) -> Interaction:
    """An interaction that has been checked."""
    kind = _KINDS[interaction.kind]
    return Interaction(
        interaction.person_id,
        interaction.item_id,
        kind,
        WEIGHTS.get(kind, interaction.weight),
        min(interaction.time.ToDatetime(tzinfo=UTC), now) if interaction.HasField("time") else now,
        interaction.interaction_id,
    )


def check_list(request: pb.ListRecommendationsRequest) -> None:
    """Checks ListRecommendations."""
    violations = Violations()
    _id(violations, "person_id", request.person_id)
    violations.integer("limit", request.limit, least=0, most=_LIMIT)
    _labels(violations, "labels", request.labels)
    violations.number("diversity", request.diversity, least=0, most=1)
    violations.check()


def check_similar(request: pb.ListSimilarItemsRequest) -> None:
    """Checks ListSimilarItems."""
    violations = Violations()
    _id(violations, "item_id", request.item_id)
    violations.integer("limit", request.limit, least=0, most=_LIMIT)
    violations.check()


def check_person(person_id: str) -> None:
    """Checks DeletePerson."""
    violations = Violations()
    _id(violations, "person_id", person_id)
    violations.check()


def _past(violations: Violations, field: str, interaction: pb.Interaction, now: datetime) -> None:
    try:
        time = interaction.time.ToDatetime(tzinfo=UTC)
    except (ValueError, OverflowError):
        # protobuf takes any number of seconds; a calendar does not.
        violations.add(field, "must be a time from year 1 to year 9999")
        return
    if time > now + _CLOCKS:
        violations.add(field, "must not be in the future")


def _labels(violations: Violations, field: str, labels: Mapping[str, str]) -> None:
    violations.count(field, labels, most=_LABELS)
    for name in sorted(labels)[:_LABELS]:
        # A name may hold anything here, so the error does not repeat it.
        violations.pattern(field, name, _LABEL_NAME, "named with 1 to 64 of a-z 0-9 _")
        violations.stored_text(field, labels[name], most=_LABEL_CHARACTERS)


def _id(violations: Violations, field: str, value: str) -> None:
    violations.stored_text(field, value, least=1, most=_ID_CHARACTERS)
