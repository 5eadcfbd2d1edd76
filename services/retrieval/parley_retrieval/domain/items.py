"""What an item is: something that another service owns and that can be found here, for example a task.

To the index an item is a document like any other, of an owner of its own, so that who does not ask for items never meets one.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from parley_retrieval.domain.documents import Document, MediaType, sha256
from parley_retrieval.domain.visibility import items_owner
from parley_retrieval.domain.words import words


@dataclass(frozen=True, slots=True)
class ItemVersion:
    """Names an item of a user as it was at one time."""

    item_type: str
    """What kind of thing it is."""
    item_id: str
    """Its id at the service that owns it."""
    version: int
    """Grows with each change of it, deletion included. From 1."""


@dataclass(frozen=True, slots=True)
class Item:
    """Something that another service owns."""

    user_id: str
    """Whose it is."""
    named: ItemVersion
    """Its name and version."""
    title: str
    """What it is called."""
    text: str
    """What it says; Markdown, may be empty."""
    project: str
    """The label of its project; may be empty."""
    update_time: datetime
    """When it last changed, UTC."""

    @property
    def document_id(self) -> str:
        """What the index calls it."""
        return item_document_id(self.user_id, self.named.item_type, self.named.item_id)


def item_document_id(user_id: str, item_type: str, item_id: str) -> str:
    """The id under which the index has an item: no document has one like it, and no other user's item the same."""
    # None of the first two holds a line break: so no two items are one text.
    name = f"{user_id}\n{item_type}\n{item_id}"
    return f"itm_{sha256(name)}"


def is_item_document_id(document_id: str) -> bool:
    """Whether this is how the index calls an item."""
    return document_id.startswith("itm_")


def document_of(item: Item) -> Document:
    """An item as the index sees it. One whose text has no words says its title."""
    text = item.text if next(words(item.text), None) else item.title
    return Document(
        document_id=item.document_id,
        owner_id=items_owner(item.user_id),
        title=item.title,
        text=text,
        media_type=MediaType.MARKDOWN,
        project=item.project,
        source_uri="",
        content_sha256=sha256(text),
        size_bytes=len(text.encode()),
        chunk_count=0,
        create_time=item.update_time,
        update_time=item.update_time,
        version=item.named.version,
    )
