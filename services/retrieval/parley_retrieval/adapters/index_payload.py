"""What a point carries beside its vectors, the same in every engine: the facts that queries filter by. No text."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from parley_retrieval.ports.vector_index import IndexPoint

USER = "user_id"
DOCUMENT = "document_id"
PROJECT = "project"
NUMBER = "number"
MEDIA_TYPE = "media_type"
LABELS = "labels"
UPDATE_TIME = "update_time"
KEYWORDS = (DOCUMENT, PROJECT, MEDIA_TYPE, LABELS)
"""The fields that are looked up by equality; `USER` is too, and says besides how points are grouped."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def payload_of(point: IndexPoint) -> dict[str, Any]:
    """The payload of a point."""
    return {
        USER: point.owner_id,
        DOCUMENT: point.document_id,
        PROJECT: point.project,
        NUMBER: point.number,
        "content_sha256": point.content_sha256,
        MEDIA_TYPE: point.media_type.value,
        LABELS: [label(name, value) for name, value in point.labels.items()],
        UPDATE_TIME: microseconds(point.update_time),
    }


def label(name: str, value: str) -> str:
    """A label as one word. Names hold no `=`, so that no two labels are the same word."""
    return f"{name}={value}"


def microseconds(time: datetime) -> int:
    """A time as engines compare it: microseconds since 1970, which a double holds exactly until the year 2255."""
    return (time - _EPOCH) // _MICROSECOND
