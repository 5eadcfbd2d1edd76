"""What every rpc and field of the contract declares, beyond what buf checks."""

from __future__ import annotations

import re

import pytest
from google.protobuf import descriptor_pb2
from parley_testing.contract import Rpc, fields, rpcs

_BRINGING = ("Get", "List", "Search", "Resume", "Watch")
_RECKONING = ("Embed", "Count", "Check", "Render", "Score", "Suggest", "Estimate")
READING_VERBS = (*_BRINGING, *_RECKONING)
"""An rpc that begins so changes nothing. Clients and the edge may send it again."""

ANONYMOUS = {
    "parley.identity.v1.IdentityService/SignUp",
    "parley.identity.v1.IdentityService/SignIn",
    "parley.identity.v1.IdentityService/RefreshTokens",
    "parley.identity.v1.IdentityService/SignOut",
    "parley.identity.v1.IdentityService/ExchangeToken",
    "parley.identity.v1.IdentityService/GetIssuerKeySet",
    "parley.identity.v1.IdentityService/GetJsonWebKeySet",
    "parley.identity.v1.IdentityService/CheckAccessToken",
    "parley.system.v1.SystemService/GetHealth",
    "parley.workspace.v1.CalendarService/NotifyCalendar",
}
"""Who needs no token. A new one has to be written down here, too."""

ANY_TOKEN = {
    "parley.mcp.v1.McpService/ExchangeMessage",
}
"""Who needs a token and no scope, because each thing that is asked there has a scope of its own."""

REST = {
    "GET /api/v1/calendar/meetings": "parley.workspace.v1.CalendarService/ListMeetings",
    "GET /api/v1/calendar/meetings/{meeting_id}": "parley.workspace.v1.CalendarService/GetMeeting",
    "POST /api/v1/calendar/sync": "parley.workspace.v1.CalendarService/SyncCalendars",
    "POST /api/v1/calendar/webhook": "parley.workspace.v1.CalendarService/NotifyCalendar",
    "POST /api/v1/calendar/meetings/{meeting_id}/bot": "parley.workspace.v1.MeetingBotService/CreateMeetingBot",
    "POST /api/v1/projects": "parley.workspace.v1.ProjectService/CreateProject",
    "GET /api/v1/projects": "parley.workspace.v1.ProjectService/ListProjects",
    "GET /api/v1/projects/{project_id}": "parley.workspace.v1.ProjectService/GetProject",
    "PATCH /api/v1/projects/{project_id}": "parley.workspace.v1.ProjectService/UpdateProject",
    "DELETE /api/v1/projects/{project_id}": "parley.workspace.v1.ProjectService/DeleteProject",
    "POST /openai/v1/chat/completions": "parley.openai.v1.OpenAIService/CreateChatCompletion",
    "POST /openai/v1/embeddings": "parley.openai.v1.OpenAIService/CreateEmbeddings",
    "GET /openai/v1/models": "parley.openai.v1.OpenAIService/ListOpenAIModels",
    "GET /openai/v1/models/{model}": "parley.openai.v1.OpenAIService/GetOpenAIModel",
    "POST /openai/v1/responses": "parley.openai.v1.OpenAIResponseService/CreateResponse",
    "GET /openai/v1/responses/{response_id}": "parley.openai.v1.OpenAIResponseService/GetResponse",
    "POST /openai/v1/responses/{response_id}/cancel": "parley.openai.v1.OpenAIResponseService/CancelResponse",
    "POST /api/v2/chat/send": "parley.chat.v1.ChatService/SendMessage",
    "GET /api/v2/chat/sessions": "parley.chat.v1.ChatService/ListSessions",
    "POST /api/v2/ai/rag/search": "parley.retrieval.v1.SearchService/Search",
    "POST /api/v2/ai/generate": "parley.ai.v1.GenerationService/GenerateText",
    "GET /api/v2/ai/health": "parley.ai.v1.GenerationService/GetAIHealth",
    "GET /api/v2/ai/agents": "parley.ai.v1.AgentService/ListAgents",
    "POST /api/v2/ai/agents/{agent_id}/process": "parley.ai.v1.AgentService/Process",
    "POST /api/ingest": "parley.retrieval.v1.IngestService/Ingest",
    "GET /api/status/{job_id}": "parley.retrieval.v1.IngestService/GetJob",
    "POST /api/v1/documents": "parley.retrieval.v1.DocumentService/CreateDocument",
    "GET /api/v1/documents": "parley.retrieval.v1.DocumentService/ListDocuments",
    "GET /api/v1/documents/{document_id}": "parley.retrieval.v1.DocumentService/GetDocument",
    "PATCH /api/v1/documents/{document_id}": "parley.retrieval.v1.DocumentService/UpdateDocument",
    "DELETE /api/v1/documents/{document_id}": "parley.retrieval.v1.DocumentService/DeleteDocument",
    "GET /health": "parley.system.v1.SystemService/GetHealth",
    "GET /api/v2/system/status": "parley.system.v1.SystemService/GetStatus",
    "POST /mcp": "parley.mcp.v1.McpService/ExchangeMessage",
    "GET /.well-known/jwks.json": "parley.identity.v1.IdentityService/GetJsonWebKeySet",
}
"""Paths that people have in their scripts."""

