"""Who somebody is, and the tokens that prove it: `parley.identity.v1`."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from google.protobuf.duration_pb2 import Duration
from parley.identity.v1 import audit_event_pb2, user_pb2
from parley.identity.v1 import identity_service_pb2 as pb

from parley_client.paging import items_of_pages
from parley_client.rpc import Rpc

if TYPE_CHECKING:
    from parley_client.connection import Connection

_SERVICE = pb.DESCRIPTOR.services_by_name["IdentityService"]
SIGN_UP = Rpc(_SERVICE, "SignUp", pb.SignUpRequest, pb.SignUpResponse)
SIGN_IN = Rpc(_SERVICE, "SignIn", pb.SignInRequest, pb.SignInResponse)
REFRESH_TOKENS = Rpc(_SERVICE, "RefreshTokens", pb.RefreshTokensRequest, pb.RefreshTokensResponse)
SIGN_OUT = Rpc(_SERVICE, "SignOut", pb.SignOutRequest, pb.SignOutResponse)
GET_CURRENT_USER = Rpc(_SERVICE, "GetCurrentUser", pb.GetCurrentUserRequest, pb.GetCurrentUserResponse)
CREATE_ACCESS_TOKEN = Rpc(_SERVICE, "CreateAccessToken", pb.CreateAccessTokenRequest, pb.CreateAccessTokenResponse)
LIST_ACCESS_TOKENS = Rpc(_SERVICE, "ListAccessTokens", pb.ListAccessTokensRequest, pb.ListAccessTokensResponse)
REVOKE_ACCESS_TOKEN = Rpc(_SERVICE, "RevokeAccessToken", pb.RevokeAccessTokenRequest, pb.RevokeAccessTokenResponse)
EXCHANGE_TOKEN = Rpc(_SERVICE, "ExchangeToken", pb.ExchangeTokenRequest, pb.ExchangeTokenResponse)
LIST_USERS = Rpc(_SERVICE, "ListUsers", pb.ListUsersRequest, pb.ListUsersResponse)
SET_USER_ROLE = Rpc(_SERVICE, "SetUserRole", pb.SetUserRoleRequest, pb.SetUserRoleResponse)
DISABLE_USER = Rpc(_SERVICE, "DisableUser", pb.DisableUserRequest, pb.DisableUserResponse)
ENABLE_USER = Rpc(_SERVICE, "EnableUser", pb.EnableUserRequest, pb.EnableUserResponse)
LIST_AUDIT_EVENTS = Rpc(_SERVICE, "ListAuditEvents", pb.ListAuditEventsRequest, pb.ListAuditEventsResponse)
GET_JSON_WEB_KEY_SET = Rpc(_SERVICE, "GetJsonWebKeySet", pb.GetJsonWebKeySetRequest, pb.GetJsonWebKeySetResponse)


class Identity:
    """`client.identity`: accounts and tokens. Raises ParleyError."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def sign_up(self, email: str, password: str, *, display_name: str = "") -> pb.SignUpResponse:
        """Makes an account and gives its first tokens. AlreadyExistsError when the address has one."""
        request = pb.SignUpRequest(email=email, password=password, display_name=display_name)
        return await self._connection.call(SIGN_UP, request)

    async def sign_in(self, email: str, password: str) -> pb.SignInResponse:
        """Signs in. UnauthenticatedError when the address or the password is wrong."""
        return await self._connection.call(SIGN_IN, pb.SignInRequest(email=email, password=password))

    async def refresh_tokens(self, refresh_token: str) -> user_pb2.TokenPair:
        """Changes a refresh token for the next pair. It works once; use `PasswordTokens`, which sees to that."""
        return (
            await self._connection.call(REFRESH_TOKENS, pb.RefreshTokensRequest(refresh_token=refresh_token))
        ).tokens

    async def sign_out(self, refresh_token: str) -> None:
        """Ends the refresh token and all that came from the same sign-in."""
        await self._connection.call(SIGN_OUT, pb.SignOutRequest(refresh_token=refresh_token))

    async def current_user(self) -> pb.GetCurrentUserResponse:
        """The user that the token stands for, and the token's scopes."""
        return await self._connection.call(GET_CURRENT_USER, pb.GetCurrentUserRequest())

    async def create_access_token(
        self, name: str, *, scopes: Sequence[str] = (), time_to_live: timedelta | None = None
    ) -> pb.CreateAccessTokenResponse:
        """Makes a personal access token; `token` of the answer is shown this once. All of one's own scopes and 90 days by default."""
        request = pb.CreateAccessTokenRequest(name=name, scopes=scopes)
        if time_to_live is not None:
            duration = Duration()
            duration.FromTimedelta(time_to_live)
            request.time_to_live.CopyFrom(duration)
        return await self._connection.call(CREATE_ACCESS_TOKEN, request)

    def access_tokens(self, *, page_size: int = 0) -> AsyncIterator[user_pb2.AccessToken]:
        """One's own personal access tokens, newest first, revoked and expired ones included."""

        async def page(token: str) -> pb.ListAccessTokensResponse:
            return await self._connection.call(
                LIST_ACCESS_TOKENS, pb.ListAccessTokensRequest(page_size=page_size, page_token=token)
            )

        return items_of_pages(page, lambda response: response.access_tokens)

    async def revoke_access_token(self, access_token_id: str) -> user_pb2.AccessToken:
        """Revokes a personal access token. NotFoundError when one has no such token."""
        request = pb.RevokeAccessTokenRequest(access_token_id=access_token_id)
        return (await self._connection.call(REVOKE_ACCESS_TOKEN, request)).access_token

    async def exchange_token(self, token: str) -> pb.ExchangeTokenResponse:
        """Changes a token of a trusted identity provider for an access token of Parley's own. Every call takes the provider's, too."""
        return await self._connection.call(EXCHANGE_TOKEN, pb.ExchangeTokenRequest(token=token))

    def users(self, query: str = "", *, page_size: int = 0) -> AsyncIterator[user_pb2.User]:
        """The users of the installation, newest first: those with this in their address or name. For admins."""

        async def page(token: str) -> pb.ListUsersResponse:
            return await self._connection.call(
                LIST_USERS, pb.ListUsersRequest(page_size=page_size, page_token=token, query=query)
            )

        return items_of_pages(page, lambda response: response.users)

    async def set_user_role(self, user_id: str, role: user_pb2.UserRole.ValueType) -> user_pb2.User:
        """Makes another user an admin, or an admin a user. For admins. NotFoundError when there is no such user."""
        request = pb.SetUserRoleRequest(user_id=user_id, role=role)
        return (await self._connection.call(SET_USER_ROLE, request)).user

    async def disable_user(self, user_id: str) -> user_pb2.User:
        """Disables another user: none of their tokens is good any more. For admins. NotFoundError when there is no such user."""
        return (await self._connection.call(DISABLE_USER, pb.DisableUserRequest(user_id=user_id))).user

    async def enable_user(self, user_id: str) -> user_pb2.User:
        """Enables another user again. For admins. NotFoundError when there is no such user."""
        return (await self._connection.call(ENABLE_USER, pb.EnableUserRequest(user_id=user_id))).user

    def audit_events(
        self,
        user_id: str = "",
        *,
        all_users: bool = False,
        actor_user_id: str = "",
        deeds: Sequence[audit_event_pb2.AuditDeed.ValueType] = (),
        start: datetime | None = None,
        end: datetime | None = None,
        page_size: int = 0,
    ) -> AsyncIterator[audit_event_pb2.AuditEvent]:
        """What was done with one's account, newest first; with another's, or everybody's, for admins. From `start` on, and before `end`.

        PermissionDeniedError for who asks for others and is no admin.
        """
        asked = pb.ListAuditEventsRequest(
            page_size=page_size, user_id=user_id, all_users=all_users, actor_user_id=actor_user_id, deeds=deeds
        )
        if start is not None:
            asked.start_time.FromDatetime(start)
        if end is not None:
            asked.end_time.FromDatetime(end)

        async def page(token: str) -> pb.ListAuditEventsResponse:
            request = pb.ListAuditEventsRequest()
            request.CopyFrom(asked)
            request.page_token = token
            return await self._connection.call(LIST_AUDIT_EVENTS, request)

        return items_of_pages(page, lambda response: response.audit_events)

    async def json_web_key_set(self) -> Mapping[str, list[Mapping[str, str]]]:
        """The public keys that verify Parley's tokens, as a JSON Web Key Set (RFC 7517)."""
        response = await self._connection.call(GET_JSON_WEB_KEY_SET, pb.GetJsonWebKeySetRequest())
        return {"keys": [{field.name: value for field, value in key.ListFields()} for key in response.keys]}
