"""Who knows JSON Schema."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol


class UnusableSchemaError(Exception):
    """It is no JSON Schema of draft 2020-12, or one that cannot be used here. The message says in one line for a person why."""


@dataclass(frozen=True, slots=True)
class Misfit:
    """Where a document does not satisfy a schema."""

    path: str
    """Where in the document, in JSONPath: `$.due`. Names that do not stand in the schema are `*`: the document's words stay in it."""
    words: str
    """What is wrong there, for whoever wrote the document. May repeat words of it."""


class SchemaChecker(Protocol):
    """Checks schemas, and documents against them. Neither may take long, whatever is in them."""

    async def check(self, schema: Mapping[str, Any]) -> None:
        """Raises UnusableSchemaError."""
        ...

    async def misfits(self, schema: Mapping[str, Any], document: str) -> Sequence[Misfit]:
        """Where JSON text does not satisfy a schema that was checked, the first few places; none when it does."""
        ...
