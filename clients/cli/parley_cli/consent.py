"""Asks the person at the terminal whether a tool may run; without a terminal, says how to decide."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from parley_client import FailedPreconditionError, InvalidArgumentError

from parley_cli.answer import STOPPED, View, show
from parley_cli.place import CommandError
from parley_cli.terminal import printable

if TYPE_CHECKING:
    from parley_client import ApprovalRequested, Parley, Turn
    from parley_client.events import LastEvent

EFFECTS = {
    "read": "it reads",
    "write": "it changes what you keep in Parley",
    "delete": "it deletes for good",
    "external": "it acts outside of Parley",
}
_MOST_SHOWN = 4_000


def is_terminal() -> bool:
    """Whether somebody can be asked."""
    return sys.stdin.isatty() and sys.stdout.isatty()


def how_to_decide(asked: ApprovalRequested) -> str:
    """What to type to decide about a call from elsewhere."""
    where = f"{asked.turn_id} {asked.tool_call_id}"
    return f"parley approve {where}\nparley deny {where}"


async def show_asking(
    client: Parley, turn: Turn, new_view: Callable[[], AbstractAsyncContextManager[View]], *, may_ask: bool = True
) -> LastEvent:
    """Shows a turn to its end, and asks where a tool needs it and somebody is there. See `show`."""
    ask = may_ask and is_terminal()
    decided: set[str] = set()
    while True:
        async with new_view() as view:
            last = await show(turn, view, until_asked=ask)
        if last is not None:
            return last
        for asked in turn.pending_approvals:
            # What became of a decision comes with the stream, behind what else is asked.
            if asked.tool_call_id not in decided:
                decided.add(asked.tool_call_id)
                await _decide(client, turn, asked)


async def _decide(client: Parley, turn: Turn, asked: ApprovalRequested) -> None:
    """Has one call decided, by this person or by whoever is faster elsewhere."""
    print(f"? {question(asked)}")
    arguments = pretty(asked.arguments_json)
    print(arguments[:_MOST_SHOWN])
    while True:
        try:
            answer = _prompt()
        except EOFError:
            raise CommandError(f"\nThe answer waits in Parley:\n{how_to_decide(asked)}", exit_code=STOPPED) from None
        except KeyboardInterrupt:
            print()
            await turn.stop()
            return
        word, _, reason = answer.partition(" ")
        try:
            match word.lower():
                case "y" | "yes":
                    await client.tools.approve(asked.turn_id, asked.tool_call_id)
                case "e" | "edit":
                    arguments = edited(arguments)
                    await client.tools.approve(asked.turn_id, asked.tool_call_id, arguments_json=arguments)
                case "" | "n" | "no":
                    await client.tools.deny(asked.turn_id, asked.tool_call_id, reason=reason.strip())
                case _:
                    continue
        except InvalidArgumentError as error:
            for violation in error.field_violations:
                print(f"! {printable(violation.field)} {printable(violation.description)}")
            continue
        except FailedPreconditionError as error:
            # Decided on the page, for example: the stream tells what became of it.
            print(f"! {printable(error.message)}")
        return


def _prompt() -> str:
    """Waits for the person: nothing else goes on meanwhile, and a connection that is lost is taken up again."""
    with _interruptible():
        return input("Run it? y, N, e to edit, or n and a reason: ").strip()


def question(asked: ApprovalRequested) -> str:
    """What a person is asked."""
    return f"{printable(asked.tool)} wants to run: {EFFECTS.get(asked.effect, 'nobody knows what it does')}."


def pretty(arguments_json: str) -> str:
    """Arguments as people read them; what is no JSON as it is."""
    try:
        return printable(json.dumps(json.loads(arguments_json), indent=2, ensure_ascii=False))
    except ValueError:
        return printable(arguments_json)


def edited(arguments: str) -> str:
    """Opens the person's editor on the arguments, and gives what they left. CommandError when there is no editor."""
    editor = shlex.split(os.environ.get("VISUAL") or os.environ.get("EDITOR") or "vi")
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "arguments.json"
        file.write_text(arguments + "\n", encoding="utf-8")
        try:
            subprocess.run([*editor, str(file)], check=False)  # noqa: S603 - the editor is the person's own setting
            return file.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise CommandError(f"The arguments could not be edited with {editor[0]}: {error}") from error


@contextmanager
def _interruptible() -> Iterator[None]:
    """Lets Ctrl-C end a prompt, which asyncio would keep for its own task."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
