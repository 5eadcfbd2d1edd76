"""Who runs where: the ports of this run, and the environment of each child. It starts nothing."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from parley_shared.settings import metrics_variable, port_variable

from parley_local.home import fresh_log
from parley_local.ports import Wanted, settle
from parley_local.settings import LocalSettings

SERVICES = ("chat", "inference", "retrieval")
_LOOPBACK = "127.0.0.1"
_SPANS_VARIABLE = "PARLEY_CHAT_EDGE_SPANS_ADDRESS"
_COLLECTOR_VARIABLE = "PARLEY_OTLP_ENDPOINT"


@dataclass(frozen=True)
class ServiceProcess:
    """One process of a service."""

    name: str
    """What it is called: its service, and from the second replica on a number, as `chat-2`."""
    service: str
    """chat, inference or retrieval."""
    port: int
    """Where it listens, on loopback."""

    @property
    def address(self) -> str:
        """host:port."""
        return f"{_LOOPBACK}:{self.port}"

    @property
    def command(self) -> list[str]:
        """What to execute."""
        return [sys.executable, "-m", f"parley_{self.service}"]


@dataclass(frozen=True)
class Plan:
    """The ports of one run, all known."""

    edge_host: str
    """Where the edge listens."""
    edge_port: int
    """The one port that people use."""
    admin_port: int
    """Envoy's admin interface."""
    spans_port: int
    """Where chat takes the spans of the edge, on loopback."""
    processes: tuple[ServiceProcess, ...]
    """The processes of the services, those of chat first."""
    metrics: Mapping[str, str]
    """host:port at which each process, and the edge, tells its figures to Prometheus; empty when none does."""

    @classmethod
    def of(cls, settings: LocalSettings) -> Plan:
        """Takes the ports that the settings name, and free ones for 0. SettingsError when one is taken."""
        replicas = [(f"chat-{number}", "chat", 0) for number in range(2, settings.chat_replicas + 1)]
        named = [
            ("chat", "chat", settings.chat_port),
            *replicas,
            ("inference", "inference", settings.inference_port),
            ("retrieval", "retrieval", settings.retrieval_port),
        ]
        telling = [name for name, _, _ in named] + ["edge"] if settings.metrics else []
        edge, admin, spans, *ports = settle(
            [
                Wanted("PARLEY_EDGE_PORT", settings.host, settings.edge_port),
                Wanted("PARLEY_EDGE_ADMIN_PORT", _LOOPBACK, settings.admin_port),
                Wanted(_SPANS_VARIABLE, _LOOPBACK, 0),
                *(Wanted(port_variable(service), _LOOPBACK, port) for _, service, port in named),
                *(Wanted(metrics_variable(name), _LOOPBACK, 0) for name in telling),
            ]
        )
        processes = (
            ServiceProcess(name, service, port) for (name, service, _), port in zip(named, ports, strict=False)
        )
        metrics = {
            # Where the operator says; a second replica cannot be there, too.
            name: settings.variables.get(metrics_variable(name)) or f"{_LOOPBACK}:{port}"
            for name, port in zip(telling, ports[len(named) :], strict=True)
        }
        return cls(settings.host, edge, admin, spans, tuple(processes), metrics)

    def addresses_of(self, service: str) -> list[str]:
        """host:port of each process of a service."""
        return [process.address for process in self.processes if process.service == service]

    @property
    def spans_address(self) -> str:
        """host:port at which chat takes the spans of the edge."""
        return f"{_LOOPBACK}:{self.spans_port}"

    def keeps_spans(self, settings: LocalSettings) -> bool:
        """Whether chat keeps the edge's spans, the first one of several, which ask each other: not when there is a collector."""
        return not settings.variables.get(_COLLECTOR_VARIABLE)

    @property
    def reachable_host(self) -> str:
        """Where people on this machine reach the edge."""
        host = {"0.0.0.0": _LOOPBACK, "::": "::1"}.get(self.edge_host, self.edge_host)  # noqa: S104 - compared, not bound
        return f"[{host}]" if ":" in host else host

    @property
    def authority(self) -> str:
        """host:port of the edge."""
        return f"{self.reachable_host}:{self.edge_port}"

    @property
    def url(self) -> str:
        """The address of the edge and of the page."""
        return f"http://{self.authority}"

    @property
    def addresses(self) -> dict[str, str]:
        """host:port of everything."""
        services = {process.name: process.address for process in self.processes}
        return {"edge": self.authority, "edge_admin": f"{_LOOPBACK}:{self.admin_port}", **services}


def service_environment(
    settings: LocalSettings, plan: Plan, process: ServiceProcess, *, pretty: bool
) -> dict[str, str]:
    """What a process gets: everything that was set for `parley up`, its port, and where it finds the other services."""
    variables = dict(settings.variables) | _places(settings, plan)
    for service in SERVICES:
        addresses = plan.addresses_of(service)
        # gRPC's own way to name several: the first is taken, and the next when it does not answer.
        variables[_address_variable(service)] = addresses[0] if len(addresses) == 1 else f"ipv4:{','.join(addresses)}"
    variables[port_variable(process.service)] = str(process.port)
    # The edge is the door: a service is not reachable from another machine, whatever PARLEY_HOST opens.
    variables["PARLEY_HOST"] = _LOOPBACK
    variables["PYTHONUNBUFFERED"] = "1"
    variables[metrics_variable(process.service)] = plan.metrics.get(process.name, "")
    if process.name == "chat" and plan.keeps_spans(settings):
        variables[_SPANS_VARIABLE] = plan.spans_address
    if len(plan.addresses_of(process.service)) > 1:
        # The edge looks twice a second who takes calls.
        variables.setdefault("PARLEY_DRAIN_NOTICE_SECONDS", "0.7")
    if pretty and settings.log_format == "auto":
        variables["PARLEY_LOG_FORMAT"] = "pretty"
    corpus = _sample_corpus(settings.checkout)
    if corpus:
        variables.setdefault("PARLEY_RETRIEVAL_SAMPLE_CORPUS", os.pathsep.join(map(str, corpus)))
    return variables


def edge_environment(settings: LocalSettings, plan: Plan) -> dict[str, str]:
    """What the edge is rendered from."""
    variables = dict(settings.variables) | _places(settings, plan)
    for service in SERVICES:
        variables[_address_variable(service)] = ",".join(plan.addresses_of(service))
    variables["PARLEY_HOST"] = plan.edge_host
    variables[metrics_variable("edge")] = plan.metrics.get("edge", "")
    if plan.keeps_spans(settings):
        # With no collector, chat is the edge's.
        variables[_COLLECTOR_VARIABLE] = f"http://{plan.spans_address}"
    page = settings.checkout / "web" / "dist" if settings.checkout else None
    if page and (page / "index.html").is_file():
        variables.setdefault("PARLEY_EDGE_PAGE", str(page))
    variables.setdefault("PARLEY_EDGE_ACCESS_LOG", str(fresh_log(settings.home, "edge.log")))
    return variables


def _places(settings: LocalSettings, plan: Plan) -> dict[str, str]:
    return {
        "PARLEY_HOME": str(settings.home),
        "PARLEY_EDGE_PORT": str(plan.edge_port),
        "PARLEY_EDGE_ADMIN_PORT": str(plan.admin_port),
    }


def _address_variable(service: str) -> str:
    return f"PARLEY_{service.upper()}_ADDRESS"


def _sample_corpus(checkout: Path | None) -> list[Path]:
    if checkout is None:
        return []
    return [path for name in ("README.md", "CONTRIBUTING.md", "docs") if (path := checkout / name).exists()]
