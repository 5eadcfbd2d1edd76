"""ContentService: the templates of content, and the prompts that they become."""

from __future__ import annotations

import asyncio
from typing import Any

import grpc
from parley.inference.v1 import content_service_pb2, content_service_pb2_grpc, generation_pb2

from parley_inference.domain.content import ContentField, ContentLength, ContentTemplate, ContentWish, FieldKind
from parley_inference.domain.prompt import PromptMessage, Role, Sampling
from parley_inference.operations.content import Content
from parley_inference.servicers.validation import check_render_content_prompt

_KINDS = {
    FieldKind.TEXT: content_service_pb2.CONTENT_FIELD_KIND_TEXT,
    FieldKind.INTEGER: content_service_pb2.CONTENT_FIELD_KIND_INTEGER,
    FieldKind.CHOICE: content_service_pb2.CONTENT_FIELD_KIND_CHOICE,
    FieldKind.LINES: content_service_pb2.CONTENT_FIELD_KIND_LINES,
}
_ROLES = {Role.SYSTEM: generation_pb2.PROMPT_ROLE_SYSTEM, Role.USER: generation_pb2.PROMPT_ROLE_USER}
_LENGTHS = {
    content_service_pb2.CONTENT_LENGTH_UNSPECIFIED: None,
    content_service_pb2.CONTENT_LENGTH_SHORT: ContentLength.SHORT,
    content_service_pb2.CONTENT_LENGTH_MEDIUM: ContentLength.MEDIUM,
    content_service_pb2.CONTENT_LENGTH_LONG: ContentLength.LONG,
}


class ContentServicer(content_service_pb2_grpc.ContentServiceServicer):
    """Serves templates and their prompts. Generates nothing itself."""

    def __init__(self, content: Content) -> None:
        self._content = content

    async def ListContentTemplates(
        self,
        request: content_service_pb2.ListContentTemplatesRequest,
        context: grpc.aio.ServicerContext[Any, Any],
    ) -> content_service_pb2.ListContentTemplatesResponse:
        """Lists the templates, by their ids."""
        return content_service_pb2.ListContentTemplatesResponse(
            templates=[_pack_template(template) for template in self._content.listed()]
        )

    async def RenderContentPrompt(
        self,
        request: content_service_pb2.RenderContentPromptRequest,
        context: grpc.aio.ServicerContext[Any, Any],
    ) -> content_service_pb2.RenderContentPromptResponse:
        """Checks values against their template and returns the prompt."""
        check_render_content_prompt(request)
        wish = ContentWish(
            template_id=request.template_id,
            custom_template=request.custom_template,
            values=dict(request.fields),
            tone=request.tone.strip(),
            audience=request.audience.strip(),
            length=_LENGTHS[request.length],
            language=request.language.strip(),
        )
        # In a thread: a million characters take longer than an event loop may stand still.
        prompt = await asyncio.to_thread(self._content.rendered, wish)
        return content_service_pb2.RenderContentPromptResponse(
            messages=[_pack_message(message) for message in prompt.messages],
            model=prompt.model,
            sampling=_pack_sampling(prompt.sampling),
        )


def _pack_template(template: ContentTemplate) -> content_service_pb2.ContentTemplate:
    return content_service_pb2.ContentTemplate(
        template_id=template.template_id,
        title=template.title,
        description=template.description,
        fields=[_pack_field(field) for field in template.fields],
        usual_words=template.usual_words,
    )


def _pack_field(field: ContentField) -> content_service_pb2.ContentField:
    return content_service_pb2.ContentField(
        name=field.name,
        description=field.description,
        kind=_KINDS[field.kind],
        required=field.required,
        default_value=field.default,
        choices=field.choices,
        max_length=field.max_length,
        minimum=field.minimum,
        maximum=field.maximum,
    )


def _pack_message(message: PromptMessage) -> generation_pb2.PromptMessage:
    return generation_pb2.PromptMessage(role=_ROLES[message.role], text=message.text)


def _pack_sampling(sampling: Sampling) -> generation_pb2.Sampling:
    return generation_pb2.Sampling(temperature=sampling.temperature, max_output_tokens=sampling.max_output_tokens)
