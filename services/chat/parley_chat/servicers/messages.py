"""Packs what chat's domain says into the contract's messages, and unpacks what requests say. No checks: those are validation.py's."""

from __future__ import annotations

from parley.chat.v1 import message_pb2, session_pb2, turn_event_pb2

from parley_chat.domain.budgets import BudgetReached
from parley_chat.domain.conversation import (
    Citation,
    Failure,
    Message,
    MessageState,
    OnFailure,
    Role,
    Route,
    Session,
    Usage,
)
from parley_chat.domain.tool_uses import ToolUse
from parley_chat.domain.turn import (
    ApprovalDecided,
    ApprovalRequested,
    Notice,
    NoticeKind,
    ProviderSwitched,
    ReasoningDelta,
    RouteChosen,
    SourcesFound,
    TextDelta,
    ToolCalled,
    ToolReturned,
    TurnCompleted,
    TurnEvent,
    TurnFailed,
    TurnOutcome,
    TurnQueued,
    TurnRestarted,
    TurnStarted,
    TurnStopped,
)
from parley_chat.servicers.budget_fields import pack_reached
from parley_chat.servicers.tool_messages import APPROVAL_STATES, EFFECTS

_ROLES = {Role.USER: message_pb2.ROLE_USER, Role.ASSISTANT: message_pb2.ROLE_ASSISTANT}
_STATES = {
    MessageState.STREAMING: message_pb2.MESSAGE_STATE_STREAMING,
    MessageState.COMPLETED: message_pb2.MESSAGE_STATE_COMPLETED,
    MessageState.STOPPED: message_pb2.MESSAGE_STATE_STOPPED,
    MessageState.FAILED: message_pb2.MESSAGE_STATE_FAILED,
}
ROUTES = {
    None: message_pb2.ROUTE_UNSPECIFIED,
    Route.AUTOMATIC: message_pb2.ROUTE_AUTOMATIC,
    Route.STANDARD: message_pb2.ROUTE_STANDARD,
    Route.ENHANCED: message_pb2.ROUTE_ENHANCED,
}
_WISHED_ROUTES = {
    message_pb2.ROUTE_UNSPECIFIED: Route.AUTOMATIC,
    message_pb2.ROUTE_AUTOMATIC: Route.AUTOMATIC,
    message_pb2.ROUTE_STANDARD: Route.STANDARD,
    message_pb2.ROUTE_ENHANCED: Route.ENHANCED,
}
_NOTICES = {
    NoticeKind.WITHOUT_CONTEXT: turn_event_pb2.NOTICE_KIND_WITHOUT_CONTEXT,
    NoticeKind.OFFLINE_MODEL: turn_event_pb2.NOTICE_KIND_OFFLINE_MODEL,
    NoticeKind.LENGTH_LIMIT: turn_event_pb2.NOTICE_KIND_LENGTH_LIMIT,
    NoticeKind.CONTENT_FILTER: turn_event_pb2.NOTICE_KIND_CONTENT_FILTER,
    NoticeKind.HISTORY_TRIMMED: turn_event_pb2.NOTICE_KIND_HISTORY_TRIMMED,
    NoticeKind.CONTINUED: turn_event_pb2.NOTICE_KIND_CONTINUED,
    NoticeKind.TRYING_AGAIN: turn_event_pb2.NOTICE_KIND_TRYING_AGAIN,
    NoticeKind.TOOL_LIMIT: turn_event_pb2.NOTICE_KIND_TOOL_LIMIT,
}

_MOST_TOKENS = 2**31 - 1
"""What the contract's numbers hold. Providers' figures are summed, and not all providers are right."""

_ON_FAILURE = {
    message_pb2.ON_FAILURE_UNSPECIFIED: OnFailure.CONTINUE,
    message_pb2.ON_FAILURE_CONTINUE: OnFailure.CONTINUE,
    message_pb2.ON_FAILURE_RESTART: OnFailure.RESTART,
    message_pb2.ON_FAILURE_FAIL: OnFailure.FAIL,
}


def wished_on_failure(value: message_pb2.OnFailure.ValueType) -> OnFailure:
    """Unpacks the policy of a request that was checked."""
    return _ON_FAILURE[value]


def wished_route(value: message_pb2.Route.ValueType) -> Route:
    """Unpacks the route of a request that was checked."""
    return _WISHED_ROUTES[value]


def pack_session(session: Session) -> session_pb2.Session:
    """Packs a session."""
    packed = session_pb2.Session(
        session_id=session.session_id,
        title=session.title,
        tip_message_id=session.tip_message_id,
        running_turn_id=session.running_turn_id,
        project_id=session.project_id,
    )
    packed.create_time.FromDatetime(session.create_time)
    packed.update_time.FromDatetime(session.update_time)
    return packed


def pack_citation(citation: Citation) -> message_pb2.Citation:
    """Packs a citation."""
    return message_pb2.Citation(
        number=citation.number,
        chunk_id=citation.chunk_id,
        document_id=citation.document_id,
        document_title=citation.document_title,
        heading=citation.heading,
        text=citation.text,
        start_offset=citation.start_offset,
        end_offset=citation.end_offset,
        content_sha256=citation.content_sha256,
        document_version=citation.document_version,
        item_type=citation.item_type,
        quotes=[
            message_pb2.Quote(text_offset=quote.text_offset, text_length=quote.text_length, verified=quote.verified)
            for quote in citation.quotes
        ],
    )


def pack_usage(usage: Usage) -> message_pb2.Usage:
    """Packs what an answer took."""
    return message_pb2.Usage(
        input_tokens=min(usage.input_tokens, _MOST_TOKENS),
        output_tokens=min(usage.output_tokens, _MOST_TOKENS),
        estimated=usage.estimated,
        time_to_first_token_ms=usage.time_to_first_token_ms,
        duration_ms=usage.duration_ms,
        cost_usd_micros=usage.cost_usd_micros,
    )


