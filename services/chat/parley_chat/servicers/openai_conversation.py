"""Reads the conversation in a request of an OpenAI client: who said what, which functions were called, and what they returned."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from google.protobuf.struct_pb2 import Struct, Value
from parley.openai.v1 import openai_service_pb2 as pb
from parley_shared.validation import Violations

from parley_chat.domain.conversation import Role
from parley_chat.domain.prompt import PromptLine, PromptPicture
from parley_chat.domain.tool_uses import ToolRound, ToolUse

MESSAGES_MOST = 1_000
CONTENT_MOST = 1_000_000
PICTURES_MOST = 8
PICTURE_BYTES_MOST = 3_000_000
CALLS_MOST = 32
CALL_ID_MOST = 200
ARGUMENTS_MOST = 1_000_000
TOOL_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
TOOL_NAME_WORDS = "1 to 64 of A-Z a-z 0-9 _ -"

_INSTRUCTING = ("system", "developer")
_NOTHING = '""'
"""What a model is told that a function returned when it returned nothing: an empty message is refused."""
_DATA_URL = re.compile(r"data:image/(png|jpe?g|webp|gif);base64,")


@dataclass(frozen=True, slots=True)
class Conversation:
    """A conversation as a model is told it."""

    instructions: str
    lines: tuple[PromptLine, ...]
    rounds: tuple[ToolRound, ...]
    """What was done with tools since the last line."""


@dataclass(slots=True)
class _Round:
    """Calls whose results are still being read."""

    position: int
    text: str
    calls: Sequence[pb.ChatToolCall]
    results: dict[str, str] = field(default_factory=dict)

    def waits_for(self, call_id: str) -> bool:
        return call_id not in self.results and any(call.id == call_id for call in self.calls)

    @property
    def complete(self) -> bool:
        return len(self.results) == len(self.calls)

    def close(self) -> ToolRound:
        return ToolRound(
            self.text,
            tuple(
                ToolUse(call.id, call.function.name, call.function.arguments, 0, 0, self.results[call.id])
                for call in self.calls
            ),
        )


def conversation_of(violations: Violations, messages: Sequence[pb.ChatMessage]) -> Conversation:
    """Reads a conversation; what is wrong with it goes to the violations, and what is given then is of no use."""
    violations.count("messages", messages, least=1, most=MESSAGES_MOST)
    reading = _Reading(violations)
    for position, message in enumerate(messages[:MESSAGES_MOST]):
        reading.take(position, message)
    return reading.end([message for message in messages if message.role not in _INSTRUCTING])


class _Reading:
    """A conversation, message by message."""

    def __init__(self, violations: Violations) -> None:
        self._violations = violations
        self._instructions: list[str] = []
        self._lines: list[PromptLine] = []
        self._rounds: list[ToolRound] = []
        self._open: _Round | None = None
        self._pictures = 0
        self._picture_bytes = 0

    def take(self, position: int, message: pb.ChatMessage) -> None:
        """Takes the next message."""
        where = f"messages[{position}]"
        text, pictures = self._content(f"{where}.content", message)
        if message.tool_calls and message.role != "assistant":
            self._violations.add(f"{where}.tool_calls", "must come from assistant only")
        if message.tool_call_id and message.role != "tool":
            self._violations.add(f"{where}.tool_call_id", "must come from tool only")
        if not text and not pictures and message.role in {"system", "developer", "user"}:
            self._violations.add(f"{where}.content", "must not be empty")
        if message.role in {"user", "assistant"}:
            self._close()
        match message.role:
            case "system" | "developer":
                self._instructions.append(text)
            case "user":
                self._say(Role.USER, text, pictures)
            case "assistant":
                self._assistant(position, text, message.tool_calls)
            case "tool":
                self._result(where, message.tool_call_id, text)
            case _:
                self._violations.add(f"{where}.role", "must be system, developer, user, assistant or tool")

    def end(self, spoken: Sequence[pb.ChatMessage]) -> Conversation:
        """Gives the conversation; `spoken` are its messages without the instructions."""
        self._close()
        if not spoken or spoken[-1].role not in {"user", "tool"}:
            self._violations.add("messages", "must end with a message of user or tool")
        return Conversation("\n\n".join(self._instructions), tuple(self._lines), tuple(self._rounds))

    def _assistant(self, position: int, text: str, calls: Sequence[pb.ChatToolCall]) -> None:
        if not calls:
            # An answer without text, which was cut at its beginning, tells a model nothing.
            if text:
                self._say(Role.ASSISTANT, text)
            return
        where = f"messages[{position}].tool_calls"
        self._violations.count(where, calls, most=CALLS_MOST)
        for number, call in enumerate(calls[:CALLS_MOST]):
            self._violations.text(f"{where}[{number}].id", call.id, least=1, most=CALL_ID_MOST)
            self._violations.text(f"{where}[{number}].function.name", call.function.name, least=1, most=64)
            self._violations.text(f"{where}[{number}].function.arguments", call.function.arguments, most=ARGUMENTS_MOST)
        if len({call.id for call in calls}) < len(calls):
            self._violations.add(where, "must have different ids")
        else:
            self._open = _Round(position, text, calls)

    def _result(self, where: str, call_id: str, text: str) -> None:
        self._violations.text(f"{where}.tool_call_id", call_id, least=1, most=CALL_ID_MOST)
        if self._open and self._open.waits_for(call_id):
            self._open.results[call_id] = text or _NOTHING
        else:
            self._violations.add(f"{where}.tool_call_id", "must name a call of the assistant's message before it")

    def _close(self) -> None:
        """The results of the last calls are all there."""
        if self._open is None:
            return
        if self._open.complete:
            self._rounds.append(self._open.close())
        else:
            field = f"messages[{self._open.position}].tool_calls"
            self._violations.add(field, "must each be answered by one of the messages of tool that follow")
        self._open = None

    def _say(self, role: Role, text: str, pictures: tuple[PromptPicture, ...] = ()) -> None:
        if self._rounds and role is Role.USER:
            self._lines.append(PromptLine(Role.ASSISTANT, "", tuple(self._rounds)))
            self._rounds.clear()
        self._lines.append(PromptLine(role, text, tuple(self._rounds), pictures))
        self._rounds.clear()

    def _content(self, where: str, message: pb.ChatMessage) -> tuple[str, tuple[PromptPicture, ...]]:
        texts: list[str] = []
        pictures: list[PromptPicture] = []
        match message.content.WhichOneof("kind"):
            case None | "null_value":
                pass
            case "string_value":
                texts.append(message.content.string_value)
            case "list_value":
                for number, part in enumerate(message.content.list_value.values):
                    self._part(f"{where}[{number}]", message.role, part, texts, pictures)
            case _:
                self._violations.add(where, "must be a text or a list of parts")
        text = "\n".join(texts)
        self._violations.text(where, text, most=CONTENT_MOST)
        return text, tuple(pictures)

    def _part(self, where: str, role: str, part: Value, texts: list[str], pictures: list[PromptPicture]) -> None:
        fields = part.struct_value.fields
        match _text_of(part.struct_value, "type"):
            case "text" if _text_of(part.struct_value, "text") is not None:
                texts.append(fields["text"].string_value)
            case "image_url" if role == "user" and "image_url" in fields:
                picture = _picture(_text_of(fields["image_url"].struct_value, "url") or "")
                if picture is None:
                    self._violations.add(where, "must be a data: URL of a PNG, JPEG, WebP or GIF in base64")
                    return
                self._pictures += 1
                self._picture_bytes += len(picture.data)
                if self._pictures > PICTURES_MOST or self._picture_bytes > PICTURE_BYTES_MOST:
                    self._violations.add(
                        where, f"must be one of at most {PICTURES_MOST} pictures of together {PICTURE_BYTES_MOST} bytes"
                    )
                pictures.append(picture)
            case _:
                self._violations.add(where, "must be a part of type text or, from user, image_url")


def _text_of(struct: Struct, name: str) -> str | None:
    found = struct.fields.get(name)
    return found.string_value if found is not None and found.WhichOneof("kind") == "string_value" else None


def _picture(url: str) -> PromptPicture | None:
    beginning = _DATA_URL.match(url)
    if beginning is None:
        return None
    try:
        data = base64.b64decode(url[beginning.end() :], validate=True)
    except binascii.Error:
        return None
    kind = beginning[1]
    return PromptPicture(f"image/{'jpeg' if kind == 'jpg' else kind}", data) if data else None
