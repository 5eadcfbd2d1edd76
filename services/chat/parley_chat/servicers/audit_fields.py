"""Audit events between the contract and the domain: who may ask for which, bounds, packing. The bounds are the contract's."""

from __future__ import annotations

import re

from grpc import StatusCode
from parley.identity.v1 import audit_event_pb2
from parley.identity.v1 import identity_service_pb2 as pb
from parley_shared.paging import decode_page_token, encode_page_token, invalid_page_token
from parley_shared.status import StatusError
from parley_shared.tokens import Principal
from parley_shared.validation import Violations

from parley_chat.domain.audit import AUDIT_EVENT_PREFIX, ActorKind, AuditEntry, AuditQuery, Deed, Outcome
from parley_chat.servicers.times import read_time
from parley_chat.servicers.user_fields import USER_PREFIX

SCOPE_FOR_OTHERS = "users:read"
PAGE_SIZE_DEFAULT, PAGE_SIZE_MOST, PAGE_TOKEN_MOST = 50, 100, 512
DEEDS_MOST = 32

_DEEDS = {
    audit_event_pb2.AUDIT_DEED_SIGNED_UP: Deed.SIGNED_UP,
    audit_event_pb2.AUDIT_DEED_SIGNED_IN: Deed.SIGNED_IN,
    audit_event_pb2.AUDIT_DEED_SIGN_IN_FAILED: Deed.SIGN_IN_FAILED,
    audit_event_pb2.AUDIT_DEED_SIGN_IN_HELD_BACK: Deed.SIGN_IN_HELD_BACK,
    audit_event_pb2.AUDIT_DEED_SIGN_IN_REFUSED: Deed.SIGN_IN_REFUSED,
    audit_event_pb2.AUDIT_DEED_SIGNED_OUT: Deed.SIGNED_OUT,
    audit_event_pb2.AUDIT_DEED_REFRESH_TOKEN_REUSED: Deed.REFRESH_TOKEN_REUSED,
    audit_event_pb2.AUDIT_DEED_FOREIGN_USER_SEEN: Deed.FOREIGN_USER_SEEN,
    audit_event_pb2.AUDIT_DEED_ACCESS_TOKEN_CREATED: Deed.TOKEN_CREATED,
    audit_event_pb2.AUDIT_DEED_ACCESS_TOKEN_REVOKED: Deed.TOKEN_REVOKED,
    audit_event_pb2.AUDIT_DEED_ROLE_SET: Deed.ROLE_SET,
    audit_event_pb2.AUDIT_DEED_USER_DISABLED: Deed.USER_DISABLED,
    audit_event_pb2.AUDIT_DEED_USER_ENABLED: Deed.USER_ENABLED,
    audit_event_pb2.AUDIT_DEED_FLAG_SET: Deed.FLAG_SET,
    audit_event_pb2.AUDIT_DEED_FLAG_DELETED: Deed.FLAG_DELETED,
    audit_event_pb2.AUDIT_DEED_SERVICE_ACTED: Deed.SERVICE_ACTED,
}
_PACKED_DEEDS = {deed: packed for packed, deed in _DEEDS.items()}
_PACKED_OUTCOMES = {
    Outcome.SUCCEEDED: audit_event_pb2.AUDIT_OUTCOME_SUCCEEDED,
    Outcome.FAILED: audit_event_pb2.AUDIT_OUTCOME_FAILED,
    Outcome.REFUSED: audit_event_pb2.AUDIT_OUTCOME_REFUSED,
}
_PACKED_KINDS = {
    ActorKind.UNKNOWN: audit_event_pb2.AUDIT_ACTOR_KIND_UNKNOWN,
    ActorKind.USER: audit_event_pb2.AUDIT_ACTOR_KIND_USER,
    ActorKind.ADMIN: audit_event_pb2.AUDIT_ACTOR_KIND_ADMIN,
    ActorKind.SERVICE: audit_event_pb2.AUDIT_ACTOR_KIND_SERVICE,
    ActorKind.OPERATOR: audit_event_pb2.AUDIT_ACTOR_KIND_OPERATOR,
    ActorKind.ISSUER: audit_event_pb2.AUDIT_ACTOR_KIND_ISSUER,
}


