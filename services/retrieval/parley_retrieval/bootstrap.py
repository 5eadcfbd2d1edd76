"""Says what is plugged into what. Production and tests enter the service here; nothing else joins the rooms.

Not the process: signals, exit codes and logs are `__main__`'s.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from parley.retrieval.v1 import (
    document_service_pb2_grpc,
    index_service_pb2_grpc,
    recommendation_service_pb2_grpc,
    search_service_pb2_grpc,
    span_service_pb2_grpc,
)
from parley_shared.channels import open_channel
from parley_shared.service_keys import ServiceKeyError, ServiceTokens, load_or_make_service_key
from parley_shared.serving import Registration, Server, build_server
from parley_shared.settings import SettingsError
from parley_shared.sql import Database
from parley_shared.token_exchange import GrpcTokenExchange
from parley_shared.token_revocation import GrpcTokenRevocation
from parley_shared.tokens import TokenVerifier

from parley_retrieval.adapters.edge_index_shelf import EdgeIndexShelf
from parley_retrieval.adapters.folder_corpus import FolderCorpus
from parley_retrieval.adapters.grpc_embedding_model import GrpcEmbeddingModel
from parley_retrieval.adapters.murmur_term_hash import MurmurTermHash
from parley_retrieval.adapters.otel_metrics import OtelMetrics
from parley_retrieval.adapters.otel_tracing import OtelTracing
from parley_retrieval.adapters.own_figures import OwnFigures
from parley_retrieval.adapters.semantic_text_splitter import SemanticTextSplitter
from parley_retrieval.adapters.snowball_stemmer import SnowballStemmer, languages
from parley_retrieval.adapters.sql_catalog_store import SqlCatalogStore
from parley_retrieval.adapters.sql_document_store import SqlDocumentStore
from parley_retrieval.adapters.sql_index_journal import SqlIndexJournal
from parley_retrieval.adapters.sql_item_store import SqlItemStore
from parley_retrieval.adapters.sql_passage_lengths import SqlPassageLengths
from parley_retrieval.database_assembly import migrate_database
from parley_retrieval.domain.errors import IndexFailedError, IndexInUseError
from parley_retrieval.ingestion_assembly import ingest_registration, open_ingestion, user_limits
from parley_retrieval.operations.audit import Auditing
from parley_retrieval.operations.documents import Documents
from parley_retrieval.operations.generations import Generations
from parley_retrieval.operations.indexing import Indexing
from parley_retrieval.operations.items import Items
from parley_retrieval.operations.learned_lengths import LearnedLengths
from parley_retrieval.operations.meanings import Meanings
from parley_retrieval.operations.recommendations import Recommendations
from parley_retrieval.operations.reindexing import Reindexing
from parley_retrieval.operations.sample_corpus import SampleCorpus
from parley_retrieval.operations.search import Search
from parley_retrieval.operations.terms import TermEncoder
from parley_retrieval.operations.weighing import Weighing
from parley_retrieval.ports.embedding_model import EmbeddingModel
from parley_retrieval.ports.vector_index import IndexShelf
from parley_retrieval.servicers.documents import DocumentServicer
from parley_retrieval.servicers.index import IndexServicer
from parley_retrieval.servicers.recommendations import RecommendationServicer
from parley_retrieval.servicers.search import SearchServicer
from parley_retrieval.servicers.spans import SpanServicer
from parley_retrieval.servicers.status import to_status_error
from parley_retrieval.settings import SERVICE, RetrievalSettings

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class RetrievalApp:
    """A retrieval service that is put together: what was stored can be searched. Its server is built and not started."""

    settings: RetrievalSettings
    server: Server
    database: Database


@asynccontextmanager
async def open_retrieval(settings: RetrievalSettings) -> AsyncIterator[RetrievalApp]:
    """Migrates the database, brings the index and the sample corpus up to date, and puts the service together.

    At the end it lets begun writes finish, flushes the index and closes everything. Raises SettingsError for an
    unknown language and when another process has the index.
    """
    async with AsyncExitStack() as closing:
        if settings.language not in languages():
            name = "PARLEY_RETRIEVAL_LANGUAGE"
            raise SettingsError(name, f"{name} must be one of {', '.join(languages())}.")
        await migrate_database(settings)
        database = Database.open(settings.database_url)
        closing.push_async_callback(database.close)
        store = SqlDocumentStore(database)
        item_store = SqlItemStore(database)
        journal = SqlIndexJournal(store, item_store)

        tracing = OtelTracing()
        encoder = TermEncoder(SnowballStemmer(settings.language), MurmurTermHash())
        shelf = await _open_shelf(settings, encoder.encoding, closing)
        index = Generations(shelf)
        meanings = Meanings(await _embedding_model(settings, closing))
        length_store = SqlPassageLengths(database)
        lengths = LearnedLengths(length_store)
        indexing = Indexing(store, journal, index, index, encoder, SemanticTextSplitter(), tracing, meanings, lengths)
        await indexing.recover()
        closing.push_async_callback(indexing.flush)
        await SampleCorpus(FolderCorpus(settings.sample_corpus), store, indexing).load()

        ingestion = await open_ingestion(settings, database, store, indexing, meanings, closing)
        documents = Documents(store, indexing, ingestion, limits=user_limits(settings))
        closing.push_async_callback(documents.settle)
        items = Items(item_store, indexing, meanings)
        closing.push_async_callback(items.settle)
        flushing = asyncio.create_task(_flush(indexing, settings.flush_seconds), name="flushing of the index")
        closing.push_async_callback(_cancel, flushing)

        # In the background: a model that is slow, or away, keeps nobody from finding passages by their words.
        reindexing = asyncio.create_task(
            Reindexing(shelf, journal, indexing, meanings).run(), name="embedding of the index"
        )
        closing.push_async_callback(_cancel, reindexing)

        weighing = asyncio.create_task(
            Weighing(length_store, lengths, journal, indexing).run(), name="weighing of the index"
        )
        closing.push_async_callback(lengths.save)
        closing.push_async_callback(_cancel, weighing)

        recommendations = Recommendations(SqlCatalogStore(database), encoder)
        encoding = asyncio.create_task(_encode_anew(recommendations), name="encoding of catalogs")
        closing.push_async_callback(_cancel, encoding)

        chat = open_channel(settings.chat_address, tls=settings.service.tls)
        closing.push_async_callback(chat.close)
        service = settings.service
        verifier = TokenVerifier(
            service.jwks_file,
            service.token_issuer,
            service.token_audience,
            is_revoked=GrpcTokenRevocation(chat).is_revoked,
            exchange=GrpcTokenExchange(chat).own_token,
        )
        server = build_server(
            service,
            [
                Registration(
                    document_service_pb2_grpc.add_DocumentServiceServicer_to_server,
                    DocumentServicer(documents),
                    "parley.retrieval.v1.DocumentService",
                ),
                Registration(
                    index_service_pb2_grpc.add_IndexServiceServicer_to_server,
                    IndexServicer(items, Auditing(journal, index, indexing, ingestion)),
                    "parley.retrieval.v1.IndexService",
                ),
                ingest_registration(
                    settings, ingestion, OwnFigures(database, has_qdrant=bool(settings.qdrant_url)).told
                ),
                Registration(
                    search_service_pb2_grpc.add_SearchServiceServicer_to_server,
                    SearchServicer(Search(store, index, encoder, tracing, meanings, item_store, OtelMetrics())),
                    "parley.retrieval.v1.SearchService",
                ),
                Registration(
                    span_service_pb2_grpc.add_SpanServiceServicer_to_server,
                    SpanServicer(),
                    "parley.retrieval.v1.SpanService",
                ),
                Registration(
                    recommendation_service_pb2_grpc.add_RecommendationServiceServicer_to_server,
                    RecommendationServicer(recommendations),
                    "parley.retrieval.v1.RecommendationService",
                ),
            ],
            verifier=verifier,
            to_status_error=to_status_error,
            shown=(settings,),
        )
        yield RetrievalApp(settings, server, database)


async def _open_shelf(settings: RetrievalSettings, encoding: str, closing: AsyncExitStack) -> IndexShelf:
    """The index in a Qdrant server when one is named, else in a folder. Raises SettingsError when it cannot be used."""
    if settings.qdrant_url:
        return await _open_qdrant(settings, encoding, closing)
    name = "PARLEY_RETRIEVAL_INDEX_FOLDER"
    shelf = EdgeIndexShelf(settings.index_folder, encoding)
    closing.push_async_callback(shelf.close)
    try:
        await shelf.open()
    except IndexInUseError as error:
        words = f"Another process uses the index in {settings.index_folder}. Stop it, or set {name} to another folder."
        raise SettingsError(name, words) from error
    except OSError as error:
        raise SettingsError(name, f"{name}: {settings.index_folder} cannot be used: {error.strerror}.") from error
    return shelf


async def _open_qdrant(settings: RetrievalSettings, encoding: str, closing: AsyncExitStack) -> IndexShelf:
    name = "PARLEY_RETRIEVAL_QDRANT_URL"
    try:
        # Imported here: who keeps the index in a folder need not have the package, nor its 100 MB in memory.
        from parley_retrieval.adapters.qdrant_index_shelf import (  # noqa: PLC0415 - see above
            QdrantIndexShelf,
            open_qdrant_client,
        )
    except ModuleNotFoundError as error:
        if error.name != "qdrant_client":
            raise
        words = f"{name} names a Qdrant server, whose client is not installed: pip install 'parley-retrieval[qdrant]'."
        raise SettingsError(name, words) from error
    key = settings.qdrant_api_key.reveal() if settings.qdrant_api_key else ""
    shelf = QdrantIndexShelf(open_qdrant_client(settings.qdrant_url, key), settings.qdrant_collection, encoding)
    closing.push_async_callback(shelf.close)
    try:
        await shelf.open()
    except IndexFailedError as error:
        logger.warning("Qdrant cannot be used: %s", error)
        raise SettingsError(
            name, f"{name}: the server does not answer, or refuses the key. The log says more."
        ) from error
    return shelf


async def _embedding_model(settings: RetrievalSettings, closing: AsyncExitStack) -> EmbeddingModel | None:
    """Inference as an embedding model; None when no model is named."""
    if not settings.embedding_model:
        return None
    service = settings.service
    try:
        key = await asyncio.to_thread(load_or_make_service_key, settings.service_key_file, settings.service_jwks_file)
    except ServiceKeyError as error:
        raise SettingsError("PARLEY_RETRIEVAL_SERVICE_KEY_FILE", str(error)) from error
    tokens = ServiceTokens(
        key, SERVICE, {"inference:invoke"}, issuer=service.token_issuer, audience=service.token_audience
    )
    inference = open_channel(settings.inference_address, tls=settings.service.tls)
    closing.push_async_callback(inference.close)
    return GrpcEmbeddingModel(inference, tokens.token, settings.embedding_model)


async def _flush(indexing: Indexing, seconds: float) -> None:
    while True:
        await asyncio.sleep(seconds)
        try:
            await indexing.flush()
        except Exception:
            # Whatever it was, the changes stay in the journal and the next round tries again.
            logger.exception("the index could not be flushed")


async def _encode_anew(recommendations: Recommendations) -> None:
    try:
        await recommendations.encode_anew()
    except Exception:
        # Those that are left are found by the words that they share in both languages, until the next start.
        logger.exception("catalog items could not be encoded anew")


async def _cancel(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.wait([task])
