"""Which models there are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from parley_chat.domain.models import AvailableModel, Provider


class ModelCatalog(Protocol):
    """Knows the models that a request may name, and how their providers do. Raises GenerationError when inference does not answer."""

    async def models(self, user_id: str, *, within_seconds: float) -> Sequence[AvailableModel]:
        """Lists the models, the default first."""
        ...

    async def providers(self, user_id: str, *, within_seconds: float) -> Sequence[Provider]:
        """Lists the providers, the default first."""
        ...
