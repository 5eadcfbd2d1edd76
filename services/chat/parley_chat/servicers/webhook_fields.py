"""Webhooks between the contract and the domain: bounds, packing and unpacking. The bounds are the contract's."""

from __future__ import annotations

from collections.abc import Sequence

from parley.events.v1 import webhook_pb2, webhook_service_pb2
from parley_shared.validation import Violations

from parley_chat.domain.events import Action, ResourceType
from parley_chat.domain.outbound import OutboundRules
from parley_chat.domain.webhooks import Delivery, DeliveryOutcome, DisableReason, Standing, Webhook, WebhookState
from parley_chat.operations.webhooks import ROTATION_OVERLAP_SECONDS, WebhookChanges
from parley_chat.ports.webhook_store import KeptWebhook
from parley_chat.servicers.outbound_words import check_url_field, sentence_of

WEBHOOK_PREFIX = "whk_"
DESCRIPTION_MOST = 500
EVENT_TYPES_MOST = 50
OVERLAP_MOST = 604_800
DELIVERIES_DEFAULT, DELIVERIES_MOST = 50, 100
SECRET_LOST_SENTENCE = "The secret cannot be read any more. Rotate it."  # noqa: S105 - says that there is none

EVENT_TYPES = frozenset(
    {f"{kind.value}.{action.value}" for kind in ResourceType for action in Action}
    | {f"{kind.value}.*" for kind in ResourceType}
)

_CHANGEABLE = ("url", "description", "event_types", "state")
_STATES = {
    webhook_pb2.WEBHOOK_STATE_ACTIVE: WebhookState.ACTIVE,
    webhook_pb2.WEBHOOK_STATE_DISABLED: WebhookState.DISABLED,
}
_PACKED_STATES = {state: packed for packed, state in _STATES.items()}
_PACKED_REASONS = {
    DisableReason.NONE: webhook_pb2.WEBHOOK_DISABLE_REASON_UNSPECIFIED,
    DisableReason.USER: webhook_pb2.WEBHOOK_DISABLE_REASON_USER,
    DisableReason.GONE: webhook_pb2.WEBHOOK_DISABLE_REASON_GONE,
    DisableReason.FAILING: webhook_pb2.WEBHOOK_DISABLE_REASON_FAILING,
    DisableReason.SECRET_LOST: webhook_pb2.WEBHOOK_DISABLE_REASON_SECRET_LOST,
}
_PACKED_OUTCOMES = {
    DeliveryOutcome.DELIVERED: webhook_pb2.WEBHOOK_DELIVERY_OUTCOME_DELIVERED,
    DeliveryOutcome.REJECTED: webhook_pb2.WEBHOOK_DELIVERY_OUTCOME_REJECTED,
    DeliveryOutcome.UNREACHABLE: webhook_pb2.WEBHOOK_DELIVERY_OUTCOME_UNREACHABLE,
    DeliveryOutcome.REFUSED: webhook_pb2.WEBHOOK_DELIVERY_OUTCOME_REFUSED,
}


def new_webhook(
    request: webhook_service_pb2.CreateWebhookRequest, rules: OutboundRules
) -> tuple[str, str, tuple[str, ...]]:
    """Checks the request for a new webhook; gives URL, description and types."""
    violations = Violations()
    check_url_field(violations, "url", request.url, rules)
    _description(violations, request.description)
    types = _event_types(violations, request.event_types)
    violations.check()
    return request.url, request.description, types


def changes_of(request: webhook_service_pb2.UpdateWebhookRequest, rules: OutboundRules) -> WebhookChanges:
    """Checks the request to change a webhook, and gives what it changes."""
    violations = Violations()
    violations.identifier("webhook_id", request.webhook_id, WEBHOOK_PREFIX)
    paths = violations.changed_fields(request, _CHANGEABLE)
    changes: WebhookChanges = {}
    if "url" in paths:
        check_url_field(violations, "url", request.url, rules)
        changes["url"] = request.url
    if "description" in paths:
        _description(violations, request.description)
        changes["description"] = request.description
    if "event_types" in paths:
        changes["event_types"] = _event_types(violations, request.event_types)
    if "state" in paths:
        violations.choice("state", request.state, _STATES)
        changes["state"] = _STATES.get(request.state, WebhookState.ACTIVE)
    violations.check()
    return changes


def overlap_of(request: webhook_service_pb2.RotateWebhookSecretRequest) -> int:
    """Checks the request for a new secret; gives for how many seconds the old one is good."""
    violations = Violations()
    violations.identifier("webhook_id", request.webhook_id, WEBHOOK_PREFIX)
    violations.integer("overlap_seconds", request.overlap_seconds, least=0, most=OVERLAP_MOST)
    violations.check()
    return request.overlap_seconds if request.HasField("overlap_seconds") else ROTATION_OVERLAP_SECONDS


def check_webhook_id(webhook_id: str) -> None:
    """The id of a webhook."""
    violations = Violations()
    violations.identifier("webhook_id", webhook_id, WEBHOOK_PREFIX)
    violations.check()


def pack_webhook(webhook: Webhook, standing: Standing | None = None) -> webhook_pb2.Webhook:
    """A webhook, with how its deliveries stand when that is known."""
    packed = webhook_pb2.Webhook(
        webhook_id=webhook.webhook_id,
        url=webhook.url,
        description=webhook.description,
        event_types=webhook.event_types,
        state=_PACKED_STATES[webhook.state],
        disable_reason=_PACKED_REASONS[webhook.disable_reason],
    )
    packed.create_time.FromDatetime(webhook.create_time)
    packed.update_time.FromDatetime(webhook.update_time)
    if webhook.previous_secret_expire_time is not None:
        packed.previous_secret_expire_time.FromDatetime(webhook.previous_secret_expire_time)
    if standing is not None:
        packed.delivered_sequence = standing.delivered_sequence
        packed.failed_attempts = standing.failed_attempts
        if standing.next_attempt_time is not None:
            packed.next_attempt_time.FromDatetime(standing.next_attempt_time)
        if standing.last_delivery is not None:
            packed.last_delivery.CopyFrom(pack_delivery(standing.last_delivery))
    return packed


def pack_kept(kept: KeptWebhook) -> webhook_pb2.Webhook:
    """A webhook with how its deliveries stand."""
    return pack_webhook(kept.webhook, kept.standing)


def pack_delivery(delivery: Delivery) -> webhook_pb2.WebhookDelivery:
    """An attempt to deliver."""
    packed = webhook_pb2.WebhookDelivery(
        message_id=delivery.message_id,
        event_type=delivery.event_type,
        sequence=delivery.sequence,
        attempt=delivery.attempt,
        duration_ms=delivery.duration_ms,
        outcome=_PACKED_OUTCOMES[delivery.outcome],
        status_code=delivery.status_code,
        error=SECRET_LOST_SENTENCE if delivery.trouble == DisableReason.SECRET_LOST else sentence_of(delivery.trouble),
    )
    packed.time.FromDatetime(delivery.time)
    return packed


def _description(violations: Violations, description: str) -> None:
    violations.stored_text("description", description, most=DESCRIPTION_MOST)


def _event_types(violations: Violations, types: Sequence[str]) -> tuple[str, ...]:
    violations.count("event_types", types, most=EVENT_TYPES_MOST)
    for place, each in enumerate(types[:EVENT_TYPES_MOST]):
        if each not in EVENT_TYPES:
            violations.add(f"event_types[{place}]", "must be a type of events, like task.created or task.*")
    return tuple(dict.fromkeys(types[:EVENT_TYPES_MOST]))
