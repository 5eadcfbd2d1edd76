"""What a person is told when Parley is ready: where it is, who they are, and a first call that works as it stands."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import sys
from contextlib import suppress
from pathlib import Path

from parley_local.plan import Plan
from parley_local.settings import LocalSettings

_QUESTION = "How do I add a provider?"


def banner(settings: LocalSettings, plan: Plan, *, page: bool) -> list[str]:
    """The lines, without the last one: `ready http://…`."""
    file = settings.home / "keys" / "local-user.json"
    lines = ["", f"Parley is ready at {plan.url}" + ("" if page else " (without its page: build it with `make setup`)")]
    email = _email(file)
    if email:
        lines += [f"  sign in   {email}, with the password in {_shown(file)}"]
    chats = plan.addresses_of("chat")
    if len(chats) > 1:
        lines += [f"  chat      {len(chats)} processes: {', '.join(chats)}"]
    lines += [
        f"  ask       {_command(settings, plan)} ask {shlex.quote(_QUESTION)}",
        "  or        " + _grpcurl(settings, plan),
        "  stop      Ctrl-C",
        "",
    ]
    return lines


def _grpcurl(settings: LocalSettings, plan: Plan) -> str:
    token = f'"authorization: Bearer $({_command(settings, plan)} token create)"'
    question = shlex.quote(json.dumps({"message": _QUESTION}))
    return f"grpcurl -plaintext -H {token} -d {question} {plan.authority} parley.chat.v1.ChatService/StreamReply"


def _command(settings: LocalSettings, plan: Plan) -> str:
    """The `parley` of this installation, told where its data is when that is not where it looks by itself."""
    own = Path(sys.executable).with_name("parley")
    command = shlex.quote(_shown(own)) if own.exists() and shutil.which("parley") != str(own) else "parley"
    usual = settings.home == Path(".parley").absolute() and plan.edge_port == 8080
    return command if usual else f"PARLEY_HOME={shlex.quote(str(settings.home))} {command}"


def _email(file: Path) -> str:
    with suppress(OSError, ValueError, KeyError, TypeError):
        return str(json.loads(file.read_text(encoding="utf-8"))["email"])
    return ""


def _shown(path: Path) -> str:
    """As short as it can be said from here."""
    relative = os.path.relpath(path)
    return str(path) if relative.startswith("..") else relative
