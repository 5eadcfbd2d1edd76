"""Files are read by what is in them, in a process that dies before the service does. All files are made here."""

from __future__ import annotations

import asyncio
import io
import os
import re
import signal
import zipfile
from pathlib import Path

import pytest
from parley_retrieval.adapters.process_file_reader import ProcessFileReader
from parley_retrieval.domain.documents import MediaType
from parley_retrieval.domain.files import FileText, FileUnreadableError
from parley_retrieval.domain.jobs import FailureReason
from parley_retrieval.domain.outline import OUTLINE_HEADINGS
from parley_testing.ingestion import pdf, pdf_with_outline, word

SECONDS = 60.0
READER = ProcessFileReader(seconds=SECONDS, memory_bytes=1 << 30, text_characters=200_000)
HTML = b"""<!doctype html><html><head><title>Waders &amp; more</title><style>p {color: red}</style></head><body>
<nav>Home</nav><h1>Waders</h1><script>var hidden = 1</script><p>The <b>avocet</b> sweeps
its bill.</p><ul><li>long<li>thin</ul><table><tr><th>Bird<th>Legs<tr><td>Stilt<td>pink</table><h2>Feet</h2>
<div>Toes<br>are long</div><pre>a
  b</pre><footer>Imprint</footer></body></html>"""


async def nothing(_done: int, _total: int, _unit: str) -> None:
    """Progress that nobody looks at."""


async def read(
    folder: Path, content: bytes, wanted: MediaType | None = None, reader: ProcessFileReader = READER
) -> FileText:
    file = folder / "file"
    file.write_bytes(content)
    return await reader.read(file, wanted, nothing)


async def refusal(
    folder: Path, content: bytes, wanted: MediaType | None = None, reader: ProcessFileReader = READER
) -> FileUnreadableError:
    with pytest.raises(FileUnreadableError) as refused:
        await read(folder, content, wanted, reader)
    return refused.value


async def test_a_pdf_is_read_page_by_page(tmp_path: Path) -> None:
    said: list[tuple[int, int, str]] = []

    async def progress(done: int, total: int, unit: str) -> None:
        said.append((done, total, unit))

    (tmp_path / "file").write_bytes(pdf("The heron stands.", "", "The egret is white.", title="Of herons"))
    found = await READER.read(tmp_path / "file", None, progress)
    assert (found.media_type, found.title, len(found.page_starts)) == (MediaType.PDF, "Of herons", 3)
    assert [found.text[start:].lstrip()[:9] for start in found.page_starts] == ["The heron", "The egret", "The egret"]
    assert said[-1] == (3, 3, "pages")


async def test_the_outline_of_a_pdf_is_its_headings_where_their_words_begin_a_line(tmp_path: Path) -> None:
    content = pdf_with_outline(
        (0, "Waders", "1  Waders\nThe avocet sweeps its bill."),
        (1, "Long legs", "1.1 Long  legs\nThe stilt has long legs."),
        (-1, "", "Something in between."),
        (0, "Not in these words", "Ducks\nThe teal dabbles."),
    )
    found = await read(tmp_path, content)
    assert [(one.level, one.title) for one in found.outline] == [
        (1, "Waders"),
        (2, "Long legs"),
        (1, "Not in these words"),
    ]
    told = [" ".join(found.text[one.start : one.end].split()) for one in found.outline]
    assert told == ["1 Waders", "1.1 Long legs", ""]
    assert found.outline[2].start == found.page_starts[1], "at the top of its page when nothing better is known"
    assert (await read(tmp_path, pdf("No outline."))).outline == ()


async def test_a_bookmark_with_half_a_character_does_not_cost_the_file(tmp_path: Path) -> None:
    content = pdf_with_outline((0, "Part 1", "Part 1\nwords"), (0, "Part 2", "Part 2\nwords"))
    assert content.count(b"(Part 1)") == 1
    found = await read(tmp_path, content.replace(b"(Part 1)", b"(\xfe\xff\xd8\x00\x00A)"))
    assert "Part 1" in found.text
    assert found.outline[-1].title == "Part 2"


async def test_an_outline_without_end_is_cut_and_one_that_leads_back_to_itself_ends_there(tmp_path: Path) -> None:
    many = pdf_with_outline(*[(0, f"Section number {number}", f"Section number {number}") for number in range(1_200)])
    found = await read(tmp_path, many)
    assert 0 < len(found.outline) <= OUTLINE_HEADINGS
    assert "Section number 1199" in found.text
    some = pdf_with_outline(*[(0, f"Part {number}", f"Part {number}\nwords") for number in range(3)])
    first, second = re.findall(rb"/Next (\d+) 0 R", some)
    looped = some.replace(b"/Next %s 0 R" % second, b"/Next %s 0 R" % first.rjust(len(second)))
    assert len(looped) == len(some), "the table of places in the file stays right"
    assert looped != some
    assert [one.title for one in (await read(tmp_path, looped)).outline] == ["Part 0", "Part 1"]


