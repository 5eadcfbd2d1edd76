"""The generations of an index in a Qdrant server: a collection each, and an alias that names the one that answers.

Several processes may share one: what one of them makes, the others find under the same name.
"""

from __future__ import annotations

import hashlib
import logging
import re
import warnings
from typing import Any
from urllib.parse import urlsplit

from qdrant_client import AsyncQdrantClient, models

from parley_retrieval.adapters.qdrant_vector_index import QdrantVectorIndex, called
from parley_retrieval.domain.errors import IndexFailedError
from parley_retrieval.domain.meaning import Space

logger = logging.getLogger(__name__)

PER_USER_RARITY_SINCE = (1, 19)
"""The first server that counts how rare a term is among the chunks that a filter names."""
_GRPC_PORT = 6334
_CALL_SECONDS = 30
_LAYOUT = 1
"""Goes up when a collection is built in another way than before: one of another layout is made anew."""
_VERSION = re.compile(r"(\d+)\.(\d+)")


def open_qdrant_client(url: str, api_key: str) -> AsyncQdrantClient:
    """A client of the server's gRPC port: `http://host:6334`, or `https` for TLS. It connects when it is first used."""
    parts = urlsplit(url)
    is_encrypted = parts.scheme == "https"
    if api_key and not is_encrypted:
        logger.warning(
            "the key of the Qdrant server is sent without encryption: use https, unless the network is your own"
        )
    with warnings.catch_warnings():
        # The client says the same, in a warning of Python's that no log has.
        warnings.filterwarnings("ignore", message="Api key is used with an insecure connection")
        return AsyncQdrantClient(
            host=parts.hostname or "",
            grpc_port=parts.port or _GRPC_PORT,
            https=is_encrypted,
            prefer_grpc=True,
            api_key=api_key or None,
            timeout=_CALL_SECONDS,
            # It would ask over REST, at a port that we do not use.
            check_compatibility=False,
        )


