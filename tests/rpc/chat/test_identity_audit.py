"""The audit trail tells who got in and who did not, and no secret; over real gRPC."""

from __future__ import annotations

import logging

import pytest
from parley.identity.v1 import identity_service_pb2 as pb
from parley_testing.identity import PASSWORD, refused, sign_up
from parley_testing.running_chat import RunningChat


async def test_the_audit_trail_tells_what_was_done_with_accounts_and_no_secret(
    chat: RunningChat, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "parley.audit"):
        ada = await sign_up(chat.identity, "ada")
        wrong = pb.SignInRequest(email=ada.user.email, password="wrong and secret")
        await refused(chat.identity.SignIn(wrong))
        await chat.identity.SignIn(pb.SignInRequest(email=ada.user.email, password=PASSWORD))
        request = pb.CreateAccessTokenRequest(name="laptop")
        made = await chat.identity.CreateAccessToken(request, metadata=ada.metadata)
        revoke = pb.RevokeAccessTokenRequest(access_token_id=made.access_token.access_token_id)
        await chat.identity.RevokeAccessToken(revoke, metadata=ada.metadata)
        refresh = pb.RefreshTokensRequest(refresh_token=ada.tokens.refresh_token)
        await chat.identity.RefreshTokens(refresh)
        await refused(chat.identity.RefreshTokens(refresh))
    told = [record for record in caplog.records if record.name == "parley.audit"]
    assert [record.getMessage() for record in told] == [
        "signed up",
        "sign-in failed",
        "signed in",
        "personal access token created",
        "personal access token revoked",
        "refresh token used twice",
    ]
    assert {vars(record)["user_id"] for record in told} == {ada.user.user_id}
    written = str([vars(record) for record in told])
    for secret in (ada.user.email, PASSWORD, "wrong and secret", made.token, ada.tokens.refresh_token):
        assert secret not in written
