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


def test_the_services_listen_on_loopback_whatever_the_edge_does(tmp_path: Path) -> None:
    settings = settings_of(tmp_path, PARLEY_HOST="0.0.0.0", OPENAI_API_KEY="k")
    plan = Plan.of(settings)
    services, edge = service_environment(settings, plan, pretty=False), edge_environment(settings, plan)
    assert (services["PARLEY_HOST"], edge["PARLEY_HOST"]) == ("127.0.0.1", "0.0.0.0")
    assert services["OPENAI_API_KEY"] == "k", "the children inherit what was set"
    assert services["PARLEY_CHAT_ADDRESS"] == edge["PARLEY_CHAT_ADDRESS"] == f"127.0.0.1:{services['PARLEY_CHAT_PORT']}"
    assert plan.url == f"http://127.0.0.1:{edge['PARLEY_EDGE_PORT']}"


def test_what_was_set_is_not_overruled(tmp_path: Path) -> None:
    given = {
        "PARLEY_RETRIEVAL_SAMPLE_CORPUS": "/my/corpus",
        "PARLEY_EDGE_PAGE": "/my/page",
        "PARLEY_EDGE_ACCESS_LOG": "/my/log",
    }
    settings = settings_of(tmp_path, **given)
    plan = Plan.of(settings)
    both = service_environment(settings, plan, pretty=True) | edge_environment(settings, plan)
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


def test_every_setting_is_in_the_table_of_the_readme() -> None:
    source = (DEPLOY / "local" / "parley_local" / "settings.py").read_text()
    readme = (DEPLOY / "local" / "README.md").read_text()
    named = {
        word.strip('("),:') for word in source.replace("(", " (").split() if word.strip("(").startswith('"PARLEY_')
    }
    assert named
    assert not [name for name in named if f"`{name}`" not in readme]
