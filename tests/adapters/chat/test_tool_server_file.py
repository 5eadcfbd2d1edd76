"""The file that names MCP servers: what it may say, and that every mistake is one line which names the table and the key, and no secret."""

from __future__ import annotations

from pathlib import Path

import pytest
from parley_chat.adapters.toml_tool_servers import ToolServersError, read_tool_servers
from parley_chat.domain.tool_servers import ToolServer
from parley_shared.toml_tables import MOST_BYTES

VARIABLES = {"KEY": "s3cret", "ODD": "a\nb"}


def read(tmp_path: Path, text: str) -> tuple[ToolServer, ...]:
    file = tmp_path / "parley.toml"
    file.write_text(text)
    return read_tool_servers(file, VARIABLES.get)


def test_a_server_with_a_command_and_one_with_a_url(tmp_path: Path) -> None:
    text = f"""
        [providers.house]
        kind = "ollama"

        [mcp.servers.files]
        command = "npx"
        args = ["-y", "server", "", "-y"]
        env = {{ TOKEN = "${{KEY}}", MODE = "plain" }}
        folder = "{tmp_path}"
        tools = ["read", "write"]
        ask = "never"
        ask_for = {{ write = "always" }}
        trust_hints = true
        scope = "documents:read"
        timeout_seconds = 5
        max_result_bytes = 2000

        [mcp.servers.web-2]
        url = "https://tools.example.com/mcp"
        headers = {{ Authorization = "Bearer ${{KEY}}" }}

        [mcp.servers.off]
        command = "off"
        env = {{ TOKEN = "${{NOT_SET}}" }}
        enabled = false
    """
    files, web = read(tmp_path, text)
    assert files == ToolServer(
        "files",
        command=("npx", "-y", "server", "", "-y"),
        environment={"TOKEN": "s3cret", "MODE": "plain"},
        folder=str(tmp_path),
        tools=frozenset({"read", "write"}),
        asks=False,
        asks_for={"write": True},
        trusts_hints=True,
        scope="documents:read",
        timeout_seconds=5.0,
        max_result_bytes=2000,
    )
    assert web == ToolServer(
        "web-2", url="https://tools.example.com/mcp", headers={"Authorization": "Bearer s3cret"}, scope="chat:write"
    )
    assert (web.tools, web.asks, web.timeout_seconds, web.max_result_bytes) == (None, None, 30.0, 100_000)
    assert "s3cret" not in repr(files) + repr(web)


@pytest.mark.parametrize("text", ["", "[providers.a]\nkind = 'openai'", "[mcp.servers]", "[mcp]"])
def test_a_file_may_name_none(tmp_path: Path, text: str) -> None:
    assert read(tmp_path, text) == ()


URL = "url = 'http://localhost:1/mcp'\n"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("mcp = 1", "mcp must be a table"),
        ("[mcp.server.a]", "mcp.server is not known; there is servers"),
        ("[mcp]\nservers = 1", "mcp.servers must hold at most 20 tables"),
        ("[mcp.servers.A]\n" + URL, "can have no such name"),
        ("[mcp.servers.a__b]\n" + URL, "can have no such name"),
        ("[mcp.servers]\na = 1", "mcp.servers.a must be a table"),
        ("[mcp.servers.a]", "mcp.servers.a.command or url must be there"),
        ("[mcp.servers.a]\ncommand = 'x'\n" + URL, "mcp.servers.a.command or url must be there, and not both"),
        ("[mcp.servers.a]\ncomand = 'x'\n" + URL, "mcp.servers.a.comand is not known; there are args, ask, "),
        ("[mcp.servers.a]\nargs = 'x'\ncommand = 'x'", "mcp.servers.a.args must be a list"),
        ("[mcp.servers.a]\nargs = [1]\ncommand = 'x'", "mcp.servers.a.args must be a list"),
        (
            "[mcp.servers.a]\nenv = { X = '${NOT_SET}' }\ncommand = 'x'",
            "env.X needs the variable NOT_SET, which is not set",
        ),
        (
            "[mcp.servers.a]\nenv = { X = '${ODD}' }\ncommand = 'x'",
            "env.X needs the variable ODD, which holds characters",
        ),
        ("[mcp.servers.a]\nenv = { X = '${}' }\ncommand = 'x'", "env.X must name a variable"),
        ("[mcp.servers.a]\nenv = { X = 1 }\ncommand = 'x'", "env.X must be a text"),
        ("[mcp.servers.a]\nenv = { '1' = 'x' }\ncommand = 'x'", "env holds '1'"),
        ("[mcp.servers.a]\nenv = { X = 'x' }\n" + URL, "mcp.servers.a.env is for servers with a command"),
        ("[mcp.servers.a]\nheaders = { X = 'x' }\ncommand = 'x'", "mcp.servers.a.headers is for servers with a url"),
        ("[mcp.servers.a]\nheaders = { Host = 'x' }\n" + URL, "headers holds 'Host'"),
        ("[mcp.servers.a]\nheaders = { X = '${ODD}' }\n" + URL, "headers.X needs the variable ODD"),
        ("[mcp.servers.a]\nfolder = '/no/such/folder'\ncommand = 'x'", "mcp.servers.a.folder is not a folder"),
        ("[mcp.servers.a]\nurl = 'ftp://x'", "mcp.servers.a.url must be like"),
        ("[mcp.servers.a]\nurl = 'http://ada:s3cret@x'", "mcp.servers.a.url must be like"),
        ("[mcp.servers.a]\nask = 'sometimes'\n" + URL, "mcp.servers.a.ask must be one of always, never"),
        ("[mcp.servers.a]\nask_for = { x = 'maybe' }\n" + URL, "mcp.servers.a.ask_for must be a table of tools"),
        ("[mcp.servers.a]\nscope = 'everything'\n" + URL, "mcp.servers.a.scope must be like chat:write"),
        (
            "[mcp.servers.a]\ntimeout_seconds = 0\n" + URL,
            "mcp.servers.a.timeout_seconds must be a number from 0.1 to 600",
        ),
        (
            "[mcp.servers.a]\nmax_result_bytes = 10\n" + URL,
            "max_result_bytes must be a whole number from 1000 to 100000",
        ),
        ("[mcp.servers.a]\ntrust_hints = 1\n" + URL, "mcp.servers.a.trust_hints must be true or false"),
        ("not toml", "is not TOML"),
        ("x = '" + "x" * MOST_BYTES + "'", f"is larger than {MOST_BYTES} bytes"),
    ],
)
def test_a_mistake_is_one_line_that_names_the_key(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(ToolServersError) as raised:
        read(tmp_path, text)
    assert words in str(raised.value)
    assert "s3cret" not in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(ToolServersError, match="cannot be read"):
        read_tool_servers(tmp_path / "none.toml", VARIABLES.get)


def test_the_guides_example_is_taken_as_it_stands(tmp_path: Path) -> None:
    guide = (Path(__file__).parents[3] / "docs" / "guide" / "mcp.md").read_text()
    example = guide.split("```toml\n")[1].split("```")[0].replace('"/srv"', f'"{tmp_path}"')
    file = tmp_path / "parley.toml"
    file.write_text(example)
    files, tracker = read_tool_servers(file, {"FILES_KEY": "k", "TRACKER_TOKEN": "t"}.get)
    assert (files.command[0], files.environment, files.asks_for) == ("npx", {"API_KEY": "k"}, {"read_file": False})
    assert (tracker.headers, tracker.asks, tracker.trusts_hints) == ({"Authorization": "Bearer t"}, True, True)
