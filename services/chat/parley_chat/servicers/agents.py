"""AgentService: unpacks, checks, calls, packs."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing

import grpc
from parley.ai.v1 import agent_service_pb2 as pb
from parley.ai.v1 import agent_service_pb2_grpc
from parley.chat.v1 import turn_event_pb2
from parley_shared.tokens import current_principal

from parley_chat.domain.conversation import Citation
from parley_chat.domain.errors import GenerationError
from parley_chat.operations.agent_work import ToolUseCalled, ToolUseReturned
from parley_chat.operations.agents import AgentEvent, AgentNotice, Agents, AgentSources, AgentTask
from parley_chat.operations.text_generations import TextFinished
from parley_chat.ports.text_model import ReasoningPiece, TextPiece, TextStarted, TextSwitched
from parley_chat.servicers import generation_validation as validation
from parley_chat.servicers.generation_messages import (
    ENDS,
    in_terms_of,
    pack_failed,
    pack_finished,
    pack_started,
    pack_switched,
    pack_usage,
    told_in_terms_of,
)
from parley_chat.servicers.messages import pack_tool_use

_INPUT = "input"

Context = grpc.aio.ServicerContext[object, object]


class AgentServicer(agent_service_pb2_grpc.AgentServiceServicer):
    """Serves the operator's agents."""

    def __init__(self, agents: Agents) -> None:
        self._agents = agents

    async def ListAgents(self, request: pb.ListAgentsRequest, context: Context) -> pb.ListAgentsResponse:
        """Lists the agents."""
        agents = await self._agents.agents(current_principal().user_id)
        return pb.ListAgentsResponse(
            agents=[
                pb.Agent(
                    agent_id=agent.agent_id,
                    title=agent.title,
                    description=agent.description,
                    tools=agent.tools,
                    searches=agent.searches,
                )
                for agent in agents
            ]
        )

    async def Process(self, request: pb.ProcessRequest, context: Context) -> pb.ProcessResponse:
        """Lets an agent work and returns the whole."""
        validation.check_process(request)
        with in_terms_of(_INPUT):
            answer = await self._agents.answer(_task(request))
        text = answer.text
        return pb.ProcessResponse(
            agent_id=request.agent_id,
            text=text.text,
            sources=[_pack_source(source) for source in answer.sources],
            model=text.model,
            finish_reason=ENDS[text.end],
            usage=pack_usage(text.usage),
            offline=text.offline,
            notices=answer.notices,
            trace_id=text.trace_id,
            tool_uses=[pack_tool_use(use) for use in answer.tool_uses],
        )

    async def StreamProcess(
        self, request: pb.StreamProcessRequest, context: Context
    ) -> AsyncIterator[pb.StreamProcessResponse]:
        """Lets an agent work, event by event."""
        validation.check_process(request)
        try:
            async with aclosing(self._agents.process(_task(request))) as events:
                async for event in events:
                    yield _pack_event(event)
        except GenerationError as error:
            told = told_in_terms_of(_INPUT, error)
            yield pb.StreamProcessResponse(failed=pack_failed(told.failure))
            raise told from error


def _task(request: pb.ProcessRequest | pb.StreamProcessRequest) -> AgentTask:
    principal = current_principal()
    return AgentTask(
        user_id=principal.user_id,
        scopes=tuple(sorted(principal.scopes)),
        agent_id=request.agent_id,
        input=request.input,
        model=request.model,
        project=request.project,
        time_zone=request.time_zone or "UTC",
    )


def _pack_event(event: AgentEvent) -> pb.StreamProcessResponse:
    match event:
        case TextPiece(text):
            return pb.StreamProcessResponse(text_delta=text)
        case ReasoningPiece(text):
            return pb.StreamProcessResponse(reasoning_delta=text)
        case AgentSources(sources):
            return pb.StreamProcessResponse(sources=pb.AgentSources(sources=[_pack_source(each) for each in sources]))
        case AgentNotice(words):
            return pb.StreamProcessResponse(notice=words)
        case ToolUseCalled(use):
            called = turn_event_pb2.ToolCalled(
                tool_call_id=use.tool_call_id, tool=use.tool, arguments_json=use.arguments_json
            )
            return pb.StreamProcessResponse(tool_called=called)
        case ToolUseReturned(use):
            returned = turn_event_pb2.ToolReturned(
                tool_call_id=use.tool_call_id, tool=use.tool, result_json=use.result_json, failed=use.failed
            )
            return pb.StreamProcessResponse(tool_returned=returned)
        case TextStarted():
            return pb.StreamProcessResponse(started=pack_started(event))
        case TextSwitched():
            return pb.StreamProcessResponse(model_switched=pack_switched(event))
        case TextFinished():
            return pb.StreamProcessResponse(finished=pack_finished(event))


def _pack_source(source: Citation) -> pb.AgentSource:
    return pb.AgentSource(
        number=source.number,
        chunk_id=source.chunk_id,
        document_id=source.document_id,
        document_title=source.document_title,
        heading=source.heading,
        text=source.text,
    )
