"""What models cost, before they are asked. Inference knows; what it said last is kept for a while."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Sequence

from parley_chat.domain.account import TokenPrice
from parley_chat.domain.errors import GenerationError
from parley_chat.domain.models import AvailableModel
from parley_chat.ports.model_catalog import ModelCatalog

logger = logging.getLogger(__name__)

KEPT_SECONDS = 30.0
"""How old what is told may be: models come and go, and operators change prices."""
ASKED_SECONDS = 2.0
"""How long inference is waited for."""


class ModelPrices:
    """Knows the models. Of one whose price is not known in time, only tokens count until it begins to write."""

    def __init__(self, catalog: ModelCatalog) -> None:
        self._catalog = catalog
        self._models: Sequence[AvailableModel] = ()
        self._until = 0.0
        self._asking = asyncio.Lock()

    async def price(self, user_id: str, model: str) -> TokenPrice | None:
        """What the tokens of a model cost; None when that is not known."""
        found = await self.find(user_id, model)
        return found.price if found else None

    async def find(self, user_id: str, model: str) -> AvailableModel | None:
        """The model of a name or alias, the default when that is empty; None when inference knows none, or does not answer."""
        async with self._asking:
            if time.monotonic() >= self._until:
                await self._ask(user_id)
        models = self._models
        if not model:
            return models[0] if models else None
        named = (each for each in models if model == each.model or model in each.aliases)
        return next(named, None)

    async def _ask(self, user_id: str) -> None:
        try:
            self._models = await self._catalog.models(user_id, within_seconds=ASKED_SECONDS)
        except GenerationError as error:
            # What was known before is more than nothing, and the price comes with the first token at the latest.
            logger.info("the prices of models could not be asked for", extra={"reason": error.failure.reason})
        else:
            self._until = time.monotonic() + KEPT_SECONDS
