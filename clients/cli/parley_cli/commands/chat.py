"""`parley chat`: a conversation in the terminal."""

from __future__ import annotations

import asyncio
import signal
import sys
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from parley.chat.v1 import message_pb2
from parley_client import ParleyError, Turn, TurnFailed
from rich.text import Text

from parley_cli.answer import view_for
from parley_cli.commands.sessions import newest_sessions, session_table
from parley_cli.consent import show_asking
from parley_cli.failures import in_words
from parley_cli.markdown_stream import MarkdownText
from parley_cli.place import CommandError, Place
from parley_cli.running import open_parley
from parley_cli.terminal import new_console, printable
from parley_cli.time_zone import local_time_zone

if TYPE_CHECKING:
    from parley.chat.v1 import session_pb2
    from parley_client import Parley, RouteName
    from rich.console import Console

_HELP = """\
/new             begin a new session
/sessions        list the last sessions
/open NUMBER     go on with one of them
/help            this list
/quit            leave; so do Ctrl-D and Ctrl-C at the prompt

Ctrl-C while an answer is written stops it. A line that ends with \\ goes on in the next."""
_SESSIONS_LISTED = 10
_MESSAGES_SHOWN = 4


@dataclass(frozen=True)
class ChatOptions:
    """How a conversation begins."""

    session_id: str = ""
    """The session to go on with; a new one when empty."""
    route: str = ""
    """The route of every message; Parley's default when empty."""
    model: str = ""
    """The model or alias of every message; the route's when empty."""
    queue: bool = False
    """Whether every message waits when no model can be reached."""


def chat(place: Place, token: str | None, options: ChatOptions) -> int:
    """Talks until the user leaves. Returns the exit code."""
    with asyncio.Runner() as runner:
        # Between answers the loop rests and the prompt has the terminal: reading a line would block it.
        return _Conversation(runner, place, token, options).run()


class _Conversation:
    def __init__(self, runner: asyncio.Runner, place: Place, token: str | None, options: ChatOptions) -> None:
        self._runner = runner
        self._place = place
        self._token = token
        self._options = options
        self._session_id = options.session_id
        self._listed: list[session_pb2.Session] = []
        self._console: Console | None = new_console() if sys.stdout.isatty() else None

    def run(self) -> int:
        resources = AsyncExitStack()
        client = self._runner.run(self._open(resources))
        try:
            self._runner.run(self._greet(client))
            while (line := self._read_line()) is not None:
                try:
                    if not self._obey(client, line):
                        break
                except ParleyError as error:
                    # One message that went wrong is no reason to lose the conversation.
                    self._print(Text(in_words(error, self._place.address), style="red"))
            # Leaving takes a moment, which one more Ctrl-C is not to break off.
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            if self._session_id and self._console is not None:
                self._print(Text(f"Go on with: parley chat --session {self._session_id}", style="dim"))
        finally:
            self._runner.run(resources.aclose())
        return 0

    async def _open(self, resources: AsyncExitStack) -> Parley:
        client = await resources.enter_async_context(open_parley(self._place, self._token))
        await client.system.healthy()
        return client

    async def _greet(self, client: Parley) -> None:
        if self._session_id:
            await self._show_session(client)
        elif self._console is not None:
            self._print(Text(f"Parley at {self._place.address}. /help lists what you can do.", style="dim"))

    def _obey(self, client: Parley, line: str) -> bool:
        """Does what a line says. False when it says to leave."""
        if not line.startswith("/"):
            self._runner.run(self._send(client, line))
            return True
        command, _, argument = line.partition(" ")
        match command:
            case "/quit" | "/exit":
                return False
            case "/new":
                self._session_id = ""
                self._print(Text("A new session begins with your next message.", style="dim"))
            case "/sessions":
                self._runner.run(self._list_sessions(client))
            case "/open":
                self._open_listed(client, argument.strip())
            case "/help":
                self._print(Text(_HELP))
            case _:
                self._print(Text(f"There is no {printable(command)}. /help lists what there is.", style="yellow"))
        return True

    async def _send(self, client: Parley, text: str) -> None:
        turn = client.stream_reply(
            text,
            time_zone=local_time_zone(),
            session_id=self._session_id,
            route=cast("RouteName | None", self._options.route or None),
            model=self._options.model,
            queue_when_unavailable=self._options.queue,
        )
        await self._show(client, turn)

    async def _show(self, client: Parley, turn: Turn) -> None:
        try:
            last = await show_asking(client, turn, lambda: view_for(self._console))
        except CommandError as error:
            self._print(Text(str(error), style="yellow"))
        else:
            if isinstance(last, TurnFailed):
                self._print(Text(f"The answer failed: {printable(last.failure.message)}", style="red"))
        finally:
            self._session_id = turn.session_id or self._session_id

    async def _list_sessions(self, client: Parley) -> None:
        self._listed = await newest_sessions(client, _SESSIONS_LISTED)
        self._print(session_table(self._listed) if self._listed else Text("There are no sessions yet.", style="dim"))

    def _open_listed(self, client: Parley, argument: str) -> None:
        if not argument.isascii() or not argument.isdigit() or not 1 <= int(argument) <= len(self._listed):
            self._print(Text("Say /sessions first, and then /open with a number of that list.", style="yellow"))
            return
        self._session_id = self._listed[int(argument) - 1].session_id
        self._runner.run(self._show_session(client))

    async def _show_session(self, client: Parley) -> None:
        """The end of the conversation so far, and the answer that is being written, if one is."""
        session = await client.sessions.get(self._session_id)
        if self._console is not None:
            await self._show_last_messages(client, session)
        if session.running_turn_id:
            turn = client.resume_reply(session.running_turn_id)
            await self._show(client, turn)

    async def _show_last_messages(self, client: Parley, session: session_pb2.Session) -> None:
        self._print(Text(printable(session.title) or "(no title)", style="bold"))
        shown: list[message_pb2.Message] = []
        async for message in client.messages.list(self._session_id, page_size=_MESSAGES_SHOWN):
            if message.state != message_pb2.MESSAGE_STATE_STREAMING:
                shown.append(message)
            if len(shown) == _MESSAGES_SHOWN:
                break
        for message in reversed(shown):
            self._print(Text())
            if message.role == message_pb2.ROLE_USER:
                self._print(Text(f"› {printable(message.text)}", style="bold cyan"))
            else:
                self._print(MarkdownText(printable(message.text)))
        self._print(Text())

    def _read_line(self) -> str | None:
        """The next line that says something; None when the user leaves."""
        while True:
            try:
                line = self._prompt("› ")
                while line.endswith("\\"):
                    line = line[:-1] + "\n" + self._prompt("… ")
            except EOFError:
                self._end_line()
                return None
            except KeyboardInterrupt:
                self._end_line()
                return None
            if line.strip():
                return line.strip()

    def _prompt(self, mark: str) -> str:
        if self._console is None or not sys.stdin.isatty():
            return input()
        import readline  # noqa: F401, PLC0415 - editing and history at the prompt, where there is one

        if self._console.no_color:
            return input(mark)
        # The marks around the colours tell readline that they take no room.
        return input(f"\001\033[1;36m\002{mark}\001\033[0m\002")

    def _end_line(self) -> None:
        if self._console is not None:
            self._console.print()

    def _print(self, renderable: object) -> None:
        (self._console or new_console(stderr=True)).print(renderable)
