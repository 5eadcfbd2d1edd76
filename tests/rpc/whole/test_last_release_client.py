"""A client of the last release works with today's services: the main calls, and every other rpc at least answers as it is documented."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import uuid4

import grpc
import pytest
from google.protobuf.descriptor import MethodDescriptor
from parley_testing.released_client import Metadata, ReleasedClient, released_methods
from parley_testing.running_chat import Person
from parley_testing.whole_parley import WholeParley

IDENTITY = "parley.identity.v1.IdentityService"
CHAT = "parley.chat.v1.ChatService"
DOCUMENTS = "parley.retrieval.v1.DocumentService"
QUESTION = "How do I add a provider?"
ANSWER = "OPENAI_API_KEY"
LAST_EVENTS = {"completed", "failed", "stopped"}


def nobody(whole: WholeParley) -> ReleasedClient:
    return ReleasedClient(whole.channel_of, lambda package: ())


def somebody(whole: WholeParley, user_id: str, token: str) -> ReleasedClient:
    person = Person(user_id, (("authorization", f"Bearer {token}"),))

    def metadata_of(package: str) -> Metadata:
        return whole.metadata_for(package, person)

    return ReleasedClient(whole.channel_of, metadata_of)


@pytest.fixture(scope="module")
async def client(whole: WholeParley) -> ReleasedClient:
    fields = {"email": f"{uuid4().hex}@example.org", "password": "correct horse", "display_name": "Ada"}
    signed_up = await nobody(whole).call(IDENTITY, "SignUp", **fields)
    assert signed_up.user.display_name == "Ada"
    signed_in = await nobody(whole).call(IDENTITY, "SignIn", email=fields["email"], password=fields["password"])
    assert signed_in.user.user_id == signed_up.user.user_id
    refreshed = await nobody(whole).call(IDENTITY, "RefreshTokens", refresh_token=signed_in.tokens.refresh_token)
    return somebody(whole, signed_up.user.user_id, refreshed.tokens.access_token)


def kinds(events: Sequence[Any]) -> list[str]:
    return [event.WhichOneof("event") for event in events]


async def streamed(client: ReleasedClient, method: str, **fields: Any) -> list[Any]:
    return [response.event async for response in client.stream(CHAT, method, **fields)]


async def test_it_knows_who_it_is_and_makes_lists_and_revokes_tokens(client: ReleasedClient) -> None:
    me = await client.call(IDENTITY, "GetCurrentUser")
    assert me.user.display_name == "Ada"
    made = await client.call(IDENTITY, "CreateAccessToken", name="script", scopes=["chat:read"])
    assert made.token
    [listed] = (await client.call(IDENTITY, "ListAccessTokens")).access_tokens
    assert listed.access_token_id == made.access_token.access_token_id
    await client.call(IDENTITY, "RevokeAccessToken", access_token_id=listed.access_token_id)


async def test_it_sends_a_message_and_finds_the_answer_in_the_session(client: ReleasedClient) -> None:
    fields = {"title": "Providers", "text": "To add a provider, set its key in the environment."}
    document = (await client.call(DOCUMENTS, "CreateDocument", **fields)).document
    answer = await client.call(CHAT, "SendMessage", message=QUESTION, client_message_id="first")
    assert ANSWER in answer.text
    assert [citation.document_id for citation in answer.citations] == [document.document_id]
    await client.call(DOCUMENTS, "DeleteDocument", document_id=document.document_id)
    assert answer.usage.output_tokens > 0
    again = await client.call(CHAT, "SendMessage", message=QUESTION, client_message_id="first")
    assert again.turn_id == answer.turn_id
    messages = (await client.call(CHAT, "ListMessages", session_id=answer.session_id)).messages
    assert [message.text for message in messages] == [answer.text, QUESTION]


async def test_it_streams_an_answer_and_resumes_it(client: ReleasedClient) -> None:
    events = await streamed(client, "StreamReply", message=QUESTION)
    seen = kinds(events)
    assert seen[0] == "started"
    assert seen[-1] == "completed"
    assert set(seen[:-1]).isdisjoint(LAST_EVENTS)
    text = "".join(event.delta.text for event in events)
    assert ANSWER in text
    after = events[len(events) // 2]
    resumed = await streamed(client, "ResumeReply", turn_id=after.turn_id, after_sequence=after.sequence)
    assert [event.sequence for event in resumed][-1] == events[-1].sequence
    whole = await streamed(client, "ResumeReply", turn_id=after.turn_id)
    assert "".join(event.delta.text for event in whole) == text


async def test_it_makes_changes_finds_and_deletes_sessions(client: ReleasedClient) -> None:
    session = (await client.call(CHAT, "CreateSession", title="Holidays")).session
    await client.call(CHAT, "UpdateSession", session_id=session.session_id, title="Holidays of 2027")
    assert (await client.call(CHAT, "GetSession", session_id=session.session_id)).session.title == "Holidays of 2027"
    listed = (await client.call(CHAT, "ListSessions", page_size=50)).sessions
    assert session.session_id in {each.session_id for each in listed}
    await client.call(CHAT, "DeleteSession", session_id=session.session_id)
    with pytest.raises(grpc.aio.AioRpcError) as gone:
        await client.call(CHAT, "GetSession", session_id=session.session_id)
    assert gone.value.code() is grpc.StatusCode.NOT_FOUND


async def test_it_stores_finds_changes_and_deletes_documents(client: ReleasedClient) -> None:
    fields = {"title": "Quokkas", "text": "The quokka smiles for everybody.", "project": "zoo"}
    stored = (await client.call(DOCUMENTS, "CreateDocument", **fields)).document
    found = await client.call("parley.retrieval.v1.SearchService", "Search", query="Who smiles?")
    assert stored.document_id in {hit.document_id for hit in found.hits}
    await client.call(DOCUMENTS, "UpdateDocument", document_id=stored.document_id, title="On quokkas")
    got = (await client.call(DOCUMENTS, "GetDocument", document_id=stored.document_id)).document
    assert (got.title, got.project) == ("On quokkas", "zoo")
    await client.call(DOCUMENTS, "DeleteDocument", document_id=stored.document_id)
    assert not [each for each in (await client.call(DOCUMENTS, "ListDocuments")).documents if not each.shared]


async def test_it_reads_how_the_system_is(client: ReleasedClient) -> None:
    status = await client.call("parley.system.v1.SystemService", "GetStatus")
    assert [service.service for service in status.services] == ["chat", "inference", "retrieval"]
    assert status.offline


def full_name(method: MethodDescriptor) -> str:
    return method.full_name


@pytest.mark.parametrize("method", released_methods(), ids=full_name)
async def test_every_rpc_that_was_released_is_served(client: ReleasedClient, method: MethodDescriptor) -> None:
    service = method.containing_service.full_name
    code = grpc.StatusCode.OK
    try:
        if method.server_streaming:
            async for _ in client.stream(service, method.name):
                break
        else:
            await client.call(service, method.name)
    except grpc.aio.AioRpcError as error:
        code = error.code()
    # An empty request says too little for most: it is refused in words, and not because nobody knows the rpc.
    assert code in {
        grpc.StatusCode.OK,
        grpc.StatusCode.INVALID_ARGUMENT,
        grpc.StatusCode.NOT_FOUND,
        grpc.StatusCode.UNAUTHENTICATED,
        grpc.StatusCode.FAILED_PRECONDITION,
    }
