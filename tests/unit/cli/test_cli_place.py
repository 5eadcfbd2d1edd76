"""Where the command finds Parley, and whose token it shows to whom."""

from __future__ import annotations

import hashlib
import json
import time
from pathlib import Path

import pytest
from parley_cli.local_tokens import LocalUserTokens
from parley_cli.place import CommandError, find_place, find_tokens, read_local_user
from parley_client import FixedToken

URL = "http://127.0.0.1:41234"


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PARLEY_HOME", str(tmp_path))
    monkeypatch.delenv("PARLEY_CHAT_KEYS_FOLDER", raising=False)
    return tmp_path


def write_ready(home: Path) -> None:
    (home / "ready.json").write_text(json.dumps({"url": URL, "addresses": {}, "processes": {}}))


def write_local_user(home: Path) -> None:
    (home / "keys").mkdir()
    (home / "keys" / "local-user.json").write_text(json.dumps({"email": "a@b.c", "password": "p", "user_id": "usr_1"}))


def test_the_parley_of_the_home_is_found_by_its_ready_file(home: Path) -> None:
    write_ready(home)
    place = find_place(None)
    assert (place.address, place.ours, place.home) == (URL, True, home)


def test_without_a_running_parley_the_command_says_how_to_start_one(home: Path) -> None:
    with pytest.raises(CommandError, match="`parley up`"):
        find_place(None)


def test_a_damaged_ready_file_is_told(home: Path) -> None:
    (home / "ready.json").write_text("[]")
    with pytest.raises(CommandError, match=r"ready\.json is damaged"):
        find_place(None)


@pytest.mark.parametrize(
    ("address", "ours"),
    [
        (URL, True),
        ("127.0.0.1:41234", True),
        (f"{URL}/", True),
        ("127.0.0.1:1", False),
        ("https://parley.example", False),
    ],
)
def test_an_address_that_is_given_comes_first(home: Path, address: str, ours: bool) -> None:
    write_ready(home)
    place = find_place(address)
    assert (place.address, place.ours) == (address, ours)


def test_a_token_that_is_given_comes_first(home: Path) -> None:
    write_ready(home)
    write_local_user(home)
    assert isinstance(find_tokens(find_place(None), "secret"), FixedToken)


@pytest.mark.parametrize("address", [None, "127.0.0.1:1", "http://localhost:9"])
def test_the_local_user_signs_in_on_this_machine(home: Path, address: str | None) -> None:
    write_ready(home)
    write_local_user(home)
    assert isinstance(find_tokens(find_place(address), None), LocalUserTokens)


@pytest.mark.parametrize("address", ["https://parley.example", "http://10.0.0.8:8080", "dns:///parley.example:1"])
def test_the_local_users_password_is_never_for_another_machine(home: Path, address: str) -> None:
    write_ready(home)
    write_local_user(home)
    with pytest.raises(CommandError, match="There is no token for"):
        find_tokens(find_place(address), None)


def test_a_home_without_a_local_user_asks_for_a_token(home: Path) -> None:
    write_ready(home)
    with pytest.raises(CommandError, match="--token or PARLEY_TOKEN"):
        find_tokens(find_place(None), None)


def test_a_damaged_local_user_file_is_told_without_its_content(home: Path) -> None:
    (home / "keys").mkdir()
    (home / "keys" / "local-user.json").write_text('{"email": "a@b.c", "password": "hunter2"')
    with pytest.raises(CommandError, match=r"local-user\.json is damaged") as caught:
        read_local_user(home)
    assert "hunter2" not in str(caught.value)


def test_a_kept_token_of_another_password_is_not_used(home: Path) -> None:
    from parley_cli.place import LocalUser

    write_local_user(home)
    file = home / "keys" / "command-token.json"
    file.write_text(json.dumps({"access_token": "old", "expire_time": 9e9, "made_with": "0" * 64}))
    assert LocalUserTokens(LocalUser("a@b.c", "p"), file).kept_token is None


@pytest.mark.parametrize("token", ["par_abc\n", " par_abc", "par_abc\r\ndef", "schlüssel", "a\x00b", "two words"])
def test_what_no_header_can_hold_is_told_to_be_no_token_by_where_it_came_from(
    home: Path, monkeypatch: pytest.MonkeyPatch, token: str
) -> None:
    write_ready(home)
    with pytest.raises(CommandError, match=r"What --token holds is not a token: it ") as told:
        find_tokens(find_place(None), token)
    assert told.value.exit_code == 2
    assert token.strip() not in str(told.value)
    if "\0" in token:
        return  # no variable can hold it either
    monkeypatch.setenv("PARLEY_TOKEN", token)
    with pytest.raises(CommandError, match="What PARLEY_TOKEN holds is not a token"):
        find_tokens(find_place(None), token)


def test_a_kept_token_that_no_header_can_hold_is_none(home: Path) -> None:
    write_ready(home)
    write_local_user(home)
    made_with = hashlib.sha256(b"a@b.c\0p").hexdigest()
    kept = {"access_token": "two\nlines", "expire_time": time.time() + 900, "made_with": made_with}
    (home / "keys" / "command-token.json").write_text(json.dumps(kept))
    tokens = find_tokens(find_place(None), None)
    assert isinstance(tokens, LocalUserTokens)
    assert tokens.kept_token is None
    (home / "keys" / "command-token.json").write_text(json.dumps(kept | {"access_token": "good"}))
    tokens = find_tokens(find_place(None), None)
    assert isinstance(tokens, LocalUserTokens)
    assert tokens.kept_token == "good"
