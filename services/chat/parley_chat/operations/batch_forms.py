"""What the lines of batches say, and how their results are written: the forms are the servicers', who know the contract. Only what the
running of batches needs of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from parley_chat.domain.batches import BatchLine, LineFailure
from parley_chat.domain.errors import GenerationError
from parley_chat.operations.text_generations import RoundEvent
from parley_chat.ports.text_model import TextRequest


class LineReader(Protocol):
    """Reads the lines of one upload. It works with much at a time: in a thread."""

    def take(self, data: bytes) -> Sequence[BatchLine]:
        """Takes the next bytes; gives the lines that they complete, none any more once one was bad. Raises the error that names bad lines
        when there are many."""
        ...

    def end(self) -> Sequence[BatchLine]:
        """The upload is whole: gives the last lines. Raises the error that names bad lines when there was one."""
        ...

    def digest(self) -> str:
        """Tells this upload from others."""
        ...


class LineGathering(Protocol):
    """Puts the result of one line together."""

    def take(self, event: RoundEvent) -> None:
        """Takes the next event."""
        ...

    def result(self) -> str | None:
        """The result as JSON; None when the text is not whole."""
        ...


class BatchForms(Protocol):
    """The forms."""

    def reader(self, model: str) -> LineReader:
        """Reads an upload; `model` is for lines that name none."""
        ...

    def request(self, line: BatchLine, user_id: str) -> TextRequest:
        """What a model is asked for a line."""
        ...

    def gathering(self, line: BatchLine) -> LineGathering:
        """Takes what the model writes for it."""
        ...

    def failure(self, line: BatchLine, error: GenerationError) -> LineFailure:
        """What an error says of it, in the terms of the line's form."""
        ...
