"""Who knows which models a provider has."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol


class ModelDirectory(Protocol):
    """Lists the models of one provider."""

    async def model_names(self) -> Sequence[str]:
        """The names, in the provider's order. Raises ProviderError."""
        ...
