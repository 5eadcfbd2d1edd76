"""The client: one object that stands for one Parley."""

from __future__ import annotations

import time
import uuid
from types import TracebackType
from typing import Self

import grpc
from parley.chat.v1 import chat_service_pb2 as pb

from parley_client.address import parse_address
from parley_client.agents import Agents
from parley_client.backoff import STREAMS, UNARY_CALLS, Backoff
from parley_client.batches import Batches
from parley_client.budgets import Budgets
from parley_client.calendar import Calendar
from parley_client.channel_connection import ChannelConnection
from parley_client.chat import SEND_MESSAGE, SUGGEST_PROMPTS, Messages, Sessions
from parley_client.connection import Connection, SideName
from parley_client.content import Content
from parley_client.documents import Documents, Search
from parley_client.event_log import EventLog
from parley_client.events import OnFailureName, RouteName, on_failure_number, route_number
from parley_client.failover import Failover, FailoverListener, Side
from parley_client.failover_connection import FailoverConnection
from parley_client.features import FeatureName
from parley_client.flags import Flags
from parley_client.generation import Generation
from parley_client.identity import Identity
from parley_client.ingestion import Ingestion
from parley_client.meeting_bots import MeetingBots
from parley_client.projects import Projects
from parley_client.recommendations import Recommendations
from parley_client.scoring import Scoring
from parley_client.side_health import SideHealth
from parley_client.sides import Sides
from parley_client.system import System
from parley_client.tasks import Tasks
from parley_client.tokens import FixedToken, TokenProvider
from parley_client.tools import Tools
from parley_client.turn import Turn
from parley_client.usage import Usage
from parley_client.webhooks import Webhooks

# As long as a long answer takes to write.
_WHOLE_ANSWER_SECONDS = 600.0


