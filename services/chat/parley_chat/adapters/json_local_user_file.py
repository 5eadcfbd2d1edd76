"""The local user's password in a JSON file of mode 0600."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

from parley_chat.adapters.private_files import PrivateFileError, only_process, read_private, write_whole
from parley_chat.ports.local_user_file import LocalUser

LOCAL_USER_FILE = "local-user.json"


class JsonLocalUserFile:
    """The port `LocalUserFile`."""

    def __init__(self, keys_folder: Path) -> None:
        self._folder = keys_folder
        self._path = keys_folder / LOCAL_USER_FILE

    def read_or_write(self, proposed: LocalUser) -> LocalUser:
        with only_process(self._folder):
            content = read_private(self._path)
            if content is None:
                self._write(proposed)
                return proposed
        return self._parse(content)

    def write(self, local_user: LocalUser) -> None:
        with only_process(self._folder):
            self._write(local_user)

    def _write(self, local_user: LocalUser) -> None:
        write_whole(self._path, json.dumps(asdict(local_user), indent=2).encode() + b"\n")

    def _parse(self, content: bytes) -> LocalUser:
        try:
            values = json.loads(content)
            fields = {name: values[name] for name in ("email", "password", "user_id")}
        except (ValueError, TypeError, KeyError):
            raise PrivateFileError(f"{self._path} is damaged: delete it and a new one is made") from None
        if not all(isinstance(value, str) and value for value in fields.values()):
            raise PrivateFileError(f"{self._path} is damaged: delete it and a new one is made")
        return LocalUser(**fields)
