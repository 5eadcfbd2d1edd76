"""The bounds of chat's requests, as the contracts state them. Not the rights of the caller.

Every function raises the one INVALID_ARGUMENT that names each field out of its bounds, and gives back what is easier to
have checked than to check again.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from google.protobuf.duration_pb2 import Duration
from grpc import StatusCode
from parley.chat.v1 import chat_service_pb2, message_pb2
from parley.identity.v1 import identity_service_pb2 as pb
from parley.usage.v1 import usage_service_pb2
from parley_shared.paging import decode_page_token, encode_page_token
from parley_shared.status import StatusError
from parley_shared.validation import Violations

from parley_chat.domain.accounts import DISPLAY_NAME_MOST, EMAIL_LEAST, EMAIL_MOST, is_email, normalize_email
from parley_chat.domain.projects import PROJECT_PREFIX
from parley_chat.domain.tokens import PERSONAL_TOKEN_PREFIX, PersonalToken
from parley_chat.ports.conversations import PageCursor, SessionChanges
from parley_chat.servicers.times import check_time_zone

PAGE_SIZE_DEFAULT = 50
PAGE_SIZE_MOST = 100
PAGE_TOKEN_MOST = 512
PASSWORD_LEAST = 8
PASSWORD_MOST = 256
REFRESH_TOKEN_MOST = 512
TOKEN_NAME_MOST = 100
TOKEN_SCOPES_MOST = 64
TIME_TO_LIVE_LEAST = timedelta(seconds=60)
TIME_TO_LIVE_MOST = timedelta(days=366)

_NANOS = 1_000_000_000
_SCOPE = re.compile(r"[a-z][a-z0-9_.-]*:[a-z][a-z0-9_.-]*")
_SCOPE_MOST = 64
_ACCESS_TOKENS = "access_tokens"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_MICROSECONDS_MOST = 1 << 56  # The year 4253, which a datetime still holds.


def check_sign_up(request: pb.SignUpRequest) -> None:
    violations = Violations()
    _email(violations, request.email)
    if not is_email(normalize_email(request.email)):
        violations.add("email", "must be an e-mail address: one @ with something on both sides, and no white space")
    violations.text("password", request.password, least=PASSWORD_LEAST, most=PASSWORD_MOST)
    violations.text("display_name", request.display_name, most=DISPLAY_NAME_MOST)
    violations.printable("display_name", request.display_name)
    violations.check()


def check_sign_in(request: pb.SignInRequest) -> None:
    violations = Violations()
    _email(violations, request.email)
    violations.text("password", request.password, least=1, most=PASSWORD_MOST)
    violations.check()


def check_refresh_token(refresh_token: str) -> None:
    violations = Violations()
    violations.text("refresh_token", refresh_token, least=1, most=REFRESH_TOKEN_MOST)
    violations.check()


def check_create_access_token(request: pb.CreateAccessTokenRequest) -> timedelta | None:
    """Gives the time to live; None when the request has none."""
    violations = Violations()
    violations.text("name", request.name, least=1, most=TOKEN_NAME_MOST, not_blank=True)
    violations.printable("name", request.name)
    violations.count("scopes", request.scopes, most=TOKEN_SCOPES_MOST)
    for position, scope in enumerate(request.scopes[:TOKEN_SCOPES_MOST]):
        if len(scope) > _SCOPE_MOST or _SCOPE.fullmatch(scope) is None:
            violations.add(f"scopes[{position}]", "must be <subject>:<action> in lower case, at most 64 characters")
    time_to_live = None
    if request.HasField("time_to_live"):
        time_to_live = _time_to_live(violations, request.time_to_live)
    violations.check()
    return time_to_live


def check_list_access_tokens(request: pb.ListAccessTokensRequest) -> tuple[int, tuple[datetime, str] | None]:
    """Gives the size of the page, and the creation time and id of the token that it comes after."""
    violations = Violations()
    violations.integer("page_size", request.page_size, least=0, most=PAGE_SIZE_MOST)
    violations.text("page_token", request.page_token, most=PAGE_TOKEN_MOST)
    violations.check()
    size = request.page_size or PAGE_SIZE_DEFAULT
    return size, _time_cursor(_ACCESS_TOKENS, request.page_token, PERSONAL_TOKEN_PREFIX)


def next_access_tokens_page(last: PersonalToken) -> str:
    """The page token that asks for what comes after this token."""
    return encode_page_token(_ACCESS_TOKENS, [(last.create_time - _EPOCH) // _MICROSECOND, last.access_token_id])


def check_revoke_access_token(request: pb.RevokeAccessTokenRequest) -> None:
    violations = Violations()
    violations.identifier("access_token_id", request.access_token_id, PERSONAL_TOKEN_PREFIX)
    violations.check()


def _email(violations: Violations, email: str) -> None:
    violations.text("email", email, least=EMAIL_LEAST, most=EMAIL_MOST)


def _time_cursor(list_name: str, page_token: str, prefix: str) -> tuple[datetime, str] | None:
    # A page token is not signed: what it holds is as foreign as any other field.
    match decode_page_token(list_name, page_token):
        case None:
            return None
        case [int(microseconds), str(identifier)] if 0 <= microseconds < _MICROSECONDS_MOST and re.fullmatch(
            rf"{prefix}[0-9a-f]{{32}}", identifier
        ):
            return _EPOCH + microseconds * _MICROSECOND, identifier
        case _:
            raise _damaged_page_token()


def _time_to_live(violations: Violations, duration: Duration) -> timedelta | None:
    # Compared as whole numbers: a Duration reaches further than a timedelta.
    nanos = duration.seconds * _NANOS + duration.nanos
    least, most = (int(bound.total_seconds()) * _NANOS for bound in (TIME_TO_LIVE_LEAST, TIME_TO_LIVE_MOST))
    if not (abs(duration.nanos) < _NANOS and least <= nanos <= most):
        violations.add("time_to_live", "must be 60 seconds to 366 days")
        return None
    return timedelta(microseconds=nanos // 1000)


# Conversations -------------------------------------------------------------------------------------------------------

MESSAGE_MOST = 32_000
TITLE_MOST = 200
MODEL_MOST = 200
QUERY_MOST = 200
MESSAGES_PAGE_MOST = 200
SUGGESTIONS_MOST = 10
SESSION_PREFIX, MESSAGE_PREFIX, TURN_PREFIX = "ses_", "msg_", "trn_"

_CLIENT_MESSAGE_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")


def check_create_session(request: chat_service_pb2.CreateSessionRequest) -> None:
    violations = Violations()
    _title(violations, request.title)
    _project(violations, request.project_id)
    violations.check()


def check_list_sessions(request: chat_service_pb2.ListSessionsRequest, list_name: str) -> PageCursor | None:
    """Gives the session that the page comes after."""
    violations = Violations()
    _page(violations, request.page_size, request.page_token, most=PAGE_SIZE_MOST)
    _project(violations, request.project_id)
    violations.check()
    return _session_cursor(list_name, request.page_token)


def check_search_sessions(request: chat_service_pb2.SearchSessionsRequest, list_name: str) -> PageCursor | None:
    """Gives the session that the page comes after."""
    violations = Violations()
    violations.stored_text("query", request.query, least=1, most=QUERY_MOST, not_blank=True)
    _page(violations, request.page_size, request.page_token, most=PAGE_SIZE_MOST)
    _project(violations, request.project_id)
    violations.check()
    return _session_cursor(list_name, request.page_token)


def check_session_id(session_id: str) -> None:
    violations = Violations()
    violations.identifier("session_id", session_id, SESSION_PREFIX)
    violations.check()


def check_update_session(request: chat_service_pb2.UpdateSessionRequest) -> SessionChanges:
    """Gives what it changes."""
    violations = Violations()
    violations.identifier("session_id", request.session_id, SESSION_PREFIX)
    _title(violations, request.title)
    _project(violations, request.project_id)
    if request.HasField("update_mask"):
        paths = set(request.update_mask.paths)
        if not paths or not paths <= {"title", "project_id"}:
            violations.add("update_mask", "must be absent or name title, project_id or both")
    elif request.project_id:
        paths = {"project_id"} | ({"title"} if request.title else set())
    else:
        # As it was when there was nothing else to change: an empty title is one too.
        paths = {"title"}
    violations.check()
    return SessionChanges(
        title=request.title.strip() if "title" in paths else None,
        project_id=request.project_id if "project_id" in paths else None,
    )


def check_list_messages(request: chat_service_pb2.ListMessagesRequest, list_name: str) -> int | None:
    """Gives the position that the page comes before."""
    violations = Violations()
    violations.identifier("session_id", request.session_id, SESSION_PREFIX)
    _page(violations, request.page_size, request.page_token, most=MESSAGES_PAGE_MOST)
    violations.check()
    match decode_page_token(list_name, request.page_token):
        case None:
            return None
        case [int(position)] if 0 <= position < 1 << 31:
            return position
        case _:
            raise _damaged_page_token()


def check_reply(request: chat_service_pb2.SendMessageRequest | chat_service_pb2.StreamReplyRequest) -> None:
    violations = Violations()
    violations.stored_text("message", request.message, least=1, most=MESSAGE_MOST, not_blank=True)
    if request.session_id:
        violations.identifier("session_id", request.session_id, SESSION_PREFIX)
    if request.client_message_id:
        violations.pattern(
            "client_message_id", request.client_message_id, _CLIENT_MESSAGE_ID, "must be 1 to 64 of A-Z a-z 0-9 _ -"
        )
    violations.choice("route", request.route, message_pb2.Route.values())
    violations.choice("on_failure", request.on_failure, message_pb2.OnFailure.values())
    violations.stored_text("model", request.model, most=MODEL_MOST)
    check_time_zone(violations, request.time_zone)
    _project(violations, request.project_id)
    if request.project_id and request.session_id:
        violations.add("project_id", "must be empty with session_id: UpdateSession moves a session that there is")
    if request.parent_message_id:
        violations.identifier("parent_message_id", request.parent_message_id, MESSAGE_PREFIX)
        if not request.session_id:
            violations.add("parent_message_id", "needs session_id: a new session has no messages to follow")
    violations.check()


def check_estimate(request: usage_service_pb2.EstimateCostRequest) -> None:
    violations = Violations()
    violations.text("message", request.message, least=1, most=MESSAGE_MOST, not_blank=True)
    if request.session_id:
        violations.identifier("session_id", request.session_id, SESSION_PREFIX)
    violations.choice("route", request.route, message_pb2.Route.values())
    violations.text("model", request.model, most=MODEL_MOST)
    violations.check()


def check_resume_reply(request: chat_service_pb2.ResumeReplyRequest) -> None:
    violations = Violations()
    violations.identifier("turn_id", request.turn_id, TURN_PREFIX)
    violations.integer("after_sequence", request.after_sequence, least=0, most=2_147_483_647)
    violations.check()


def check_suggest_prompts(request: chat_service_pb2.SuggestPromptsRequest) -> None:
    violations = Violations()
    if request.session_id:
        violations.identifier("session_id", request.session_id, SESSION_PREFIX)
    violations.integer("limit", request.limit, least=0, most=SUGGESTIONS_MOST)
    violations.check()


def check_turn_id(turn_id: str) -> None:
    violations = Violations()
    violations.identifier("turn_id", turn_id, TURN_PREFIX)
    violations.check()


def next_sessions_page(list_name: str, cursor: PageCursor | None) -> str:
    """The page token that asks for what comes after this session; empty when nothing does."""
    if cursor is None:
        return ""
    return encode_page_token(list_name, [(cursor.time - _EPOCH) // _MICROSECOND, cursor.identifier])


def _session_cursor(list_name: str, page_token: str) -> PageCursor | None:
    cursor = _time_cursor(list_name, page_token, SESSION_PREFIX)
    return None if cursor is None else PageCursor(*cursor)


def _page(violations: Violations, page_size: int, page_token: str, *, most: int) -> None:
    violations.integer("page_size", page_size, least=0, most=most)
    violations.text("page_token", page_token, most=PAGE_TOKEN_MOST)


def _project(violations: Violations, project_id: str) -> None:
    if project_id:
        violations.identifier("project_id", project_id, PROJECT_PREFIX)


def _title(violations: Violations, title: str) -> None:
    violations.text("title", title, most=TITLE_MOST)
    violations.printable("title", title)


def _damaged_page_token() -> StatusError:
    return StatusError(
        StatusCode.INVALID_ARGUMENT,
        "ERROR_REASON_INVALID_PAGE_TOKEN",
        "page_token does not belong to this list. Start again without one.",
        metadata={"field": "page_token"},
        violations=[("page_token", "must be a next_page_token of the same list")],
    )
