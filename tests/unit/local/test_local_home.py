"""The home: one Parley at a time, and ready.json whole or not at all."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path

import pytest
from parley_local import home
from parley_local.banner import banner
from parley_local.plan import Plan, edge_environment, service_environment
from parley_local.settings import LocalSettings
from parley_shared.settings import Environment, SettingsError

DEPLOY = Path(__file__).parents[3] / "deploy"


def settings_of(folder: Path, **variables: str) -> LocalSettings:
    given = {"PARLEY_HOME": str(folder), "PARLEY_EDGE_PORT": "0", "PARLEY_CHAT_PORT": "0", **variables}
    given |= {"PARLEY_INFERENCE_PORT": "0", "PARLEY_RETRIEVAL_PORT": "0"}
    return LocalSettings.read(Environment(given), given)


def test_a_home_is_for_its_owner_and_for_one_at_a_time(tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "home"
    with home.taken(folder):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        with pytest.raises(SettingsError, match=f"process {os.getpid()}") as busy, home.taken(folder):
            pass
        assert busy.value.variable == "PARLEY_HOME"
    with home.taken(folder):
        pass


def test_a_home_that_cannot_be_made_is_told_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(SettingsError, match=r"^PARLEY_HOME is .*file/home, which cannot be used: "),
        home.taken(tmp_path / "file" / "home"),
    ):
        pass


def test_what_a_killed_one_left_is_taken_away(tmp_path: Path) -> None:
    (tmp_path / home.READY_FILE).write_text("{}")
    with home.taken(tmp_path):
        assert not (tmp_path / home.READY_FILE).exists()


def test_ready_json_is_replaced_whole(tmp_path: Path) -> None:
    home.write_ready(tmp_path, {"url": "http://127.0.0.1:1"})
    before = (tmp_path / home.READY_FILE).open()
    home.write_ready(tmp_path, {"url": "http://127.0.0.1:2"})
    with before:
        assert json.load(before)["url"].endswith(":1"), "written in place"
    assert stat.S_IMODE((tmp_path / home.READY_FILE).stat().st_mode) == 0o600
    assert [file.name for file in tmp_path.iterdir()] == [home.READY_FILE]


def plan_and_environments(settings: LocalSettings) -> tuple[Plan, dict[str, dict[str, str]]]:
    """The plan, and what each process and the edge get."""
    plan = Plan.of(settings)
    environments = {
        process.name: service_environment(settings, plan, process, pretty=False) for process in plan.processes
    }
    return plan, {**environments, "edge": edge_environment(settings, plan)}


def test_the_services_listen_on_loopback_whatever_the_edge_does(tmp_path: Path) -> None:
    settings = settings_of(tmp_path, PARLEY_HOST="0.0.0.0", OPENAI_API_KEY="k")
    plan, environments = plan_and_environments(settings)
    chat, retrieval, edge = environments["chat"], environments["retrieval"], environments["edge"]
    assert (chat["PARLEY_HOST"], retrieval["PARLEY_HOST"], edge["PARLEY_HOST"]) == ("127.0.0.1", "127.0.0.1", "0.0.0.0")
    assert chat["OPENAI_API_KEY"] == "k", "the children inherit what was set"
    assert retrieval["PARLEY_CHAT_ADDRESS"] == edge["PARLEY_CHAT_ADDRESS"] == f"127.0.0.1:{chat['PARLEY_CHAT_PORT']}"
    assert environments["inference"]["PARLEY_CHAT_ADDRESS"] == retrieval["PARLEY_CHAT_ADDRESS"]
    assert chat["PARLEY_RETRIEVAL_ADDRESS"] == f"127.0.0.1:{retrieval['PARLEY_RETRIEVAL_PORT']}"
    assert plan.url == f"http://127.0.0.1:{edge['PARLEY_EDGE_PORT']}"


SHARED = {"PARLEY_CHAT_DATABASE_URL": "postgresql://me@db/parley", "PARLEY_CHAT_REDIS_URL": "redis://cache:6379/0"}


def test_replicas_of_chat_have_all_in_common_but_the_port(tmp_path: Path) -> None:
    settings = settings_of(tmp_path, PARLEY_UP_CHAT_REPLICAS="3", **SHARED)
    plan, environments = plan_and_environments(settings)
    assert list(environments) == ["chat", "chat-2", "chat-3", "inference", "retrieval", "edge"]
    chats = [environments[name] for name in ("chat", "chat-2", "chat-3")]
    ports = [chat.pop("PARLEY_CHAT_PORT") for chat in chats]
    assert len(set(ports)) == 3
    assert chats[0].pop("PARLEY_CHAT_EDGE_SPANS_ADDRESS")
    for chat in chats:
        # Each tells its own figures.
        chat.pop("PARLEY_CHAT_METRICS_ADDRESS", None)
    assert chats[0] == chats[1] == chats[2]
    assert [plan.addresses[name] for name in ("chat", "chat-2", "chat-3")] == [f"127.0.0.1:{port}" for port in ports]


def test_the_edge_sends_its_spans_to_the_first_chat_unless_there_is_a_collector(tmp_path: Path) -> None:
    _, alone = plan_and_environments(settings_of(tmp_path))
    address = alone["chat"]["PARLEY_CHAT_EDGE_SPANS_ADDRESS"]
    assert alone["edge"]["PARLEY_OTLP_ENDPOINT"] == f"http://{address}"
    assert "PARLEY_OTLP_ENDPOINT" not in alone["chat"]
    collector = "http://127.0.0.1:4317"
    _, collected = plan_and_environments(settings_of(tmp_path, PARLEY_OTLP_ENDPOINT=collector))
    assert {environment["PARLEY_OTLP_ENDPOINT"] for environment in collected.values()} == {collector}
    _, several = plan_and_environments(settings_of(tmp_path, PARLEY_UP_CHAT_REPLICAS="2", **SHARED))
    assert several["edge"]["PARLEY_OTLP_ENDPOINT"] == f"http://{several['chat']['PARLEY_CHAT_EDGE_SPANS_ADDRESS']}"
    for environment in (collected["chat"], several["chat-2"]):
        assert "PARLEY_CHAT_EDGE_SPANS_ADDRESS" not in environment


def test_the_edge_spreads_calls_over_all_replicas_and_the_others_ask_the_one_that_answers(tmp_path: Path) -> None:
    plan, environments = plan_and_environments(settings_of(tmp_path, PARLEY_UP_CHAT_REPLICAS="2", **SHARED))
    both = f"{plan.addresses['chat']},{plan.addresses['chat-2']}"
    assert environments["edge"]["PARLEY_CHAT_ADDRESS"] == both
    assert environments["retrieval"]["PARLEY_CHAT_ADDRESS"] == f"ipv4:{both}"


@pytest.mark.parametrize(
    ("variables", "named"),
    [
        ({}, "PARLEY_CHAT_DATABASE_URL"),
        (SHARED | {"PARLEY_CHAT_DATABASE_URL": "sqlite:////tmp/chat.db"}, "PARLEY_CHAT_DATABASE_URL"),
        (SHARED | {"PARLEY_CHAT_REDIS_URL": ""}, "PARLEY_CHAT_REDIS_URL"),
        (SHARED | {"PARLEY_UP_CHAT_REPLICAS": "9"}, "PARLEY_UP_CHAT_REPLICAS"),
        (SHARED | {"PARLEY_UP_CHAT_REPLICAS": "0"}, "PARLEY_UP_CHAT_REPLICAS"),
    ],
)
def test_several_replicas_need_what_they_share(tmp_path: Path, variables: dict[str, str], named: str) -> None:
    with pytest.raises(SettingsError, match=named) as wrong:
        settings_of(tmp_path, **{"PARLEY_UP_CHAT_REPLICAS": "2", **variables})
    assert wrong.value.variable == named
    assert "\n" not in str(wrong.value)
    assert "sqlite" not in str(wrong.value), "an address may hold a password"


def test_what_was_set_is_not_overruled(tmp_path: Path) -> None:
    given = {
        "PARLEY_RETRIEVAL_SAMPLE_CORPUS": "/my/corpus",
        "PARLEY_EDGE_PAGE": "/my/page",
        "PARLEY_EDGE_ACCESS_LOG": "/my/log",
    }
    settings = settings_of(tmp_path, **given)
    _, environments = plan_and_environments(settings)
    both = environments["retrieval"] | environments["edge"]
    assert given.items() <= both.items()


def test_the_banner_quotes_what_a_shell_would_take_apart(tmp_path: Path) -> None:
    folder = tmp_path / "a home; with $signs"
    settings = settings_of(folder)
    lines = banner(settings, Plan.of(settings), page=True)
    assert any(f"PARLEY_HOME='{folder}' " in line for line in lines)
    (folder / "keys").mkdir(parents=True)
    (folder / "keys" / "local-user.json").write_text('{"email": "me@example.com", "password": "hush"}')
    lines = banner(settings, Plan.of(settings), page=True)
    assert any("me@example.com" in line for line in lines)
    assert not any("hush" in line for line in lines)


def test_the_banner_tells_of_replicas_when_there_are_some(tmp_path: Path) -> None:
    settings = settings_of(tmp_path, PARLEY_UP_CHAT_REPLICAS="2", **SHARED)
    plan = Plan.of(settings)
    (line,) = [line for line in banner(settings, plan, page=True) if line.startswith("  chat ")]
    assert f"2 processes: {plan.addresses['chat']}, {plan.addresses['chat-2']}" in line
    alone = settings_of(tmp_path)
    assert not [line for line in banner(alone, Plan.of(alone), page=True) if line.startswith("  chat ")]


def test_every_setting_is_in_the_table_of_the_readme() -> None:
    source = (DEPLOY / "local" / "parley_local" / "settings.py").read_text()
    readme = (DEPLOY / "local" / "README.md").read_text()
    named = {
        word.strip('("),:') for word in source.replace("(", " (").split() if word.strip("(").startswith('"PARLEY_')
    }
    assert named
    assert not [name for name in named if f"`{name}`" not in readme]
