"""SearchService over a real server."""

from __future__ import annotations

import hashlib
from typing import Any

HANDBOOK = """# Handbook

Everything there is to know.

## Adding a provider

Write one file, `models/<name>.py`, and name it in the settings.

## Removing one

Delete its file. A provider that is in use is kept until its calls end.

## Fish

Café owners feed the fish — 金魚 — at noon.
"""


async def test_a_question_finds_the_passage_under_the_heading_that_it_names(caller: Any) -> None:
    document = (await caller.create(HANDBOOK)).document
    hits = await caller.search("How do I add a provider?")
    best = hits[0]
    assert best.heading == "Handbook › Adding a provider"
    assert best.text == "## Adding a provider\n\nWrite one file, `models/<name>.py`, and name it in the settings."
    assert best.document_id == document.document_id
    assert best.document_title == "Handbook"
    assert not best.shared
    assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)
    assert all(hit.score > 0 for hit in hits)


async def test_a_hit_is_an_exact_piece_of_its_document(caller: Any) -> None:
    document = (await caller.create(HANDBOOK)).document
    for words in ("CAFÉ owner", "金魚", "provider", "noon"):
        hits = await caller.search(words)
        assert hits, words
        for hit in hits:
            text = HANDBOOK[hit.start_offset : hit.end_offset]
            assert hit.text == text
            assert hit.content_sha256 == hashlib.sha256(text.encode()).hexdigest()
            assert hit.document_id == document.document_id


async def test_the_answer_is_as_long_as_asked_and_five_when_nothing_is_said(caller: Any) -> None:
    for number in range(9):
        await caller.create(f"the heron number {number}")
    assert len(await caller.search("heron")) == 5
    assert len(await caller.search("heron", limit=1)) == 1
    assert len(await caller.search("heron", limit=50)) == 9


async def test_the_same_question_has_the_same_answer(caller: Any) -> None:
    # As long as passages usually are: shorter ones are weighed anew in the background, by and by.
    for number in range(9):
        await caller.create(f"the heron number {number} {'by the river ' * 33}", title="Birds")
    answers = [[hit.chunk_id for hit in await caller.search("heron")] for _ in range(5)]
    assert all(answer == answers[0] for answer in answers)


async def test_words_that_nobody_wrote_have_no_hits(caller: Any) -> None:
    await caller.create(HANDBOOK)
    assert await caller.search("zymurgy") == []
    assert await caller.search("?!") == []


async def test_a_question_of_stop_words_is_asked_all_the_same(caller: Any) -> None:
    await caller.create("To be, or not to be.")
    await caller.create("Something else.")
    assert [hit.text for hit in await caller.search("to be or not to be")] == ["To be, or not to be."]


async def test_a_question_about_a_word_that_is_everywhere_finds_what_explains_it(caller: Any) -> None:
    for number in range(12):
        await caller.create(f"# Notes {number}\n\nParley Parley Parley notes {number}")
    await caller.create("# What is Parley?\n\nA backend for conversations.")
    assert (await caller.search("What is Parley?"))[0].text.startswith("# What is Parley?")
    assert await caller.search("What is zymurgy?") == []


async def test_shared_documents_are_found_unless_they_are_left_out(caller: Any) -> None:
    await caller.create("My quokka.")
    shared = {hit.document_title: hit.shared for hit in await caller.search("quokka")}
    assert shared == {"My quokka.": False, "About quokkas": True}
    assert [hit.shared for hit in await caller.search("quokka", exclude_shared=True)] == [False]


async def test_a_project_narrows_the_search_also_after_it_changed(caller: Any) -> None:
    inside = (await caller.create("a quokka inside", project="apollo")).document
    await caller.create("a quokka outside")
    assert [hit.text for hit in await caller.search("quokka", project="apollo")] == ["a quokka inside"]
    await caller.update(document_id=inside.document_id, project="gemini")
    assert await caller.search("quokka", project="apollo") == []
    assert [hit.text for hit in await caller.search("quokka", project="gemini")] == ["a quokka inside"]


async def test_what_others_write_changes_no_answer(retrieval: Any) -> None:
    caller, other = retrieval.caller(), retrieval.caller()
    await caller.create("the kestrel and the common word")
    await caller.create("the common word only")
    before = [(hit.chunk_id, hit.score) for hit in await caller.search("kestrel common", exclude_shared=True)]
    for number in range(30):
        await other.create(f"kestrel kestrel kestrel {number}")
    after = [(hit.chunk_id, hit.score) for hit in await caller.search("kestrel common", exclude_shared=True)]
    assert after == before
    assert len(after) == 2
