"""Who sees what. Every read of documents, in the database and in the index, is made through a `Visibility`."""

from __future__ import annotations

from dataclasses import dataclass

SHARED_OWNER = "shared"
"""The owner of the documents that everybody can read. Ids of users start with `usr_`, so none is equal to it."""


@dataclass(frozen=True, slots=True)
class Visibility:
    """What a query may see: a user's own documents and, if wanted, the shared ones. There is none without a user."""

    user_id: str
    """The user who asks. Never empty, never `shared`."""
    include_shared: bool = True
    """Whether the shared documents are seen too."""
    include_items: bool = False
    """Whether what other services own of the user is seen too."""

    def __post_init__(self) -> None:
        """Refuses what would be nobody or everybody."""
        if not self.user_id or self.user_id == SHARED_OWNER:
            raise ValueError("a visibility needs a user")

    @property
    def owners(self) -> tuple[str, ...]:
        """The owners whose documents are seen."""
        shared = (SHARED_OWNER,) if self.include_shared else ()
        items = (items_owner(self.user_id),) if self.include_items else ()
        return (self.user_id, *shared, *items)


def items_owner(user_id: str) -> str:
    """The owner under which the index keeps a user's items. Ids of users hold no `/`, so none is equal to it."""
    return f"{user_id}/items"
