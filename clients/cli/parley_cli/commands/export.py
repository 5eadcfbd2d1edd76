"""`parley export`: a conversation as a file of Markdown or JSON."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from parley_cli.commands.sessions import local_time
from parley_cli.output import as_dict
from parley_cli.place import CommandError
from parley_cli.terminal import printable

if TYPE_CHECKING:
    from parley.chat.v1 import message_pb2, session_pb2
    from parley_client import Parley

_USER = 1
_STOPPED, _FAILED = 3, 4


async def export(client: Parley, session_id: str, *, as_json: bool, file: Path | None) -> int:
    """Writes the conversation to the file, which must not be there, or to standard output."""
    session = await client.sessions.get(session_id)
    messages = [message async for message in client.messages.list(session_id, page_size=100)]
    messages.reverse()
    text = _json(session, messages) if as_json else _markdown(session, branch(messages, session.tip_message_id))
    if file is None:
        sys.stdout.write(text)
        sys.stdout.flush()
        return 0
    try:
        with file.open("x", encoding="utf-8") as stream:
            stream.write(text)
    except OSError as error:
        raise CommandError(f"{file} cannot be written: {error.strerror}.", exit_code=2) from error
    print(f"{len(messages):,} messages in {file}", file=sys.stderr)
    return 0


def branch(messages: Iterable[message_pb2.Message], tip: str) -> list[message_pb2.Message]:
    """The messages that lead to one, from the first of the session: what was edited or answered anew on the way is left out."""
    by_id = {message.message_id: message for message in messages}
    found = []
    while message := by_id.get(tip):
        found.append(message)
        tip = message.parent_message_id
    return found[::-1]


def _json(session: session_pb2.Session, messages: Iterable[message_pb2.Message]) -> str:
    """The session and all messages of all branches, oldest first, as the contract has them."""
    whole = {"session": as_dict(session), "messages": [as_dict(message) for message in messages]}
    return json.dumps(whole, ensure_ascii=False, indent=2) + "\n"


def _markdown(session: session_pb2.Session, messages: Iterable[message_pb2.Message]) -> str:
    lines = [f"# {printable(session.title) or 'Conversation'}", ""]
    for message in messages:
        lines += [*_message(message), ""]
    return "\n".join(lines)


def _message(message: message_pb2.Message) -> Iterator[str]:
    if message.role == _USER:
        yield f"## You, {local_time(message.create_time)}"
    else:
        who = f" ({printable(message.model)})" if message.model else ""
        yield f"## Assistant{who}, {local_time(message.create_time)}"
    yield ""
    if message.text:
        yield message.text
    if message.state == _STOPPED:
        yield "\n*Stopped here.*"
    if message.state == _FAILED:
        yield f"\n*Failed: {printable(message.failure.message)}*"
    for use in message.tool_uses:
        yield f"\n*Used {printable(use.tool)}{', which failed' if use.failed else ''}.*"
    if message.citations:
        yield ""
    for citation in message.citations:
        place = " › ".join(part for part in (citation.document_title, citation.heading) if part)
        yield f"- [{citation.number}] {printable(place)}"