def check_list(request: pb.ListAuditEventsRequest, principal: Principal) -> tuple[int, AuditQuery, str]:
    """Gives the size of the page, what to list, and the id of the entry that the page comes after; empty for the first.

    Raises StatusError: PERMISSION_DENIED for what is not the caller's, when their token does not let them see it.
    """
    violations = Violations()
    violations.integer("page_size", request.page_size, least=0, most=PAGE_SIZE_MOST)
    violations.text("page_token", request.page_token, most=PAGE_TOKEN_MOST)
    for field in ("user_id", "actor_user_id"):
        if value := getattr(request, field):
            violations.identifier(field, value, USER_PREFIX)
    if request.all_users and request.user_id:
        violations.add("user_id", "must be empty with all_users")
    violations.count("deeds", request.deeds, most=DEEDS_MOST)
    for number, deed in enumerate(request.deeds[:DEEDS_MOST]):
        violations.choice(f"deeds[{number}]", deed, _DEEDS)
    start = read_time(violations, "start_time", request.start_time) if request.HasField("start_time") else None
    end = read_time(violations, "end_time", request.end_time) if request.HasField("end_time") else None
    if start is not None and end is not None and end < start:
        violations.add("end_time", "must not be before start_time")
    violations.check()
    asks_for_others = request.all_users or request.user_id not in ("", principal.user_id)
    if asks_for_others and SCOPE_FOR_OTHERS not in principal.scopes:
        raise StatusError(
            StatusCode.PERMISSION_DENIED,
            "ERROR_REASON_SCOPE_MISSING",
            f"The token lacks the scope {SCOPE_FOR_OTHERS}, which admins have.",
            metadata={"scope": SCOPE_FOR_OTHERS},
        )
    query = AuditQuery(
        user_id=None if request.all_users else request.user_id or principal.user_id,
        actor_user_id=request.actor_user_id,
        deeds=tuple(_DEEDS[deed] for deed in request.deeds),
        start_time=start,
        end_time=end,
    )
    return request.page_size or PAGE_SIZE_DEFAULT, query, _before(request, principal)


def next_page(request: pb.ListAuditEventsRequest, principal: Principal, last: AuditEntry) -> str:
    """The page token that asks for what comes after this entry."""
    return encode_page_token(_list_of(request, principal), [last.audit_event_id])


def pack(entry: AuditEntry, *, hidden: bool) -> audit_event_pb2.AuditEvent:
    """An audit event; `hidden` leaves out from where it was done, and with which token."""
    packed = audit_event_pb2.AuditEvent(
        audit_event_id=entry.audit_event_id,
        user_id=entry.user_id,
        deed=_PACKED_DEEDS[entry.deed],
        outcome=_PACKED_OUTCOMES[entry.outcome],
        count=entry.count,
        actor=audit_event_pb2.AuditActor(
            kind=_PACKED_KINDS[entry.actor.kind], user_id=entry.actor.user_id, name=entry.actor.name
        ),
        target=entry.target,
    )
    packed.create_time.FromDatetime(entry.create_time)
    packed.last_time.FromDatetime(entry.newest_time)
    if not hidden:
        packed.actor.token_id = entry.actor.token_id
        packed.client_address, packed.user_agent = entry.address, entry.user_agent
        packed.trace_id = entry.trace_id
    return packed


def _before(request: pb.ListAuditEventsRequest, principal: Principal) -> str:
    # A page token is not signed: what it holds is as foreign as any other field.
    match decode_page_token(_list_of(request, principal), request.page_token):
        case None:
            return ""
        case [str(audit_event_id)] if re.fullmatch(rf"{AUDIT_EVENT_PREFIX}[0-9a-f]{{32}}", audit_event_id):
            return audit_event_id
        case _:
            raise invalid_page_token()


def _list_of(request: pb.ListAuditEventsRequest, principal: Principal) -> str:
    """A list with other filters is another list."""
    whose = "*" if request.all_users else request.user_id or principal.user_id
    times = (
        getattr(request, field).ToJsonString() if request.HasField(field) else ""
        for field in ("start_time", "end_time")
    )
    deeds = ",".join(str(deed) for deed in sorted(set(request.deeds)))
    return "|".join(("audit events", whose, request.actor_user_id, deeds, *times))