async def test_a_word_file_keeps_headings_lists_and_tables_in_their_order(tmp_path: Path) -> None:
    found = await read(tmp_path, word(title="Birds"))
    assert (found.media_type, found.title) == (MediaType.DOCX, "Birds")
    assert found.text == (
        "# Waders\n\nThe avocet sweeps its bill through the mud.\n\n| Bird | Legs |\n| --- | --- |\n| Stilt | pink |\n\n"
        "## Feet\n\n- Long toes\n\nThe jacana walks on leaves."
    )
    assert (await read(tmp_path, word())).title == "Waders"


async def test_a_page_keeps_what_a_reader_sees_and_nothing_else(tmp_path: Path) -> None:
    found = await read(tmp_path, HTML)
    assert (found.media_type, found.title) == (MediaType.HTML, "Waders & more")
    assert found.text == (
        "# Waders\n\nThe avocet sweeps its bill.\n\n- long\n- thin\n\n| Bird | Legs |\n| Stilt | pink |\n\n## Feet\n\nToes\nare long\n\n"
        "```\na\n  b\n```"
    )


@pytest.mark.parametrize(
    ("content", "media_type", "text"),
    [
        (b"# Head\n\nWords.\n", MediaType.MARKDOWN, "# Head\n\nWords.\n"),
        (b"Words, and more words.\r\nAnd others.", MediaType.PLAIN_TEXT, "Words, and more words.\nAnd others."),
        (
            b"bird;legs\nstilt;pink\nheron;\n\ncoot;green\n",
            MediaType.CSV,
            "bird: stilt; legs: pink\nbird: heron\nbird: coot; legs: green\n",
        ),
        (
            b'{"birds": [{"name": "stilt", "legs": 2}, {"name": "h\\u00e9ron"}], "none": null}',
            MediaType.JSON,
            "birds[0].name: stilt\nbirds[0].legs: 2\nbirds[1].name: h\u00e9ron\n",
        ),
        ("Gr\u00f6\u00dfe".encode("utf-16"), MediaType.PLAIN_TEXT, "Gr\u00f6\u00dfe"),
        ("\ufeffGr\u00f6\u00dfe".encode(), MediaType.PLAIN_TEXT, "Gr\u00f6\u00dfe"),
        ("Die Gr\u00f6\u00dfe der Stra\u00dfe \u2013 fa\u00e7ade".encode("cp1252"), MediaType.PLAIN_TEXT, None),
        (
            b"<html><head><meta charset='windows-1251'></head><body>\xcf\xf0\xe8\xe2\xe5\xf2</body></html>",
            MediaType.HTML,
            "\u041f\u0440\u0438\u0432\u0435\u0442",
        ),
        (b"BMW builds cars.", MediaType.PLAIN_TEXT, "BMW builds cars."),
    ],
)
async def test_texts_are_told_apart_by_their_content(
    tmp_path: Path, content: bytes, media_type: MediaType, text: str | None
) -> None:
    found = await read(tmp_path, content)
    assert found.media_type is media_type
    assert found.text == (content.decode("cp1252") if text is None else text)


async def test_what_the_sender_says_decides_between_texts_and_never_against_the_content(tmp_path: Path) -> None:
    assert (await read(tmp_path, b"a,b\n1,2\n", MediaType.CSV)).text == "a: 1; b: 2\n"
    assert (await read(tmp_path, b"# Head", MediaType.PLAIN_TEXT)).media_type is MediaType.PLAIN_TEXT
    assert (await read(tmp_path, pdf("words"), MediaType.MARKDOWN)).media_type is MediaType.PDF
    assert (await read(tmp_path, b"words", MediaType.PDF)).media_type is MediaType.PLAIN_TEXT


def bomb(entries: int) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for number in range(entries):
            name = "word/document.xml" if number == 0 else f"word/part{number}.xml"
            archive.writestr(name, b"<a>" + b"a" * 50_000_000)
    return stream.getvalue()


def archive(*names: str) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as zipped:
        for name in names:
            zipped.writestr(name, b"content")
    return stream.getvalue()


OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"


