"""What `parley up` can be told: one frozen dataclass and its reader of the environment.

Not the settings of the services and of the edge: those read their own from the same environment.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path

from parley_shared.settings import Environment, SettingsError


@dataclass(frozen=True)
class LocalSettings:
    """Where Parley runs on this machine."""

    home: Path
    """PARLEY_HOME: the folder of data, keys and logs. Default .parley in the working folder."""
    host: str
    """PARLEY_HOST: the address of the edge. Default 127.0.0.1. The services listen on 127.0.0.1 whatever this says."""
    edge_port: int
    """PARLEY_EDGE_PORT: the one port that people use. Default 8080; 0 takes a free one."""
    chat_port: int
    """PARLEY_CHAT_PORT. Default 50051; 0 takes a free one."""
    chat_replicas: int
    """PARLEY_UP_CHAT_REPLICAS: how many processes of chat run, 1 to 8. Default 1. The first has PARLEY_CHAT_PORT, the others have
    free ports. More than one needs a PostgreSQL database and a Redis server, which they share."""
    inference_port: int
    """PARLEY_INFERENCE_PORT. Default 50052; 0 takes a free one."""
    retrieval_port: int
    """PARLEY_RETRIEVAL_PORT. Default 50053; 0 takes a free one."""
    admin_port: int
    """PARLEY_EDGE_ADMIN_PORT: Envoy's admin interface, on loopback. Default 0: a free one."""
    log_format: str
    """PARLEY_LOG_FORMAT: json, pretty, or auto (pretty when the output is a terminal). Default auto."""
    ready_seconds: float
    """PARLEY_UP_READY_SECONDS: how long the start may take before it is given up. Default 120."""
    drain_seconds: float
    """PARLEY_DRAIN_SECONDS: how long running calls get at the end. Default 10."""
    checkout: Path | None
    """The folder of the source code, when this runs from one: its page is served, its documents are the sample corpus."""
    metrics: bool
    """PARLEY_UP_METRICS: whether every process tells its figures to Prometheus, on free ports of this machine. Default true."""
    variables: Mapping[str, str]
    """The whole environment, which the children inherit."""

    @classmethod
    def read(cls, environment: Environment, variables: Mapping[str, str] | None = None) -> LocalSettings:
        """Reads the environment; `variables` is what the children inherit, by default that of this process.

        SettingsError names the variable that is wrong.
        """
        return cls(
            home=environment.path("PARLEY_HOME", Path(".parley")).absolute(),
            host=_host(environment.text("PARLEY_HOST", "127.0.0.1")),
            edge_port=environment.integer("PARLEY_EDGE_PORT", 8080, least=0, most=65535),
            chat_port=environment.integer("PARLEY_CHAT_PORT", 50051, least=0, most=65535),
            chat_replicas=_chat_replicas(environment),
            inference_port=environment.integer("PARLEY_INFERENCE_PORT", 50052, least=0, most=65535),
            retrieval_port=environment.integer("PARLEY_RETRIEVAL_PORT", 50053, least=0, most=65535),
            admin_port=environment.integer("PARLEY_EDGE_ADMIN_PORT", 0, least=0, most=65535),
            log_format=environment.choice("PARLEY_LOG_FORMAT", "auto", ("auto", "json", "pretty")),
            ready_seconds=environment.number("PARLEY_UP_READY_SECONDS", 120, least=1, most=3600),
            drain_seconds=environment.number("PARLEY_DRAIN_SECONDS", 10, least=0, most=3600),
            checkout=_checkout(),
            metrics=environment.flag("PARLEY_UP_METRICS", default=True),
            variables=dict(os.environ if variables is None else variables),
        )


def _chat_replicas(environment: Environment) -> int:
    replicas = environment.integer("PARLEY_UP_CHAT_REPLICAS", 1, least=1, most=8)
    if replicas == 1:
        return replicas
    shared = f"PARLEY_UP_CHAT_REPLICAS is {replicas}, and several chat processes share"
    # What the addresses lead to is for chat to find out.
    if not environment.text("PARLEY_CHAT_DATABASE_URL", "").startswith(("postgresql:", "postgres:")):
        message = (
            f"{shared} a PostgreSQL database: set PARLEY_CHAT_DATABASE_URL to postgresql://user:password@host/name."
        )
        raise SettingsError("PARLEY_CHAT_DATABASE_URL", message)
    if not environment.text("PARLEY_CHAT_REDIS_URL", ""):
        message = f"{shared} the events of turns in Redis: set PARLEY_CHAT_REDIS_URL to redis://host:port/0."
        raise SettingsError("PARLEY_CHAT_REDIS_URL", message)
    return replicas


def _host(text: str) -> str:
    host = "127.0.0.1" if text == "localhost" else text
    try:
        ip_address(host)
    except ValueError:
        message = f"PARLEY_HOST must be an IP address of this machine, for example 127.0.0.1 or 0.0.0.0, not {text!r}."
        raise SettingsError("PARLEY_HOST", message) from None
    return host


def _checkout() -> Path | None:
    root = Path(__file__).resolve().parents[3]
    return root if (root / "protos" / "parley").is_dir() and (root / "CONTRIBUTING.md").is_file() else None
