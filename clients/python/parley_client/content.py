"""Content from templates: `parley.ai.v1.ContentService`."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal, TypeAlias

from parley.ai.v1 import content_service_pb2 as pb

from parley_client.generation import WHOLE_TEXT_SECONDS
from parley_client.rpc import Rpc

if TYPE_CHECKING:
    from parley_client.connection import Connection

LengthName: TypeAlias = Literal["short", "medium", "long"]
"""How much is written."""

_LENGTHS: dict[str, pb.ContentLength.ValueType] = {
    "": pb.CONTENT_LENGTH_UNSPECIFIED,
    "short": pb.CONTENT_LENGTH_SHORT,
    "medium": pb.CONTENT_LENGTH_MEDIUM,
    "long": pb.CONTENT_LENGTH_LONG,
}
_NO_FIELDS: Mapping[str, str] = MappingProxyType({})

_SERVICE = pb.DESCRIPTOR.services_by_name["ContentService"]
LIST_CONTENT_TEMPLATES = Rpc(
    _SERVICE, "ListContentTemplates", pb.ListContentTemplatesRequest, pb.ListContentTemplatesResponse
)
GENERATE_CONTENT = Rpc(_SERVICE, "GenerateContent", pb.GenerateContentRequest, pb.GenerateContentResponse)
STREAM_CONTENT = Rpc(_SERVICE, "StreamContent", pb.StreamContentRequest, pb.StreamContentResponse)


class Content:
    """`client.content`: texts from templates, of which nothing is kept. Raises ParleyError."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def templates(self) -> Sequence[pb.ContentTemplate]:
        """The templates with their fields, by name."""
        return tuple((await self._connection.call(LIST_CONTENT_TEMPLATES, pb.ListContentTemplatesRequest())).templates)

    async def write(
        self,
        template_id: str = "",
        fields: Mapping[str, str] = _NO_FIELDS,
        *,
        custom_template: str = "",
        tone: str = "",
        audience: str = "",
        length: LengthName | None = None,
        language: str = "",
        variant_count: int = 0,
        model: str = "",
        timeout_seconds: float = WHOLE_TEXT_SECONDS,
    ) -> pb.GenerateContentResponse:
        """Writes content and returns it whole: the variants that became whole, at least one.

        fields: the values of the template's fields, by name. InvalidArgumentError names what is missing or wrong as `fields.<name>`.
        custom_template: a template of one's own with `{name}` for each of `fields`, in place of a stored one.
        variant_count: how many different texts, up to 4; they are written at the same time. 1 by default.
        """
        request = pb.GenerateContentRequest(
            template_id=template_id,
            custom_template=custom_template,
            fields=fields,
            tone=tone,
            audience=audience,
            length=_LENGTHS[length or ""],
            language=language,
            variant_count=variant_count,
            model=model,
        )
        return await self._connection.call(GENERATE_CONTENT, request, timeout_seconds=timeout_seconds)

    def stream(
        self,
        template_id: str = "",
        fields: Mapping[str, str] = _NO_FIELDS,
        *,
        custom_template: str = "",
        tone: str = "",
        audience: str = "",
        length: LengthName | None = None,
        language: str = "",
        variant_count: int = 0,
        model: str = "",
    ) -> AsyncGenerator[pb.StreamContentResponse, None]:
        """Writes content and streams it; the arguments are those of `write`. Events name their variant. Closing the iterator ends all.

        A variant that fails gives a `failed` event; when all fail, the ParleyError of the first is raised.
        """
        request = pb.StreamContentRequest(
            template_id=template_id,
            custom_template=custom_template,
            fields=fields,
            tone=tone,
            audience=audience,
            length=_LENGTHS[length or ""],
            language=language,
            variant_count=variant_count,
            model=model,
        )
        return self._connection.stream(STREAM_CONTENT, request)
