"""Which documents a search looks at, among those that its user can see."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from parley_retrieval.domain.documents import MediaType


@dataclass(frozen=True, slots=True)
class Narrowing:
    """What all documents of an answer have in common. Without a word: all documents."""

    project: str = ""
    """Their project; any when empty."""
    document_ids: tuple[str, ...] = ()
    """They are among these; any when empty."""
    media_types: tuple[MediaType, ...] = ()
    """They are of one of these kinds; of any when empty."""
    labels: Mapping[str, str] = field(default_factory=dict)
    """They have all these labels with these values."""
    update_time_from: datetime | None = None
    """They were changed then or later, UTC."""
    update_time_until: datetime | None = None
    """They were changed before that, UTC."""


EVERYTHING = Narrowing()
"""Looks at all documents."""