@pytest.mark.parametrize(
    ("content", "reason", "said"),
    [
        (b"", FailureReason.NO_TEXT, "empty"),
        (b" \n\t", FailureReason.NO_TEXT, "no text"),
        (pdf("secret", password="x"), FailureReason.ENCRYPTED, "password"),
        (pdf("words " * 300)[:700], FailureReason.BROKEN, "damaged"),
        (b"%PDF-1.7 and then nothing of the kind", FailureReason.BROKEN, "damaged"),
        (pdf(""), FailureReason.NO_TEXT, "no text"),
        (word()[:2_000], FailureReason.BROKEN, "damaged"),
        (archive("word/document.xml"), FailureReason.BROKEN, "damaged"),
        (archive("xl/workbook.xml"), FailureReason.UNSUPPORTED, "Excel"),
        (archive("a.txt"), FailureReason.UNSUPPORTED, "ZIP"),
        (bomb(2), FailureReason.TOO_LARGE, "unpacks"),
        (OLE + b"\0" * 600 + "EncryptedPackage".encode("utf-16-le"), FailureReason.ENCRYPTED, "password"),
        (OLE + b"\0" * 600, FailureReason.UNSUPPORTED, "old Office"),
        (b"\x89PNG\r\n\x1a\n" + b"\0" * 50, FailureReason.UNSUPPORTED, "picture"),
        (bytes(range(256)) * 20, FailureReason.UNSUPPORTED, "kind"),
        ("gr\u00f6\u00dfer".encode() + b"\xff\xfe\x80 more", FailureReason.ENCODING, "UTF-8"),
        (b"words " * 40_000, FailureReason.TOO_LARGE, "longer"),
        (b"<html><body><script>x()</script></body></html>", FailureReason.NO_TEXT, "no text"),
    ],
)
async def test_a_file_that_cannot_be_read_says_why(
    tmp_path: Path, content: bytes, reason: FailureReason, said: str
) -> None:
    refused = await refusal(tmp_path, content)
    assert refused.reason is reason, refused.words
    assert said in refused.words


@pytest.mark.parametrize("content", [b'{"a": [1, 2', b"[" * 100_000])
async def test_json_that_is_none_is_broken_when_its_sender_says_that_it_is_json(tmp_path: Path, content: bytes) -> None:
    assert (await refusal(tmp_path, content, MediaType.JSON)).reason is FailureReason.BROKEN


async def test_a_page_that_is_nested_without_end_is_read_or_refused_and_harms_nobody(tmp_path: Path) -> None:
    deep = b"<html><body>" + b"<div>" * 50_000 + b"deep"
    assert (await read(tmp_path, deep)).text == "deep"


async def test_reading_that_takes_too_long_is_ended(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "file")  # Who reads it, waits for ever.
    reader = ProcessFileReader(seconds=0.5, memory_bytes=1 << 30, text_characters=1_000)
    with pytest.raises(FileUnreadableError) as refused:
        await reader.read(tmp_path / "file", None, nothing)
    assert refused.value.reason is FailureReason.TOO_LARGE


async def test_reading_that_takes_too_much_memory_is_ended(tmp_path: Path) -> None:
    reader = ProcessFileReader(seconds=SECONDS, memory_bytes=160 << 20, text_characters=100_000_000)
    refused = await refusal(tmp_path, b"many words " * 9_000_000, reader=reader)
    assert refused.reason is FailureReason.TOO_LARGE
    assert "memory" in refused.words


def readers_of(file: Path) -> list[int]:
    """The processes that read a file: their command line names it."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and str(file).encode() in (entry / "cmdline").read_bytes():
                found.append(int(entry.name))
        except OSError:
            continue
    return found


async def wait_for_reader(file: Path, other_than: int = 0) -> int:
    async with asyncio.timeout(SECONDS):
        while not (pids := [pid for pid in readers_of(file) if pid != other_than]):  # noqa: ASYNC110 - another process begins, and tells nobody
            await asyncio.sleep(0.01)
    return pids[0]


async def test_a_reader_that_crashes_is_a_broken_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "file")
    reading = asyncio.create_task(READER.read(tmp_path / "file", None, nothing))
    first = await wait_for_reader(tmp_path / "file")
    os.kill(first, signal.SIGSEGV)
    # It may have been the machine: only a file that does it again is damaged.
    os.kill(await wait_for_reader(tmp_path / "file", other_than=first), signal.SIGSEGV)
    with pytest.raises(FileUnreadableError) as refused:
        await reading
    assert refused.value.reason is FailureReason.BROKEN


async def test_reading_that_is_cancelled_leaves_no_process(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "file")
    reading = asyncio.create_task(READER.read(tmp_path / "file", None, nothing))
    await wait_for_reader(tmp_path / "file")
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    assert readers_of(tmp_path / "file") == []
