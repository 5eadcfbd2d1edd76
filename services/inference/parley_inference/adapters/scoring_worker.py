"""The process that trains and scores: `python -m parley_inference.adapters.scoring_worker MEGABYTES NICENESS`.

Reads requests from standard input and writes replies to standard output, as `worker_process.py` has them. It sees no network, no token and
no store: rows come in, numbers go out. It ends when its input does, also in the middle of a training.
"""

from __future__ import annotations

import json
import os
import queue
import resource
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from dataclasses import asdict
from typing import Any, BinaryIO

from parley_inference.domain.lead_model import LeadModel
from parley_inference.domain.lead_model_json import read_lead_model
from parley_inference.domain.model_card_json import written_card
from parley_inference.domain.scoring import ColumnKind, Training
from parley_inference.domain.scoring_errors import TrainingDataUnusableError

_SCORES_IN_FRAME = 20
_LENGTH = 4


def train(request: dict[str, Any], rows: Iterator[Any]) -> Iterator[Any]:
    """Trains; the rows come in lists, in further frames."""
    try:
        from parley_inference.adapters.sklearn_training import train as learn  # noqa: PLC0415 - scoring does without it
    except ImportError as error:
        yield {"error": "not_installed", "detail": str(error)}
        return
    training = Training(
        label_column=request["label_column"],
        positive_label=request["positive_label"],
        csv=request["csv"],
        names=tuple(request["names"]),
        rows=[row for some in rows for row in some],
        column_kinds={name: ColumnKind(kind) for name, kind in request["column_kinds"].items()},
    )
    trained = learn(training)
    yield {"card": written_card(trained.card), "lead_model": trained.lead_model.decode()}


class _Scoring:
    """Scores; the model of the last request is kept, because the next one is often of the same."""

    def __init__(self) -> None:
        self._content = ""
        self._model: LeadModel | None = None

    def __call__(self, request: dict[str, Any], rows: Iterator[Any]) -> Iterator[Any]:
        if self._model is None or request["lead_model"] != self._content:
            self._content, self._model = request["lead_model"], None
            self._model = read_lead_model(self._content.encode())
        leads = [row for some in rows for row in some]
        for begin in range(0, len(leads), _SCORES_IN_FRAME):
            some = leads[begin : begin + _SCORES_IN_FRAME]
            yield {"scores": [asdict(self._model.score(lead, request["contribution_limit"])) for lead in some]}


def serve(received: BinaryIO, sent: BinaryIO) -> None:
    """Answers requests until the input ends."""
    frames: queue.SimpleQueue[Any] = queue.SimpleQueue()
    # A thread of its own sees the end of the input at once, whatever is being computed.
    threading.Thread(target=_receive, args=(received, frames), daemon=True).start()
    jobs: dict[str, Callable[[dict[str, Any], Iterator[Any]], Iterator[Any]]] = {"train": train, "score": _Scoring()}
    while True:
        request = frames.get()
        rows = iter(frames.get, None)
        try:
            for reply in jobs[request["job"]](request, rows):
                _send(sent, reply)
        except TrainingDataUnusableError as error:
            _send(sent, {"error": "unusable", "field": error.field, "words": error.words})
        except MemoryError:
            _send(sent, {"error": "memory"})
        except ValueError as error:
            damaged = request["job"] == "score"
            _send(sent, {"error": "damaged", "detail": str(error)} if damaged else _failure())
        except Exception:  # noqa: BLE001 - whatever it was, the service's log tells it
            _send(sent, _failure())
        for _ in rows:
            pass
        _send(sent, None)


def _failure() -> dict[str, str]:
    return {"error": "failed", "detail": traceback.format_exc()[-4000:]}


def _receive(received: BinaryIO, frames: queue.SimpleQueue[Any]) -> None:
    try:
        while len(head := received.read(_LENGTH)) == _LENGTH:
            frames.put(json.loads(received.read(int.from_bytes(head, "big"))))
    finally:
        # The service is gone, in the middle of a frame perhaps, or there is no memory for what it says.
        os._exit(1)


def _send(sent: BinaryIO, reply: Any) -> None:
    content = json.dumps(reply, separators=(",", ":")).encode()
    sent.write(len(content).to_bytes(_LENGTH, "big") + content)
    sent.flush()


def main() -> None:
    """Serves as a process, within its memory and behind the service's own work."""
    megabytes, niceness = int(sys.argv[1]), int(sys.argv[2])
    # Ctrl-C is for the service, which then ends this process.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_AS, (megabytes * 1024 * 1024,) * 2)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    os.nice(niceness)
    # What anybody prints goes to the log, and not between the replies.
    sent = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    serve(sys.stdin.buffer, sent)


if __name__ == "__main__":
    main()
