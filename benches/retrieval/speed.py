"""What ingesting and searching cost at one size. A process of its own for each size, so that memory is that size's alone.

Everything is on its way as in the service, but for the doors: cutting, terms, vectors (made at no cost), the index, the database.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from parley_retrieval.domain.visibility import Visibility
from parley_retrieval.operations.search import SearchMode
from retrieval.quality import lines
from retrieval.rooms import Rooms, document, opened

DIMENSIONS = 384
USERS = 20
CHUNKS_OF_A_DOCUMENT = 100
WORDS_OF_A_CHUNK = 80
QUESTIONS = 200


def texts(chunks: int) -> list[str]:
    """Documents of sections, whose words are as frequent as words are: the n-th is said 1 / n as often as the first."""
    chance = random.Random(1)
    said = [word for _, text in lines("harbour.txt") for word in text.split()]
    vocabulary = sorted(set(said)) + [f"word{number}" for number in range(20_000)]
    chance.shuffle(vocabulary)
    weights = [1 / (rank + 1) for rank in range(len(vocabulary))]
    made = []
    for _ in range(max(1, chunks // CHUNKS_OF_A_DOCUMENT)):
        sections = [
            f"## Section {number}\n\n{' '.join(chance.choices(vocabulary, weights, k=WORDS_OF_A_CHUNK))}."
            for number in range(min(chunks, CHUNKS_OF_A_DOCUMENT))
        ]
        made.append("\n\n".join(sections))
    return made


async def measured(chunks: int) -> dict[str, float]:
    """The figures at one size."""
    chance = random.Random(2)
    pool = [[chance.gauss(0, 1) for _ in range(DIMENSIONS)] for _ in range(512)]
    documents = texts(chunks)
    questions = [" ".join(chance.sample(chance.choice(documents).split(), 4)) for _ in range(QUESTIONS)]
    with tempfile.TemporaryDirectory() as folder:
        async with opened(Path(folder), lambda text: pool[hash(text) % len(pool)], DIMENSIONS) as rooms:
            began = time.perf_counter()
            written = 0
            for number, text in enumerate(documents):
                put = await rooms.indexing.put(document(f"usr_{number % USERS}", f"Document {number}", text))
                written += put.chunk_count
            await rooms.indexing.flush()
            figures = {"chunks": float(written), "ingested_per_second": written / (time.perf_counter() - began)}
            for mode in (SearchMode.KEYWORD, SearchMode.HYBRID):
                seconds = await _search(rooms, questions, mode)
                centiles = statistics.quantiles(seconds, n=100)
                figures[f"{mode.name.lower()}_p50_ms"] = centiles[49] * 1e3
                figures[f"{mode.name.lower()}_p99_ms"] = centiles[98] * 1e3
            return figures | {"memory_mb": _memory_mb()}


async def _search(rooms: Rooms, questions: Sequence[str], mode: SearchMode) -> list[float]:
    seconds = []
    for number, question in enumerate(questions):
        began = time.perf_counter()
        found = await rooms.search.find(Visibility(f"usr_{number % USERS}"), question, limit=5, mode=mode)
        seconds.append(time.perf_counter() - began)
        if found.mode is not mode:
            raise RuntimeError(f"searched {found.mode} and not {mode}")
    return seconds


def _memory_mb() -> float:
    """What the process takes now, resident."""
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    (line,) = (line for line in status.splitlines() if line.startswith("VmRSS:"))
    return int(line.split()[1]) / 1024


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--chunks", type=int, required=True)
    print(json.dumps(asyncio.run(measured(parser.parse_args().chunks))))
