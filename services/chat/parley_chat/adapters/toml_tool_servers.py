"""The servers of tools in the configuration file, which inference reads too: each is a table `[mcp.servers.NAME]`.

    [mcp.servers.files]
    command = "npx"
    args = ["-y", "@modelcontextprotocol/server-filesystem", "/srv/files"]
    env = { TOKEN = "${FILES_TOKEN}" }

Every mistake is told with its table and key. Secrets are not in the file: `${NAME}` in `env` and `headers` stands for a variable of the
environment.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from urllib.parse import urlsplit

from parley_shared.toml_tables import Table, TableError, read_toml

from parley_chat.domain.tool_servers import ToolServer

_MOST_SERVERS = 20
_MOST_NAMED = 200
_NAME = re.compile(r"[a-z0-9]+([_-][a-z0-9]+)*")
"""Never two underscores in a row: these stand between a server's name and its tool's."""
_MOST_NAME = 24
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}")
_REFERENCE = re.compile(r"\$\{([^}]*)\}")
_HEADER = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}")
_OWN_HEADERS = frozenset({"accept", "content-type", "content-length", "host", "mcp-session-id", "mcp-protocol-version"})
_SCOPE = re.compile(r"[a-z]+:[a-z]+")
_ASKS = {"always": True, "never": False, "": None}


class ToolServersError(Exception):
    """A file that cannot be used. The message says in one line for a person where and why; no value that may be secret is in it."""


def read_tool_servers(path: Path, variable: Callable[[str], str | None]) -> tuple[ToolServer, ...]:
    """The servers that are not switched off, in the order of the file. `variable` gives the value of a variable, None when it is not set.

    Raises ToolServersError.
    """
    try:
        mcp = read_toml(path).get("mcp", {})
        if not isinstance(mcp, dict):
            raise TableError(": mcp must be a table: [mcp]")
        unknown = next((key for key in mcp if key != "servers"), None)
        if unknown is not None:
            raise TableError(f": mcp.{unknown[:40]} is not known; there is servers")
        servers = mcp.get("servers", {})
        if not isinstance(servers, dict) or len(servers) > _MOST_SERVERS:
            raise TableError(f": mcp.servers must hold at most {_MOST_SERVERS} tables: [mcp.servers.NAME]")
        read = [_server(name, values, variable) for name, values in servers.items()]
    except TableError as error:
        # The table's reader names the file first, which whoever raises this does too.
        raise ToolServersError(str(error).removeprefix(": ")) from None
    return tuple(server for server in read if server is not None)


def _server(name: str, values: object, variable: Callable[[str], str | None]) -> ToolServer | None:
    where = f"mcp.servers.{name[:40]}"
    if not _NAME.fullmatch(name) or len(name) > _MOST_NAME:
        raise TableError(
            f": {where!r} can have no such name: 1 to {_MOST_NAME} of a-z 0-9, and single - and _ between them"
        )
    if not isinstance(values, dict):
        raise TableError(f": {where} must be a table: [{where}]")
    table = Table("", values, within=f"{where}.")
    enabled = table.flag("enabled", default=True)
    command = table.text("command", most=4000, default="")
    arguments = _texts(table, "args")
    environment = _named(table, "env", variable if enabled else None)
    folder = table.text("folder", most=4000, default="")
    url = table.text("url", most=2000, default="")
    headers = _named(table, "headers", variable if enabled else None)
    tools = table.texts("tools", most=_MOST_NAMED, most_characters=128)
    server = ToolServer(
        name=name,
        command=(command, *arguments) if command else (),
        environment=environment,
        folder=str(Path(folder).expanduser()) if folder else "",
        url=url,
        headers=headers,
        tools=frozenset(tools) if table.has("tools") else None,
        asks=_ASKS[table.choice("ask", ("always", "never", ""), "")],
        asks_for=_asks_for(table),
        trusts_hints=table.flag("trust_hints", default=False),
        scope=table.text("scope", most=64, default="chat:write"),
        timeout_seconds=table.number("timeout_seconds", least=0.1, most=600) or 30.0,
        max_result_bytes=table.integer("max_result_bytes", least=1000, most=100_000, default=None) or 100_000,
    )
    table.end()
    _check(table, server)
    return server if enabled else None


def _check(table: Table, server: ToolServer) -> None:
    if bool(server.command) is bool(server.url):
        raise table.wrong("command", "or url must be there, and not both")
    if server.command and server.headers:
        raise table.wrong("headers", "is for servers with a url")
    if server.url and (server.environment or server.folder):
        raise table.wrong("env" if server.environment else "folder", "is for servers with a command")
    if server.url and not _is_url(server.url):
        # It may hold a password, so it is not repeated.
        raise table.wrong("url", "must be like https://tools.example.com/mcp, without a name and a password in it")
    if server.folder and not Path(server.folder).is_dir():
        raise table.wrong("folder", "is not a folder that is there")
    if not _SCOPE.fullmatch(server.scope):
        raise table.wrong("scope", "must be like chat:write")


def _is_url(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return (
            parts.scheme in {"http", "https"} and bool(parts.hostname) and "@" not in parts.netloc and parts.port != 0
        )
    except ValueError:
        return False


def _texts(table: Table, key: str) -> tuple[str, ...]:
    """A list of texts, which may be equal and empty, as arguments of a program may."""
    given = table.value(key, [])
    if (
        not isinstance(given, list)
        or len(given) > _MOST_NAMED
        or not all(isinstance(one, str) and len(one) <= 4000 and "\0" not in one for one in given)
    ):
        raise table.wrong(key, f"must be a list of at most {_MOST_NAMED} texts, each of at most 4000 characters")
    return tuple(given)


def _named(table: Table, key: str, variable: Callable[[str], str | None] | None) -> Mapping[str, str]:
    """Texts by name. `variable` fills in what they refer to; nothing does when it is None."""
    given = table.value(key, {})
    name_of, described = (_VARIABLE, "variables") if key == "env" else (_HEADER, "headers")
    if not isinstance(given, dict) or len(given) > _MOST_NAMED:
        raise table.wrong(key, f"must be a table of at most {_MOST_NAMED} {described}")
    found = {}
    for name, value in given.items():
        if not name_of.fullmatch(name) or name.lower() in _OWN_HEADERS:
            raise table.wrong(key, f"holds {name[:40]!r}, which can be none of its {described}")
        if (
            not isinstance(value, str)
            or len(value) > 8000
            or not (value.isprintable() or key == "env")
            or "\0" in value
        ):
            raise table.wrong(f"{key}.{name}", "must be a text of at most 8000 characters")
        found[name] = _filled(table, f"{key}.{name}", value, variable) if variable else value
    return found


def _filled(table: Table, key: str, value: str, variable: Callable[[str], str | None]) -> str:
    def fill(match: re.Match[str]) -> str:
        name = match[1]
        if not _VARIABLE.fullmatch(name):
            raise table.wrong(key, "must name a variable of the environment between ${ and }")
        filled = variable(name)
        if filled is None:
            raise table.wrong(key, f"needs the variable {name}, which is not set")
        if not filled.isprintable():
            raise table.wrong(key, f"needs the variable {name}, which holds characters that it cannot send")
        return filled

    return _REFERENCE.sub(fill, value)


def _asks_for(table: Table) -> Mapping[str, bool]:
    given = table.value("ask_for", {})
    if (
        not isinstance(given, dict)
        or len(given) > _MOST_NAMED
        or not all(isinstance(value, str) and _ASKS.get(value) is not None for value in given.values())
    ):
        raise table.wrong("ask_for", 'must be a table of tools, each "always" or "never"')
    return {tool: bool(_ASKS[value]) for tool, value in given.items()}
