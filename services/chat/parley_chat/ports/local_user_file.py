"""Where the local user's password is left for the person at this computer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class LocalUser:
    """What signs the local user in."""

    email: str
    password: str
    user_id: str

    def __repr__(self) -> str:
        return f"LocalUser({self.email!r}, [set], {self.user_id!r})"


class LocalUserFile(Protocol):
    """One small file that only its owner can read."""

    def read_or_write(self, proposed: LocalUser) -> LocalUser:
        """What the file holds; when there is none, the proposal, which it holds from then on."""

    def write(self, local_user: LocalUser) -> None:
        """Replaces what the file holds, whole or not at all."""
