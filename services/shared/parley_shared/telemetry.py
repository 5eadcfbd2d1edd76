"""Traces: OpenTelemetry's set-up, spans of calls and of the stages within them.

Never a span, an event or a metric per message or token: that costs a tenth of the throughput (docs: performance).
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager

from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased
from opentelemetry.trace import (
    NonRecordingSpan,
    Span,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    Tracer,
)
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from parley_shared.metering import Histogram, set_up_metering, shut_down_metering

_MOST_TRACES = 512
_MOST_SPANS_OF_A_TRACE = 256
_END_SECONDS = 2.5
"""Less than what `parley up` and Kubernetes wait for a process beyond its drain."""

STAGE_DURATION = Histogram(
    "parley.stage.duration",
    "s",
    "How long a stage of a call or of a turn took, by its name: that of its span.",
    (0.001, 0.005, 0.025, 0.1, 0.5, 2.5, 10.0, 60.0),
)

PROPAGATOR = TraceContextTextMapPropagator()
"""W3C trace context, in and out."""

Attributes = Mapping[str, str | int | float | bool]


class SpanStore(SpanProcessor):
    """The last spans of this process, by trace: the oldest trace goes first, and so do the oldest spans of a large one."""

    def __init__(self) -> None:
        self._traces: OrderedDict[int, deque[ReadableSpan]] = OrderedDict()
        self._lock = threading.Lock()

    def on_end(self, span: ReadableSpan) -> None:
        """Keeps the span."""
        if span.context is None or not span.context.trace_flags.sampled:
            return
        with self._lock:
            spans = self._traces.get(span.context.trace_id)
            if spans is None:
                spans = self._traces[span.context.trace_id] = deque(maxlen=_MOST_SPANS_OF_A_TRACE)
                if len(self._traces) > _MOST_TRACES:
                    self._traces.popitem(last=False)
            spans.append(span)

    def spans_of(self, trace_id: str) -> Sequence[ReadableSpan]:
        """The spans of the trace in the order in which they ended."""
        try:
            key = int(trace_id, 16)
        except ValueError:
            return []
        with self._lock:
            return list(self._traces.get(key, ()))


class _Telemetry:
    """What the process traces with. Spans go to a store also before the set-up, so that every error has a trace id; `log_export` is for who
    has a collector."""

    def __init__(self, provider: TracerProvider, store: SpanStore, log_export: logging.Handler | None = None) -> None:
        self.log_export = log_export
        self.provider = provider
        self.store = store
        self.tracer: Tracer = provider.get_tracer("parley")
        self.is_shut_down = False


def _with_store(resource: Resource, sample_ratio: float) -> _Telemetry:
    store = SpanStore()
    provider = _provider(resource, sample_ratio)
    provider.add_span_processor(store)
    return _Telemetry(provider, store)


def _provider(resource: Resource, sample_ratio: float) -> TracerProvider:
    return TracerProvider(
        sampler=ParentBased(TraceIdRatioBased(sample_ratio)), resource=resource, shutdown_on_exit=False
    )


_telemetry = _with_store(Resource({}), 1.0)


def set_up_telemetry(service: str, otlp_endpoint: str, version: str, *, sample_ratio: float = 1.0) -> None:
    """Keeps the last spans here. With an endpoint, sends spans, metrics and the lines of the log to the collector as well, in batches and
    from threads of their own; what cannot be sent waits in queues that are bounded, and is lost then.

    `otlp_endpoint` is "http://host:4317", "https://…" or "host:4317" (no TLS). `sample_ratio` counts for traces that start here;
    a caller's decision is followed.
    """
    global _telemetry  # noqa: PLW0603 - one process, one set-up
    shut_down_telemetry()
    resource = Resource.create(
        {"service.name": f"parley-{service}", "service.namespace": "parley", "service.version": version}
    )
    if not otlp_endpoint:
        set_up_metering(resource, "", insecure=True)
        _telemetry = _with_store(resource, sample_ratio)
        return
    # Imported here: the exporter costs 100 ms and 10 MB that a laptop without a collector need not pay.
    from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter  # noqa: PLC0415

    from parley_shared.log_export import LogExport  # noqa: PLC0415

    secure = otlp_endpoint.startswith("https://")
    endpoint = otlp_endpoint if "://" in otlp_endpoint else f"http://{otlp_endpoint}"
    set_up_metering(resource, endpoint, insecure=not secure)
    telemetry = _with_store(resource, sample_ratio)
    telemetry.provider.add_span_processor(
        BatchSpanProcessor(
            OTLPSpanExporter(endpoint=endpoint, insecure=not secure, timeout=5), schedule_delay_millis=1000
        )
    )
    telemetry.log_export = LogExport(resource, endpoint, insecure=not secure)
    logging.getLogger().addHandler(telemetry.log_export)
    _telemetry = telemetry


def shut_down_telemetry() -> None:
    """Sends what still waits, for some seconds at most, whatever the collector does. Blocks: call it when the event loop is done. Again is
    no harm.
    """
    if _telemetry.is_shut_down:
        return
    _telemetry.is_shut_down = True
    if _telemetry.log_export is None:
        _end(_telemetry)
        return
    # The SDK's own limits are for each part of it; a collector that hangs would be waited for by one after the other.
    ending = threading.Thread(target=_end, args=(_telemetry,), name="end of telemetry", daemon=True)
    ending.start()
    ending.join(_END_SECONDS)


def _end(telemetry: _Telemetry) -> None:
    if telemetry.log_export is not None:
        logging.getLogger().removeHandler(telemetry.log_export)
        telemetry.log_export.close()
    telemetry.provider.shutdown()
    shut_down_metering()


def spans_of(trace_id: str) -> Sequence[ReadableSpan]:
    """The spans that this process still holds of a trace."""
    return _telemetry.store.spans_of(trace_id)


@contextmanager
def span(name: str, attributes: Attributes | None = None, *, kind: SpanKind = SpanKind.INTERNAL) -> Generator[Span]:
    """A span around a stage of the running call; the spans opened within it are its children. Its name is one of few: it is measured by it.

    An error that leaves it marks it as failed, by its type only: words of errors can hold what users wrote. Being cancelled, or
    closed as a generator, is no failure.
    """
    opened = start_span(name, attributes, kind=kind)
    started = time.perf_counter()
    entered_in = _running_task()
    token = otel_context.attach(trace.set_span_in_context(opened))
    try:
        yield opened
    except Exception as error:
        opened.set_attribute("error.type", type(error).__qualname__)
        opened.set_status(Status(StatusCode.ERROR))
        raise
    finally:
        # A generator that nobody closed is closed by the event loop, in another task and context, where there is nothing to leave.
        if _running_task() is entered_in:
            otel_context.detach(token)
        opened.end()
        if kind is SpanKind.INTERNAL:
            STAGE_DURATION.record(time.perf_counter() - started, {"parley.stage": name})


@contextmanager
def untraced() -> Generator[None]:
    """What happens inside is in no trace, here and in the services that are called: for what is looked at every moment, all day long."""
    ids = RandomIdGenerator()
    nowhere = SpanContext(ids.generate_trace_id(), ids.generate_span_id(), is_remote=False, trace_flags=TraceFlags())
    entered_in = _running_task()
    token = otel_context.attach(trace.set_span_in_context(NonRecordingSpan(nowhere)))
    try:
        yield
    finally:
        if _running_task() is entered_in:  # As in `span`.
            otel_context.detach(token)


def _running_task() -> object:
    try:
        return asyncio.current_task()
    except RuntimeError:  # no event loop runs here
        return None


def start_span(
    name: str, attributes: Attributes | None = None, *, kind: SpanKind, parent: otel_context.Context | None = None
) -> Span:
    """A span that its caller ends, and that is not the current one. Without a parent it is a child of the current one."""
    return _telemetry.tracer.start_span(
        name, parent, kind, attributes, record_exception=False, set_status_on_exception=False
    )


def current_trace_id() -> str:
    """32 hexadecimal digits; "" outside of a trace."""
    context = trace.get_current_span().get_span_context()
    return f"{context.trace_id:032x}" if context.is_valid else ""
