"""The client has every rpc that a user may call, and calls each by what the contract says of it."""

from __future__ import annotations

import importlib.metadata
from importlib import import_module

from google.protobuf.descriptor import ServiceDescriptor
from parley.ai.v1 import agent_service_pb2, content_service_pb2, generation_service_pb2
from parley.chat.v1 import batch_service_pb2, chat_service_pb2, tool_service_pb2
from parley.events.v1 import event_service_pb2, webhook_service_pb2
from parley.flags.v1 import flag_service_pb2
from parley.identity.v1 import identity_service_pb2
from parley.inference.v1 import scoring_service_pb2
from parley.retrieval.v1 import (
    document_service_pb2,
    index_service_pb2,
    ingest_service_pb2,
    recommendation_service_pb2,
    search_service_pb2,
)
from parley.system.v1 import system_service_pb2
from parley.usage.v1 import usage_service_pb2
from parley.workspace.v1 import calendar_service_pb2, meeting_bot_service_pb2, project_service_pb2, task_service_pb2
from parley_client.rpc import Rpc
from parley_client.version import VERSION

MODULES = [
    "agents",
    "batches",
    "calendar",
    "budgets",
    "chat",
    "content",
    "documents",
    "event_log",
    "flags",
    "generation",
    "identity",
    "ingestion",
    "meeting_bots",
    "projects",
    "recommendations",
    "scoring",
    "system",
    "tasks",
    "tools",
    "turn",
    "usage",
    "webhooks",
]
SERVICES: list[ServiceDescriptor] = [
    service
    for file in (
        batch_service_pb2,
        chat_service_pb2,
        tool_service_pb2,
        identity_service_pb2,
        agent_service_pb2,
        content_service_pb2,
        generation_service_pb2,
        scoring_service_pb2,
        document_service_pb2,
        index_service_pb2,
        ingest_service_pb2,
        recommendation_service_pb2,
        search_service_pb2,
        system_service_pb2,
        calendar_service_pb2,
        meeting_bot_service_pb2,
        project_service_pb2,
        task_service_pb2,
        event_service_pb2,
        flag_service_pb2,
        usage_service_pb2,
        webhook_service_pb2,
    )
    for service in file.DESCRIPTOR.services_by_name.values()
]
FOR_SERVICES = {
    "/parley.identity.v1.IdentityService/CheckAccessToken",
    "/parley.identity.v1.IdentityService/GetIssuerKeySet",
    "/parley.retrieval.v1.IndexService/PutItems",
    "/parley.retrieval.v1.IndexService/DeleteItems",
    "/parley.retrieval.v1.IndexService/ListItems",
    "/parley.retrieval.v1.IngestService/GetIngestionQueue",
    "/parley.workspace.v1.CalendarService/NotifyCalendar",
}
"""Rpcs that users have no use for."""


def rpcs() -> dict[str, Rpc]:  # type: ignore[type-arg] # of any messages
    """Every rpc that the client has, by path."""
    found = [value for name in MODULES for value in vars(import_module(f"parley_client.{name}")).values()]
    return {value.path: value for value in found if isinstance(value, Rpc)}


def test_the_client_has_every_rpc_of_the_services_that_users_call() -> None:
    contract = {f"/{service.full_name}/{method.name}" for service in SERVICES for method in service.methods}
    assert set(rpcs()) == contract - FOR_SERVICES


def test_only_what_the_contract_calls_repeatable_is_repeated() -> None:
    repeatable = {path.rsplit("/", 1)[1] for path, rpc in rpcs().items() if rpc.repeatable}
    assert {"GetSession", "ListMessages", "StopReply", "CreateDocument", "Search", "RevokeAccessToken"} <= repeatable
    assert {"GetAIHealth", "ListAgents", "ScoreLeads", "WatchJob", "CancelJob"} <= repeatable
    assert repeatable.isdisjoint({"CreateSession", "DeleteSession", "SignIn", "RefreshTokens", "CreateAccessToken"})
    assert repeatable.isdisjoint({"GenerateText", "Process", "GenerateContent", "TrainScoringModel", "Ingest"})


def test_only_what_the_contract_admits_without_a_token_is_called_without_one() -> None:
    anonymous = {path.rsplit("/", 1)[1] for path, rpc in rpcs().items() if rpc.anonymous}
    assert anonymous == {
        "SignUp",
        "SignIn",
        "RefreshTokens",
        "SignOut",
        "ExchangeToken",
        "GetJsonWebKeySet",
        "GetHealth",
    }


def test_the_version_that_calls_announce_is_the_packages() -> None:
    assert importlib.metadata.version("parley-client") == VERSION
