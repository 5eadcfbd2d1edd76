"""Has the figures of turns measured: how they end, and how many there are. A part of bootstrap.py, which says where it goes."""

from __future__ import annotations

from contextlib import AsyncExitStack

from parley_chat.adapters.otel_metrics import APPROVALS_WAITING, TURNS_QUEUED, TURNS_RUNNING, OtelMetrics
from parley_chat.operations.answer_queue import AnswerQueue
from parley_chat.operations.running_turns import RunningTurns
from parley_chat.operations.tool_consent import ToolConsent


def watch_turns(running: RunningTurns, queue: AnswerQueue, consent: ToolConsent, closing: AsyncExitStack) -> None:
    """Measures until `closing` closes."""
    running.when_ended(OtelMetrics().turn_ended)
    closing.callback(TURNS_RUNNING.watch(lambda: [(len(running), {})]))
    closing.callback(TURNS_QUEUED.watch(lambda: [(len(queue), {})]))
    closing.callback(APPROVALS_WAITING.watch(lambda: [(len(consent), {})]))
