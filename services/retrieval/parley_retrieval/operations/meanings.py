"""Turns texts into dense vectors of the model of the settings, checked, and remembers which space that is. Not where vectors are kept."""

from __future__ import annotations

import asyncio
import logging
import time
from array import array
from collections.abc import Callable, Sequence

from parley_retrieval.domain.errors import EmbeddingRefusedError, EmbeddingUnavailableError
from parley_retrieval.domain.meaning import DenseVector, Space
from parley_retrieval.ports.embedding_model import EmbeddingModel

logger = logging.getLogger(__name__)

QUERY_SECONDS = 2.0
"""How long a search waits for its question's meaning before it goes on by words alone."""
PASSAGES_SECONDS = 60.0
"""How long a batch of passages may take."""
WAITING_CALLER_SECONDS = 10.0
"""How long it may take when somebody waits who can do without."""
_SPARED_SECONDS = 5.0
"""How long searches do not wait again for a model that has just let one wait in vain."""
_CHARACTERS_MOST = 32_000
_PROBE = "Which space is this?"


class Meanings:
    """Embeds. Without a model it is not `enabled`, and nothing of it may be called."""

    def __init__(self, model: EmbeddingModel | None, *, clock: Callable[[], float] = time.monotonic) -> None:
        """None: nothing is embedded."""
        self._model = model
        self._clock = clock
        self._spared_until = float("-inf")
        self._last_space: Space | None = None
        self.behind = asyncio.Event()
        """Set when points were written without their meaning, or the model's space turned out to be another one."""

    @property
    def enabled(self) -> bool:
        """Whether there is a model."""
        return self._model is not None

    async def space(self) -> Space:
        """Asks the model for its space. Raises what `passages` does."""
        return (await self.passages([_PROBE]))[0].space

    async def passages(self, texts: Sequence[str], *, seconds: float = PASSAGES_SECONDS) -> list[DenseVector]:
        """A vector for each text, all of one space; `seconds` is how long a call may take.

        Raises EmbeddingUnavailableError for what may pass, EmbeddingRefusedError for what somebody has to mend.
        """
        return await self._vectors(texts, seconds)

    async def question(self, text: str, space: Space) -> DenseVector | None:
        """What a question means in a space; None when that cannot be known now, which the log says.

        The space of an index that is about to be replaced is that of the model before: it is asked by its name, and may be gone.
        """
        if self._clock() < self._spared_until:
            return None
        try:
            if self._last_space in (None, space):
                (vector,) = await self._vectors([text], QUERY_SECONDS)
                if vector.space == space:
                    return vector
                self.behind.set()
            (vector,) = await self._vectors([text], QUERY_SECONDS, model=space.model)
            if vector.space == space:
                return vector
        except (EmbeddingUnavailableError, EmbeddingRefusedError) as error:
            logger.warning("a question is searched for by its words alone: it cannot be embedded (%s)", error)
        self._spared_until = self._clock() + _SPARED_SECONDS
        return None

    async def _vectors(self, texts: Sequence[str], seconds: float, *, model: str = "") -> list[DenseVector]:
        if self._model is None:
            raise EmbeddingRefusedError("no embedding model is configured")
        asked = [text[:_CHARACTERS_MOST] for text in texts]
        embeddings = await self._model.embed(asked, seconds=seconds, model=model)
        if len(embeddings.vectors) != len(texts):
            raise EmbeddingUnavailableError("another number of vectors came than was asked for")
        space = Space(embeddings.model, len(embeddings.vectors[0]) if texts else 0)
        try:
            vectors = [DenseVector(space, array("f", values)) for values in embeddings.vectors]
        except ValueError as error:
            raise EmbeddingUnavailableError(str(error)) from error
        if not model:
            self._last_space = space
        return vectors
