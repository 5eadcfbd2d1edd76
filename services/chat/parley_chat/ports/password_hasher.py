"""What turns passwords into hashes."""

from __future__ import annotations

from enum import Enum
from typing import Protocol


class PasswordMatch(Enum):
    """What comparing a password with a hash gave."""

    WRONG = "wrong"
    RIGHT = "right"
    RIGHT_BUT_OUTDATED = "right but outdated"
    """Right, and the hash was made with other parameters than hashes are made with now."""


class PasswordHasher(Protocol):
    """A slow, salted hash. Both calls take the time of one hash and do not block the event loop."""

    async def hash(self, password: str) -> str:
        """A new hash of the password, with salt and parameters in it."""

    async def compare(self, password: str, password_hash: str | None) -> PasswordMatch:
        """Compares. Without a hash it does the same work against one that nothing matches, and says WRONG."""
