"""SystemService: packs what the operations say."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing

import grpc
from parley.system.v1 import system_service_pb2, system_service_pb2_grpc
from parley_shared.tokens import current_principal

from parley_chat.domain.tool_servers import ToolServerState
from parley_chat.operations.self_test import SelfTest
from parley_chat.operations.system_status import SystemReport, SystemStatus
from parley_chat.ports.service_health import ServiceReport, ServiceState
from parley_chat.ports.tool_servers import ToolServerReport
from parley_chat.servicers.provider_messages import pack_provider
from parley_chat.servicers.system_map import pack_answers, pack_incident, pack_link, pack_node

_STATES = {
    ServiceState.UNKNOWN: system_service_pb2.SERVING_STATE_UNSPECIFIED,
    ServiceState.SERVING: system_service_pb2.SERVING_STATE_SERVING,
    ServiceState.NOT_SERVING: system_service_pb2.SERVING_STATE_NOT_SERVING,
    ServiceState.UNREACHABLE: system_service_pb2.SERVING_STATE_UNREACHABLE,
}

_TOOL_SERVER_STATES = {
    ToolServerState.CONNECTED: system_service_pb2.SERVING_STATE_SERVING,
    ToolServerState.CONNECTING: system_service_pb2.SERVING_STATE_NOT_SERVING,
    ToolServerState.UNREACHABLE: system_service_pb2.SERVING_STATE_UNREACHABLE,
}

Context = grpc.aio.ServicerContext[object, object]


class SystemServicer(system_service_pb2_grpc.SystemServiceServicer):
    """Serves the state of Parley."""

    def __init__(self, status: SystemStatus, self_test: SelfTest) -> None:
        self._status = status
        self._self_test = self_test

    async def GetHealth(
        self, request: system_service_pb2.GetHealthRequest, context: Context
    ) -> system_service_pb2.GetHealthResponse:
        """Tells in one word."""
        return system_service_pb2.GetHealthResponse(state=_STATES[self._status.state()])

    async def GetStatus(
        self, request: system_service_pb2.GetStatusRequest, context: Context
    ) -> system_service_pb2.GetStatusResponse:
        """Tells part by part."""
        return _pack_report(await self._status.report(), self._status.trace_url)

    async def WatchStatus(
        self, request: system_service_pb2.WatchStatusRequest, context: Context
    ) -> AsyncIterator[system_service_pb2.WatchStatusResponse]:
        """Tells it, and again whenever it changes."""
        async with aclosing(self._status.watch()) as watched:
            async for report, changed in watched:
                yield system_service_pb2.WatchStatusResponse(
                    status=_pack_report(report, self._status.trace_url), changed=changed
                )

    async def RunSelfTest(
        self, request: system_service_pb2.RunSelfTestRequest, context: Context
    ) -> system_service_pb2.RunSelfTestResponse:
        """Uses every service once."""
        report = await self._self_test.run(current_principal().user_id)
        return system_service_pb2.RunSelfTestResponse(
            passed=report.passed,
            checks=[
                system_service_pb2.SelfTestCheck(
                    name=check.name,
                    service=check.service,
                    passed=check.passed,
                    duration_ms=_milliseconds(check.seconds),
                    message=check.message,
                )
                for check in report.checks
            ],
            duration_ms=_milliseconds(report.seconds),
            trace_id=report.trace_id,
        )


def _milliseconds(seconds: float) -> int:
    return round(seconds * 1000)


def _pack_report(report: SystemReport, trace_url: str) -> system_service_pb2.GetStatusResponse:
    model = report.default_model
    packed = system_service_pb2.GetStatusResponse(
        state=_STATES[report.state],
        services=[_pack(service) for service in report.services],
        default_model=model.name if model else "",
        offline=bool(model and model.offline),
        running_turns=report.running_turns,
        tool_servers=[_pack_tool_server(server) for server in report.tool_servers],
        providers=[pack_provider(provider) for provider in report.providers],
        queues=[
            system_service_pb2.QueueStatus(
                name=queue.name, service=queue.service, waiting_count=queue.waiting, running_count=queue.running
            )
            for queue in report.queues
        ],
        nodes=[pack_node(node) for node in report.map.nodes],
        links=[pack_link(link) for link in report.map.links],
        answers=pack_answers(report.answers),
        incidents=[pack_incident(incident) for incident in report.answers.incidents],
        trace_url_template=trace_url,
    )
    packed.time.FromDatetime(report.time)
    return packed


def _pack(report: ServiceReport) -> system_service_pb2.ServiceStatus:
    packed = system_service_pb2.ServiceStatus(
        service=report.service, state=_STATES[report.state], version=report.version
    )
    if report.since:
        packed.state_change_time.FromDatetime(report.since)
    if report.checked:
        packed.check_time.FromDatetime(report.checked)
    return packed


def _pack_tool_server(report: ToolServerReport) -> system_service_pb2.ToolServerStatus:
    packed = system_service_pb2.ToolServerStatus(
        name=report.name,
        state=_TOOL_SERVER_STATES[report.state],
        tool_count=report.tool_count,
        left_out_tool_count=report.left_out_tool_count,
    )
    packed.state_change_time.FromDatetime(report.since)
    return packed
