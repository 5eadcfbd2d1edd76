# ruff: noqa: INP001 - a program by itself, and no part of a package
"""Asks a question of the primary Parley, or of the secondary while the primary does not answer, and says which one it was.

PARLEY_TOKEN=… PARLEY_SECONDARY_TOKEN=… python failover.py http://127.0.0.1:8080 http://127.0.0.1:8090 "How do I add a provider?"
"""

from __future__ import annotations

import asyncio
import os
import sys

from parley_client import Failover, FailoverEvent, Parley, Side, TextDelta


def tell(event: FailoverEvent) -> None:
    """Says when a feature moves."""
    print(f"{event.feature}: {event.left} -> {event.side} ({event.reason})", file=sys.stderr)


async def main(primary: str, secondary: str, question: str) -> None:
    """Asks, and prints the answer while it is written."""
    async with Parley.connect(
        primary,
        token=os.environ["PARLEY_TOKEN"],
        secondary=Side(secondary, token=os.environ["PARLEY_SECONDARY_TOKEN"]),
        # Documents are at the primary alone. A flag `failover.search` could say the same of search, for some users.
        failover=Failover(features={"documents": "primary_only"}),
        on_failover=tell,
    ) as client:
        # Once, at the start. Afterwards asking for a flag takes no time, also while nobody answers.
        await client.flags_ready(timeout_seconds=2.0)
        route = "enhanced" if client.is_feature_enabled("thorough-answers") else None
        turn = client.stream_reply(question, route=route)
        async for event in turn:
            if isinstance(event, TextDelta):
                print(event.text, end="", flush=True)
        print()
        print(f"answered by the {turn.side}", file=sys.stderr)
        if not client.is_available("documents"):
            print("documents cannot be reached now", file=sys.stderr)


asyncio.run(main(*sys.argv[1:4]))