class QdrantIndexShelf:
    """`IndexShelf` in a server. Nothing else may be called before `open`."""

    def __init__(self, client: AsyncQdrantClient, name: str, encoding: str, *, is_server: bool = True) -> None:
        """`name` is the alias, and how the collections' names begin; `encoding` says what the sparse vectors depend on."""
        self._client = client
        self._name = name
        self._encoding = encoding
        self._is_server = is_server
        self._counts_rarity_per_user = True
        self._current: QdrantVectorIndex | None = None
        self._next: QdrantVectorIndex | None = None

    @property
    def current(self) -> QdrantVectorIndex:
        """See `IndexShelf`."""
        if self._current is None:
            raise RuntimeError("the shelf is not open")
        return self._current

    @property
    def next(self) -> QdrantVectorIndex | None:
        """See `IndexShelf`."""
        return self._next

    async def open(self) -> None:
        """Opens the generation that answers; one that is missing, or of another encoding, starts empty.

        Raises IndexFailedError when the server does not answer.
        """
        if self._is_server:
            self._counts_rarity_per_user = await self._has_per_user_rarity()
        current = await self._aliased()
        if current is None:
            current = await self._opened(None)
            await self._point_alias_at(current)
        self._current = current
        self._next = await self._left(current.collection)

    async def refresh(self) -> None:
        """See `IndexShelf`."""
        current = await self._aliased()
        if current is not None and current.collection != self.current.collection:
            self._current = current
            if self._next is not None and self._next.collection == current.collection:
                self._next = None

    async def close(self) -> None:
        """Ends the connection."""
        await self._client.close()

    async def begin(self, space: Space) -> None:
        """See `IndexShelf`."""
        if self._next is not None and self._next.space == space:
            return
        await self._drop_others({self.current.collection, self._collection(space)})
        self._next = await self._opened(space)

    async def promote(self) -> None:
        """See `IndexShelf`."""
        if self._next is None:
            raise RuntimeError("no generation is being made")
        await self._point_alias_at(self._next)
        self._current, self._next = self._next, None
        await self._drop_others({self._current.collection})

    async def abandon(self) -> None:
        """See `IndexShelf`."""
        self._next = None
        await self._drop_others({self.current.collection})

    async def _has_per_user_rarity(self) -> bool:
        version = (await called(self._client.info())).version
        numbers = _VERSION.match(version)
        has = numbers is not None and (int(numbers[1]), int(numbers[2])) >= PER_USER_RARITY_SINCE
        if not has:
            logger.warning(
                "Qdrant %s counts how rare a word is over the chunks of all users: what others write changes the order of a user's "
                "answers. From version %s on it is counted for each user alone.",
                version,
                ".".join(map(str, PER_USER_RARITY_SINCE)),
            )
        return has

    async def _aliased(self) -> QdrantVectorIndex | None:
        """The generation that the alias names; None when there is none, or none that can be used."""
        aliases = (await called(self._client.get_aliases())).aliases
        collection = next((alias.collection_name for alias in aliases if alias.alias_name == self._name), None)
        if collection is None:
            return None
        about = (await called(self._client.get_collection(collection))).config.metadata or {}
        space = _space_of(about)
        if about != self._about(space):
            logger.warning("the index is of another encoding and is made anew", extra={"collection": collection})
            return None
        return self._index(collection, space)

    async def _left(self, current: str) -> QdrantVectorIndex | None:
        """The next generation as an earlier process left it, so that no write passes it by; None when there is none."""
        for collection in await self._own_collections():
            about = (await called(self._client.get_collection(collection))).config.metadata or {}
            space = _space_of(about)
            if collection != current and space is not None and about == self._about(space):
                return self._index(collection, space)
        return None

    async def _own_collections(self) -> list[str]:
        own = re.compile(rf"{re.escape(self._name)}_[0-9a-f]{{16}}")
        names = [one.name for one in (await called(self._client.get_collections())).collections]
        return sorted(name for name in names if own.fullmatch(name))

    async def _opened(self, space: Space | None) -> QdrantVectorIndex:
        index = self._index(self._collection(space), space)
        if await called(self._client.collection_exists(index.collection)):
            await index.make_payload_indexes()
        else:
            await index.make(self._about(space))
        return index

    def _index(self, collection: str, space: Space | None) -> QdrantVectorIndex:
        per_user = self._counts_rarity_per_user
        return QdrantVectorIndex(self._client, collection, space, counts_rarity_per_user=per_user)

    def _collection(self, space: Space | None) -> str:
        about = f"{_LAYOUT}\n{self._encoding}\n" + (f"{space.dimensions}\n{space.model}" if space else "")
        return f"{self._name}_{hashlib.sha256(about.encode()).hexdigest()[:16]}"

    def _about(self, space: Space | None) -> dict[str, Any]:
        return {
            "layout": _LAYOUT,
            "encoding": self._encoding,
            "model": space.model if space else "",
            "dimensions": space.dimensions if space else 0,
        }

    async def _point_alias_at(self, index: QdrantVectorIndex) -> None:
        aliases = (await called(self._client.get_aliases())).aliases
        operations: list[models.AliasOperations] = []
        if any(alias.alias_name == self._name for alias in aliases):
            operations.append(
                models.DeleteAliasOperation(delete_alias=models.DeleteAlias(alias_name=self._name)),
            )
        new = models.CreateAlias(collection_name=index.collection, alias_name=self._name)
        operations.append(models.CreateAliasOperation(create_alias=new))
        # Both in one request: nobody ever sees an alias that is not there.
        await called(self._client.update_collection_aliases(operations))

    async def _drop_others(self, collections: set[str]) -> None:
        for collection in await self._own_collections():
            if collection not in collections:
                try:
                    await called(self._client.delete_collection(collection))
                except IndexFailedError:
                    # It takes room and answers nobody; the next time is soon enough.
                    logger.warning("an old index could not be dropped", extra={"collection": collection})


def _space_of(about: dict[str, Any]) -> Space | None:
    model, dimensions = about.get("model"), about.get("dimensions")
    # Numbers come back from a server's JSON as they like.
    return Space(model, int(dimensions)) if isinstance(model, str) and model and dimensions else None
