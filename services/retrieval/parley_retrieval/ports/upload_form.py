"""Reads a form with a file in it while it arrives."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class UploadForm:
    """A form up to its file."""

    metadata: bytes
    """The part `metadata`; empty when there is none."""
    filename: str
    """The name that the sender's program gave to the part `file`; may be empty."""
    content: AsyncIterator[bytes]
    """The part `file`, to be read to its end. Raises UploadMalformedError when the form does not end as it should."""


class UploadFormReader(Protocol):
    """Knows the format of forms."""

    async def __call__(self, content_type: str, body: AsyncIterator[bytes]) -> UploadForm:
        """Reads up to the file. Raises UploadMalformedError."""
        ...
