"""ChatService: unpacks, checks, calls, packs."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing, suppress

import grpc
from parley.chat.v1 import chat_service_pb2, chat_service_pb2_grpc
from parley_shared.paging import encode_page_token
from parley_shared.tokens import current_principal

from parley_chat.domain.conversation import Route
from parley_chat.domain.errors import TurnFailedError, TurnLogExpiredError
from parley_chat.domain.tool_approvals import ToolApproval
from parley_chat.domain.turn import (
    ApprovalRequested,
    Notice,
    RouteChosen,
    Turn,
    TurnEvent,
    TurnFailed,
    TurnStarted,
    text_of,
    tool_uses_of,
)
from parley_chat.operations.sessions import Sessions
from parley_chat.operations.suggestions import Suggestions
from parley_chat.operations.tool_decisions import ToolDecisions
from parley_chat.operations.turns import ReplyRequest, Turns
from parley_chat.servicers import validation
from parley_chat.servicers.messages import (
    ROUTES,
    pack_citation,
    pack_event,
    pack_message,
    pack_notice,
    pack_session,
    pack_tool_use,
    pack_usage,
    wished_on_failure,
    wished_route,
)
from parley_chat.servicers.tool_messages import pack_approval

_SESSIONS = "sessions"
_SESSION_MATCHES = "session matches"
_MESSAGES = "messages"
_SUGGESTIONS = 4
_MOST_WAITING = 100

Context = grpc.aio.ServicerContext[object, object]


class ChatServicer(chat_service_pb2_grpc.ChatServiceServicer):
    """Serves sessions, messages and turns to their user."""

    def __init__(self, sessions: Sessions, turns: Turns, suggestions: Suggestions, decisions: ToolDecisions) -> None:
        self._decisions = decisions
        self._sessions = sessions
        self._turns = turns
        self._suggestions = suggestions

    async def CreateSession(
        self, request: chat_service_pb2.CreateSessionRequest, context: Context
    ) -> chat_service_pb2.CreateSessionResponse:
        """Makes an empty session."""
        validation.check_create_session(request)
        session = await self._sessions.create(current_principal().user_id, request.title.strip(), request.project_id)
        return chat_service_pb2.CreateSessionResponse(session=pack_session(session))

    async def ListSessions(
        self, request: chat_service_pb2.ListSessionsRequest, context: Context
    ) -> chat_service_pb2.ListSessionsResponse:
        """Lists a page of sessions."""
        list_name = _list_name(_SESSIONS, request.project_id)
        after = validation.check_list_sessions(request, list_name)
        page, following = await self._sessions.list_page(
            current_principal().user_id, request.page_size or 50, after, request.project_id
        )
        return chat_service_pb2.ListSessionsResponse(
            sessions=[pack_session(session) for session in page],
            next_page_token=validation.next_sessions_page(list_name, following),
        )

    async def SearchSessions(
        self, request: chat_service_pb2.SearchSessionsRequest, context: Context
    ) -> chat_service_pb2.SearchSessionsResponse:
        """Finds a page of sessions by words."""
        list_name = _list_name(_SESSION_MATCHES, request.project_id)
        after = validation.check_search_sessions(request, list_name)
        page, following = await self._sessions.search_page(
            current_principal().user_id, request.query, request.page_size or 20, after, request.project_id
        )
        return chat_service_pb2.SearchSessionsResponse(
            matches=[
                chat_service_pb2.SessionMatch(
                    session=pack_session(match.session), snippet=match.snippet, message_id=match.message_id
                )
                for match in page
            ],
            next_page_token=validation.next_sessions_page(list_name, following),
        )

    async def GetSession(
        self, request: chat_service_pb2.GetSessionRequest, context: Context
    ) -> chat_service_pb2.GetSessionResponse:
        """Gets a session."""
        validation.check_session_id(request.session_id)
        session = await self._sessions.get(current_principal().user_id, request.session_id)
        return chat_service_pb2.GetSessionResponse(session=pack_session(session))

    async def UpdateSession(
        self, request: chat_service_pb2.UpdateSessionRequest, context: Context
    ) -> chat_service_pb2.UpdateSessionResponse:
        """Renames a session, and moves it into a project or out of one."""
        changes = validation.check_update_session(request)
        session = await self._sessions.update(current_principal().user_id, request.session_id, changes)
        return chat_service_pb2.UpdateSessionResponse(session=pack_session(session))

    async def DeleteSession(
        self, request: chat_service_pb2.DeleteSessionRequest, context: Context
    ) -> chat_service_pb2.DeleteSessionResponse:
        """Deletes a session."""
        validation.check_session_id(request.session_id)
        await self._sessions.delete(current_principal().user_id, request.session_id)
        return chat_service_pb2.DeleteSessionResponse()

    async def ListMessages(
        self, request: chat_service_pb2.ListMessagesRequest, context: Context
    ) -> chat_service_pb2.ListMessagesResponse:
        """Lists a page of messages."""
        list_name = f"{_MESSAGES} {request.session_id}"
        before = validation.check_list_messages(request, list_name)
        page, following = await self._sessions.messages_page(
            current_principal().user_id, request.session_id, request.page_size or 100, before
        )
        return chat_service_pb2.ListMessagesResponse(
            messages=[pack_message(message) for message in page],
            next_page_token="" if following is None else encode_page_token(list_name, [following]),
        )

    async def SendMessage(
        self, request: chat_service_pb2.SendMessageRequest, context: Context
    ) -> chat_service_pb2.SendMessageResponse:
        """Answers whole."""
        validation.check_reply(request)
        turn = await self._turns.begin(_reply_request(request))
        seen: list[TurnEvent] = []
        # A repeat of a send whose events are gone still has its answer.
        with suppress(TurnLogExpiredError):
            async with aclosing(self._turns.watch(turn)) as events:
                async for event in events:
                    seen.append(event)
                    if isinstance(event.body, ApprovalRequested) and (waiting := await self._waiting(turn)):
                        return _unfinished(turn, seen, waiting)
        message = await self._turns.answer_of(turn)
        return chat_service_pb2.SendMessageResponse(
            session_id=turn.session_id,
            turn_id=turn.turn_id,
            message_id=message.message_id,
            text=message.text,
            citations=[pack_citation(citation) for citation in message.citations],
            usage=pack_usage(message.usage) if message.usage else None,
            route=ROUTES[message.route],
            route_reason=message.route_reason,
            model=message.model,
            notices=[pack_notice(event.body) for event in seen if isinstance(event.body, Notice)],
            trace_id=message.trace_id,
            client_message_id=turn.client_message_id,
            tool_uses=[pack_tool_use(use) for use in message.tool_uses],
        )

    async def _waiting(self, turn: Turn) -> Sequence[ToolApproval]:
        """The calls of a turn that wait for its user now: one that is replayed may be decided long since."""
        page, _ = await self._decisions.pending(turn.user_id, turn.turn_id, _MOST_WAITING, None)
        return page

    async def StreamReply(
        self, request: chat_service_pb2.StreamReplyRequest, context: Context
    ) -> AsyncIterator[chat_service_pb2.StreamReplyResponse]:
        """Answers event by event."""
        validation.check_reply(request)
        detach = request.detach if request.HasField("detach") else True
        turn = await self._turns.begin(_reply_request(request), stop_when_cut=not detach)
        async with aclosing(self._turns.watch(turn, stop_when_unwatched=not detach)) as events:
            async for event in events:
                yield chat_service_pb2.StreamReplyResponse(event=pack_event(turn.turn_id, event))
                _raise_failure(turn, event)

    async def ResumeReply(
        self, request: chat_service_pb2.ResumeReplyRequest, context: Context
    ) -> AsyncIterator[chat_service_pb2.ResumeReplyResponse]:
        """Replays a turn after a cursor and follows it."""
        validation.check_resume_reply(request)
        turn = await self._turns.find(current_principal().user_id, request.turn_id)
        async with aclosing(self._turns.watch(turn, after_sequence=request.after_sequence)) as events:
            async for event in events:
                yield chat_service_pb2.ResumeReplyResponse(event=pack_event(turn.turn_id, event))
                _raise_failure(turn, event)

    async def StopReply(
        self, request: chat_service_pb2.StopReplyRequest, context: Context
    ) -> chat_service_pb2.StopReplyResponse:
        """Stops a turn."""
        validation.check_turn_id(request.turn_id)
        message, stopped = await self._turns.stop(current_principal().user_id, request.turn_id)
        return chat_service_pb2.StopReplyResponse(message=pack_message(message), stopped=stopped)

    async def SuggestPrompts(
        self, request: chat_service_pb2.SuggestPromptsRequest, context: Context
    ) -> chat_service_pb2.SuggestPromptsResponse:
        """Suggests what to say next."""
        validation.check_suggest_prompts(request)
        found = await self._suggestions.suggest(
            current_principal().user_id, request.session_id, request.limit or _SUGGESTIONS
        )
        return chat_service_pb2.SuggestPromptsResponse(
            suggestions=[
                chat_service_pb2.PromptSuggestion(prompt=each.prompt, route=ROUTES[each.route], reason=each.reason)
                for each in found
            ]
        )


def _reply_request(request: chat_service_pb2.SendMessageRequest | chat_service_pb2.StreamReplyRequest) -> ReplyRequest:
    principal = current_principal()
    return ReplyRequest(
        user_id=principal.user_id,
        message=request.message,
        session_id=request.session_id,
        client_message_id=request.client_message_id,
        route=Route(wished_route(request.route)),
        model=request.model,
        parent_message_id=request.parent_message_id if request.HasField("parent_message_id") else None,
        on_failure=wished_on_failure(request.on_failure),
        queue_when_unavailable=request.queue_when_unavailable,
        scopes=tuple(sorted(principal.scopes)),
        time_zone=request.time_zone or "UTC",
        project_id=request.project_id,
    )


def _unfinished(
    turn: Turn, seen: Sequence[TurnEvent], waiting: Sequence[ToolApproval]
) -> chat_service_pb2.SendMessageResponse:
    """What there is of an answer that waits for its user: nobody is to hold a call open for as long as that may take."""
    response = chat_service_pb2.SendMessageResponse(
        session_id=turn.session_id,
        turn_id=turn.turn_id,
        message_id=turn.message_id,
        text=text_of(seen),
        notices=[pack_notice(event.body) for event in seen if isinstance(event.body, Notice)],
        client_message_id=turn.client_message_id,
        tool_uses=[pack_tool_use(use) for use in tool_uses_of(seen)],
        pending_approvals=[pack_approval(each) for each in waiting],
    )
    for event in seen:
        match event.body:
            case TurnStarted() as started:
                response.trace_id = started.trace_id
            case RouteChosen(route, reason, _):
                response.route, response.route_reason = ROUTES[route], reason
            case _:
                pass
    return response


def _list_name(of: str, project_id: str) -> str:
    """The list that a page token belongs to."""
    return f"{of} {project_id}" if project_id else of


def _raise_failure(turn: Turn, event: TurnEvent) -> None:
    """Ends the stream of a failed turn with the status of the failure, for clients that look at the status only."""
    if isinstance(event.body, TurnFailed):
        raise TurnFailedError(turn.turn_id, event.body.failure)
