"""The bounds of chat's requests, as the contracts state them. Not the rights of the caller.

Every function raises the one INVALID_ARGUMENT that names each field out of its bounds, and gives back what is easier to
have checked than to check again.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from google.protobuf.duration_pb2 import Duration
from grpc import StatusCode
from parley.identity.v1 import identity_service_pb2 as pb
from parley_shared.paging import decode_page_token, encode_page_token
from parley_shared.status import StatusError
from parley_shared.validation import Violations

from parley_chat.domain.accounts import DISPLAY_NAME_MOST, EMAIL_LEAST, EMAIL_MOST, is_email, normalize_email
from parley_chat.domain.tokens import PERSONAL_TOKEN_PREFIX, PersonalToken

PAGE_SIZE_DEFAULT = 50
PAGE_SIZE_MOST = 100
PAGE_TOKEN_MOST = 512
PASSWORD_LEAST = 8
PASSWORD_MOST = 256
REFRESH_TOKEN_MOST = 512
TOKEN_NAME_MOST = 100
TOKEN_SCOPES_MOST = 20
TIME_TO_LIVE_LEAST = timedelta(seconds=60)
TIME_TO_LIVE_MOST = timedelta(days=366)

_NANOS = 1_000_000_000
_SCOPE = re.compile(r"[a-z][a-z0-9_.-]*:[a-z][a-z0-9_.-]*")
_SCOPE_MOST = 64
_ACCESS_TOKENS = "access_tokens"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def check_sign_up(request: pb.SignUpRequest) -> None:
    violations = Violations()
    _email(violations, request.email)
    if not is_email(normalize_email(request.email)):
        violations.add("email", "must be an e-mail address: one @ with something on both sides, and no white space")
    violations.text("password", request.password, least=PASSWORD_LEAST, most=PASSWORD_MOST)
    violations.text("display_name", request.display_name, most=DISPLAY_NAME_MOST)
    _printable(violations, "display_name", request.display_name)
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
    _printable(violations, "name", request.name)
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
    cursor = decode_page_token(_ACCESS_TOKENS, request.page_token)
    size = request.page_size or PAGE_SIZE_DEFAULT
    match cursor:
        case None:
            return size, None
        case [int(microseconds), str(access_token_id)] if abs(microseconds) < 1 << 56:
            return size, (_EPOCH + microseconds * _MICROSECOND, access_token_id)
        case _:
            raise StatusError(
                StatusCode.INVALID_ARGUMENT,
                "ERROR_REASON_INVALID_PAGE_TOKEN",
                "The page token is damaged.",
                metadata={"field": "page_token"},
            )


def next_access_tokens_page(last: PersonalToken) -> str:
    """The page token that asks for what comes after this token."""
    return encode_page_token(_ACCESS_TOKENS, [(last.create_time - _EPOCH) // _MICROSECOND, last.access_token_id])


def check_revoke_access_token(request: pb.RevokeAccessTokenRequest) -> None:
    violations = Violations()
    violations.identifier("access_token_id", request.access_token_id, PERSONAL_TOKEN_PREFIX)
    violations.check()


def _email(violations: Violations, email: str) -> None:
    violations.text("email", email, least=EMAIL_LEAST, most=EMAIL_MOST)


def _printable(violations: Violations, field: str, value: str) -> None:
    if not value.isprintable():
        violations.add(field, "must not hold control characters or line breaks")


def _time_to_live(violations: Violations, duration: Duration) -> timedelta | None:
    # Compared as whole numbers: a Duration reaches further than a timedelta.
    nanos = duration.seconds * _NANOS + duration.nanos
    least, most = (int(bound.total_seconds()) * _NANOS for bound in (TIME_TO_LIVE_LEAST, TIME_TO_LIVE_MOST))
    if not (abs(duration.nanos) < _NANOS and least <= nanos <= most):
        violations.add("time_to_live", "must be 60 seconds to 366 days")
        return None
    return timedelta(microseconds=nanos // 1000)
