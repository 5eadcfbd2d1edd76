"""Serving: one function registers everything a service serves, listens, says so, and drains when it is told to stop.

What is served is the business of each service's `bootstrap.py`.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import signal
import socket
import sys
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any, NoReturn

import grpc
from google.protobuf import descriptor_pool
from google.protobuf.descriptor import FileDescriptor
from grpc_health.v1 import health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from parley_shared import health
from parley_shared.interceptors import ParleyInterceptor
from parley_shared.mutual_tls import server_credentials
from parley_shared.process_metrics import watch_process
from parley_shared.prometheus import MetricsEndpoint
from parley_shared.settings import ServiceSettings, SettingsError, describe, metrics_variable, port_variable
from parley_shared.status import StatusError
from parley_shared.telemetry import shut_down_telemetry
from parley_shared.tokens import TokenVerifier

_logger = logging.getLogger("parley")


class _Symbols:
    """The pool of all generated code, as reflection asks it. The pool itself finds the file of every symbol but those of rpcs."""

    def __init__(self) -> None:
        self._pool = descriptor_pool.Default()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._pool, name)

    def FindFileContainingSymbol(self, symbol: str) -> FileDescriptor:
        """The file that defines the symbol. KeyError when none does."""
        try:
            return self._pool.FindFileContainingSymbol(symbol)
        except KeyError:
            return self._pool.FindMethodByName(symbol).containing_service.file


@dataclass(frozen=True)
class Registration:
    """One gRPC service to serve."""

    add: Callable[[Any, grpc.aio.Server], None]
    """The generated function: `add_ChatServiceServicer_to_server`."""
    servicer: object
    """What serves it."""
    name: str
    """Its full name, "parley.chat.v1.ChatService", for health and reflection."""


class Server:
    """A server that is built and not yet started. `build_server` makes it."""

    def __init__(
        self, settings: ServiceSettings, server: grpc.aio.Server, names: Sequence[str], shown: Sequence[object]
    ) -> None:
        self._settings = settings
        self._server = server
        self._shown = shown
        self._health = health.HealthServicer(names, version(f"parley-{settings.service}"))
        health_pb2_grpc.add_HealthServicer_to_server(self._health, server)
        self._port = 0
        self._metrics = MetricsEndpoint()
        self._end_of_watch: Callable[[], None] = _nothing

    @property
    def metrics_port(self) -> int:
        """Where Prometheus finds its figures; 0 when nowhere."""
        return self._metrics.port

    @property
    def port(self) -> int:
        """The port it listens on, also when 0 was asked for; 0 before it has started."""
        return self._port

    async def start(self) -> None:
        """Listens, takes calls and says so. Raises SettingsError when it cannot listen there."""
        host = f"[{self._settings.host}]" if ":" in self._settings.host else self._settings.host
        address, tls = f"{host}:{self._settings.port}", self._settings.tls
        credentials = await asyncio.to_thread(server_credentials, tls) if tls else None
        try:
            if credentials is None:
                self._port = self._server.add_insecure_port(address)
            else:
                self._port = self._server.add_secure_port(address, credentials)
        except RuntimeError as error:
            raise await asyncio.to_thread(_cannot_listen, self._settings) from error
        await self._tell_figures()
        if _owns_process:
            _watch_signals()  # before anybody can know that there is something to stop
        await self._server.start()
        self._health.serve()
        _logger.info("%s listens on %s:%d", self._settings.service, host, self._port)
        for settings in self._shown:
            _logger.info("%s uses %s", self._settings.service, ", ".join(describe(settings)))

    async def give_notice(self) -> None:
        """Says NOT_SERVING, and still takes calls for `drain_notice_seconds`: who was told to call here is told otherwise meanwhile."""
        self._health.drain()
        notice = await _unless_hurried(asyncio.sleep(self._settings.drain_notice_seconds))
        notice.cancel()

    async def drain(self) -> None:
        """Says NOT_SERVING, lets running calls go on for `drain_seconds`, and stops. A second signal stops at once."""
        self._health.drain()
        stopping = await _unless_hurried(self._server.stop(self._settings.drain_seconds))
        if not stopping.done():
            stopping.cancel()
            await asyncio.wait({stopping})
            await self._server.stop(None)
        self._end_of_watch()
        await self._metrics.close()
        _logger.info("%s stopped", self._settings.service)

    async def _tell_figures(self) -> None:
        address = self._settings.metrics_address
        if address is None and not self._settings.otlp_endpoint:
            return
        self._end_of_watch = watch_process()
        if address is None:
            return
        try:
            await self._metrics.start(*address)
        except OSError as error:
            why = "the port is taken" if error.errno == errno.EADDRINUSE else "it is no address of this machine"
            variable = metrics_variable(self._settings.service)
            # Not the end of the start: who only wants answers gets them.
            _logger.warning("the figures are told nowhere: of %s, %s", variable, why)

    async def wait(self) -> None:
        """Waits until it has stopped."""
        await self._server.wait_for_termination()


def _nothing() -> None:
    """Ends what has not begun."""


async def _unless_hurried(ending: Coroutine[object, object, None]) -> asyncio.Task[None]:
    """Waits for a step of the end, or for the second signal; the task of the step may then still run."""
    step = asyncio.create_task(ending)
    hurry = asyncio.create_task(_watch_signals().second.wait() if _owns_process else asyncio.Event().wait())
    try:
        await asyncio.wait({step, hurry}, return_when=asyncio.FIRST_COMPLETED)
    except asyncio.CancelledError:
        step.cancel()
        raise
    finally:
        hurry.cancel()
    return step


def build_server(
    settings: ServiceSettings,
    registrations: Sequence[Registration],
    *,
    verifier: TokenVerifier,
    to_status_error: Callable[[Exception], StatusError | None],
    shown: Sequence[object] = (),
    also_reflected: Sequence[str] = (),
) -> Server:
    """The server with all its services, health and reflection.

    `to_status_error` turns a service's own errors into statuses and answers None for those it does not know. `shown` are the
    settings dataclasses to tell at the start, by default `settings`. `also_reflected` are full names of gRPC services that another
    process serves and that reflection describes here as well, because the edge asks only one process.
    """
    interceptor = ParleyInterceptor(
        verifier=verifier,
        to_status_error=to_status_error,
        stream_idle_seconds=settings.stream_idle_seconds,
        max_streams_per_user=settings.max_streams_per_user,
    )
    options = [
        # Otherwise a second process on the same port gets half of the calls in silence.
        ("grpc.so_reuseport", 0),
        ("grpc.max_receive_message_length", settings.max_message_bytes),
        ("grpc.max_send_message_length", settings.max_message_bytes),
        # Finds callers that are gone without a word.
        ("grpc.keepalive_time_ms", 60_000),
        ("grpc.keepalive_timeout_ms", 20_000),
        # Callers may ask every 5 s, in idle connections too; more often is "too many pings", which breaks live streams.
        ("grpc.http2.min_ping_interval_without_data_ms", 5_000),
        ("grpc.keepalive_permit_without_calls", 1),
    ]
    server = grpc.aio.server(interceptors=[interceptor], options=options)
    for registration in registrations:
        registration.add(registration.servicer, server)
    names = [registration.name for registration in registrations]
    reflected = dict.fromkeys([*names, *also_reflected, health.NAME, reflection.SERVICE_NAME])
    symbols: Any = _Symbols()
    reflection.enable_server_reflection(list(reflected), server, pool=symbols)
    return Server(settings, server, names, shown or (settings,))


def run(main: Callable[[], Coroutine[Any, Any, None]]) -> NoReturn:
    """Runs a service's main coroutine and ends the process.

    0 after a drain, 2 with one line on standard error for a setting that cannot be used, 1 for everything else.
    """
    global _owns_process  # noqa: PLW0603 - one process, one main
    _owns_process = True
    code = 0
    try:
        _run_loop(main)
    except SettingsError as error:
        print(error, file=sys.stderr)
        code = 2
    except KeyboardInterrupt:
        code = 130
    except Exception:
        _logger.exception("the service failed")
        code = 1
    shut_down_telemetry()
    sys.exit(code)


async def until_terminated() -> None:
    """Waits for the first SIGTERM or SIGINT. The next one makes `drain()` stop at once."""
    await _watch_signals().first.wait()


class _Signals:
    """The signals to stop that the running loop has seen."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.first = asyncio.Event()
        self.second = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._seen)

    def _seen(self) -> None:
        (self.second if self.first.is_set() else self.first).set()