FOR_SERVICES_ONLY = "inference:invoke"
"""The scope of what has no REST form: no user's token has it, and a user's calls go through chat."""

BETWEEN_SERVICES = {
    "parley.identity.v1.IdentityService/CheckAccessToken",
    "parley.retrieval.v1.IndexService/PutItems",
    "parley.retrieval.v1.IndexService/DeleteItems",
    "parley.retrieval.v1.IndexService/ListItems",
    "parley.retrieval.v1.IngestService/GetIngestionQueue",
    "parley.retrieval.v1.SpanService/ListSpans",
}
"""Rpcs of other packages that only services have a use for."""

FILES = {
    "parley.chat.v1.BatchService/CreateBatch",
    "parley.retrieval.v1.IngestService/Ingest",
    "parley.mcp.v1.McpService/ExchangeMessage",
    "parley.workspace.v1.CalendarService/NotifyCalendar",
}
"""Rpcs whose REST form takes its body as it comes."""

UNVERSIONED = {"/health", "/mcp", "/api/ingest", "/api/status/{job_id}", "/api/status/{job_id}:watch"}
"""Paths that people have in their scripts without a version."""

every_rpc = pytest.mark.parametrize("rpc", [pytest.param(rpc, id=rpc.full_name) for rpc in rpcs()])


@every_rpc
def test_an_rpc_says_who_may_call_it(rpc: Rpc) -> None:
    assert rpc.rule is not None, "it has no access rule, and is refused to everybody"
    if rpc.full_name in ANONYMOUS:
        assert rpc.rule.anonymous
    elif rpc.full_name in ANY_TOKEN:
        assert rpc.rule.any_token
    else:
        assert re.fullmatch(r"[a-z]+:[a-z]+", rpc.rule.scope), rpc.rule


@every_rpc
def test_an_rpc_that_reads_says_so_and_asks_for_a_reading_scope(rpc: Rpc) -> None:
    assert rpc.is_read == rpc.method.name.startswith(READING_VERBS)
    assert rpc.rule is not None
    if rpc.rule.scope and rpc.rule.scope != FOR_SERVICES_ONLY:
        assert rpc.rule.scope.endswith(":read" if rpc.is_read else ":write")


@every_rpc
def test_an_rpc_tells_more_than_its_name(rpc: Rpc) -> None:
    assert _tells_more_than(rpc.method.name, rpc.comment), rpc.comment


def test_every_field_tells_more_than_its_name() -> None:
    assert [
        f"{name}: {comment!r}" for name, comment in fields() if not _tells_more_than(name.rpartition(".")[2], comment)
    ] == []


@every_rpc
def test_a_public_rpc_has_a_rest_form_and_an_internal_one_has_none(rpc: Rpc) -> None:
    assert rpc.rule is not None
    internal = rpc.rule.scope == FOR_SERVICES_ONLY or rpc.full_name in BETWEEN_SERVICES
    assert (rpc.rest is None) == internal


@pytest.mark.parametrize(("path", "rpc"), REST.items())
def test_the_promised_rest_paths_are_where_scripts_expect_them(path: str, rpc: str) -> None:
    found = {f"{one.rest[0]} {one.rest[1]}": one.full_name for one in rpcs() if one.rest is not None}
    assert found.get(path) == rpc


@every_rpc
def test_a_rest_form_uses_the_verb_that_fits(rpc: Rpc) -> None:
    if rpc.rest is None:
        return
    verb, path, body = rpc.rest
    level = rpc.method.options.idempotency_level
    if verb == "GET":
        assert level == descriptor_pb2.MethodOptions.NO_SIDE_EFFECTS, "a GET may be sent again by anybody"
    takes_files = rpc.full_name in FILES
    assert body == ("body" if takes_files else "*" if verb in {"POST", "PATCH", "PUT"} else "")
    assert path in UNVERSIONED or path.startswith(("/api/v1/", "/api/v2/", "/openai/v1/", "/.well-known/"))


def test_no_two_rpcs_share_a_rest_path() -> None:
    paths = [(one.rest[0], re.sub(r"\{\w+\}", "{}", one.rest[1])) for one in rpcs() if one.rest is not None]
    assert len(paths) == len(set(paths))


def _tells_more_than(name: str, comment: str) -> bool:
    words = re.findall(r"[a-z0-9]+", comment.lower())
    return bool(words) and "".join(words) != name.replace("_", "").lower() and comment.rstrip().endswith((".", "`"))


def test_a_comment_that_only_repeats_the_name_is_found() -> None:
    assert not _tells_more_than("page_size", "page size")
    assert not _tells_more_than("GetSession", "Get session.")
    assert not _tells_more_than("title", "")
    assert not _tells_more_than("title", "What the user calls it")
    assert _tells_more_than("title", "What the user calls it.")
