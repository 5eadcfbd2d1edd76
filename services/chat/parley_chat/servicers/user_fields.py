"""Users as admins see them: the checks of their requests, and how a user is packed. Not sign-ins and tokens, which are in validation.py."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

from grpc import StatusCode
from parley.identity.v1 import identity_service_pb2 as pb
from parley.identity.v1 import user_pb2
from parley_shared.callers import ADDRESS_HEADER, ADDRESS_MOST
from parley_shared.paging import decode_page_token, encode_page_token
from parley_shared.status import StatusError
from parley_shared.validation import Violations

from parley_chat.domain.accounts import EMAIL_MOST, Role, User
from parley_chat.domain.tokens import PERSONAL_TOKEN_PREFIX

USER_PREFIX = "usr_"
PAGE_SIZE_DEFAULT, PAGE_SIZE_MOST, PAGE_TOKEN_MOST = 50, 100, 512
TOKEN_MOST, ISSUER_NAME_MOST = 8192, 24
_LIST = "users"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_MICROSECONDS_MOST = 253_402_300_800_000_000
_ROLES = {user_pb2.USER_ROLE_USER: Role.USER, user_pb2.USER_ROLE_ADMIN: Role.ADMIN}
_PACKED_ROLES = {role: packed for packed, role in _ROLES.items()}


def pack_user(user: User) -> user_pb2.User:
    """A user, as the contract has it."""
    packed = user_pb2.User(
        user_id=user.user_id,
        email=user.email,
        display_name=user.display_name,
        role=_PACKED_ROLES[user.role],
        issuer=user.issuer,
    )
    packed.create_time.FromDatetime(user.create_time)
    if user.disable_time is not None:
        packed.disable_time.FromDatetime(user.disable_time)
    return packed


def address_of(context: Any) -> str:
    """Where the caller is in the network, as the edge says it; what it does not pass is one place."""
    metadata = dict(context.invocation_metadata() or ())
    return str(metadata.get(ADDRESS_HEADER, ""))[:ADDRESS_MOST]


def check_user_id(user_id: str) -> None:
    violations = Violations()
    violations.identifier("user_id", user_id, USER_PREFIX)
    violations.check()


def check_set_user_role(request: pb.SetUserRoleRequest) -> Role:
    """Gives the role."""
    violations = Violations()
    violations.identifier("user_id", request.user_id, USER_PREFIX)
    violations.choice("role", request.role, _ROLES)
    violations.check()
    return _ROLES[request.role]


def check_check_access_token(request: pb.CheckAccessTokenRequest) -> None:
    violations = Violations()
    if request.user_id:
        violations.identifier("user_id", request.user_id, USER_PREFIX)
        if request.access_token_id:
            violations.add("user_id", "must be empty with access_token_id, which says the user too")
    else:
        violations.identifier("access_token_id", request.access_token_id, PERSONAL_TOKEN_PREFIX)
    violations.check()


def check_exchange_token(request: pb.ExchangeTokenRequest) -> None:
    violations = Violations()
    violations.text("token", request.token, least=1, most=TOKEN_MOST)
    violations.check()


def check_issuer_name(issuer_name: str) -> None:
    violations = Violations()
    violations.text("issuer_name", issuer_name, least=1, most=ISSUER_NAME_MOST)
    violations.check()


def check_list_users(request: pb.ListUsersRequest) -> tuple[int, tuple[datetime, str] | None]:
    """Gives the size of the page, and the creation time and id of the user that it comes after."""
    violations = Violations()
    violations.integer("page_size", request.page_size, least=0, most=PAGE_SIZE_MOST)
    violations.text("page_token", request.page_token, most=PAGE_TOKEN_MOST)
    violations.text("query", request.query, most=EMAIL_MOST)
    violations.storable("query", request.query)
    violations.check()
    return request.page_size or PAGE_SIZE_DEFAULT, _cursor(request)


def next_users_page(request: pb.ListUsersRequest, last: User) -> str:
    """The page token that asks for what comes after this user."""
    return encode_page_token(_list_of(request), [(last.create_time - _EPOCH) // _MICROSECOND, last.user_id])


def _cursor(request: pb.ListUsersRequest) -> tuple[datetime, str] | None:
    # A page token is not signed: what it holds is as foreign as any other field.
    match decode_page_token(_list_of(request), request.page_token):
        case None:
            return None
        case [int(microseconds), str(user_id)] if 0 <= microseconds < _MICROSECONDS_MOST and re.fullmatch(
            rf"{USER_PREFIX}[0-9a-f]{{32}}", user_id
        ):
            return _EPOCH + microseconds * _MICROSECOND, user_id
        case _:
            raise StatusError(
                StatusCode.INVALID_ARGUMENT,
                "ERROR_REASON_INVALID_PAGE_TOKEN",
                "page_token does not belong to this list. Start again without one.",
                metadata={"field": "page_token"},
                violations=[("page_token", "must be a next_page_token of the same list")],
            )


def _list_of(request: pb.ListUsersRequest) -> str:
    """A list with another query is another list."""
    return f"{_LIST}:{request.query}"
