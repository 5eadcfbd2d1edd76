"""Metrics: OpenTelemetry's set-up, and histograms, counters and gauges that anybody may use. What is measured is each service's own.

Never for each message or token: once for a call, or for a stage of it. Every name and its attributes stand in deploy/telemetry.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

from opentelemetry.metrics import CallbackOptions, Observation
from opentelemetry.metrics import Counter as CountingInstrument
from opentelemetry.metrics import Histogram as Instrument
from opentelemetry.sdk.metrics import AlwaysOffExemplarFilter, MeterProvider, TraceBasedExemplarFilter
from opentelemetry.sdk.metrics.export import (
    HistogramDataPoint,
    InMemoryMetricReader,
    MetricReader,
    MetricsData,
    NumberDataPoint,
    PeriodicExportingMetricReader,
)
from opentelemetry.sdk.resources import Resource

_EXPORT_MILLISECONDS = 15_000
_FLUSH_MILLISECONDS = 3_000

Reading = tuple[float, Mapping[str, str]]
"""A value, and the attributes that it has."""


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

    def add(self, count: float, attributes: Mapping[str, str]) -> None:
        """Adds to it; 0 or more."""
        _metering.counter(self).add(count, attributes)


class Kind(Enum):
    """What the values of a gauge are."""

    LEVEL = "gauge"
    """A level, which cannot be added up over processes: a state, a delay."""
    AMOUNT = "updowncounter"
    """An amount that goes up and down, and of which several processes have the sum."""
    TOTAL = "counter"
    """What only grows while the process runs."""


@dataclass(frozen=True, slots=True)
class Gauge:
    """What is looked at when somebody asks for the figures, and costs nothing until then."""

    name: str
    unit: str
    description: str
    kind: Kind = Kind.AMOUNT

    def watch(self, read: Callable[[], Iterable[Reading]]) -> Callable[[], None]:
        """Has `read` called for its values, in some thread: it must only look. Of several, values of the same attributes are added up.

        Returns what ends it.
        """
        _metering.watch(self, read)
        return lambda: _metering.forget(self, read)


class Bounded:
    """Names that come from outside and are an attribute: so many of them, and "other" for all that come later."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._seen: set[str] = set()

    def of(self, name: str) -> str:
        """The name, or "other"."""
        if name not in self._seen:
            if len(self._seen) >= self._most:
                return "other"
            self._seen.add(name)
        return name


@dataclass(frozen=True, slots=True)
class Recorded:
    """What a histogram, a counter or a gauge holds for one set of attributes."""

    attributes: Mapping[str, object]
    count: int
    """Of a histogram, how many values; of the others, all of it, without a fraction."""
    total: float


class _Watched:
    """Who is asked for the values of the gauges. It outlives a set-up: what is watched before it is watched after."""

    def __init__(self) -> None:
        self.readers: dict[Gauge, tuple[Callable[[], Iterable[Reading]], ...]] = {}

    def values(self, gauge: Gauge) -> list[Observation]:
        found: dict[tuple[tuple[str, str], ...], float] = {}
        for read in self.readers.get(gauge, ()):
            for value, attributes in read():
                key = tuple(sorted(attributes.items()))
                found[key] = found.get(key, 0) + value
        return [Observation(value, dict(key)) for key, value in found.items()]


class _Metering:
    """What the process measures with. The figures are always kept here, too, for those who ask for them."""

    def __init__(self, resource: Resource, watched: _Watched, exporting: MetricReader | None = None) -> None:
        self._kept = InMemoryMetricReader()
        self._collecting = threading.Lock()
        self._watched = watched
        self.resource = resource
        self.provider = MeterProvider(
            [self._kept, *([exporting] if exporting else [])],
            resource=resource,
            # Only a collector has a use for the traces behind a figure.
            exemplar_filter=TraceBasedExemplarFilter() if exporting else AlwaysOffExemplarFilter(),
            shutdown_on_exit=False,
        )
        self.is_shut_down = False
        self._meter = self.provider.get_meter("parley")
        self._instruments: dict[str, Instrument] = {}
        self._counters: dict[str, CountingInstrument] = {}
        self._gauges: set[str] = set()
        for gauge in watched.readers:
            self._observe(gauge)

    def collect(self) -> MetricsData | None:
        """All figures as they are now; None when there are none."""
        with self._collecting:
            return None if self.is_shut_down else self._kept.get_metrics_data()

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

    def watch(self, gauge: Gauge, read: Callable[[], Iterable[Reading]]) -> None:
        self._watched.readers[gauge] = (*self._watched.readers.get(gauge, ()), read)
        self._observe(gauge)

    def forget(self, gauge: Gauge, read: Callable[[], Iterable[Reading]]) -> None:
        left = tuple(each for each in self._watched.readers.get(gauge, ()) if each is not read)
        self._watched.readers[gauge] = left

    def _observe(self, gauge: Gauge) -> None:
        if gauge.name in self._gauges:
            return
        self._gauges.add(gauge.name)

        def look(options: CallbackOptions) -> list[Observation]:
            del options
            return self._watched.values(gauge)

        create = {
            Kind.LEVEL: self._meter.create_observable_gauge,
            Kind.AMOUNT: self._meter.create_observable_up_down_counter,
            Kind.TOTAL: self._meter.create_observable_counter,
        }[gauge.kind]
        create(gauge.name, [look], gauge.unit, gauge.description)


_metering = _Metering(Resource({}), _Watched())


def set_up_metering(resource: Resource, otlp_endpoint: str, *, insecure: bool) -> None:
    """Keeps figures here, and sends them to the collector, when there is one, every 15 s from a thread of its own."""
    global _metering  # noqa: PLW0603 - one process, one set-up
    shut_down_metering()
    watched = _metering._watched  # noqa: SLF001 - of the same module
    if not otlp_endpoint:
        _metering = _Metering(resource, watched)
        return
    # Imported here, as the exporter of spans is.
    from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter  # noqa: PLC0415

    exporter = OTLPMetricExporter(endpoint=otlp_endpoint, insecure=insecure, timeout=5)
    _metering = _Metering(resource, watched, PeriodicExportingMetricReader(exporter, _EXPORT_MILLISECONDS))


def shut_down_metering() -> None:
    """Sends what still waits, for some seconds at most. Blocks: call it when the event loop is done. Again is no harm."""
    if not _metering.is_shut_down:
        _metering.is_shut_down = True
        _metering.provider.shutdown(_FLUSH_MILLISECONDS)


def collected() -> MetricsData | None:
    """All figures of this process as they are now; None when there are none. Any thread may ask."""
    return _metering.collect()


def recorded(name: str) -> Sequence[Recorded]:
    """What this process holds under a name, a set of attributes each."""
    data = _metering.collect()
    return [
        _recorded(point)
        for of_resource in (data.resource_metrics if data else ())
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
