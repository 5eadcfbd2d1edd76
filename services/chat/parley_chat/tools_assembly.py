"""Puts the tools together: each source of tools is made here, and what asks users about their calls. A part of bootstrap.py."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from parley.chat.v1 import tool_service_pb2_grpc
from parley_shared.serving import Registration
from parley_shared.sql import Database

from parley_chat.adapters.otel_metrics import OtelMetrics
from parley_chat.adapters.sql_tool_approvals import SqlToolApprovals
from parley_chat.domain.tool_approvals import ConsentPolicy
from parley_chat.operations.answer_tools import AnswerTools
from parley_chat.operations.tool_calls import ToolCalls, ToolLimits
from parley_chat.operations.tool_consent import ToolConsent
from parley_chat.operations.tool_decisions import ToolDecisions
from parley_chat.operations.tool_sources import ToolSources
from parley_chat.ports.event_log import EventNews
from parley_chat.ports.knowledge import Knowledge
from parley_chat.ports.rule_days import RuleDays
from parley_chat.ports.toolbox import ToolSource
from parley_chat.ports.tracing import Tracing
from parley_chat.ports.workspace import Workspaces
from parley_chat.servicers.calendar_tools import calendar_tools
from parley_chat.servicers.document_tool import DocumentTools
from parley_chat.servicers.project_tools import project_tools
from parley_chat.servicers.rpc_tools import RpcTools
from parley_chat.servicers.task_tools import task_tools
from parley_chat.servicers.tools import ToolServicer
from parley_chat.settings import ChatSettings


@dataclass(frozen=True)
class Tools:
    """What is made of them."""

    calls: ToolCalls
    """Runs the calls of models, in sessions and without one."""
    consent: ToolConsent
    """To be closed at the end."""
    of_answers: AnswerTools
    decisions: ToolDecisions

    def registration(self) -> Registration:
        """What serves them."""
        return Registration(
            tool_service_pb2_grpc.add_ToolServiceServicer_to_server,
            ToolServicer(self.decisions),
            "parley.chat.v1.ToolService",
        )


def own_tools(
    workspaces: Workspaces, rule_days: RuleDays, knowledge: Knowledge, now: Callable[[], datetime]
) -> tuple[ToolSource, ...]:
    """Makes the sources of Parley's own tools. Models are told of them in this order."""
    of_rpcs = (*task_tools(), *project_tools(), *calendar_tools())
    return (RpcTools(of_rpcs, workspaces, rule_days, now), DocumentTools(knowledge))


def make_tools(
    settings: ChatSettings,
    database: Database,
    news: EventNews,
    sources: tuple[ToolSource, ...],
    tracing: Tracing,
    now: Callable[[], datetime],
) -> Tools:
    """Puts everything together that lets models use the tools of `sources`."""
    toolbox = ToolSources(sources, ConsentPolicy(settings.tools_ask))
    limits = ToolLimits(settings.tool_rounds, settings.tool_seconds)
    calls = ToolCalls(toolbox, tracing, limits, on_run=OtelMetrics().count_tool_call)
    approvals = SqlToolApprovals(database, news)
    longest = timedelta(seconds=settings.approval_seconds)
    consent = ToolConsent(approvals, calls, longest, now, has_replicas=database.dialect != "sqlite")
    return Tools(calls, consent, AnswerTools(calls, consent), ToolDecisions(toolbox, approvals, consent, now))
