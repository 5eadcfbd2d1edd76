"""Counters as OpenTelemetry metrics. Where they are sent is the process's meter provider's: without one they are not kept."""

from __future__ import annotations

from opentelemetry.metrics import Meter, get_meter

from parley_chat.domain.conversation import Route

ROUTES = "parley.chat.routes"


class OtelMetrics:
    """Counts with a meter, by default the process's."""

    def __init__(self, meter: Meter | None = None) -> None:
        self._routes = (meter or get_meter("parley.chat")).create_counter(
            ROUTES, unit="{turn}", description="Turns by the route that they took, and by who chose it."
        )

    def count_route(self, route: Route, *, asked: bool) -> None:
        """Adds one to `parley.chat.routes`."""
        self._routes.add(1, {"parley.route": str(route), "parley.route.choice": "asked" if asked else "automatic"})