class Parley:
    """A connection to Parley, for any number of tasks of one event loop.

        async with Parley.connect("http://127.0.0.1:8080", token=token) as client:
            async for event in client.stream_reply("How do I add a provider?"):
                if isinstance(event, TextDelta):
                    print(event.text, end="", flush=True)

    Make it inside a running event loop, and one for the life of a process rather than one a call: it keeps a connection open.
    """

    def __init__(self, connection: Connection, stream_backoff: Backoff) -> None:
        """Made by `connect`."""
        self._connection = connection
        self._stream_backoff = stream_backoff
        self._sides = Sides(connection)
        self._views: list[Parley] = []
        self.identity: Identity = connection.identity
        """Accounts and tokens."""
        self.sessions = Sessions(connection)
        """The user's conversations."""
        self.messages = Messages(connection)
        """What was said in them."""
        self.documents = Documents(connection)
        """The user's texts that can be searched and cited."""
        self.search = Search(connection)
        """Finds passages in them."""
        self.ingestion = Ingestion(connection)
        """Files that become documents, and the jobs that make them."""
        self.generation = Generation(connection)
        """Texts without a session, and the models that write them."""
        self.agents = Agents(connection)
        """The operator's named agents."""
        self.content = Content(connection)
        """Texts from templates."""
        self.scoring = Scoring(connection)
        """Models that score leads."""
        self.recommendations = Recommendations(connection)
        """What a product recommends to its people."""
        self.events = EventLog(connection, stream_backoff)
        """What changed in all of this, and what changes now."""
        self.calendar = Calendar(connection)
        """Events, meetings, and calendars of other places."""
        self.meeting_bots = MeetingBots(connection)
        """Briefs before meetings."""
        self.projects = Projects(connection)
        """What sessions, tasks and documents belong to."""
        self.webhooks = Webhooks(connection)
        """Servers that these events are delivered to."""
        self.tasks = Tasks(connection)
        """What the user wants to do."""
        self.tools = Tools(connection)
        """What models may use, and what waits for the user's word."""
        self.batches = Batches(connection, stream_backoff)
        """Many prompts at once."""
        self.usage = Usage(connection)
        self.budgets = Budgets(connection)
        """What it all took and cost."""
        self.flags = Flags(connection, stream_backoff)
        """Feature flags: the user's, and how they are set."""
        self.system = System(connection, stream_backoff)
        """The state of Parley as a whole."""

    @classmethod
    def connect(
        cls,
        address: str,
        *,
        token: str | None = None,
        token_provider: TokenProvider | None = None,
        tls: bool | grpc.ChannelCredentials | None = None,
        timeout_seconds: float = 30.0,
        backoff: Backoff = UNARY_CALLS,
        stream_backoff: Backoff = STREAMS,
        secondary: str | Side | None = None,
        failover: Failover | None = None,
        on_failover: FailoverListener | None = None,
    ) -> Self:
        """A client of the Parley at an address. Nothing is sent before the first call; `async with` closes it, or `await client.close()`.

        address: `host:port`, `http://host:port`, `https://host`, or a name of gRPC's (`dns:///…`, `unix:…`). AddressError for another.
        token: a bearer token, for example a personal access token. TokenError for what cannot be one. Or
        token_provider: what gives one for each call, for example `PasswordTokens`. Without either, only calls that need no token work.
        tls: True for the certificates that the machine trusts, credentials for others, False for none. By default what the address
            says, and no TLS when it does not. Without TLS the token is readable on the way: keep to your own machine or network.
        timeout_seconds: how long a unary call may take, attempts and pauses included.
        backoff: how unary calls are tried again, where the contract allows it.
        stream_backoff: how a cut stream of events is resumed.
        secondary: another Parley, to go to while this one does not answer. Its token is its own: `Side(address, token=…)`; with
            `Failover(shared_data=True)` and no token of its own it gets this one's.
        failover: when to go there, when to come back, and which feature belongs where.
        on_failover: is told when a feature is served by the other side from now on.
        """
        if secondary is None and (failover is not None or on_failover is not None):
            raise ValueError("failover needs a secondary")
        if token is not None and token_provider is not None:
            raise ValueError("give a token or a token_provider, not both")
        if token is not None:
            token_provider = FixedToken(token)
        if secondary is None:
            return cls(_channel(address, tls, token_provider, timeout_seconds, backoff), stream_backoff)
        policy = failover or Failover()
        other = Side(secondary) if isinstance(secondary, str) else secondary
        if other.token is not None and other.token_provider is not None:
            raise ValueError("give a token or a token_provider, not both")
        other_tokens = FixedToken(other.token) if other.token is not None else other.token_provider
        if other_tokens is None and policy.shared_data:
            other_tokens = token_provider
        connection = FailoverConnection(
            _channel(
                address,
                tls,
                token_provider,
                timeout_seconds,
                backoff,
                health=SideHealth(policy.circuit, time.monotonic),
            ),
            _channel(
                other.address,
                other.tls,
                other_tokens,
                timeout_seconds,
                backoff,
                side="secondary",
                health=SideHealth(policy.circuit, time.monotonic),
            ),
            policy,
            timeout_seconds=timeout_seconds,
            on_failover=on_failover,
        )
        return cls(connection, stream_backoff)

    async def close(self) -> None:
        """Ends what runs and closes the connection. Turns go on in Parley."""
        for view in self._views:
            await view.close()
        await self._sides.close()
        await self._connection.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    def is_feature_enabled(self, name: str, *, default: bool = False) -> bool:
        """Whether a flag is on for the user, as far as is known; the default while it is not known.

        Never waits and never fails: flags are watched from the first question on, and what is known outlives any outage. A program that
        wants to know at its start awaits `flags_ready()` once. The token needs the scope `system:read`.
        """
        return self._sides.flags.enabled(name, default)

    def feature_value(self, name: str, *, default: str = "") -> str:
        """What a flag says beside on, for example which variant to show; the default when it is off, not known, or says nothing."""
        return self._sides.flags.value(name, default)

    async def flags_ready(self, *, timeout_seconds: float = 5.0) -> bool:
        """Waits until the user's flags are known. False when that takes longer than it may; asking for them works all the same."""
        return await self._sides.flags.ready(timeout_seconds)

    def is_available(self, feature: FeatureName) -> bool:
        """Whether a feature can be used now: its side answers calls, and the services that it needs take some.

        Never waits: from the calls that were made, and from Parley's own status, asked for every 15 seconds from the first question on.
        True as long as nothing speaks against it. Without the scope `system:read` only the health of the whole is known.
        """
        return self._sides.availability.is_available(feature)

    def side_of(self, feature: FeatureName) -> SideName:
        """Which side serves a feature now; `primary` when there is only one."""
        return self._sides.side_of(feature)

    def at(self, side: SideName) -> Parley:
        """This client's own view of one side, for what must not go elsewhere: a session or a turn that is there.

        Keep it rather than make it for each call; it is closed with this client. ValueError for a side that there is not.
        """
        view = Parley(self._sides.channel(side), self._stream_backoff)
        self._views.append(view)
        return view

    def stream_reply(
        self,
        message: str,
        *,
        session_id: str = "",
        client_message_id: str = "",
        route: RouteName | None = None,
        model: str = "",
        parent_message_id: str | None = None,
        on_failure: OnFailureName | None = None,
        queue_when_unavailable: bool = False,
        detach: bool | None = None,
        time_zone: str = "",
        project_id: str = "",
    ) -> Turn:
        """Sends a message and streams the events of the turn that answers it. Nothing is sent before the Turn is read.

        session_id: the session; a new one by default (`turn.session_id` names it).
        client_message_id: one's own name for the message, 1 to 64 of `A-Z a-z 0-9 _ -`. The same name never makes a second turn, so
            keep it where the message is kept, and a program that died can send again. A new name is made by default.
        route: `automatic` (the default), `standard` or `enhanced`.
        model: the model or alias that should answer; the route's by default.
        parent_message_id: the message that this one follows; the newest of the session by default, and none when it is empty.
        on_failure: what becomes of the answer when the process that writes it dies: `continue` (the default) from its text, `restart`,
            or `fail`. After a `TurnRestarted` event the text until then no longer counts.
        queue_when_unavailable: True has the turn wait when no model can be reached, for a day at the most; `TurnQueued` events tell its
            place. By default it fails.
        detach: False stops the turn when the last of its readers goes away. By default it goes on.
        time_zone: the user's, an IANA name like `Europe/Berlin`: what "tomorrow at nine" means. UTC by default.
        project_id: the project that a new session belongs to; none by default. Without `session_id` only.
        """
        request = pb.StreamReplyRequest(
            message=message,
            session_id=session_id,
            client_message_id=client_message_id or new_client_message_id(),
            route=route_number(route or ""),
            model=model,
            parent_message_id=parent_message_id,
            on_failure=on_failure_number(on_failure or ""),
            queue_when_unavailable=queue_when_unavailable,
            time_zone=time_zone,
            project_id=project_id,
        )
        if detach is not None:
            request.detach = detach
        return Turn(self._connection, self._stream_backoff, request=request)

    def resume_reply(self, turn_id: str, *, after_sequence: int = 0, side: SideName | None = None) -> Turn:
        """Reads a turn that exists, from its first event or after one, and follows it to its end.

        side: which Parley has it (`turn.side`), for a client with two; the one that serves chat now by default.
        """
        return Turn(self._connection, self._stream_backoff, turn_id=turn_id, after_sequence=after_sequence, side=side)

    async def send_message(
        self,
        message: str,
        *,
        session_id: str = "",
        client_message_id: str = "",
        route: RouteName | None = None,
        model: str = "",
        parent_message_id: str | None = None,
        on_failure: OnFailureName | None = None,
        queue_when_unavailable: bool = False,
        time_zone: str = "",
        project_id: str = "",
        timeout_seconds: float = _WHOLE_ANSWER_SECONDS,
    ) -> pb.SendMessageResponse:
        """Sends a message and returns the whole answer. The arguments are those of `stream_reply`; a turn that waits in the queue is
        waited for within `timeout_seconds`.

        A turn that waits for the user's approval of a tool is returned with `pending_approvals`, unfinished: after the decision, the same
        call with the same client_message_id waits on. A turn that fails raises the ParleyError of the failure, one that is stopped
        CallCancelledError. A cut is not seen: the same
        call is made again, and its client_message_id makes it the same turn.
        """
        request = pb.SendMessageRequest(
            message=message,
            session_id=session_id,
            client_message_id=client_message_id or new_client_message_id(),
            route=route_number(route or ""),
            model=model,
            parent_message_id=parent_message_id,
            on_failure=on_failure_number(on_failure or ""),
            queue_when_unavailable=queue_when_unavailable,
            time_zone=time_zone,
            project_id=project_id,
        )
        return await self._connection.call(SEND_MESSAGE, request, timeout_seconds=timeout_seconds, cut_only=True)

    async def suggest_prompts(self, *, session_id: str = "", limit: int = 0) -> list[pb.PromptSuggestion]:
        """What the user might say next, the best first: each with the route that fits it, and a reason.

        session_id: the session to go on with; without it, suggestions to begin with, from the user's documents.
        limit: how many at most, 1 to 10; 4 when 0.
        """
        request = pb.SuggestPromptsRequest(session_id=session_id, limit=limit)
        return list((await self._connection.call(SUGGEST_PROMPTS, request)).suggestions)


def _channel(
    address: str,
    tls: bool | grpc.ChannelCredentials | None,
    tokens: TokenProvider | None,
    timeout_seconds: float,
    backoff: Backoff,
    *,
    side: SideName = "primary",
    health: SideHealth | None = None,
) -> ChannelConnection:
    where = parse_address(address)
    credentials: grpc.ChannelCredentials | None = None
    if isinstance(tls, grpc.ChannelCredentials):
        credentials = tls
    elif tls or (tls is None and where.secure):
        credentials = grpc.ssl_channel_credentials()
    return ChannelConnection(
        where, credentials, tokens, backoff=backoff, timeout_seconds=timeout_seconds, side=side, health=health
    )


def new_client_message_id() -> str:
    """A name for a message that nobody else gives: 32 hexadecimal digits."""
    return uuid.uuid4().hex
