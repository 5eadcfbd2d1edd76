"""Where Parley is and who is calling: from options, the environment, and what a running Parley leaves in its home folder.

It makes no call.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from parley_client import TokenProvider


class CommandError(Exception):
    """What was asked cannot be done. The message is for a person; the command ends with `exit_code`."""

    def __init__(self, message: str, *, exit_code: int = 1) -> None:
        super().__init__(message)
        self.exit_code = exit_code


@dataclass(frozen=True)
class Place:
    """One Parley, and where its local user's keys would be."""

    address: str
    """What to connect to."""
    home: Path
    """PARLEY_HOME."""
    ours: bool
    """Whether it is the Parley that runs in that home, so that the home's keys are meant for it."""


@dataclass(frozen=True)
class LocalUser:
    """The person at this computer, as chat's first run wrote it down."""

    email: str
    password: str


def home_folder() -> Path:
    """PARLEY_HOME, `.parley` in the working folder by default."""
    return Path(os.environ.get("PARLEY_HOME", "").strip() or ".parley").expanduser()


def keys_folder(home: Path) -> Path:
    """Where chat keeps its keys: PARLEY_CHAT_KEYS_FOLDER, `<home>/keys` by default."""
    given = os.environ.get("PARLEY_CHAT_KEYS_FOLDER", "").strip()
    return Path(given).expanduser() if given else home / "keys"


def find_place(address: str | None) -> Place:
    """The Parley at `address` (--address, PARLEY_ADDRESS), or the one that runs in the home folder. CommandError when none does."""
    home = home_folder()
    running = read_ready(home)
    url = str(running.get("url", "")) if running else ""
    if address:
        return Place(address, home, ours=_same(address, url))
    if not url:
        raise CommandError(
            f"Parley is not running here: there is no {home / 'ready.json'}. Start it with `parley up`, "
            "or say where it is with --address or PARLEY_ADDRESS."
        )
    return Place(url, home, ours=True)


def read_ready(home: Path) -> dict[str, Any] | None:
    """What the running Parley says of itself; None when none runs. CommandError when the file is damaged."""
    file = home / "ready.json"
    try:
        facts = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise CommandError(f"{file} cannot be read: {error}") from error
    if not isinstance(facts, dict):
        raise CommandError(f"{file} is damaged: it holds no JSON object.")
    return facts


def read_local_user(home: Path) -> LocalUser | None:
    """The local user; None when chat has made none. CommandError when the file cannot be read or is damaged."""
    file = keys_folder(home) / "local-user.json"
    try:
        values = json.loads(file.read_text(encoding="utf-8"))
        return LocalUser(email=str(values["email"]), password=str(values["password"]))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise CommandError(f"{file} cannot be read: {error.strerror}.") from error
    except (ValueError, KeyError, TypeError) as error:
        # The error's own words could hold the password.
        raise CommandError(f"{file} is damaged: delete it, and Parley's next start makes a new one.") from error


def find_tokens(place: Place, token: str | None) -> TokenProvider:
    """What signs the calls: --token or PARLEY_TOKEN, or the local user of this machine's Parley. CommandError without either."""
    from parley_client import FixedToken, TokenError  # noqa: PLC0415 - `parley --help` does not wait for gRPC
    from parley_client.address import parse_address  # noqa: PLC0415

    from parley_cli.local_tokens import LocalUserTokens  # noqa: PLC0415

    if token:
        try:
            return FixedToken(token)
        except TokenError as error:
            source = "PARLEY_TOKEN" if token == os.environ.get("PARLEY_TOKEN") else "--token"
            raise CommandError(f"What {source} holds is not a token: {error}.", exit_code=2) from error
    # The local user's password is for the Parley of this machine: it is not sent to wherever an option points.
    if not place.ours and not parse_address(place.address).loopback:
        raise CommandError(f"There is no token for {place.address}: give one with --token or PARLEY_TOKEN.")
    user = read_local_user(place.home)
    if user is None:
        file = keys_folder(place.home) / "local-user.json"
        raise CommandError(
            f"There is no token: give one with --token or PARLEY_TOKEN. (A local user would be in {file}.)"
        )
    return LocalUserTokens(user, keys_folder(place.home) / "command-token.json")


def _same(address: str, url: str) -> bool:
    def plain(text: str) -> str:
        return text.removeprefix("http://").removesuffix("/")

    return bool(url) and plain(address) == plain(url)
