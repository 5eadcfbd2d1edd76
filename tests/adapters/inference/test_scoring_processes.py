"""The processes that train and score: that they work, end when they should, stay within bounds, and see nothing they need not."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from parley_inference.adapters import scoring_worker
from parley_inference.adapters.process_scoring import ProcessLeadScorer, ProcessLeadTrainer
from parley_inference.adapters.worker_process import WorkerEndedError, WorkerProcess
from parley_inference.domain.lead_model import LeadModel, NumericColumn, SigmoidCalibration
from parley_inference.domain.lead_model_json import read_lead_model, write_lead_model
from parley_inference.domain.scoring import Training
from parley_inference.domain.scoring_errors import (
    ScoringFailedError,
    ScoringTooLargeError,
    ScoringTooLongError,
    TrainingDataUnusableError,
)
from parley_testing.leads import as_csv, leads

SIZE = NumericColumn("size", 1.0, False, 0.0, 10.0, 5.0, 2.0, 0.7, 0.1, 0.0)
MODEL = LeadModel(0.3, (SIZE,), SigmoidCalibration(1.0, 0.0))
LARGE = Training(label_column="won", csv=as_csv(leads(15_000)))
"""Takes longer than anybody waits here."""


async def until(condition: Callable[[], bool], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        await asyncio.sleep(0.02)


def runs(process_id: int) -> bool:
    try:
        return Path(f"/proc/{process_id}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def environment_of(process_id: int | None) -> bytes:
    return Path(f"/proc/{process_id}/environ").read_bytes()


@pytest.fixture
async def trainer() -> AsyncIterator[ProcessLeadTrainer]:
    made = ProcessLeadTrainer(seconds=120, megabytes=1024)
    yield made
    await made.close()


@pytest.fixture
async def scorer() -> AsyncIterator[ProcessLeadScorer]:
    made = ProcessLeadScorer(megabytes=512)
    yield made
    await made.close()


async def test_it_trains_and_scores_and_keeps_its_processes_for_the_next(
    trainer: ProcessLeadTrainer, scorer: ProcessLeadScorer
) -> None:
    rows = leads(40)
    trained = await trainer.train(Training(label_column="won", csv=as_csv(rows)))
    first = trainer.process.process_id
    names = tuple(rows[0])
    of_rows = Training(label_column="won", names=names, rows=[[row[name] for name in names] for row in rows])
    assert await trainer.train(of_rows) == trained
    assert trainer.process.process_id == first is not None
    with pytest.raises(TrainingDataUnusableError, match="line 2"):
        await trainer.train(Training(label_column="won", csv="a,won\n1\n"))
    assert trainer.process.process_id == first

    machine = read_lead_model(trained.lead_model)
    found = await scorer.score(trained.lead_model, rows * 20, 3)
    assert found == [machine.score(row, 3) for row in rows] * 20


def test_scoring_needs_no_scikit_learn() -> None:
    # Neither in the process that scores, nor in the service.
    code = (
        "import sys, io, parley_inference.bootstrap, parley_inference.adapters.scoring_worker as worker\n"
        "from parley_inference.domain.lead_model_json import read_lead_model\n"
        "print([name for name in ('sklearn', 'numpy', 'scipy', 'pandas') if name in sys.modules])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "[]"


async def test_a_training_that_is_cancelled_is_ended(trainer: ProcessLeadTrainer) -> None:
    training = asyncio.create_task(trainer.train(LARGE))
    await until(lambda: trainer.process.process_id is not None)
    process_id = trainer.process.process_id
    assert process_id is not None
    training.cancel()
    with pytest.raises(asyncio.CancelledError):
        await training
    assert not runs(process_id)
    assert (await trainer.train(Training(label_column="won", csv=as_csv(leads(20))))).card.row_count == 20


async def test_a_training_has_an_end() -> None:
    trainer = ProcessLeadTrainer(seconds=0.2, megabytes=1024)
    with pytest.raises(ScoringTooLongError):
        await trainer.train(LARGE)
    assert trainer.process.process_id is None


async def test_a_process_has_so_much_memory_and_no_more(scorer: ProcessLeadScorer) -> None:
    small = ProcessLeadScorer(megabytes=40)
    leads = [{"size": "9" * 100_000}] * 500
    try:
        with pytest.raises((ScoringTooLargeError, ScoringFailedError)):
            await small.score(write_lead_model(MODEL), leads, 1)
    finally:
        await small.close()
    assert len(await scorer.score(write_lead_model(MODEL), leads, 1)) == 500


async def test_a_process_that_nobody_needs_is_ended_and_the_next_request_gets_a_new_one() -> None:
    scorer = ProcessLeadScorer(megabytes=512, idle_seconds=0.05)
    expected = [MODEL.score({"size": 3}, 1)]
    assert await scorer.score(write_lead_model(MODEL), [{"size": 3}], 1) == expected
    await until(lambda: scorer.process.process_id is None)
    assert await scorer.score(write_lead_model(MODEL), [{"size": 3}], 1) == expected
    await scorer.close()
    assert scorer.process.process_id is None


async def test_a_process_that_was_killed_is_an_error_once(scorer: ProcessLeadScorer) -> None:
    content = write_lead_model(MODEL)
    await scorer.score(content, [{}], 1)
    process_id = scorer.process.process_id
    assert process_id is not None
    os.kill(process_id, 9)
    await until(lambda: not runs(process_id))
    for _ in range(2):
        try:
            assert len(await scorer.score(content, [{}], 1)) == 1
            break
        except ScoringFailedError:
            continue
    else:
        pytest.fail("no new process was started")


@pytest.mark.parametrize(
    "content", [b"", b"{}", b"[" * 50_000, write_lead_model(MODEL)[:-9], b"cos\nsystem\n(S'x'\ntR."]
)
async def test_a_model_that_cannot_be_read_is_said_to_be_so_and_the_process_goes_on(
    scorer: ProcessLeadScorer, content: bytes
) -> None:
    with pytest.raises(ValueError, match=r"."):
        await scorer.score(content, [{}], 1)
    assert len(await scorer.score(write_lead_model(MODEL), [{}], 1)) == 1


async def test_a_model_whose_numbers_give_no_score_is_refused(scorer: ProcessLeadScorer) -> None:
    absurd = replace(MODEL, columns=(replace(SIZE, scale=1e-308, weight=1e11),))
    with pytest.raises(ValueError, match="no finite score"):
        await scorer.score(write_lead_model(absurd), [{"size": 9}], 1)


async def test_requests_are_answered_one_after_the_other(scorer: ProcessLeadScorer) -> None:
    rows = [[{"size": number}] * 30 for number in range(6)]
    found = await asyncio.gather(*(scorer.score(write_lead_model(MODEL), some, 1) for some in rows))
    assert found == [[MODEL.score(one, 1) for one in some] for some in rows]


async def test_the_process_sees_no_keys(scorer: ProcessLeadScorer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    await scorer.score(write_lead_model(MODEL), [{}], 1)
    environment = environment_of(scorer.process.process_id)
    assert b"sk-secret" not in environment
    assert b"OMP_NUM_THREADS=1" in environment


async def test_a_process_ends_with_its_service(tmp_path: Path) -> None:
    code = (
        "import asyncio, os\n"
        "from parley_inference.adapters.process_scoring import ProcessLeadTrainer\n"
        "from parley_inference.domain.scoring import Training\n"
        "from parley_testing.leads import as_csv, leads\n"
        "async def main():\n"
        "    trainer = ProcessLeadTrainer(seconds=120, megabytes=1024)\n"
        "    task = asyncio.create_task(trainer.train(Training(label_column='won', csv=as_csv(leads(15000)))))\n"
        "    while trainer.process.process_id is None:\n"
        "        await asyncio.sleep(0.01)\n"
        "    print(trainer.process.process_id, flush=True)\n"
        "    await task\n"
        "asyncio.run(main())\n"
    )
    support = Path(__file__).parents[2] / "support"
    service = await asyncio.create_subprocess_exec(
        sys.executable, "-c", code, stdout=asyncio.subprocess.PIPE, env=os.environ | {"PYTHONPATH": str(support)}
    )
    assert service.stdout is not None
    process_id = int(await asyncio.wait_for(service.stdout.readline(), 60))
    assert runs(process_id)
    service.kill()
    await service.wait()
    await until(lambda: not runs(process_id))


async def test_a_module_that_does_not_answer_is_an_error() -> None:
    worker = WorkerProcess("this", idle_seconds=1)
    with pytest.raises(WorkerEndedError):
        await worker.request([{"job": "none"}])
    assert worker.process_id is None


async def test_what_fails_within_is_told_to_the_log_and_not_more(trainer: ProcessLeadTrainer) -> None:
    broken: Any = Training(label_column="won", names=("a", "won"), rows=[[1.0]])
    with pytest.raises(ScoringFailedError, match="IndexError"):
        await trainer.train(broken)


def test_without_scikit_learn_a_training_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "parley_inference.adapters.sklearn_training", None)
    (reply,) = scoring_worker.train({"job": "train"}, iter([]))
    assert reply["error"] == "not_installed"
