"""The examples in Python, run as they stand."""

from __future__ import annotations

import asyncio
import os
import sys

from parley_testing.scripted_chat import turn_events
from parley_testing.tools import ROOT
from parley_testing.two_sides import switchable_parley


async def test_the_example_of_failover_is_answered_by_the_one_that_is_there() -> None:
    async with switchable_parley("primary") as primary, switchable_parley("secondary") as secondary:
        await primary.stop()
        secondary.chat.script(turn_events("Set ", "a key."))
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-W",
            "error",
            ROOT / "examples" / "python" / "failover.py",
            primary.address,
            secondary.address,
            "How do I add a provider?",
            env={**os.environ, "PARLEY_TOKEN": "one", "PARLEY_SECONDARY_TOKEN": "two"},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        async with asyncio.timeout(100):
            output, told = await process.communicate()
    assert process.returncode == 0, told.decode()
    assert output == b"Set a key.\n"
    assert b"answered by the secondary" in told
    assert b"documents cannot be reached now" in told
    assert secondary.chat.received[0].metadata["authorization"] == "Bearer two"
