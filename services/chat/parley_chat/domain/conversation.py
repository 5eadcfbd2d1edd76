"""Sessions and the messages in them. What they are, not where they are kept."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import uuid4

from parley_chat.domain.tool_uses import ToolUse


class Role(StrEnum):
    """Who a message is from."""

    USER = "user"
    ASSISTANT = "assistant"


class MessageState(StrEnum):
    """How far a message is. Only STREAMING changes."""

    STREAMING = "streaming"
    COMPLETED = "completed"
    STOPPED = "stopped"
    FAILED = "failed"


class Route(StrEnum):
    """Which way a message is answered. AUTOMATIC is a wish; a route that was taken is one of the others."""

    AUTOMATIC = "automatic"
    STANDARD = "standard"
    ENHANCED = "enhanced"


class OnFailure(StrEnum):
    """What becomes of an answer whose writing is interrupted."""

    CONTINUE = "continue"
    RESTART = "restart"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Session:
    """A conversation of one user."""

    session_id: str
    user_id: str
    title: str
    create_time: datetime
    update_time: datetime
    tip_message_id: str
    """The newest message; empty while there is none."""
    running_turn_id: str
    """The newest turn that runs; empty when none does."""
    project_id: str = ""
    """Empty when it belongs to none."""


@dataclass(frozen=True, slots=True)
class Quote:
    """A piece of an answer's text that is, or claims to be, the words of a passage."""

    text_offset: int
    """Characters (Unicode code points) from the start of the answer's text."""
    text_length: int
    verified: bool
    """Whether the passage holds these words."""


@dataclass(frozen=True, slots=True)
class Citation:
    """A passage that an answer rests on."""

    number: int
    """How the text names it, from 1."""
    chunk_id: str
    document_id: str
    document_title: str
    heading: str
    text: str
    start_offset: int
    """Characters (Unicode code points) from the document's start."""
    end_offset: int
    """The first character after the passage."""
    content_sha256: str
    document_version: int = 0
    """0 when it is not known."""
    quotes: tuple[Quote, ...] = ()
    """What the answer quotes from the passage."""
    item_type: str = ""
    """What kind of thing it is of, when that is no document: `task`, for example."""


@dataclass(frozen=True, slots=True)
class Usage:
    """What an answer took."""

    input_tokens: int
    output_tokens: int
    estimated: bool
    """True when the provider gave no figures."""
    time_to_first_token_ms: int
    """0 when there was no text."""
    duration_ms: int
    cost_usd_micros: int | None = None
    """Millionths of a US dollar, rounded up; None when the price of a model that took part is not known. Messages that were stored before
    there were prices have none."""


@dataclass(frozen=True, slots=True)
class Failure:
    """Why an answer failed, for a person and for a program."""

    code: int
    """The gRPC status code."""
    reason: str
    """The name of the ErrorReason."""
    message: str
    retryable: bool


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a session. Messages with the same parent are alternatives."""

    message_id: str
    session_id: str
    parent_message_id: str
    """Empty for the first of a session."""
    role: Role
    text: str
    state: MessageState
    create_time: datetime
    turn_id: str
    client_message_id: str = ""
    citations: tuple[Citation, ...] = ()
    usage: Usage | None = None
    route: Route | None = None
    model: str = ""
    failure: Failure | None = None
    trace_id: str = ""
    tool_uses: tuple[ToolUse, ...] = ()
    """In the order in which the model called them."""
    route_reason: str = ""
    """Why the route was taken."""


@dataclass(frozen=True, slots=True)
class SessionMatch:
    """A session that was found by words."""

    session: Session
    snippet: str
    """Text around the words; empty when only the title holds them."""
    message_id: str
    """The newest message that holds the words; empty when only the title does."""


def new_session_id() -> str:
    """Names a session."""
    return f"ses_{uuid4().hex}"


def new_message_id() -> str:
    """Names a message."""
    return f"msg_{uuid4().hex}"


def new_turn_id() -> str:
    """Names a turn."""
    return f"trn_{uuid4().hex}"


TITLE_CHARACTERS = 60


def title_of(message: str) -> str:
    """Makes a session's title of its first message: its first line, cut at a word."""
    line = next((line.strip() for line in message.splitlines() if line.strip()), "")
    if len(line) <= TITLE_CHARACTERS:
        return line
    cut = line[: TITLE_CHARACTERS - 1]
    word_end = cut.rfind(" ")
    return (cut[:word_end] if word_end > TITLE_CHARACTERS // 2 else cut).rstrip() + "…"


def snippet_of(text: str, words: list[str], *, characters: int = 200) -> str:
    """Cuts the text around the first of the words that it holds, to at most `characters`."""
    folded = text.casefold()
    found = [place for word in words if (place := folded.find(word.casefold())) >= 0]
    # Case folding may change lengths; a snippet some characters off is still a snippet.
    start = max(0, min(min(found, default=0), len(text)) - characters // 4)
    piece = " ".join(text[start : start + characters - 2].split())
    return ("…" if start else "") + piece + ("…" if start + characters - 2 < len(text) else "")
