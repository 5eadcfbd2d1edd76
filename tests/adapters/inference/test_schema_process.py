"""The process that knows JSON Schema: what it says, and that nothing of what it is asked stops it for good."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from typing import Any

import pytest
from parley_inference.adapters.schema_process import SchemaProcess
from parley_inference.ports.schema_checker import UnusableSchemaError

TASK: dict[str, Any] = {
    "type": "object",
    "properties": {"due": {"type": "string", "format": "date"}, "of whom": {"$ref": "#/$defs/who"}},
    "required": ["due"],
    "additionalProperties": {"type": "integer"},
    "$defs": {"who": {"type": "array", "items": {"type": "string"}}},
}


@pytest.fixture
async def checker() -> AsyncIterator[SchemaProcess]:
    process = SchemaProcess()
    yield process
    await process.close()


def endless() -> dict[str, Any]:
    """A schema that takes 2 to the power of 40 steps to check a document against."""
    parts: dict[str, Any] = {"p0": {"type": "integer"}}
    for number in range(1, 40):
        before = {"$ref": f"#/$defs/p{number - 1}"}
        parts[f"p{number}"] = {"anyOf": [{"allOf": [before, {"type": "null"}]}, before]}
    return {"$ref": "#/$defs/p39", "$defs": parts}


@pytest.mark.parametrize(
    ("document", "paths"),
    [
        ('{"due": "2026-01-01", "of whom": ["a"], "more": 1}', []),
        ("{}", ["$.due"]),
        ('{"due": "soon", "of whom": ["a", 1]}', ["$.due", '$["of whom"][1]']),
        # The name is the document's own.
        ('{"due": "2026-01-01", "my secret": "x"}', ["$.*"]),
        ("[]", ["$"]),
        ("{", ["$"]),
        ("", ["$"]),
        ("Infinity", ["$"]),
        ("[" * 100_000, ["$"]),
        ("1" * 100_000, ["$"]),
    ],
)
async def test_a_document_is_wrong_in_these_places(checker: SchemaProcess, document: str, paths: list[str]) -> None:
    await checker.check(TASK)
    found = await checker.misfits(TASK, document)
    assert sorted(misfit.path for misfit in found) == sorted(paths)
    assert all(misfit.words and len(misfit.words) <= 300 for misfit in found)


async def test_only_the_first_places_are_told(checker: SchemaProcess) -> None:
    found = await checker.misfits({"type": "array", "items": {"type": "string"}}, str(list(range(1_000))))
    assert len(found) == 10


async def test_a_megabyte_is_no_trouble(checker: SchemaProcess) -> None:
    document = '["' + "x" * 1_000_000 + '"]'
    assert await checker.misfits({"type": "array"}, document) == []


async def test_what_takes_for_ever_ends_and_the_next_question_is_answered(checker: SchemaProcess) -> None:
    await checker.check(endless())
    (found,) = await checker.misfits(endless(), '"x"')
    assert (found.path, found.words) == ("$", "is too complex to be checked")
    assert await checker.misfits(TASK, '{"due": "2026-01-01"}') == []


async def test_whoever_leaves_leaves_no_answer_behind_for_the_next(checker: SchemaProcess) -> None:
    await checker.check(TASK)
    asking = asyncio.ensure_future(checker.misfits(TASK, "{}"))
    # It has asked, and has no answer yet.
    await asyncio.sleep(0)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    assert await checker.misfits(TASK, '{"due": "2026-01-01"}') == []


async def test_many_at_a_time_get_each_its_own_answer(checker: SchemaProcess) -> None:
    schema = {"type": "integer", "maximum": 9}
    found = await asyncio.gather(*(checker.misfits(schema, str(number)) for number in range(20)))
    assert [not misfits for misfits in found] == [number <= 9 for number in range(20)]


async def test_a_process_that_was_ended_is_started_anew(checker: SchemaProcess) -> None:
    await checker.check(TASK)
    process = checker._process
    assert process is not None
    os.kill(process.pid, signal.SIGKILL)
    await process.wait()
    assert await checker.misfits(TASK, "{}") != []


async def test_a_schema_that_was_good_is_not_looked_at_again(checker: SchemaProcess) -> None:
    await checker.check(TASK)
    await checker.close()
    await checker.check(TASK)
    assert checker._process is None
    with pytest.raises(UnusableSchemaError):
        await checker.check({"type": "text"})