def pack_failure(failure: Failure) -> message_pb2.Failure:
    """Packs why an answer failed."""
    return message_pb2.Failure(
        code=failure.code, reason=failure.reason, message=failure.message, retryable=failure.retryable
    )


def pack_notice(notice: Notice) -> turn_event_pb2.Notice:
    """Packs a notice."""
    return turn_event_pb2.Notice(kind=_NOTICES[notice.kind], message=notice.message)


def pack_tool_use(use: ToolUse) -> message_pb2.ToolUse:
    """Packs the use of a tool."""
    return message_pb2.ToolUse(
        tool_call_id=use.tool_call_id,
        tool=use.tool,
        arguments_json=use.arguments_json,
        result_json=use.result_json,
        failed=use.failed,
        text_offset=use.text_offset,
        approval=APPROVAL_STATES[use.approval],
        edited_arguments_json=use.edited_arguments_json,
    )


def pack_message(message: Message) -> message_pb2.Message:
    """Packs a message."""
    packed = message_pb2.Message(
        message_id=message.message_id,
        session_id=message.session_id,
        parent_message_id=message.parent_message_id,
        role=_ROLES[message.role],
        text=message.text,
        state=_STATES[message.state],
        turn_id=message.turn_id,
        citations=[pack_citation(citation) for citation in message.citations],
        usage=pack_usage(message.usage) if message.usage else None,
        route=ROUTES[message.route],
        model=message.model,
        failure=pack_failure(message.failure) if message.failure else None,
        client_message_id=message.client_message_id,
        trace_id=message.trace_id,
        tool_uses=[pack_tool_use(use) for use in message.tool_uses],
        route_reason=message.route_reason,
    )
    packed.create_time.FromDatetime(message.create_time)
    return packed


def pack_event(turn_id: str, event: TurnEvent) -> turn_event_pb2.TurnEvent:
    """Packs an event of a turn."""
    packed = turn_event_pb2.TurnEvent(turn_id=turn_id, sequence=event.sequence, first_sequence=event.first_sequence)
    match event.body:
        case TextDelta(text):
            packed.delta.text = text
        case ReasoningDelta(text):
            packed.reasoning_delta.text = text
        case TurnStarted() as started:
            packed.started.session_id = started.session_id
            packed.started.user_message_id = started.user_message_id
            packed.started.message_id = started.message_id
            packed.started.client_message_id = started.client_message_id
            packed.started.trace_id = started.trace_id
        case RouteChosen(route, reason, model):
            packed.route_chosen.route = ROUTES[route]
            packed.route_chosen.reason = reason
            packed.route_chosen.model = model
        case SourcesFound(citations):
            packed.sources_found.citations.extend(pack_citation(citation) for citation in citations)
        case Notice() as notice:
            packed.notice.CopyFrom(pack_notice(notice))
        case BudgetReached() as reached:
            packed.budget_reached.CopyFrom(pack_reached(reached))
        case TurnRestarted():
            packed.restarted.SetInParent()
        case ProviderSwitched() as switched:
            packed.provider_switched.from_model = switched.from_model
            packed.provider_switched.to_model = switched.to_model
            packed.provider_switched.reason = switched.reason
            packed.provider_switched.at_sequence = switched.at_sequence
            packed.provider_switched.message = switched.message
        case TurnQueued(place, words):
            packed.queued.place = place
            packed.queued.message = words
        case ToolCalled() | ToolReturned() | ApprovalRequested() | ApprovalDecided():
            _pack_tool_event(packed, event.body)
        case TurnCompleted() | TurnFailed() | TurnStopped():
            _pack_outcome(packed, event.body)
    return packed


def _pack_tool_event(
    packed: turn_event_pb2.TurnEvent, body: ToolCalled | ToolReturned | ApprovalRequested | ApprovalDecided
) -> None:
    match body:
        case ToolCalled(call_id, tool, arguments_json):
            packed.tool_called.tool_call_id = call_id
            packed.tool_called.tool = tool
            packed.tool_called.arguments_json = arguments_json
        case ToolReturned(call_id, tool, result_json, failed):
            packed.tool_returned.tool_call_id = call_id
            packed.tool_returned.tool = tool
            packed.tool_returned.result_json = result_json
            packed.tool_returned.failed = failed
        case ApprovalRequested() as requested:
            packed.approval_requested.tool_call_id = requested.tool_call_id
            packed.approval_requested.tool = requested.tool
            packed.approval_requested.arguments_json = requested.arguments_json
            packed.approval_requested.effect = EFFECTS[requested.effect]
            packed.approval_requested.expire_time.FromDatetime(requested.expire_time)
        case ApprovalDecided() as decided:
            packed.approval_decided.tool_call_id = decided.tool_call_id
            packed.approval_decided.tool = decided.tool
            packed.approval_decided.state = APPROVAL_STATES[decided.state]
            packed.approval_decided.edited = bool(decided.edited_arguments_json)
            packed.approval_decided.arguments_json = decided.edited_arguments_json
            packed.approval_decided.reason = decided.reason


def _pack_outcome(packed: turn_event_pb2.TurnEvent, outcome: TurnOutcome) -> None:
    match outcome:
        case TurnCompleted(message):
            packed.completed.message.CopyFrom(pack_message(message))
        case TurnFailed(failure, message):
            packed.failed.failure.CopyFrom(pack_failure(failure))
            packed.failed.message.CopyFrom(pack_message(message))
        case TurnStopped(message):
            packed.stopped.message.CopyFrom(pack_message(message))
            packed.stopped.text_length = len(message.text)
