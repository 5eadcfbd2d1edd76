"""A project through the edge, over chat and retrieval: answers rest on what belongs to it, and nothing is lost with it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from parley_client import Parley, SourcesFound
from parley_testing.mesh import Mesh

SECONDS = 90
QUESTION = "What do my documents say about the colour of the walls?"


async def until(is_so: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(SECONDS):
        while not await is_so():  # noqa: ASYNC110 - what another process does has no event here
            await asyncio.sleep(0.05)


async def test_an_answer_in_a_project_rests_on_its_documents_and_tasks_and_nothing_is_lost_with_the_project(
    mesh: Mesh,
) -> None:
    user = mesh.sign_up()
    async with Parley.connect(mesh.base_url, token=user.token) as client:
        house = (await client.projects.create("House", instructions="Be brief.")).project_id
        garden = (await client.projects.create("Garden")).project_id

        async def document(title: str, text: str, project: str) -> str:
            return (await client.documents.create(text, title=title, project=project)).document.document_id

        inside = await document("Kitchen", "The colour of the walls is a warm white.", house)
        outside = await document("Shed", "The colour of the walls is a dark green.", garden)
        task = await client.tasks.create("Choose the colour of the walls", project=house)
        await client.tasks.create("Paint the walls of the shed in that colour", project=garden)

        async def found(project: str) -> set[str]:
            hits = await client.search.passages(QUESTION, limit=20, project=project, include_items=True)
            return {hit.document_id for hit in hits}

        async def is_indexed() -> bool:
            return await found(house) == {inside, task.task_id} and len(await found(garden)) == 2

        await until(is_indexed)

        async def sources(session_id: str, project_id: str = "") -> tuple[str, set[str]]:
            turn = client.stream_reply(QUESTION, session_id=session_id, route="enhanced", project_id=project_id)
            named = [event.citations async for event in turn if isinstance(event, SourcesFound)]
            return turn.session_id, {citation.document_id for citations in named for citation in citations}

        session_id, rested_on = await sources("", house)
        assert rested_on == {inside, task.task_id}

        # What moves to another project is found there, and no longer here.
        await client.sessions.move(session_id, garden)
        assert inside not in (await sources(session_id))[1]
        await client.documents.update(outside, project=house)
        assert outside in await found(house)

        await client.projects.delete(house)

        async def is_out() -> bool:
            documents = [await client.documents.get(each) for each in (inside, outside)]
            return {each.project for each in documents} == {""} and not await found(house)

        await until(is_out)
        assert (await client.tasks.get(task.task_id)).project == ""
        assert {inside, outside, task.task_id} <= await found("")
        assert [each.title async for each in client.projects.list()] == ["Garden"]
