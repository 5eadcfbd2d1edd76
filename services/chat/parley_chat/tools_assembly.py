"""Puts the toolbox together: each source of tools is made here, and nowhere else. A part of bootstrap.py, which says where it goes."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from parley_chat.domain.tool_approvals import ConsentPolicy
from parley_chat.operations.tool_sources import ToolSources
from parley_chat.ports.knowledge import Knowledge
from parley_chat.ports.rule_days import RuleDays
from parley_chat.ports.toolbox import ToolSource
from parley_chat.ports.workspace import Workspaces
from parley_chat.servicers.document_tool import DocumentTools
from parley_chat.servicers.rpc_tools import RpcTools
from parley_chat.servicers.task_tools import task_tools
from parley_chat.settings import ChatSettings


def make_toolbox(
    settings: ChatSettings,
    workspaces: Workspaces,
    rule_days: RuleDays,
    knowledge: Knowledge,
    now: Callable[[], datetime],
    *others: ToolSource,
) -> ToolSources:
    """Makes the toolbox of Parley's own tools and `others`."""
    own: tuple[ToolSource, ...] = (RpcTools(task_tools(), workspaces, rule_days, now), DocumentTools(knowledge))
    return ToolSources((*own, *others), ConsentPolicy(settings.tools_ask))
