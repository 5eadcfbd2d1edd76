"""The client's events: once and in order, also across cuts of the connection."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from pathlib import Path

from parley_client import Parley
from parley_testing.cuttable_proxy import cuttable_proxy
from parley_testing.running_chat import running_chat


async def test_events_come_once_and_in_order_also_across_a_cut(tmp_path: Path) -> None:
    async with running_chat(tmp_path, inference="127.0.0.1:1") as running:
        ada = await running.sign_up()
        token = ada.metadata[0][1].removeprefix("Bearer ")
        async with (
            cuttable_proxy(running.app.server.port) as proxy,
            Parley.connect(f"127.0.0.1:{proxy.port}", token=token) as watching,
            Parley.connect(f"127.0.0.1:{running.app.server.port}", token=token) as changing,
        ):
            await changing.tasks.create("first")
            titles: list[str] = []
            async with asyncio.timeout(60), aclosing(watching.events.watch(after_sequence=0, only=["task"])) as events:
                async for event in events:
                    titles.append(event.task.title)
                    if len(titles) == 1:
                        proxy.cut()
                        await changing.tasks.create("while it was cut")
                        await changing.sessions.create()
                        await changing.tasks.create("after that")
                    if len(titles) == 3:
                        break
            assert titles == ["first", "while it was cut", "after that"]
            page = await changing.events.list()
            assert [event.sequence for event in page.events] == [1, 2, 3, 4]
