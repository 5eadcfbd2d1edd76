"""A table of TOML that an operator wrote, read key by key: what does not fit is one line for a person, and so is what nobody asked for.

What the keys mean is said by who reads them.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")


class TableError(Exception):
    """A table that cannot be used. The message says in one line for a person which file, where and why; no path is in it."""


MOST_BYTES = 1024 * 1024
"""Of a file."""


def read_toml(path: Path) -> Mapping[str, Any]:
    """All of a file. Raises TableError, which does not name it."""
    try:
        with path.open("rb") as file:
            data = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise TableError(f"cannot be read: {error.strerror}") from error
    if len(data) > MOST_BYTES:
        raise TableError(f"is larger than {MOST_BYTES} bytes")
    try:
        return tomllib.loads(data.decode())
    except (ValueError, RecursionError) as error:
        # What is no UTF-8, what is no TOML, and integers with thousands of digits.
        raise TableError(f"is not TOML: {str(error)[:300]}") from None


class Table:
    """The keys of a table. Every method raises TableError, naming the file and the key, when the value does not fit."""

    def __init__(self, file: str, values: Mapping[str, Any], *, within: str = "") -> None:
        self.file = file
        self._values = values
        self._within = within
        self._known: set[str] = set()

    def wrong(self, key: str, words: str) -> TableError:
        """The error that says what is wrong with a key: "must be …"."""
        return TableError(f"{self.file}: {self._within}{key} {words}")

    def has(self, key: str) -> bool:
        """Whether the key is there."""
        return key in self._values

    def value(self, key: str, default: Any) -> Any:
        """Whatever is there, for who knows its form."""
        return self._take(key, default, required=False)

    def text(self, key: str, *, most: int, default: str | None = None, one_line: bool = True) -> str:
        """A text without blanks around it. It must be there, and not be blank, unless there is a default."""
        value = self._take(key, default)
        if not isinstance(value, str):
            raise self.wrong(key, f"must be a text of at most {most} characters")
        value = value.replace("\r\n", "\n").strip()
        if not (0 if default is not None else 1) <= len(value) <= most:
            raise self.wrong(key, f"must be a text of {'0' if default is not None else '1'} to {most} characters")
        if _CONTROL.search(value) or (one_line and not value.isprintable()):
            raise self.wrong(key, "must be one line" if one_line else "must not hold control characters")
        return value

    def integer(self, key: str, *, least: int, most: int, default: int | None) -> int | None:
        """A whole number within its bounds; the default when it is not there."""
        value = self._take(key, default, required=False)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            raise self.wrong(key, f"must be a whole number from {least} to {most}")
        return value

    def number(self, key: str, *, least: float, most: float) -> float | None:
        """A number within its bounds; None when it is not there."""
        value = self._take(key, None, required=False)
        if value is None:
            return None
        # NaN breaks every bound.
        if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= most:
            raise self.wrong(key, f"must be a number from {least:g} to {most:g}")
        return float(value)

    def flag(self, key: str, *, default: bool) -> bool:
        """true or false."""
        value = self._take(key, default)
        if not isinstance(value, bool):
            raise self.wrong(key, "must be true or false")
        return value

    def choice(self, key: str, choices: Sequence[str], default: str) -> str:
        """One of the choices."""
        value = self._take(key, default)
        if value not in choices:
            raise self.wrong(key, f"must be one of {', '.join(choices)}")
        return str(value)

    def texts(self, key: str, *, most: int, most_characters: int) -> tuple[str, ...]:
        """A list of different texts, none when it is not there."""
        value = self._take(key, [])
        if (
            not isinstance(value, list)
            or len(value) > most
            or not all(isinstance(one, str) and one.strip() == one and one.isprintable() for one in value)
            or not all(1 <= len(one) <= most_characters for one in value)
            or len(set(value)) != len(value)
        ):
            raise self.wrong(
                key,
                f"must be a list of at most {most} different texts, each a line of 1 to {most_characters} characters",
            )
        return tuple(value)

    def tables(self, key: str, *, most: int) -> list[Table]:
        """The tables of an array, none when it is not there."""
        value = self._take(key, [])
        if not isinstance(value, list) or len(value) > most or not all(isinstance(one, dict) for one in value):
            raise self.wrong(key, f"must be at most {most} tables, each begun with [[{key}]]")
        return [Table(self.file, one, within=f"{key}[{index}].") for index, one in enumerate(value)]

    def end(self) -> None:
        """Refuses what nobody asked for: mostly a name that is misspelt."""
        unknown = sorted(set(self._values) - self._known)
        if unknown:
            raise self.wrong(unknown[0][:60], f"is not known; there are {', '.join(sorted(self._known))}")

    def _take(self, key: str, default: Any, *, required: bool = True) -> Any:
        self._known.add(key)
        if key in self._values:
            return self._values[key]
        if default is None and required:
            raise self.wrong(key, "is missing")
        return default
