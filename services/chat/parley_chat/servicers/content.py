"""ContentService: unpacks, checks, calls, packs."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing

import grpc
from parley.ai.v1 import content_service_pb2 as pb
from parley.ai.v1 import content_service_pb2_grpc
from parley_shared.tokens import current_principal

from parley_chat.domain.content import ContentField, ContentLength, ContentOrder, ContentTemplate, FieldKind
from parley_chat.operations.content import Content, VariantEvent, VariantFailed
from parley_chat.operations.text_generations import TextFinished
from parley_chat.ports.text_model import TextPiece, TextStarted, TextSwitched
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

_FIELDS = "fields"
_KINDS = {
    FieldKind.TEXT: pb.CONTENT_FIELD_KIND_TEXT,
    FieldKind.INTEGER: pb.CONTENT_FIELD_KIND_INTEGER,
    FieldKind.CHOICE: pb.CONTENT_FIELD_KIND_CHOICE,
    FieldKind.LINES: pb.CONTENT_FIELD_KIND_LINES,
}
_LENGTHS = {
    pb.CONTENT_LENGTH_UNSPECIFIED: ContentLength.MEDIUM,
    pb.CONTENT_LENGTH_SHORT: ContentLength.SHORT,
    pb.CONTENT_LENGTH_MEDIUM: ContentLength.MEDIUM,
    pb.CONTENT_LENGTH_LONG: ContentLength.LONG,
}

Context = grpc.aio.ServicerContext[object, object]


class ContentServicer(content_service_pb2_grpc.ContentServiceServicer):
    """Serves content from templates."""

    def __init__(self, content: Content) -> None:
        self._content = content

    async def ListContentTemplates(
        self, request: pb.ListContentTemplatesRequest, context: Context
    ) -> pb.ListContentTemplatesResponse:
        """Lists the templates."""
        templates = await self._content.templates(current_principal().user_id)
        return pb.ListContentTemplatesResponse(templates=[_pack_template(template) for template in templates])

    async def GenerateContent(self, request: pb.GenerateContentRequest, context: Context) -> pb.GenerateContentResponse:
        """Writes content whole."""
        validation.check_content(request)
        with in_terms_of(_FIELDS):
            written = await self._content.write(current_principal().user_id, _order(request))
        return pb.GenerateContentResponse(
            variants=[
                pb.ContentVariant(
                    text=variant.text, model=variant.model, finish_reason=ENDS[variant.end], offline=variant.offline
                )
                for variant in written.variants
            ],
            usage=pack_usage(written.usage),
            trace_id=written.trace_id,
        )

    async def StreamContent(
        self, request: pb.StreamContentRequest, context: Context
    ) -> AsyncIterator[pb.StreamContentResponse]:
        """Writes content event by event."""
        validation.check_content(request)
        with in_terms_of(_FIELDS):
            async with aclosing(self._content.stream(current_principal().user_id, _order(request))) as events:
                async for event in events:
                    if packed := _pack_event(event):
                        yield packed


def _order(request: pb.GenerateContentRequest | pb.StreamContentRequest) -> ContentOrder:
    return ContentOrder(
        template_id=request.template_id,
        custom_template=request.custom_template,
        fields=dict(request.fields),
        tone=request.tone.strip(),
        audience=request.audience.strip(),
        length=_LENGTHS[request.length],
        language=request.language.strip(),
        variants=request.variant_count or 1,
        model=request.model,
    )


def _pack_event(each: VariantEvent) -> pb.StreamContentResponse | None:
    variant = each.variant
    match each.event:
        case TextPiece(text):
            return pb.StreamContentResponse(variant=variant, text_delta=text)
        case TextStarted() as started:
            return pb.StreamContentResponse(variant=variant, started=pack_started(started))
        case TextSwitched() as switched:
            return pb.StreamContentResponse(variant=variant, model_switched=pack_switched(switched))
        case TextFinished() as finished:
            return pb.StreamContentResponse(variant=variant, finished=pack_finished(finished))
        case VariantFailed(error):
            return pb.StreamContentResponse(
                variant=variant, failed=pack_failed(told_in_terms_of(_FIELDS, error).failure)
            )
        case _:
            # Content has no reasoning to show.
            return None


def _pack_template(template: ContentTemplate) -> pb.ContentTemplate:
    return pb.ContentTemplate(
        template_id=template.template_id,
        title=template.title,
        description=template.description,
        fields=[_pack_field(field) for field in template.fields],
        usual_words=template.usual_words,
    )


def _pack_field(field: ContentField) -> pb.ContentField:
    return pb.ContentField(
        name=field.name,
        description=field.description,
        kind=_KINDS[field.kind],
        required=field.required,
        default_value=field.default_value,
        choices=field.choices,
        max_length=field.max_length,
        minimum=field.minimum,
        maximum=field.maximum,
    )
