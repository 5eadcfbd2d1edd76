"""Texts with `{name}` in them, and how values are put in: once, as they are, each between tags that say where it begins and ends.

`{{` and `}}` stand for a brace. A value is never read for placeholders, and its tag is one that occurs in no value: whatever a value
holds, it cannot end its own tag and speak as the text around it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import chain, count

NAME = re.compile(r"[a-z0-9_]{1,64}")
_TOKEN = re.compile(r"\{\{|\}\}|\{([a-z0-9_]{1,64})\}|\{")
_TAG = re.compile(r"</?([a-z0-9_]{1,64})((?:-[0-9]{1,6})?)", re.IGNORECASE)
_TAGGED = re.compile(r"<([a-z0-9_]{1,64})((?:-[0-9]{1,6})?)>(.*?)</\1\2>", re.DOTALL)


class PlaceholderError(Exception):
    """A text whose braces make no sense. The message goes on from its name: "has …"."""


@dataclass(frozen=True, slots=True)
class Placeholder:
    """A place for a value."""

    name: str


@dataclass(frozen=True, slots=True)
class PlaceholderText:
    """A text with places for values."""

    lines: tuple[tuple[str | Placeholder, ...], ...]

    @classmethod
    def parse(cls, text: str) -> PlaceholderText:
        """Reads a text. Raises PlaceholderError."""
        return cls(
            tuple(_parts(line, number) for number, line in enumerate(text.replace("\r\n", "\n").split("\n"), start=1))
        )

    @property
    def names(self) -> frozenset[str]:
        """The names of the values that it has places for."""
        return frozenset(part.name for line in self.lines for part in line if isinstance(part, Placeholder))

    def length_with(self, values: Mapping[str, str]) -> int:
        """How long it is at most once it is filled, characters. Cheap: a short text with one value in a thousand places is long."""
        return sum(
            len(part) if isinstance(part, str) else len(values.get(part.name, "")) + 2 * len(part.name) + 24
            for line in self.lines
            for part in (*line, "\n")
        )

    def filled(self, values: Mapping[str, str], *, drops_lines: bool) -> str:
        """The text with its values. An empty one leaves nothing behind, and with `drops_lines` not even its line, when all in it are."""
        tags = tags_for(self.names, values.values())
        written: list[str] = []
        for line in self.lines:
            wanted = [part.name for part in line if isinstance(part, Placeholder)]
            if drops_lines and wanted and not any(values.get(name) for name in wanted):
                continue
            text = "".join(
                part if isinstance(part, str) else tagged(tags[part.name], values.get(part.name, "")) for part in line
            )
            if text.strip() or not (written and not written[-1].strip()):
                written.append(text)
        return "\n".join(written).strip("\n")


def tagged(tag: str, value: str) -> str:
    """A value between its tags; nothing for an empty one."""
    if not value:
        return ""
    return f"<{tag}>\n{value}\n</{tag}>" if "\n" in value else f"<{tag}>{value}</{tag}>"


def tags_for(names: Iterable[str], values: Iterable[str]) -> dict[str, str]:
    """A tag for each name that occurs in none of the values: the name itself where that is so, mostly."""
    taken = {(found[1].lower(), found[2]) for value in values for found in _TAG.finditer(value)}
    tags: dict[str, str] = {}
    for name in names:
        suffixes = chain([""], (f"-{number}" for number in count(2)))
        tags[name] = name + next(suffix for suffix in suffixes if (name, suffix) not in taken)
    return tags


def values_in(text: str) -> dict[str, str]:
    """The values that a filled text holds, by their names."""
    return {found[1]: found[3].strip("\n") for found in _TAGGED.finditer(text)}


def _parts(line: str, number: int) -> tuple[str | Placeholder, ...]:
    parts: list[str | Placeholder] = []
    end = 0
    for token in _TOKEN.finditer(line):
        if token[0] == "{":
            raise PlaceholderError(
                f"has a brace in line {number} that begins no placeholder like {{name}} (a-z 0-9 _): write {{{{ for a brace"
            )
        parts.append(line[end : token.start()])
        parts.append(Placeholder(token[1]) if token[1] else token[0][0])
        end = token.end()
    parts.append(line[end:])
    return tuple(part for part in parts if part)
