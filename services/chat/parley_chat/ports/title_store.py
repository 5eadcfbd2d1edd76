"""Titles of sessions that no user gave."""

from __future__ import annotations

from typing import Protocol


class TitleStore(Protocol):
    """Says which sessions a model may name, and keeps the names."""

    async def claim(self, user_id: str, session_id: str) -> bool:
        """Notes that a model is asked for a title. False when one was asked before, by any process, or when the user gave a title."""
        ...

    async def give(self, user_id: str, session_id: str, title: str) -> bool:
        """Sets the title, and tells of it. False, and nothing changed, when the user gave one meanwhile, or deleted the session."""
        ...
