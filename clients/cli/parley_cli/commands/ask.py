"""`parley ask`: one question, one answer."""

from __future__ import annotations

import sys
from contextlib import nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from parley_client import TurnCompleted, TurnFailed

from parley_cli.answer import STOPPED, SilentView, view_for
from parley_cli.consent import show_asking
from parley_cli.output import print_json
from parley_cli.place import CommandError
from parley_cli.terminal import new_console, printable
from parley_cli.time_zone import local_time_zone

if TYPE_CHECKING:
    from parley_client import Parley, RouteName

    from parley_cli.answer import View


@dataclass(frozen=True)
class Question:
    """What is asked, and how."""

    text: str
    """The question."""
    session_id: str = ""
    """The session; a new one when empty."""
    route: str = ""
    """`automatic`, `standard`, `enhanced`, or empty for Parley's default."""
    model: str = ""
    """The model or alias; the route's when empty."""
    queue: bool = False
    """Whether it waits when no model can be reached."""
    project_id: str = ""
    """The project of a new session; none when empty."""


def read_question(words: str) -> str:
    """The words, or standard input for `-`. CommandError when there is nothing to ask."""
    text = words
    if words == "-":
        try:
            # Of the bytes: how Python would read them depends on the locale.
            text = sys.stdin.buffer.read().decode("utf-8")
        except UnicodeDecodeError as error:
            raise CommandError(f"Standard input is not UTF-8 text: {error.reason} at byte {error.start}.") from error
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise CommandError("The question is not UTF-8 text.", exit_code=2)
    if not text.strip():
        raise CommandError("There is nothing to ask: the question is empty.", exit_code=2)
    return text


async def ask(client: Parley, question: Question, *, as_json: bool) -> int:
    """Asks and shows the answer. Returns the exit code."""
    # A Parley that is not there is told at once; only an answer that has begun is worth waiting for.
    await client.system.healthy()
    turn = client.stream_reply(
        question.text,
        session_id=question.session_id,
        route=cast("RouteName | None", question.route or None),
        model=question.model,
        queue_when_unavailable=question.queue,
        time_zone=local_time_zone(),
        project_id=question.project_id,
    )
    if as_json:
        silent: View = SilentView()
        last = await show_asking(client, turn, lambda: nullcontext(silent), may_ask=False)
        print_json(last.message)
    else:
        console = new_console() if sys.stdout.isatty() else None
        last = await show_asking(client, turn, lambda: view_for(console))
    if isinstance(last, TurnCompleted):
        return 0
    if isinstance(last, TurnFailed):
        print(f"The answer failed: {printable(last.failure.message)}", file=sys.stderr)
        return 1
    return STOPPED
