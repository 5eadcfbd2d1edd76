"""People who are signed in as administrators of a running chat."""

from __future__ import annotations

from uuid import uuid4

from parley.identity.v1 import identity_service_pb2
from parley_chat.adapters.sql_accounts import SqlAccounts
from parley_chat.domain.accounts import Role

from parley_testing.running_chat import Person, RunningChat


async def administrator(chat: RunningChat) -> Person:
    """Somebody new, whose token may do what administrators do."""
    email, password = f"{uuid4().hex}@example.org", "correct horse"
    made = await chat.identity.SignUp(identity_service_pb2.SignUpRequest(email=email, password=password))
    await SqlAccounts(chat.app.database).set_role(made.user.user_id, Role.ADMIN)
    signed_in = await chat.identity.SignIn(identity_service_pb2.SignInRequest(email=email, password=password))
    return Person(made.user.user_id, (("authorization", f"Bearer {signed_in.tokens.access_token}"),))
