"""IdentityService: requests in, use cases of `operations.identity` called, responses out."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp
from parley.identity.v1 import identity_service_pb2 as pb
from parley.identity.v1 import identity_service_pb2_grpc, user_pb2
from parley_shared.tokens import current_principal

from parley_chat.domain.tokens import PersonalToken, PublicKey, TokenPair
from parley_chat.operations.audit_book import AuditBook
from parley_chat.operations.identity import Identity
from parley_chat.operations.token_exchange import TokenExchange
from parley_chat.operations.users import Users
from parley_chat.servicers import audit_fields, user_fields, validation
from parley_chat.servicers.user_fields import pack_user


class IdentityServicer(identity_service_pb2_grpc.IdentityServiceServicer):
    """Serves `parley.identity.v1.IdentityService`."""

    def __init__(
        self,
        identity: Identity,
        users: Users,
        exchange: TokenExchange,
        book: AuditBook,
        public_keys: tuple[PublicKey, ...],
    ) -> None:
        self._identity = identity
        self._users = users
        self._exchange = exchange
        self._book = book
        self._key_set = pb.GetJsonWebKeySetResponse(
            keys=[user_pb2.JsonWebKey(**key.as_json_web_key()) for key in public_keys]
        )

    async def SignUp(self, request: pb.SignUpRequest, context: Any) -> pb.SignUpResponse:
        validation.check_sign_up(request)
        user, tokens = await self._identity.sign_up(
            email=request.email, password=request.password, display_name=request.display_name
        )
        return pb.SignUpResponse(user=pack_user(user), tokens=_token_pair(tokens))

    async def SignIn(self, request: pb.SignInRequest, context: Any) -> pb.SignInResponse:
        validation.check_sign_in(request)
        user, tokens = await self._identity.sign_in(
            email=request.email, password=request.password, address=user_fields.address_of(context)
        )
        return pb.SignInResponse(user=pack_user(user), tokens=_token_pair(tokens))

    async def RefreshTokens(self, request: pb.RefreshTokensRequest, context: Any) -> pb.RefreshTokensResponse:
        validation.check_refresh_token(request.refresh_token)
        tokens = await self._identity.refresh(refresh_token=request.refresh_token)
        return pb.RefreshTokensResponse(tokens=_token_pair(tokens))

    async def SignOut(self, request: pb.SignOutRequest, context: Any) -> pb.SignOutResponse:
        validation.check_refresh_token(request.refresh_token)
        await self._identity.sign_out(refresh_token=request.refresh_token)
        return pb.SignOutResponse()

    async def GetCurrentUser(self, request: pb.GetCurrentUserRequest, context: Any) -> pb.GetCurrentUserResponse:
        principal = current_principal()
        user = await self._identity.current_user(principal.user_id)
        return pb.GetCurrentUserResponse(user=pack_user(user), scopes=sorted(principal.scopes))

    async def CreateAccessToken(
        self, request: pb.CreateAccessTokenRequest, context: Any
    ) -> pb.CreateAccessTokenResponse:
        time_to_live = validation.check_create_access_token(request)
        principal = current_principal()
        record, token = await self._identity.create_personal_token(
            principal.user_id,
            name=request.name,
            scopes=request.scopes,
            held_scopes=principal.scopes,
            time_to_live=time_to_live,
        )
        return pb.CreateAccessTokenResponse(access_token=_access_token(record), token=token)

    async def ListAccessTokens(self, request: pb.ListAccessTokensRequest, context: Any) -> pb.ListAccessTokensResponse:
        size, after = validation.check_list_access_tokens(request)
        # One more than the page holds tells whether there is a next one.
        tokens = await self._identity.list_personal_tokens(current_principal().user_id, limit=size + 1, after=after)
        page = tokens[:size]
        return pb.ListAccessTokensResponse(
            access_tokens=[_access_token(token) for token in page],
            next_page_token=validation.next_access_tokens_page(page[-1]) if len(tokens) > size else "",
        )

    async def RevokeAccessToken(
        self, request: pb.RevokeAccessTokenRequest, context: Any
    ) -> pb.RevokeAccessTokenResponse:
        validation.check_revoke_access_token(request)
        token = await self._identity.revoke_personal_token(current_principal().user_id, request.access_token_id)
        return pb.RevokeAccessTokenResponse(access_token=_access_token(token))

    async def CheckAccessToken(self, request: pb.CheckAccessTokenRequest, context: Any) -> pb.CheckAccessTokenResponse:
        user_fields.check_check_access_token(request)
        good = await self._identity.is_good_token(access_token_id=request.access_token_id, user_id=request.user_id)
        return pb.CheckAccessTokenResponse(good=good)

    async def ListUsers(self, request: pb.ListUsersRequest, context: Any) -> pb.ListUsersResponse:
        size, after = user_fields.check_list_users(request)
        users = await self._users.list(query=request.query, limit=size + 1, after=after)
        page = users[:size]
        following = user_fields.next_users_page(request, page[-1]) if len(users) > size else ""
        return pb.ListUsersResponse(users=[pack_user(user) for user in page], next_page_token=following)

    async def SetUserRole(self, request: pb.SetUserRoleRequest, context: Any) -> pb.SetUserRoleResponse:
        role = user_fields.check_set_user_role(request)
        user = await self._users.set_role(current_principal().user_id, request.user_id, role)
        return pb.SetUserRoleResponse(user=pack_user(user))

    async def DisableUser(self, request: pb.DisableUserRequest, context: Any) -> pb.DisableUserResponse:
        user_fields.check_user_id(request.user_id)
        user = await self._users.disable(current_principal().user_id, request.user_id)
        return pb.DisableUserResponse(user=pack_user(user))

    async def EnableUser(self, request: pb.EnableUserRequest, context: Any) -> pb.EnableUserResponse:
        user_fields.check_user_id(request.user_id)
        user = await self._users.enable(current_principal().user_id, request.user_id)
        return pb.EnableUserResponse(user=pack_user(user))

    async def ListAuditEvents(self, request: pb.ListAuditEventsRequest, context: Any) -> pb.ListAuditEventsResponse:
        principal = current_principal()
        size, query, before = audit_fields.check_list(request, principal)
        entries = await self._book.list(query, limit=size + 1, before=before)
        page = entries[:size]
        sees_all = audit_fields.SCOPE_FOR_OTHERS in principal.scopes
        return pb.ListAuditEventsResponse(
            audit_events=[
                audit_fields.pack(entry, hidden=not sees_all and entry.hidden_from(principal.user_id)) for entry in page
            ],
            next_page_token=audit_fields.next_page(request, principal, page[-1]) if len(entries) > size else "",
        )

    async def ExchangeToken(self, request: pb.ExchangeTokenRequest, context: Any) -> pb.ExchangeTokenResponse:
        user_fields.check_exchange_token(request)
        user, token, expire_time = await self._exchange.exchange(request.token)
        return pb.ExchangeTokenResponse(
            user=pack_user(user), access_token=token, access_token_expire_time=_timestamp(expire_time)
        )

    async def GetIssuerKeySet(self, request: pb.GetIssuerKeySetRequest, context: Any) -> pb.GetIssuerKeySetResponse:
        user_fields.check_issuer_name(request.issuer_name)
        keys = await self._exchange.keys(request.issuer_name)
        return pb.GetIssuerKeySetResponse(keys=[user_pb2.IssuerKey(**key) for key in keys])

    async def GetJsonWebKeySet(self, request: pb.GetJsonWebKeySetRequest, context: Any) -> pb.GetJsonWebKeySetResponse:
        return self._key_set


def _token_pair(tokens: TokenPair) -> user_pb2.TokenPair:
    return user_pb2.TokenPair(
        access_token=tokens.access_token,
        access_token_expire_time=_timestamp(tokens.access_token_expire_time),
        refresh_token=tokens.refresh_token,
        refresh_token_expire_time=_timestamp(tokens.refresh_token_expire_time),
    )


def _access_token(token: PersonalToken) -> user_pb2.AccessToken:
    return user_pb2.AccessToken(
        access_token_id=token.access_token_id,
        name=token.name,
        scopes=token.scopes,
        create_time=_timestamp(token.create_time),
        expire_time=_timestamp(token.expire_time),
        revoke_time=None if token.revoke_time is None else _timestamp(token.revoke_time),
    )


def _timestamp(time: datetime) -> Timestamp:
    timestamp = Timestamp()
    timestamp.FromDatetime(time)
    return timestamp
