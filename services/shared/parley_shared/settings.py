"""Settings: the one reader of the environment, and the settings that all services have.

It is not a settings framework: a service reads its own frozen dataclass with an `Environment`, once, at its start.
"""

from __future__ import annotations

import dataclasses
import math
import os
import re
import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path

_TRUE = frozenset({"true", "1", "yes", "on"})
_FALSE = frozenset({"false", "0", "no", "off"})
_URL_PASSWORD = re.compile(r"(?<=://)([^:/?#@\s]*):\S*@")
_MOST_SHOWN = 40


class SettingsError(Exception):
    """A setting that cannot be used. The message is one line for a person and names the variable."""

    def __init__(self, variable: str, message: str) -> None:
        super().__init__(message)
        self.variable = variable
        """The environment variable to mend, or "" when there is no single one."""


class Secret:
    """A value that is never shown: `str()` and `repr()` tell only whether it is set."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """The value itself, for the one place that needs it."""
        return self._value

    def __bool__(self) -> bool:
        return bool(self._value)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._value == self._value

    def __hash__(self) -> int:
        return hash(self._value)

    def __repr__(self) -> str:
        return "[set]" if self._value else "[not set]"

    __str__ = __repr__


class Environment:
    """Typed reading of environment variables. A variable that is unset or empty has its default.

    Every method raises SettingsError when the value does not fit.
    """

    def __init__(self, variables: Mapping[str, str] | None = None) -> None:
        self._variables = os.environ if variables is None else variables

    def text(self, name: str, default: str) -> str:
        """The value as it stands, without blanks around it."""
        return self._variables.get(name, "").strip() or default

    def integer(self, name: str, default: int, *, least: int, most: int) -> int:
        """A whole number within its bounds, both included."""
        given = self.text(name, "")
        if not given:
            return default
        try:
            value = int(given)
        except ValueError:
            value = least - 1
        if not least <= value <= most:
            raise SettingsError(name, f"{name} must be a whole number from {least} to {most}, not {_shown(given)}.")
        return value

    def number(self, name: str, default: float, *, least: float, most: float) -> float:
        """A number within its bounds, both included."""
        given = self.text(name, "")
        if not given:
            return default
        try:
            value = float(given)
        except ValueError:
            value = math.nan
        if not least <= value <= most:
            raise SettingsError(name, f"{name} must be a number from {least:g} to {most:g}, not {_shown(given)}.")
        return value

    def flag(self, name: str, default: bool) -> bool:
        """true, 1, yes, on, or false, 0, no, off; in any case."""
        given = self.text(name, "").lower()
        if not given:
            return default
        if given in _TRUE or given in _FALSE:
            return given in _TRUE
        raise SettingsError(name, f"{name} must be true or false, not {_shown(given)}.")

    def choice(self, name: str, default: str, choices: Sequence[str]) -> str:
        """One of the choices, in any case."""
        given = self.text(name, "").lower()
        if not given:
            return default
        if given in choices:
            return given
        raise SettingsError(name, f"{name} must be one of {', '.join(choices)}, not {_shown(given)}.")

    def path(self, name: str, default: Path) -> Path:
        """A path; `~` stands for the home folder of the user. It need not exist."""
        given = self.text(name, "")
        return Path(given).expanduser() if given else default

    def secret(self, name: str) -> Secret | None:
        """A secret, or None when it is not set."""
        given = self.text(name, "")
        return Secret(given) if given else None


@dataclass(frozen=True)
class TlsFiles:
    """What the edge and the services prove themselves to each other with: PEM files. `mutual_tls.py` uses them."""

    certificate: Path
    """PARLEY_TLS_CERTIFICATE_FILE: the certificate of this process, and those between it and the authorities."""
    key: Path
    """PARLEY_TLS_KEY_FILE: its private key, without a password."""
    authorities: Path
    """PARLEY_TLS_AUTHORITIES_FILE: whose certificates are believed."""

    @classmethod
    def read(cls, environment: Environment) -> TlsFiles | None:
        """All three, or None when none is set. Raises SettingsError when one is missing, cannot be read, or does not fit the others."""
        variables = ("PARLEY_TLS_CERTIFICATE_FILE", "PARLEY_TLS_KEY_FILE", "PARLEY_TLS_AUTHORITIES_FILE")
        given = [environment.text(variable, "") for variable in variables]
        if not any(given):
            return None
        for variable, value in zip(variables, given, strict=True):
            if not value:
                raise SettingsError(
                    variable, f"{variable} must be set: of {', '.join(variables)}, all are needed or none."
                )
        files = cls(*(Path(value).expanduser().absolute() for value in given))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        try:
            context.load_verify_locations(files.authorities)
        except OSError:
            raise SettingsError(variables[2], f"{variables[2]} must be a file of certificates in PEM.") from None
        try:
            # A key with a password would ask the terminal for it.
            context.load_cert_chain(files.certificate, files.key, password="")
        except OSError:
            message = f"{variables[0]} and {variables[1]} must be files in PEM: a certificate, and its key without a password."
            raise SettingsError(variables[0], message) from None
        return files


@dataclass(frozen=True)
class ServiceSettings:
    """The settings that all services have."""

    service: str
    """Which service: "chat", "inference" or "retrieval"."""
    home: Path
    """PARLEY_HOME: the folder of data, keys and logs."""
    host: str
    """PARLEY_HOST: the address to listen on."""
    port: int
    """PARLEY_<SERVICE>_PORT: the port to listen on; 0 takes a free one."""
    jwks_file: Path
    """PARLEY_JWKS_FILE: the public keys that tokens are checked against."""
    token_issuer: str
    """PARLEY_TOKEN_ISSUER: the issuer that tokens must name."""
    token_audience: str
    """PARLEY_TOKEN_AUDIENCE: the audience that tokens must name."""
    log_level: str
    """PARLEY_LOG_LEVEL: debug, info, warning or error."""
    log_format: str
    """PARLEY_LOG_FORMAT: json, pretty, or auto (pretty on a terminal)."""
    otlp_endpoint: str
    """PARLEY_OTLP_ENDPOINT: the OTLP/gRPC collector; "" keeps spans in a bounded store in the process."""
    drain_seconds: float
    """PARLEY_DRAIN_SECONDS: how long running calls may go on after a signal to stop."""
    drain_notice_seconds: float
    """PARLEY_DRAIN_NOTICE_SECONDS: how long a service still takes calls after it said that it stops. Where there are
    several replicas, longer than the pause between two health checks."""
    stream_idle_seconds: float
    """PARLEY_STREAM_IDLE_SECONDS: how long a response stream may carry no message."""
    max_message_bytes: int
    """PARLEY_MAX_MESSAGE_BYTES: the largest message that is taken or sent."""
    max_streams_per_user: int = 256
    """PARLEY_MAX_STREAMS_PER_USER: how many streams of one user may be open at the same time, in this process."""
    trace_sample_ratio: float = 1.0
    """PARLEY_TRACE_SAMPLE_RATIO: the share of traces recorded, of those that start here."""
    metrics_address: tuple[str, int] | None = None
    """PARLEY_<SERVICE>_METRICS_ADDRESS: host and port where Prometheus finds the figures of this process; None for nowhere. No token is
    asked for there."""
    tls: TlsFiles | None = None
    """What is spoken with the edge and the other services: TLS with certificates on both sides, or, when None, none."""

    @classmethod
    def read(cls, environment: Environment, *, service: str, default_port: int) -> ServiceSettings:
        """Reads them all; raises SettingsError for the first that does not fit."""
        home = environment.path("PARLEY_HOME", Path(".parley")).absolute()
        return cls(
            service=service,
            home=home,
            host=environment.text("PARLEY_HOST", "127.0.0.1"),
            port=environment.integer(port_variable(service), default_port, least=0, most=65535),
            jwks_file=environment.path("PARLEY_JWKS_FILE", home / "keys" / "jwks.json"),
            token_issuer=environment.text("PARLEY_TOKEN_ISSUER", "parley"),
            token_audience=environment.text("PARLEY_TOKEN_AUDIENCE", "parley"),
            log_level=environment.choice("PARLEY_LOG_LEVEL", "info", ("debug", "info", "warning", "error")),
            log_format=environment.choice("PARLEY_LOG_FORMAT", "auto", ("auto", "json", "pretty")),
            otlp_endpoint=environment.text("PARLEY_OTLP_ENDPOINT", ""),
            drain_seconds=environment.number("PARLEY_DRAIN_SECONDS", 10, least=0, most=3600),
            drain_notice_seconds=environment.number("PARLEY_DRAIN_NOTICE_SECONDS", 0, least=0, most=60),
            stream_idle_seconds=environment.number("PARLEY_STREAM_IDLE_SECONDS", 300, least=0.1, most=86400),
            max_message_bytes=environment.integer(
                "PARLEY_MAX_MESSAGE_BYTES", 4 * 1024 * 1024, least=64 * 1024, most=256 * 1024 * 1024
            ),
            max_streams_per_user=environment.integer("PARLEY_MAX_STREAMS_PER_USER", 256, least=1, most=1_000_000),
            trace_sample_ratio=environment.number("PARLEY_TRACE_SAMPLE_RATIO", 1, least=0, most=1),
            metrics_address=metrics_address(environment, service),
            tls=TlsFiles.read(environment),
        )


def metrics_variable(process: str) -> str:
    """The variable that holds where the figures of a service, or of the edge, are told."""
    return f"PARLEY_{process.upper()}_METRICS_ADDRESS"


def metrics_address(environment: Environment, process: str) -> tuple[str, int] | None:
    """The IP address and the port of that variable; None when it is not set. Raises SettingsError."""
    variable = metrics_variable(process)
    given = environment.text(variable, "")
    if not given:
        return None
    host, _, port = given.rpartition(":")
    try:
        address = str(ip_address(host.removeprefix("[").removesuffix("]")))
        number = int(port)
    except ValueError:
        address, number = "", -1
    if not 0 <= number <= 65535:
        message = f"{variable} must be an IP address of this machine and a port, for example 127.0.0.1:9464, not {_shown(given)}."
        raise SettingsError(variable, message)
    return address, number


def port_variable(service: str) -> str:
    """The variable that holds a service's port."""
    return f"PARLEY_{service.upper()}_PORT"


def describe(settings: object) -> list[str]:
    """`name = value` lines of a settings dataclass. Secrets, and passwords within URLs, are redacted.

    A dataclass within it gives its own lines, its name before theirs.
    """
    if not dataclasses.is_dataclass(settings):
        raise TypeError(f"{type(settings).__name__} is not a dataclass")
    lines = []
    for field in dataclasses.fields(settings):
        value = getattr(settings, field.name)
        if dataclasses.is_dataclass(value):
            lines += [f"{field.name}.{line}" for line in describe(value)]
        else:
            shown = "[not set]" if value is None or value == "" else _URL_PASSWORD.sub(r"\1:[set]@", str(value))
            lines.append(f"{field.name} = {shown}")
    return lines


def _shown(given: str) -> str:
    """A wrong value as an error repeats it: it may be a secret in the wrong place, so only its beginning."""
    return repr(given if len(given) <= _MOST_SHOWN else given[:_MOST_SHOWN] + "…")
