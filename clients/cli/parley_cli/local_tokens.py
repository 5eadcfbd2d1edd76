"""The local user's access token, kept between commands so that not each of them signs in.

Only the short-lived access token is kept, in a file for this user only (0600), beside the password that it was made with.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from parley_client import PasswordTokens
from parley_client.tokens import check_token

if TYPE_CHECKING:
    from parley_client.identity import Identity

    from parley_cli.place import LocalUser

_RENEW_BEFORE_SECONDS = 60.0


class LocalUserTokens:
    """A TokenProvider: the kept token while it is good, else a sign-in whose token is kept."""

    def __init__(self, user: LocalUser, file: Path) -> None:
        self._signing_in = PasswordTokens(user.email, user.password, renew_before_seconds=_RENEW_BEFORE_SECONDS)
        self._file = file
        # Another password, another Parley: a new home in the old folder must not be greeted with the old one's token.
        self._made_with = hashlib.sha256(f"{user.email}\0{user.password}".encode()).hexdigest()
        self._kept = self._read()

    @property
    def kept_token(self) -> str | None:
        """The token that an earlier command kept, when it is this user's."""
        return self._kept[0] if self._kept is not None else None

    async def token(self, identity: Identity) -> str:
        """The access token to use now."""
        if self._kept is not None:
            token, ends = self._kept
            if ends - time.time() > _RENEW_BEFORE_SECONDS:
                return token
            self._kept = None
        token = await self._signing_in.token(identity)
        self._write(token, self._signing_in.expire_time)
        return token

    def forget(self, token: str) -> None:
        """Never uses the token again."""
        if self._kept is not None and self._kept[0] == token:
            self._kept = None
        self._signing_in.forget(token)

    def _read(self) -> tuple[str, float] | None:
        try:
            values = json.loads(self._file.read_text(encoding="utf-8"))
            if values["made_with"] != self._made_with:
                return None
            return check_token(str(values["access_token"])), float(values["expire_time"])
        except (OSError, ValueError, KeyError, TypeError):
            # It only saves a sign-in.
            return None

    def _write(self, token: str, ends: float) -> None:
        values = {"access_token": token, "expire_time": ends, "made_with": self._made_with}
        unfinished = self._file.with_name(f".{self._file.name}.{os.getpid()}")
        # A folder that cannot be written to costs a sign-in per command, no more.
        with suppress(OSError):
            handle = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                json.dump(values, file)
            unfinished.replace(self._file)
