"""Claude models behind Anthropic's Messages API, or a server that speaks it.

One request to the provider per generation: it retries nothing (but a request with sampling parameters or a schema, when the model takes
none), falls back to nothing and counts nothing that the provider did not count, but what was written of an answer that broke off.

Version 2026-10-21 of the API, which the package speaks, refuses `temperature` and `top_p`. The version before takes them for the models
that still have them, so a request that wants one of them is sent in that version.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import replace
from typing import Any

import orjson

from parley_inference.adapters.answer_reading import read_answer
from parley_inference.adapters.anthropic_connection import AnthropicConnection
from parley_inference.adapters.json_schemas import is_closed, refuses_every_schema, refuses_schema
from parley_inference.adapters.message_request import MessageForm, body_of, hidden_end, wants_sampling
from parley_inference.adapters.message_stream import MessageStream
from parley_inference.adapters.patience import Clock, Patience
from parley_inference.domain.continuation import RepeatedSpaceTrimmer
from parley_inference.domain.errors import ProviderRejectedError, ProviderStalledError, ProviderUnavailableError
from parley_inference.domain.generation import GenerationEvent, GenerationStarted, TextDelta
from parley_inference.domain.prompt import GenerationRequest, has_images

_logger = logging.getLogger(__name__)

MOST_MODELS = 200
_VERSION_WITH_SAMPLING = "2023-06-01"
_SAMPLING_PARAMETERS = ("temperature", "top_p")
_MOST_BYTES_OF_A_LIST = 4 * 1024 * 1024
_LIST_SECONDS = 10.0
_DEFAULT_LINE = "sonnet"
"""The line of models, between the small and the large ones, whose newest answers when nobody has named a model."""


class AnthropicModel:
    """Generates through one connection."""

    def __init__(
        self,
        connection: AnthropicConnection,
        patience: Patience,
        *,
        default_max_tokens: int,
        thinking_tokens: int = 0,
    ) -> None:
        self._connection = connection
        self._patience = patience
        self._default_max_tokens = default_max_tokens
        self._thinking_tokens = thinking_tokens
        self._without_thinking: set[str] = set()
        """Models that refused to think by a budget: they do not think, or by their own measure."""
        self._without_sampling: set[str] = set()
        """Models that refused sampling parameters. As many as are configured or listed."""
        self._without_schemas: set[str] = set()
        """Models that refused to be given any schema."""

    async def generate(self, request: GenerationRequest) -> AsyncGenerator[GenerationEvent, None]:
        """Streams one answer, or what follows `answer_so_far`; see the port."""
        clock = Clock(self._connection.provider, self._patience)
        form: MessageForm | None = self._first_form(request)
        while form is not None:
            try:
                async with aclosing(self._attempt(request, clock, form)) as events:
                    async for event in events:
                        yield event
            except ProviderRejectedError as error:
                # Refused before anything was generated: nothing was yielded, so another try doubles nothing.
                form = self._other_form(request.model, form, error.detail)
                if form is None:
                    raise
            else:
                return

    async def model_names(self) -> Sequence[str]:
        """What the server lists, as a ModelDirectory; at most MOST_MODELS. The newest of the middle line is the first, models that
        are to be retired are the last, and else the order is the server's: the newest first.
        """
        provider = self._connection.provider
        try:
            async with (
                asyncio.timeout(_LIST_SECONDS),
                aclosing(await self._connection.open("GET", f"/v1/models?limit={MOST_MODELS}")) as response,
            ):
                body = await self._connection.read(response, most_bytes=_MOST_BYTES_OF_A_LIST)
        except TimeoutError:
            raise ProviderStalledError(provider, _LIST_SECONDS) from None
        try:
            models = [model for model in orjson.loads(body)["data"] if model.get("lifecycle") != "retired"]
            return [str(model["id"]) for model in sorted(models, key=_place)][:MOST_MODELS]
        except (orjson.JSONDecodeError, KeyError, TypeError, AttributeError):
            raise ProviderUnavailableError(provider, "sent a list of models that cannot be read") from None

    def _first_form(self, request: GenerationRequest) -> MessageForm:
        schema = request.response_schema
        return MessageForm(
            sampling=wants_sampling(request.sampling) and request.model not in self._without_sampling,
            # The API refuses a schema with an object that may have any properties.
            schema=schema is not None and is_closed(schema) and request.model not in self._without_schemas,
            thinking_tokens=self._thinking_of(request),
        )

    def _thinking_of(self, request: GenerationRequest) -> int:
        """What the model may think for this request. Not with what the API refuses beside it: a chosen temperature, a begun answer, a limit
        that is too small; and not with tools, whose rounds would need the signed thoughts of the ones before.
        """
        most = request.sampling.max_output_tokens or self._default_max_tokens
        has_tools = bool(request.tools) or any(message.tool_calls for message in request.messages)
        if has_tools or request.answer_so_far or wants_sampling(request.sampling) or most <= self._thinking_tokens:
            return 0
        return 0 if request.model in self._without_thinking else self._thinking_tokens

    def _other_form(self, model: str, form: MessageForm, refusal: str) -> MessageForm | None:
        """The form in which a refused request may be taken, with less of what is wanted each time; None when there is none."""
        if form.sampling and any(name in refusal for name in _SAMPLING_PARAMETERS):
            self._without_sampling.add(model)
            _logger.info("the model %s takes no temperature or top_p; it is asked without", model)
            return replace(form, sampling=False)
        if form.thinking_tokens and "thinking" in refusal:
            self._without_thinking.add(model)
            _logger.info("the model %s takes no budget for thinking; it is asked without", model)
            return replace(form, thinking_tokens=0)
        if form.schema and refuses_schema(refusal):
            if refuses_every_schema(refusal):
                self._without_schemas.add(model)
            _logger.info("the model %s does not take the schema of an answer; it is told in words", model)
            return replace(form, schema=False)
        return None

    async def _attempt(
        self, request: GenerationRequest, clock: Clock, form: MessageForm
    ) -> AsyncGenerator[GenerationEvent, None]:
        # Megabytes of pictures are written out in a thread: the event loop need not wait for it.
        body = await asyncio.to_thread(self._body, request, form) if has_images(request) else self._body(request, form)
        version = {"anthropic-version": _VERSION_WITH_SAMPLING} if form.sampling else None
        opening = self._connection.open("POST", "/v1/messages", body, model=request.model, headers=version)
        message = MessageStream(self._connection.provider)
        trimmer = RepeatedSpaceTrimmer(hidden_end(request))
        # Closing a response whose body was not read to its end closes its socket, which is how a provider learns that nobody listens.
        async with aclosing(await clock.limit(opening)) as response:
            yield GenerationStarted(request.model, self._connection.provider)
            async with aclosing(read_answer(response, message, self._connection, clock)) as events:
                async for event in events:
                    if type(event) is not TextDelta:
                        yield event
                    elif text := trimmer.take(event.text):
                        yield TextDelta(text)

    def _body(self, request: GenerationRequest, form: MessageForm) -> bytes:
        return orjson.dumps(body_of(request, form, default_max_tokens=self._default_max_tokens))


def _place(model: dict[str, Any]) -> tuple[bool, bool]:
    return model.get("lifecycle") == "deprecated", model.get("line") != _DEFAULT_LINE
