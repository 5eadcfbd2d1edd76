"""The process that knows JSON Schema: reads a question a line, answers a line, until its input ends.

It is a process of its own because a schema, and the document beside it, come from callers: some small ones take longer than anybody lives
to check, or more memory than there is. What takes too long ends this process, and whoever asked learns of it by the end of its output. It
knows nothing of Parley.

A question is `{"schema": …}` to check a schema, or `{"schema": …, "document": "…"}` for where JSON text does not satisfy it. The answer is
`{"unusable": "…"}`, or `{"misfits": [["$.path", "words"], …]}`.
"""

from __future__ import annotations

import contextlib
import json
import resource
import signal
import sys
from collections.abc import Iterator
from typing import Any, NoReturn

import jsonschema_rs

CPU_SECONDS = 2.0
"""For one question. Ordinary ones take a thousandth of a second. Time on the clock would end ordinary ones on a busy machine."""
MOST_BYTES_OF_MEMORY = 2 * 1024**3
_MOST_MISFITS = 10
_MOST_CHARACTERS_OF_WORDS = 300
_MOST_CHARACTERS_OF_A_PATH = 200
_DRAFT = "https://json-schema.org/draft/2020-12/schema"


def main() -> None:
    """Answers until the input ends."""
    # Ctrl-C on a terminal is for the service, whose end ends this.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # A system without this limit still has the one of time.
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_AS, (MOST_BYTES_OF_MEMORY, MOST_BYTES_OF_MEMORY))
    for line in sys.stdin.buffer:
        # What the signal does by itself is to end the process, wherever it is.
        signal.setitimer(signal.ITIMER_PROF, CPU_SECONDS)
        answer = json.dumps(answer_to(json.loads(line)))
        signal.setitimer(signal.ITIMER_PROF, 0)
        sys.stdout.write(answer + "\n")
        sys.stdout.flush()


def answer_to(question: dict[str, Any]) -> dict[str, Any]:
    """The answer to one question."""
    schema = question["schema"]
    if (draft := schema.get("$schema", _DRAFT)) not in {_DRAFT, f"{_DRAFT}#"}:
        return {"unusable": f"must be of draft 2020-12; it says {str(draft)[:_MOST_CHARACTERS_OF_WORDS]!r}"}
    try:
        validator = jsonschema_rs.Draft202012Validator(schema, validate_formats=True, retriever=_refuse)
    except ValueError as error:
        return {"unusable": _why_unusable(error)}
    except RecursionError:
        return {"unusable": "is nested too deeply"}
    if "document" not in question:
        return {"misfits": []}
    try:
        document = json.loads(question["document"], parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        where = (
            f" (line {error.lineno}, column {error.colno}: {error.msg})"
            if isinstance(error, json.JSONDecodeError)
            else ""
        )
        return {"misfits": [["$", f"is not one JSON document{where}"]]}
    try:
        return {"misfits": list(_misfits(validator, document, _names_in(schema)))}
    except (ValueError, RecursionError):
        return {"misfits": [["$", "is nested too deeply"]]}


def _misfits(validator: jsonschema_rs.Draft202012Validator, document: Any, names: set[str]) -> Iterator[list[str]]:
    for number, error in enumerate(validator.iter_errors(document)):
        if number == _MOST_MISFITS:
            return
        place = list(error.instance_path)
        if isinstance(error.kind, jsonschema_rs.ValidationErrorKind.Required):
            # What is missing is a better place than where it is missing.
            place.append(error.kind.property)
        yield [_path(place, names), error.message[:_MOST_CHARACTERS_OF_WORDS]]


def _path(place: list[str | int], names: set[str]) -> str:
    """The place in JSONPath. A name that does not stand in the schema is the document's own, and stays in it."""
    parts = ["$"]
    for part in place:
        if isinstance(part, int):
            parts.append(f"[{part}]")
        elif part not in names:
            parts.append(".*")
        elif part.isidentifier():
            parts.append(f".{part}")
        else:
            parts.append(f"[{json.dumps(part)}]")
    return "".join(parts)[:_MOST_CHARACTERS_OF_A_PATH]


def _names_in(value: Any) -> set[str]:
    """All names of properties that a schema speaks of: its keys, and its texts."""
    names: set[str] = set()
    waiting = [value]
    while waiting:
        one = waiting.pop()
        if isinstance(one, dict):
            names.update(one)
            waiting += one.values()
        elif isinstance(one, list):
            waiting += one
        elif isinstance(one, str):
            names.add(one)
    return names


def _why_unusable(error: ValueError) -> str:
    if not isinstance(error, jsonschema_rs.ValidationError):
        return "cannot be used: it is nested too deeply, or refers to what is not there"
    if isinstance(error.kind, jsonschema_rs.ValidationErrorKind.Referencing):
        return "has a reference that leads to nothing in it; references to other documents are not followed"
    place = _path(list(error.instance_path), {str(part) for part in error.instance_path})
    return f"is no JSON Schema of draft 2020-12: at {place}, {error.message[:_MOST_CHARACTERS_OF_WORDS]}"


def _refuse(uri: str) -> NoReturn:
    raise ValueError("references to other documents are not followed")


def _no_number(word: str) -> NoReturn:
    raise ValueError(f"JSON has no {word}")


if __name__ == "__main__":
    main()
