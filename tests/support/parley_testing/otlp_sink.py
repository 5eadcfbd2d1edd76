"""An OpenTelemetry collector that only remembers: OTLP/gRPC services for traces, metrics and logs in the test's own process."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import grpc
from opentelemetry.proto.collector.logs.v1 import logs_service_pb2, logs_service_pb2_grpc
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2, metrics_service_pb2_grpc
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2, trace_service_pb2_grpc
from opentelemetry.proto.trace.v1 import trace_pb2


@dataclass(frozen=True)
class SeenSpan:
    """A span as a collector sees it."""

    service: str
    """`service.name` of the process that sent it."""
    name: str
    trace_id: str
    """32 hexadecimal digits."""
    span_id: str
    """16 hexadecimal digits."""
    parent_span_id: str
    """16 hexadecimal digits; "" for the root of a trace."""
    attributes: dict[str, Any]
    proto: trace_pb2.Span
    """The span as it was sent."""


@dataclass(frozen=True)
class SeenLine:
    """A line of the log as a collector sees it."""

    service: str
    logger: str
    message: str
    severity: str
    trace_id: str
    """32 hexadecimal digits; "" outside of a trace."""
    attributes: dict[str, Any]


class OtlpSink(trace_service_pb2_grpc.TraceServiceServicer):
    """Collects spans from `start()` to `stop()`. Its `endpoint` is a value for PARLEY_OTLP_ENDPOINT."""

    def __init__(self) -> None:
        self.spans: list[SeenSpan] = []
        self.answers = asyncio.Event()
        """Cleared, the sink hangs: it takes what is sent and answers nothing."""
        self.answers.set()
        self.held = 0
        """How many times somebody had to wait for that."""
        self.metrics = _Metrics(self)
        self.logs = _Logs(self)
        self.endpoint = ""
        self._server = grpc.aio.server()
        self._arrived = asyncio.Condition()

    async def start(self) -> None:
        """Listens on a free port."""
        trace_service_pb2_grpc.add_TraceServiceServicer_to_server(self, self._server)  # type: ignore[no-untyped-call]  # generated
        metrics_service_pb2_grpc.add_MetricsServiceServicer_to_server(self.metrics, self._server)  # type: ignore[no-untyped-call]  # generated
        logs_service_pb2_grpc.add_LogsServiceServicer_to_server(self.logs, self._server)  # type: ignore[no-untyped-call]  # generated
        port = self._server.add_insecure_port("127.0.0.1:0")
        await self._server.start()
        self.endpoint = f"http://127.0.0.1:{port}"

    async def stop(self) -> None:
        """Listens no more."""
        await self._server.stop(None)

    async def wait_for(self, predicate: Callable[[Sequence[SeenSpan]], bool], *, seconds: float = 60) -> list[SeenSpan]:
        """The spans, as soon as they fulfil the predicate. Raises AssertionError with what arrived when they never do."""
        async with self._arrived:
            try:
                await asyncio.wait_for(self._arrived.wait_for(lambda: predicate(self.spans)), seconds)
            except TimeoutError:
                names = [f"{span.service}: {span.name}" for span in self.spans]
                raise AssertionError(f"the awaited spans did not arrive in {seconds} s; these did: {names}") from None
            return list(self.spans)

    async def Export(
        self, request: trace_service_pb2.ExportTraceServiceRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> trace_service_pb2.ExportTraceServiceResponse:
        """Takes a batch of spans."""
        del context
        await self.pass_on()
        async with self._arrived:
            for resource in request.resource_spans:
                service = _attributes(resource.resource.attributes).get("service.name", "")
                for scope in resource.scope_spans:
                    self.spans += [_seen(service, span) for span in scope.spans]
            self._arrived.notify_all()
        return trace_service_pb2.ExportTraceServiceResponse()

    async def pass_on(self) -> None:
        """Waits while the sink hangs."""
        if not self.answers.is_set():
            self.held += 1
            await self.answers.wait()


class _Logs(logs_service_pb2_grpc.LogsServiceServicer):
    """Collects lines of logs."""

    def __init__(self, sink: OtlpSink) -> None:
        self.seen: list[SeenLine] = []
        self._sink = sink

    async def Export(
        self, request: logs_service_pb2.ExportLogsServiceRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> logs_service_pb2.ExportLogsServiceResponse:
        """Takes a batch of lines."""
        del context
        await self._sink.pass_on()
        for resource in request.resource_logs:
            service = _attributes(resource.resource.attributes).get("service.name", "")
            self.seen += [
                SeenLine(
                    service,
                    scope.scope.name,
                    line.body.string_value,
                    line.severity_text,
                    line.trace_id.hex(),
                    _attributes(line.attributes),
                )
                for scope in resource.scope_logs
                for line in scope.log_records
            ]
        return logs_service_pb2.ExportLogsServiceResponse()


class _Metrics(metrics_service_pb2_grpc.MetricsServiceServicer):
    """Collects the names of metrics, by the service that sent them."""

    def __init__(self, sink: OtlpSink) -> None:
        self._sink = sink
        self.seen: set[tuple[str, str]] = set()
        """`service.name` of the process, and the name of the metric."""

    async def Export(
        self, request: metrics_service_pb2.ExportMetricsServiceRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> metrics_service_pb2.ExportMetricsServiceResponse:
        """Takes a batch of metrics."""
        del context
        await self._sink.pass_on()
        for resource in request.resource_metrics:
            service = _attributes(resource.resource.attributes).get("service.name", "")
            self.seen |= {(service, metric.name) for scope in resource.scope_metrics for metric in scope.metrics}
        return metrics_service_pb2.ExportMetricsServiceResponse()


def _seen(service: str, span: trace_pb2.Span) -> SeenSpan:
    return SeenSpan(
        service=service,
        name=span.name,
        trace_id=span.trace_id.hex(),
        span_id=span.span_id.hex(),
        parent_span_id=span.parent_span_id.hex(),
        attributes=_attributes(span.attributes),
        proto=span,
    )


def _attributes(pairs: Any) -> dict[str, Any]:
    """Attributes of OTLP as plain values."""
    values = {}
    for pair in pairs:
        kind = pair.value.WhichOneof("value")
        values[pair.key] = getattr(pair.value, kind) if kind else None
    return values
