"""What a scripted inference knows beside models: agents and templates, which a test sets, over the contract's own services.

A template here says its fields one after the other; inference's own know more, and are tested with it.
"""

from __future__ import annotations

import re
from typing import Any

import grpc
from parley.inference.v1 import (
    agent_service_pb2,
    agent_service_pb2_grpc,
    content_service_pb2,
    content_service_pb2_grpc,
    generation_pb2,
)
from parley_shared.status import DETAILS_KEY, StatusError, not_found

Context = grpc.aio.ServicerContext[Any, Any]

RESEARCHER = agent_service_pb2.Agent(
    agent_id="researcher",
    title="Researcher",
    description="Answers from documents.",
    searches=True,
    tools=["*"],
    max_steps=8,
)
SUMMARIZER = agent_service_pb2.Agent(agent_id="summarizer", title="Summarizer", description="Says it shorter.")
NOTE = content_service_pb2.ContentTemplate(
    template_id="note",
    title="Note",
    description="A short note.",
    fields=[
        content_service_pb2.ContentField(
            name="subject",
            description="What it is about.",
            kind=content_service_pb2.CONTENT_FIELD_KIND_TEXT,
            required=True,
            max_length=200,
        ),
        content_service_pb2.ContentField(
            name="points",
            description="How many points it makes.",
            kind=content_service_pb2.CONTENT_FIELD_KIND_INTEGER,
            default_value="3",
            minimum=1,
            maximum=9,
        ),
    ],
    usual_words=80,
)


async def refuse(context: Context, error: StatusError) -> None:
    """Ends a call as a service of Parley does."""
    details = ((DETAILS_KEY, error.to_status("").SerializeToString()),)
    await context.abort(error.code, error.message, trailing_metadata=details)


class ScriptedAgents(agent_service_pb2_grpc.AgentServiceServicer):
    """Serves the agents of its list."""

    def __init__(self) -> None:
        self.agents = [RESEARCHER, SUMMARIZER]

    async def ListAgents(
        self, request: agent_service_pb2.ListAgentsRequest, context: Context
    ) -> agent_service_pb2.ListAgentsResponse:
        """Lists them."""
        return agent_service_pb2.ListAgentsResponse(agents=self.agents)

    async def GetAgent(
        self, request: agent_service_pb2.GetAgentRequest, context: Context
    ) -> agent_service_pb2.GetAgentResponse:
        """Gets one."""
        for agent in self.agents:
            if agent.agent_id == request.agent_id:
                return agent_service_pb2.GetAgentResponse(agent=agent)
        await refuse(context, not_found("agent"))
        raise AssertionError("abort raises")


class ScriptedTemplates(content_service_pb2_grpc.ContentServiceServicer):
    """Serves the templates of its list, and keeps what it was asked to fill in."""

    def __init__(self) -> None:
        self.templates = [NOTE]
        self.filled: list[content_service_pb2.RenderContentPromptRequest] = []
        self.sampling = generation_pb2.Sampling()
        """How a filled template wants tokens chosen, from the next call on."""
        self.model = ""
        """The model that it asks for."""

    async def ListContentTemplates(
        self, request: content_service_pb2.ListContentTemplatesRequest, context: Context
    ) -> content_service_pb2.ListContentTemplatesResponse:
        """Lists them."""
        return content_service_pb2.ListContentTemplatesResponse(templates=self.templates)

    async def RenderContentPrompt(
        self, request: content_service_pb2.RenderContentPromptRequest, context: Context
    ) -> content_service_pb2.RenderContentPromptResponse:
        """Fills one in."""
        self.filled.append(request)
        known = {template.template_id: template for template in self.templates}
        if request.custom_template:
            wanted = set(re.findall(r"\{(\w+)\}", request.custom_template))
            missing = sorted(wanted - set(request.fields))
        elif request.template_id in known:
            fields = known[request.template_id].fields
            missing = [field.name for field in fields if field.required and field.name not in request.fields]
        else:
            await refuse(context, not_found("template"))
            raise AssertionError("abort raises")
        if missing:
            violations = [(f"fields.{name}", "is required") for name in missing]
            words = f"{violations[0][0]} is required."
            code = grpc.StatusCode.INVALID_ARGUMENT
            metadata = {"field": violations[0][0]}
            error = StatusError(code, "ERROR_REASON_INVALID_FIELD", words, metadata=metadata, violations=violations)
            await refuse(context, error)
        said = "; ".join(f"{name}: {value}" for name, value in sorted(request.fields.items()))
        return content_service_pb2.RenderContentPromptResponse(
            messages=[
                generation_pb2.PromptMessage(role=generation_pb2.PROMPT_ROLE_SYSTEM, text="You write notes."),
                generation_pb2.PromptMessage(role=generation_pb2.PROMPT_ROLE_USER, text=f"Write a note. {said}"),
            ],
            model=self.model,
            sampling=self.sampling,
        )
