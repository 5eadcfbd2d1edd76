"""Sessions and their messages: `parley.chat.v1`, except for the turns, which `turn.py` reads."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

from parley.chat.v1 import chat_service_pb2 as pb
from parley.chat.v1 import message_pb2, session_pb2

from parley_client.paging import items_of_pages
from parley_client.rpc import Rpc

if TYPE_CHECKING:
    from parley_client.connection import Connection

_SERVICE = pb.DESCRIPTOR.services_by_name["ChatService"]
CREATE_SESSION = Rpc(_SERVICE, "CreateSession", pb.CreateSessionRequest, pb.CreateSessionResponse)
LIST_SESSIONS = Rpc(_SERVICE, "ListSessions", pb.ListSessionsRequest, pb.ListSessionsResponse)
SEARCH_SESSIONS = Rpc(_SERVICE, "SearchSessions", pb.SearchSessionsRequest, pb.SearchSessionsResponse)
GET_SESSION = Rpc(_SERVICE, "GetSession", pb.GetSessionRequest, pb.GetSessionResponse)
UPDATE_SESSION = Rpc(_SERVICE, "UpdateSession", pb.UpdateSessionRequest, pb.UpdateSessionResponse)
DELETE_SESSION = Rpc(_SERVICE, "DeleteSession", pb.DeleteSessionRequest, pb.DeleteSessionResponse)
LIST_MESSAGES = Rpc(_SERVICE, "ListMessages", pb.ListMessagesRequest, pb.ListMessagesResponse)
SUGGEST_PROMPTS = Rpc(_SERVICE, "SuggestPrompts", pb.SuggestPromptsRequest, pb.SuggestPromptsResponse)
SEND_MESSAGE = Rpc(_SERVICE, "SendMessage", pb.SendMessageRequest, pb.SendMessageResponse)


class Sessions:
    """`client.sessions`: the user's conversations. Raises ParleyError; NotFoundError for one that is another's."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def create(self, *, title: str = "", project_id: str = "") -> session_pb2.Session:
        """Makes an empty session, in a project when one is named. Without a title, the beginning of the first message becomes it."""
        request = pb.CreateSessionRequest(title=title, project_id=project_id)
        return (await self._connection.call(CREATE_SESSION, request)).session

    def list(self, *, project_id: str = "", page_size: int = 0) -> AsyncIterator[session_pb2.Session]:
        """The user's sessions, or those of a project, the last used first."""

        async def page(token: str) -> pb.ListSessionsResponse:
            request = pb.ListSessionsRequest(page_size=page_size, page_token=token, project_id=project_id)
            return await self._connection.call(LIST_SESSIONS, request)

        return items_of_pages(page, lambda response: response.sessions)

    def search(self, query: str, *, project_id: str = "", page_size: int = 0) -> AsyncIterator[pb.SessionMatch]:
        """The sessions, or those of a project, whose title or messages hold all the words, the last used first."""

        async def page(token: str) -> pb.SearchSessionsResponse:
            request = pb.SearchSessionsRequest(
                query=query, page_size=page_size, page_token=token, project_id=project_id
            )
            return await self._connection.call(SEARCH_SESSIONS, request)

        return items_of_pages(page, lambda response: response.matches)

    async def get(self, session_id: str) -> session_pb2.Session:
        """One session."""
        return (await self._connection.call(GET_SESSION, pb.GetSessionRequest(session_id=session_id))).session

    async def rename(self, session_id: str, title: str) -> session_pb2.Session:
        """Gives a session another title, and returns it as it is now."""
        request = pb.UpdateSessionRequest(session_id=session_id, title=title)
        request.update_mask.paths.append("title")
        return (await self._connection.call(UPDATE_SESSION, request)).session

    async def move(self, session_id: str, project_id: str) -> session_pb2.Session:
        """Moves a session into a project, or out of its own when none is named, and returns it as it is now."""
        request = pb.UpdateSessionRequest(session_id=session_id, project_id=project_id)
        request.update_mask.paths.append("project_id")
        return (await self._connection.call(UPDATE_SESSION, request)).session

    async def delete(self, session_id: str) -> None:
        """Deletes a session with its messages, at once and for good. Its running turns are stopped first."""
        await self._connection.call(DELETE_SESSION, pb.DeleteSessionRequest(session_id=session_id))


class Messages:
    """`client.messages`: what was said in a session. Raises ParleyError."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def list(self, session_id: str, *, page_size: int = 0) -> AsyncIterator[message_pb2.Message]:
        """The messages of a session, newest first, all branches of the tree."""

        async def page(token: str) -> pb.ListMessagesResponse:
            return await self._connection.call(
                LIST_MESSAGES, pb.ListMessagesRequest(session_id=session_id, page_size=page_size, page_token=token)
            )

        return items_of_pages(page, lambda response: response.messages)
