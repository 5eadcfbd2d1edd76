"""Metrics: OpenTelemetry's set-up, and histograms and counters that anybody may use. What is measured is each service's own.

Never for each message or token: once for a call, or for a stage of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from opentelemetry.metrics import Counter as CountingInstrument
from opentelemetry.metrics import Histogram as Instrument
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import (
    HistogramDataPoint,
    InMemoryMetricReader,
    MetricReader,
    NumberDataPoint,
    PeriodicExportingMetricReader,
)
from opentelemetry.sdk.resources import Resource

_EXPORT_MILLISECONDS = 15_000
_FLUSH_MILLISECONDS = 3_000


@dataclass(frozen=True, slots=True)
class Histogram:
    """What is measured, under which name."""

    name: str
    unit: str
    description: str
    boundaries: tuple[float, ...]
    """The upper ends of its buckets."""

    def record(self, value: float, attributes: Mapping[str, str]) -> None:
        """Adds a value."""
        _metering.instrument(self).record(value, attributes)


@dataclass(frozen=True, slots=True)
class Counter:
    """What is counted, under which name."""

    name: str
    unit: str
    description: str

    def add(self, count: int, attributes: Mapping[str, str]) -> None:
        """Adds to it; 0 or more."""
        _metering.counter(self).add(count, attributes)


@dataclass(frozen=True, slots=True)
class Recorded:
    """What a histogram or a counter holds for one set of attributes."""

    attributes: Mapping[str, object]
    count: int
    """Of a histogram, how many values; of a counter, all of it."""
    total: float


class _Metering:
    """What the process measures with. Before the set-up, and without a collector, figures stay here."""

    def __init__(self, resource: Resource, reader: MetricReader) -> None:
        self.reader = reader
        self.provider = MeterProvider([reader], resource=resource, shutdown_on_exit=False)
        self.is_shut_down = False
        self._meter = self.provider.get_meter("parley")
        self._instruments: dict[str, Instrument] = {}
        self._counters: dict[str, CountingInstrument] = {}

    def counter(self, counter: Counter) -> CountingInstrument:
        found = self._counters.get(counter.name)
        if found is None:
            found = self._meter.create_counter(counter.name, counter.unit, counter.description)
            self._counters[counter.name] = found
        return found

    def instrument(self, histogram: Histogram) -> Instrument:
        found = self._instruments.get(histogram.name)
        if found is None:
            found = self._instruments[histogram.name] = self._meter.create_histogram(
                histogram.name,
                histogram.unit,
                histogram.description,
                explicit_bucket_boundaries_advisory=list(histogram.boundaries),
            )
        return found


_metering = _Metering(Resource({}), InMemoryMetricReader())


def set_up_metering(resource: Resource, otlp_endpoint: str, *, insecure: bool) -> None:
    """Sends figures to the collector every 15 s, from a thread of its own; without an endpoint, keeps them here."""
    global _metering  # noqa: PLW0603 - one process, one set-up
    shut_down_metering()
    if not otlp_endpoint:
        _metering = _Metering(resource, InMemoryMetricReader())
        return
    # Imported here, as the exporter of spans is.
    from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter  # noqa: PLC0415

    exporter = OTLPMetricExporter(endpoint=otlp_endpoint, insecure=insecure, timeout=5)
    _metering = _Metering(resource, PeriodicExportingMetricReader(exporter, _EXPORT_MILLISECONDS))


def shut_down_metering() -> None:
    """Sends what still waits, for some seconds at most. Blocks: call it when the event loop is done. Again is no harm."""
    if not _metering.is_shut_down:
        _metering.is_shut_down = True
        _metering.provider.shutdown(_FLUSH_MILLISECONDS)


def recorded(name: str) -> Sequence[Recorded]:
    """What this process holds under a name, a set of attributes each; nothing when figures go to a collector."""
    if not isinstance(_metering.reader, InMemoryMetricReader) or (data := _metering.reader.get_metrics_data()) is None:
        return []
    return [
        _recorded(point)
        for of_resource in data.resource_metrics
        for of_scope in of_resource.scope_metrics
        for metric in of_scope.metrics
        if metric.name == name
        for point in metric.data.data_points
        if isinstance(point, HistogramDataPoint | NumberDataPoint)
    ]


def _recorded(point: HistogramDataPoint | NumberDataPoint) -> Recorded:
    attributes = dict(point.attributes or {})
    if isinstance(point, NumberDataPoint):
        return Recorded(attributes, int(point.value), float(point.value))
    return Recorded(attributes, point.count, point.sum)
