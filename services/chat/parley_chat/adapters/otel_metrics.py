"""Counters of chat as OpenTelemetry metrics: `parley_shared.metering` sends them where the settings say."""

from __future__ import annotations

from parley_shared.metering import Counter

from parley_chat.domain.conversation import Route

ROUTES = Counter("parley.chat.routes", "{turn}", "Turns by the route that they took, and by who chose it.")
TITLES = Counter("parley.chat.titles", "{session}", "Sessions that a model was asked to name, by what came of it.")


class OtelMetrics:
    """The port `Metrics`."""

    def count_route(self, route: Route, *, asked: bool) -> None:
        """Adds one to `parley.chat.routes`."""
        ROUTES.add(1, {"parley.route": str(route), "parley.route.choice": "asked" if asked else "automatic"})

    def count_title(self, outcome: str) -> None:
        """Adds one to `parley.chat.titles`."""
        TITLES.add(1, {"parley.title.outcome": outcome})