_owns_process = False
"""Whether `run` was called: signals are the business of the process's owner, and in a test that is not us."""

_seen_signals: _Signals | None = None


def _watch_signals() -> _Signals:
    global _seen_signals  # noqa: PLW0603 - signals are the process's
    loop = asyncio.get_running_loop()
    if _seen_signals is None or _seen_signals.loop is not loop:
        _seen_signals = _Signals(loop)
    return _seen_signals


def _cannot_listen(settings: ServiceSettings) -> SettingsError:
    """Why the server cannot listen: asks the system again, because gRPC tells it only to its own log."""
    variable = port_variable(settings.service)
    where = f"{settings.host}:{settings.port}"
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(settings.host, settings.port, type=socket.SOCK_STREAM)[
            0
        ]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
            probe.listen()
    except socket.gaierror:
        return SettingsError(
            "PARLEY_HOST", f"{settings.service} cannot listen on {where}: PARLEY_HOST is not an address."
        )
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            return SettingsError(
                variable, f"{settings.service} cannot listen on {where}: the port is taken. Set {variable} to another."
            )
        if error.errno == errno.EACCES:
            return SettingsError(
                variable, f"{settings.service} cannot listen on {where}: the port needs privileges. Set {variable}."
            )
        return SettingsError(
            "PARLEY_HOST",
            f"{settings.service} cannot listen on {where}: PARLEY_HOST is not an address of this machine.",
        )
    return SettingsError(variable, f"{settings.service} cannot listen on {where}. Set {variable} or PARLEY_HOST.")


def _run_loop(main: Callable[[], Coroutine[Any, Any, None]]) -> None:
    try:
        import uvloop  # noqa: PLC0415 - not on Windows
    except ImportError:
        asyncio.run(main())
    else:
        uvloop.run(main())
