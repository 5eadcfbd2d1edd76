"""Bounds of requests: checks them and names every field that breaks one, in one INVALID_ARGUMENT.

What the bounds are is said in the contract and repeated in each service's `servicers/validation.py`, not here.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence, Sized

import grpc
from google.protobuf.message import Message

from parley_shared.status import StatusError

_HEXADECIMAL = re.compile(r"[0-9a-f]{32}")


class Violations:
    """Gathers what is wrong with a request. `check()` raises when anything is.

    The paths of fields are written as the contract writes them: `message`, `options.top_k`, `messages[2].text`.
    """

    def __init__(self) -> None:
        self._found: list[tuple[str, str]] = []

    def text(self, field: str, value: str, *, least: int = 0, most: int, not_blank: bool = False) -> None:
        """A text of `least` to `most` characters (Unicode code points), not only blanks when `not_blank`."""
        if not least <= len(value) <= most:
            bounds = f"at most {most}" if least == 0 else f"{least} to {most}" if least != most else f"{most}"
            self.add(field, f"must have {bounds} characters; it has {len(value)}")
        elif not_blank and not value.strip():
            self.add(field, "must not be blank")

    def line(self, field: str, value: str, *, least: int = 0, most: int, not_blank: bool = False) -> None:
        """A text as `text` has it, in one line and without control characters."""
        self.text(field, value, least=least, most=most, not_blank=not_blank)
        self.printable(field, value)

    def stored_text(self, field: str, value: str, *, least: int = 0, most: int, not_blank: bool = False) -> None:
        """A text as `text` has it, that every database takes."""
        self.text(field, value, least=least, most=most, not_blank=not_blank)
        self.storable(field, value)

    def printable(self, field: str, value: str) -> None:
        """No control characters and no line breaks."""
        if not value.isprintable():
            self.add(field, "must not hold control characters or line breaks")

    def storable(self, field: str, value: str) -> None:
        """No U+0000: PostgreSQL takes no such text, and no text needs it."""
        if "\0" in value:
            self.add(field, "must not hold the character U+0000")

    def changed_fields(self, request: Message, changeable: Sequence[str]) -> frozenset[str]:
        """The fields that a request with an `update_mask` changes: those that the mask names; without one those that are set (AIP-134)."""
        if not request.HasField("update_mask"):
            return frozenset(field.name for field, _ in request.ListFields()).intersection(changeable)
        mask: Sequence[str] = request.update_mask.paths  # type: ignore[attr-defined] # of the requests that have one
        if unknown := sorted(set(mask).difference(changeable)):
            self.add("update_mask", f"must name only {', '.join(changeable)}; it names {unknown[0][:64]}")
        return frozenset(mask)

    def integer(self, field: str, value: int, *, least: int, most: int) -> None:
        """A whole number from `least` to `most`."""
        if not least <= value <= most:
            self.add(field, f"must be from {least} to {most}; it is {value}")

    def number(self, field: str, value: float, *, least: float, most: float) -> None:
        """A number from `least` to `most`. NaN breaks every bound."""
        if not least <= value <= most:
            self.add(field, f"must be from {least:g} to {most:g}; it is {value:g}")

    def identifier(self, field: str, value: str, prefix: str) -> None:
        """An id of Parley: the prefix, for example `ses_`, and 32 hexadecimal digits in lower case."""
        prefix = prefix if prefix.endswith("_") else f"{prefix}_"
        if not (value.startswith(prefix) and _HEXADECIMAL.fullmatch(value[len(prefix) :])):
            self.add(field, f"must be {prefix} and 32 hexadecimal digits in lower case")

    def pattern(self, field: str, value: str, pattern: re.Pattern[str], description: str) -> None:
        """A text that the pattern matches as a whole; `description` completes "must be …"."""
        if not pattern.fullmatch(value):
            self.add(field, f"must be {description}")

    def count(self, field: str, values: Sized, *, least: int = 0, most: int) -> None:
        """A list or map of `least` to `most` entries."""
        if not least <= len(values) <= most:
            bounds = f"at most {most}" if least == 0 else f"{least} to {most}"
            self.add(field, f"must have {bounds} entries; it has {len(values)}")

    def choice(self, field: str, value: int, choices: Collection[int]) -> None:
        """An enum's value that is among the choices."""
        if value not in choices:
            self.add(field, f"must be one of the values that its description lists; {value} is not")

    def add(self, field: str, description: str) -> None:
        """Anything else; `description` continues the field's name: "must not be set together with `x`"."""
        self._found.append((field, description))

    def check(self) -> None:
        """Raises the StatusError when anything was found."""
        if not self._found:
            return
        field, description = self._found[0]
        more = f" ({len(self._found) - 1} more)" if len(self._found) > 1 else ""
        raise StatusError(
            grpc.StatusCode.INVALID_ARGUMENT,
            "ERROR_REASON_INVALID_FIELD",
            f"{field} {description}{more}.",
            metadata={"field": field},
            violations=self._found,
        )
