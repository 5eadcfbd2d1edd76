"""Who somebody is, and the tokens that prove it: `parley.identity.v1`."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING

from google.protobuf.duration_pb2 import Duration
from parley.identity.v1 import identity_service_pb2 as pb
from parley.identity.v1 import user_pb2

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

    async def json_web_key_set(self) -> Mapping[str, list[Mapping[str, str]]]:
        """The public keys that verify Parley's tokens, as a JSON Web Key Set (RFC 7517)."""
        response = await self._connection.call(GET_JSON_WEB_KEY_SET, pb.GetJsonWebKeySetRequest())
        return {"keys": [{field.name: value for field, value in key.ListFields()} for key in response.keys]}
