"""The metrics of chat, in OpenTelemetry's words: `parley_shared.metering` keeps them and sends them where the settings say.

Once for a turn, a text or a call. No user, session or text is an attribute; the names of models and tools are bounded.
"""

from __future__ import annotations

from datetime import UTC, datetime

from parley_shared.metering import Bounded, Counter, Gauge, Histogram

from parley_chat.domain.conversation import Message, Route
from parley_chat.domain.events import Event
from parley_chat.domain.turn import TurnCompleted, TurnFailed, TurnOutcome
from parley_chat.domain.usage import UsagePurpose, UsageRecord

_MICROS = 1_000_000
_SECONDS = (0.1, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0)
_BUDGET = "ERROR_REASON_BUDGET_EXCEEDED"

ROUTES = Counter("parley.chat.routes", "{turn}", "Turns by the route that they took, and by who chose it.")
TITLES = Counter("parley.chat.titles", "{session}", "Sessions that a model was asked to name, by what came of it.")
TURNS = Counter("parley.chat.turns", "{turn}", "Turns that ended, by how they ended, and why when they failed.")
TURN_DURATION = Histogram(
    "parley.chat.turn.duration", "s", "How long a turn took, from its question to its end.", _SECONDS
)
FIRST_TOKEN = Histogram(
    "parley.chat.time_to_first_token",
    "s",
    "How long users waited for the first text of an answer: search, queue, provider and all.",
    (0.05, 0.1, 0.2, 0.4, 0.8, 1.5, 3.0, 6.0, 12.0, 30.0),
)
TOKEN_RATE = Histogram(
    "parley.chat.token_rate",
    "{token}/s",
    "Tokens per second of an answer, once it had begun.",
    (5.0, 10.0, 20.0, 40.0, 80.0, 160.0, 320.0),
)
COST = Counter("parley.chat.cost", "{USD}", "What models cost, in US dollars, by model and by what it was for.")
UNPRICED = Counter(
    "parley.chat.unpriced", "{text}", "Answers and texts of models whose price is not known: missing in the cost."
)
SWITCHES = Counter("parley.chat.fallbacks", "{switch}", "Answers that another model went on with when one failed.")
WAITS = Counter("parley.chat.turn.waits", "{turn}", "Answers that began to wait because no model could be reached.")
WITHOUT_CONTEXT = Counter(
    "parley.chat.turns.without_context", "{turn}", "Answers that had to do without the documents."
)
TURNS_RUNNING = Gauge(
    "parley.chat.turns.running", "{turn}", "Turns that this process writes, those that wait among them."
)
TURNS_QUEUED = Gauge("parley.chat.turns.queued", "{turn}", "Turns that wait for a model that can be reached.")
APPROVALS_WAITING = Gauge("parley.chat.approvals.waiting", "{turn}", "Turns that wait for their user to allow a tool.")
TOOL_CALLS = Counter("parley.chat.tool.calls", "{call}", "Calls of tools by models, by tool and outcome.")
WEBHOOK_DELAY = Histogram(
    "parley.chat.webhook.delay",
    "s",
    "How long after its event an attempt to deliver it to a webhook ended: how far deliveries are behind.",
    (0.5, 2.0, 10.0, 60.0, 600.0, 3600.0),
)

_models = Bounded(50)
_tools = Bounded(100)


class OtelMetrics:
    """The port `Metrics`, and what is told how things ended."""

    def count_route(self, route: Route, *, asked: bool) -> None:
        """Adds one to `parley.chat.routes`."""
        ROUTES.add(1, {"parley.route": str(route), "parley.route.choice": "asked" if asked else "automatic"})

    def count_title(self, outcome: str) -> None:
        """Adds one to `parley.chat.titles`."""
        TITLES.add(1, {"parley.title.outcome": outcome})

    def count_switch(self, from_model: str, to_model: str, reason: str) -> None:
        """Adds one to `parley.chat.fallbacks`."""
        SWITCHES.add(
            1,
            {
                "parley.fallback.from": _models.of(_provider(from_model)),
                "parley.fallback.to": _models.of(_provider(to_model)),
                "error.type": reason,
            },
        )

    def count_wait(self, reason: str) -> None:
        """Adds one to `parley.chat.turn.waits`."""
        WAITS.add(1, {"error.type": reason})

    def count_without_context(self) -> None:
        """Adds one to `parley.chat.turns.without_context`."""
        WITHOUT_CONTEXT.add(1, {})

    def count_tool_call(self, tool: str, failed: bool) -> None:
        """Adds one to `parley.chat.tool.calls`."""
        TOOL_CALLS.add(1, {"gen_ai.tool.name": _tools.of(tool), "parley.tool.outcome": "failed" if failed else "done"})

    def webhook_attempt(self, event: Event, delivered: bool) -> None:
        """Adds an attempt to `parley.chat.webhook.delay`."""
        seconds = max(0.0, (datetime.now(UTC) - event.time).total_seconds())
        WEBHOOK_DELAY.record(seconds, {"parley.webhook.outcome": "delivered" if delivered else "failed"})

    def turn_ended(self, outcome: TurnOutcome) -> None:
        """Adds a turn to all that is measured of turns."""
        message = outcome.message
        TURNS.add(1, _how(outcome) | {"parley.route": _route(message)})
        usage = message.usage
        if usage is None:
            return
        TURN_DURATION.record(usage.duration_ms / 1000, {"parley.turn.outcome": _how(outcome)["parley.turn.outcome"]})
        model = _models.of(message.model)
        if usage.time_to_first_token_ms:
            FIRST_TOKEN.record(usage.time_to_first_token_ms / 1000, {"parley.route": _route(message)})
            seconds = (usage.duration_ms - usage.time_to_first_token_ms) / 1000
            if seconds > 0 and isinstance(outcome, TurnCompleted):
                TOKEN_RATE.record(usage.output_tokens / seconds, {"gen_ai.response.model": model})
        _count_cost(model, UsagePurpose.ANSWER, usage.cost_usd_micros)

    def text_ended(self, record: UsageRecord) -> None:
        """Adds a text without a session to the cost."""
        _count_cost(_models.of(record.model), record.purpose, record.cost_usd_micros)


def _how(outcome: TurnOutcome) -> dict[str, str]:
    if isinstance(outcome, TurnCompleted):
        return {"parley.turn.outcome": "done"}
    if not isinstance(outcome, TurnFailed):
        return {"parley.turn.outcome": "stopped"}
    reason = outcome.failure.reason
    return {"parley.turn.outcome": "budget" if reason == _BUDGET else "failed", "error.type": reason}


def _count_cost(model: str, purpose: UsagePurpose, micros: int | None) -> None:
    attributes = {"gen_ai.response.model": model, "parley.usage.purpose": purpose.value}
    if micros is None:
        UNPRICED.add(1, attributes)
    else:
        COST.add(micros / _MICROS, attributes)


def _route(message: Message) -> str:
    return str(message.route) if message.route else ""


def _provider(model: str) -> str:
    """Of "provider/model", the provider."""
    return model.partition("/")[0] if "/" in model else model
