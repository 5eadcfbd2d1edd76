"""Who runs where: the ports of this run, and the environment of each child. It starts nothing."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from parley_local.home import fresh_log
from parley_local.ports import Wanted, settle
from parley_local.settings import LocalSettings

SERVICES = ("chat", "inference", "retrieval")
_LOOPBACK = "127.0.0.1"


@dataclass(frozen=True)
class Plan:
    """The ports of one run, all known."""

    edge_host: str
    """Where the edge listens."""
    edge_port: int
    """The one port that people use."""
    admin_port: int
    """Envoy's admin interface."""
    service_ports: Mapping[str, int]
    """By service."""

    @classmethod
    def of(cls, settings: LocalSettings) -> Plan:
        """Takes the ports that the settings name, and free ones for 0. SettingsError when one is taken."""
        edge, admin, *services = settle(
            [
                Wanted("PARLEY_EDGE_PORT", settings.host, settings.edge_port),
                Wanted("PARLEY_EDGE_ADMIN_PORT", _LOOPBACK, settings.admin_port),
                Wanted("PARLEY_CHAT_PORT", _LOOPBACK, settings.chat_port),
                Wanted("PARLEY_INFERENCE_PORT", _LOOPBACK, settings.inference_port),
                Wanted("PARLEY_RETRIEVAL_PORT", _LOOPBACK, settings.retrieval_port),
            ]
        )
        return cls(settings.host, edge, admin, dict(zip(SERVICES, services, strict=True)))

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
        services = {name: f"{_LOOPBACK}:{port}" for name, port in self.service_ports.items()}
        return {"edge": self.authority, "edge_admin": f"{_LOOPBACK}:{self.admin_port}", **services}


def service_environment(settings: LocalSettings, plan: Plan, *, pretty: bool) -> dict[str, str]:
    """What the services get: everything that was set for `parley up`, and where they find each other."""
    variables = dict(settings.variables)
    variables |= _addresses(settings, plan)
    # The edge is the door: a service is not reachable from another machine, whatever PARLEY_HOST opens.
    variables["PARLEY_HOST"] = _LOOPBACK
    variables["PYTHONUNBUFFERED"] = "1"
    if pretty and settings.log_format == "auto":
        variables["PARLEY_LOG_FORMAT"] = "pretty"
    corpus = _sample_corpus(settings.checkout)
    if corpus:
        variables.setdefault("PARLEY_RETRIEVAL_SAMPLE_CORPUS", os.pathsep.join(map(str, corpus)))
    return variables


def edge_environment(settings: LocalSettings, plan: Plan) -> dict[str, str]:
    """What the edge is rendered from."""
    variables = dict(settings.variables) | _addresses(settings, plan)
    variables["PARLEY_HOST"] = plan.edge_host
    page = settings.checkout / "web" / "dist" if settings.checkout else None
    if page and (page / "index.html").is_file():
        variables.setdefault("PARLEY_EDGE_PAGE", str(page))
    variables.setdefault("PARLEY_EDGE_ACCESS_LOG", str(fresh_log(settings.home, "edge.log")))
    return variables


def service_command(service: str) -> list[str]:
    """What to execute for a service."""
    return [sys.executable, "-m", f"parley_{service}"]


def _addresses(settings: LocalSettings, plan: Plan) -> dict[str, str]:
    variables = {"PARLEY_HOME": str(settings.home)}
    variables["PARLEY_EDGE_PORT"] = str(plan.edge_port)
    variables["PARLEY_EDGE_ADMIN_PORT"] = str(plan.admin_port)
    for service, port in plan.service_ports.items():
        variables[f"PARLEY_{service.upper()}_PORT"] = str(port)
        variables[f"PARLEY_{service.upper()}_ADDRESS"] = f"{_LOOPBACK}:{port}"
    return variables


def _sample_corpus(checkout: Path | None) -> list[Path]:
    if checkout is None:
        return []
    return [path for name in ("README.md", "CONTRIBUTING.md", "docs") if (path := checkout / name).exists()]
