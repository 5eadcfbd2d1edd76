"""Packs what generations without a session say into the contract's messages. No checks: those are generation_validation.py's."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from parley.ai.v1 import text_generation_pb2

from parley_chat.domain.conversation import Failure
from parley_chat.domain.errors import GenerationError
from parley_chat.domain.generation import GenerationUsage
from parley_chat.operations.text_generations import TextFinished
from parley_chat.ports.text_model import TextEnd, TextStarted, TextSwitched

ENDS = {
    TextEnd.STOP: text_generation_pb2.FINISH_REASON_STOP,
    TextEnd.LENGTH: text_generation_pb2.FINISH_REASON_LENGTH,
    TextEnd.CONTENT_FILTER: text_generation_pb2.FINISH_REASON_CONTENT_FILTER,
}

_MOST_TOKENS = 2**31 - 1
"""What the contract's numbers hold. Providers' figures are summed, and not all providers are right."""

_OF_MESSAGES = re.compile(r"messages(\[\d+\](\.text)?)?")
_OF_SAMPLING = "sampling."


def pack_usage(usage: GenerationUsage) -> text_generation_pb2.GenerationUsage:
    """Packs what it took."""
    return text_generation_pb2.GenerationUsage(
        input_tokens=min(usage.input_tokens, _MOST_TOKENS),
        output_tokens=min(usage.output_tokens, _MOST_TOKENS),
        estimated=usage.estimated,
        time_to_first_token_ms=usage.time_to_first_token_ms,
        duration_ms=usage.duration_ms,
        cost_usd_micros=usage.cost_usd_micros,
        output_tokens_per_second=usage.output_tokens_per_second,
    )


def pack_started(started: TextStarted) -> text_generation_pb2.GenerationStarted:
    """Packs who writes."""
    return text_generation_pb2.GenerationStarted(model=started.model, offline=started.offline, cached=started.cached)


def pack_switched(switched: TextSwitched) -> text_generation_pb2.ModelSwitched:
    """Packs who goes on."""
    return text_generation_pb2.ModelSwitched(
        from_model=switched.from_model, to_model=switched.to_model, reason=switched.reason
    )


def pack_finished(finished: TextFinished) -> text_generation_pb2.GenerationFinished:
    """Packs how it ended."""
    return text_generation_pb2.GenerationFinished(
        reason=ENDS[finished.end], usage=pack_usage(finished.usage), trace_id=finished.trace_id
    )


def pack_failed(failure: Failure) -> text_generation_pb2.GenerationFailed:
    """Packs why it failed."""
    return text_generation_pb2.GenerationFailed(
        code=failure.code, reason=failure.reason, message=failure.message, retryable=failure.retryable
    )


@contextmanager
def in_terms_of(prompt_field: str) -> Iterator[None]:
    """Names the fields of inference's requests in an error as the user's request does; `prompt_field` became its messages."""
    try:
        yield
    except GenerationError as error:
        raise told_in_terms_of(prompt_field, error) from error


def told_in_terms_of(prompt_field: str, error: GenerationError) -> GenerationError:
    """The same error with the user's names of fields."""

    def renamed(field: str) -> str:
        return prompt_field if _OF_MESSAGES.fullmatch(field) else field.removeprefix(_OF_SAMPLING)

    failure, field = error.failure, error.metadata.get("field", "")
    message = failure.message
    if field and message.startswith(f"{field} "):
        message = renamed(field) + message.removeprefix(field)
    metadata = {**error.metadata, "field": renamed(field)} if field else error.metadata
    told = GenerationError(
        Failure(failure.code, failure.reason, message, failure.retryable),
        metadata=metadata,
        violations=[(renamed(each), words) for each, words in error.violations],
        retry_after_seconds=error.retry_after_seconds,
    )
    told.__cause__ = error.__cause__
    return told
