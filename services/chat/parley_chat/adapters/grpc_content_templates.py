"""The inference service as a keeper of templates."""

from __future__ import annotations

from collections.abc import Callable

import grpc
from parley.inference.v1 import content_service_pb2, content_service_pb2_grpc, generation_pb2
from parley_shared.channels import bearer

from parley_chat.adapters.inference_errors import generation_error_from
from parley_chat.domain.content import (
    ContentField,
    ContentLength,
    ContentOrder,
    ContentPrompt,
    ContentTemplate,
    FieldKind,
)
from parley_chat.domain.conversation import Role
from parley_chat.domain.generation import Sampling
from parley_chat.domain.prompt import PromptLine

CALL_SECONDS = 10.0

_KINDS = {
    content_service_pb2.CONTENT_FIELD_KIND_INTEGER: FieldKind.INTEGER,
    content_service_pb2.CONTENT_FIELD_KIND_CHOICE: FieldKind.CHOICE,
    content_service_pb2.CONTENT_FIELD_KIND_LINES: FieldKind.LINES,
}
_LENGTHS = {
    ContentLength.SHORT: content_service_pb2.CONTENT_LENGTH_SHORT,
    ContentLength.MEDIUM: content_service_pb2.CONTENT_LENGTH_MEDIUM,
    ContentLength.LONG: content_service_pb2.CONTENT_LENGTH_LONG,
}
_ROLES = {generation_pb2.PROMPT_ROLE_ASSISTANT: Role.ASSISTANT}


class GrpcContentTemplates:
    """Asks through a channel to inference, in the name of the user."""

    def __init__(self, channel: grpc.aio.Channel, token_for: Callable[[str], str]) -> None:
        self._stub = content_service_pb2_grpc.ContentServiceStub(channel)
        self._token_for = token_for

    async def templates(self, user_id: str) -> tuple[ContentTemplate, ...]:
        """Lists the templates, by name."""
        request = content_service_pb2.ListContentTemplatesRequest()
        try:
            response = await self._stub.ListContentTemplates(
                request, metadata=bearer(self._token_for(user_id)), timeout=CALL_SECONDS
            )
        except grpc.aio.AioRpcError as error:
            raise generation_error_from(error) from error
        return tuple(_template(template) for template in response.templates)

    async def fill(self, user_id: str, order: ContentOrder) -> ContentPrompt:
        """Makes the prompt of an order."""
        request = content_service_pb2.RenderContentPromptRequest(
            template_id=order.template_id,
            custom_template=order.custom_template,
            fields=order.fields,
            tone=order.tone,
            audience=order.audience,
            length=_LENGTHS[order.length],
            language=order.language,
        )
        try:
            response = await self._stub.RenderContentPrompt(
                request, metadata=bearer(self._token_for(user_id)), timeout=CALL_SECONDS
            )
        except grpc.aio.AioRpcError as error:
            raise generation_error_from(error) from error
        return _prompt(response)


def _template(template: content_service_pb2.ContentTemplate) -> ContentTemplate:
    return ContentTemplate(
        template_id=template.template_id,
        title=template.title,
        description=template.description,
        fields=tuple(_field(field) for field in template.fields),
        usual_words=template.usual_words,
    )


def _field(field: content_service_pb2.ContentField) -> ContentField:
    return ContentField(
        name=field.name,
        description=field.description,
        kind=_KINDS.get(field.kind, FieldKind.TEXT),
        required=field.required,
        default_value=field.default_value,
        choices=tuple(field.choices),
        max_length=field.max_length,
        minimum=field.minimum if field.HasField("minimum") else None,
        maximum=field.maximum if field.HasField("maximum") else None,
    )


def _prompt(response: content_service_pb2.RenderContentPromptResponse) -> ContentPrompt:
    system = generation_pb2.PROMPT_ROLE_SYSTEM
    return ContentPrompt(
        instructions="\n\n".join(message.text for message in response.messages if message.role == system),
        lines=tuple(
            PromptLine(_ROLES.get(message.role, Role.USER), message.text)
            for message in response.messages
            if message.role != system
        ),
        model=response.model,
        sampling=_sampling(response.sampling),
    )


def _sampling(sampling: generation_pb2.Sampling) -> Sampling:
    return Sampling(
        temperature=sampling.temperature if sampling.HasField("temperature") else None,
        top_p=sampling.top_p if sampling.HasField("top_p") else None,
        max_output_tokens=sampling.max_output_tokens if sampling.HasField("max_output_tokens") else None,
        stop_sequences=tuple(sampling.stop_sequences),
        seed=sampling.seed if sampling.HasField("seed") else None,
    )
