"""The edge's settings: one frozen dataclass and its reader of the environment."""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path

from parley_shared.settings import Environment, SettingsError, TlsFiles, metrics_address
from parley_shared.token_issuers import TokenIssuer, TokenIssuersError, read_token_issuers

_ADDRESS = re.compile(r"(?:\[(?P<ipv6>[0-9a-fA-F:.]+)\]|(?P<host>[^:\[\]/\s]+)):(?P<port>\d{1,5})")
_ORIGIN = re.compile(r"https?://[^/\s*]+")

_MOST_ADDRESSES = 32


@dataclass(frozen=True)
class Address:
    """Where a service listens."""

    host: str
    """An IP address or a DNS name."""
    port: int
    """1 to 65535."""

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def is_ip(self) -> bool:
        """Whether the host is an address already; a name is looked up again and again, and stands for all its addresses."""
        try:
            ip_address(self.host)
        except ValueError:
            return False
        return True

    @classmethod
    def parse(cls, variable: str, text: str) -> Address:
        """Reads `host:port` or `[ipv6]:port`. SettingsError when it is neither."""
        match = _ADDRESS.fullmatch(text)
        if match is None or not 1 <= int(match["port"]) <= 65535:
            raise SettingsError(variable, f"{variable} must be host:port, for example 127.0.0.1:50051; it is {text!r}")
        return cls(match["ipv6"] or match["host"], int(match["port"]))


@dataclass(frozen=True)
class EdgeSettings:
    """What the edge is rendered from."""

    host: str
    """PARLEY_HOST: the address to listen on. Default 127.0.0.1: nobody outside this machine."""
    port: int
    """PARLEY_EDGE_PORT: the one port of all protocols. Default 8080."""
    admin_port: int
    """PARLEY_EDGE_ADMIN_PORT: Envoy's admin interface, on loopback always. Default 9901."""
    metrics: tuple[str, int] | None
    """PARLEY_EDGE_METRICS_ADDRESS: IP address and port at which Prometheus finds Envoy's figures. Empty by default: nowhere."""
    chat: tuple[Address, ...]
    """PARLEY_CHAT_ADDRESS: where each replica of chat listens, 1 to 32, separated by commas. Default 127.0.0.1:50051."""
    inference: tuple[Address, ...]
    """PARLEY_INFERENCE_ADDRESS, as chat's. Default 127.0.0.1:50052."""
    retrieval: tuple[Address, ...]
    """PARLEY_RETRIEVAL_ADDRESS, as chat's. Default 127.0.0.1:50053."""
    page: Path | None
    """PARLEY_EDGE_PAGE: the folder of the built page. Empty by default: no page is served."""
    access_log: str
    """PARLEY_EDGE_ACCESS_LOG: the file that gets one line of JSON per request. Default /dev/stdout."""
    token_issuer: str
    """PARLEY_TOKEN_ISSUER: who makes the tokens. Default parley."""
    token_issuers: tuple[TokenIssuer, ...]
    """PARLEY_EDGE_CONFIG_FILE: the file with the identity providers whose tokens are taken too. Default: `parley.toml` in PARLEY_HOME, when
    it is there."""
    token_audience: str
    """PARLEY_TOKEN_AUDIENCE: whom the tokens are for. Default parley."""
    jwks_seconds: int
    """PARLEY_EDGE_JWKS_SECONDS: how often the keys of tokens are fetched again, 1 to 3600. Default 5."""
    allowed_origins: tuple[str, ...]
    """PARLEY_EDGE_ALLOWED_ORIGINS: pages of other origins that may call, separated by commas. Empty by default: none."""
    max_request_bytes: int
    """PARLEY_EDGE_MAX_REQUEST_BYTES: the largest request body. Default 4 MiB and 64 KiB: a little above what services take."""
    max_upload_bytes: int
    """PARLEY_EDGE_MAX_UPLOAD_BYTES: the largest body of an upload. Default 101000000: a file of 100,000,000 bytes and what is around it."""
    user_calls_per_second: int
    """PARLEY_EDGE_USER_CALLS_PER_SECOND: calls of one user; twice as many in a burst. Default 100."""
    address_calls_per_second: int
    """PARLEY_EDGE_ADDRESS_CALLS_PER_SECOND: calls of one address, with and without a token; twice as many in a burst. Default 1000."""
    sign_ins_per_minute: int
    """PARLEY_EDGE_SIGN_INS_PER_MINUTE: sign-ups, sign-ins and refreshes of one address. Default 60."""
    max_connections: int
    """PARLEY_EDGE_MAX_CONNECTIONS: clients connected at the same time. Default 10000."""
    address_connections: int
    """PARLEY_EDGE_ADDRESS_CONNECTIONS: clients connected at the same time from one address; 0 is no limit. Default 1000; 0 where an address
    says nothing, which is behind proxies (PARLEY_EDGE_TRUSTED_HOPS) and at a PARLEY_HOST that only this machine reaches."""
    max_calls: int
    """PARLEY_EDGE_MAX_CALLS: calls and streams running at the same time, per service. Default 4096."""
    max_streams_per_connection: int
    """PARLEY_EDGE_MAX_STREAMS_PER_CONNECTION: calls that run at the same time on one HTTP/2 connection. Default 1024."""
    max_resets: int
    """PARLEY_EDGE_MAX_RESETS: streams of one connection after which it is closed when it reset half of them in their first second.
    Default 500."""
    max_header_kib: int
    """PARLEY_EDGE_MAX_HEADER_KIB: all headers of a request together. Default 32."""
    max_headers: int
    """PARLEY_EDGE_MAX_HEADERS: headers of a request. Default 100."""
    headers_seconds: int
    """PARLEY_EDGE_HEADERS_SECONDS: how long the headers of a request may take to arrive. Default 10."""
    request_seconds: int
    """PARLEY_EDGE_REQUEST_SECONDS: how long a whole request may take to arrive. Default 900: a large file on a slow line."""
    idle_connection_seconds: int
    """PARLEY_EDGE_IDLE_CONNECTION_SECONDS: how long a connection may be without a call. Default 600."""
    retry_percent: int
    """PARLEY_EDGE_RETRY_PERCENT: of a service's running calls, how many may be second attempts; 128 always may. Default 25."""
    max_heap_bytes: int
    """PARLEY_EDGE_MAX_HEAP_BYTES: at 95 % of this, new requests are refused. Default 512 MiB."""
    stream_idle_seconds: float
    """PARLEY_STREAM_IDLE_SECONDS: how long a stream may be silent. The services end it then with a status; the edge cuts it
    30 s later. Default 300."""
    max_stream_seconds: int
    """PARLEY_EDGE_MAX_STREAM_SECONDS: the longest call of all. Default 3600."""
    trusted_hops: int
    """PARLEY_EDGE_TRUSTED_HOPS: proxies in front of the edge whose x-forwarded-for is believed. Default 0."""
    otlp_endpoint: str
    """PARLEY_OTLP_ENDPOINT: the collector of spans, OTLP over gRPC. Empty by default: spans are not sent anywhere."""
    trace_sample_ratio: float
    """PARLEY_TRACE_SAMPLE_RATIO: the share of traces recorded, of those that begin here, 0 to 1. Default 1."""
    log_level: str
    """PARLEY_LOG_LEVEL: debug, info, warning or error. Default info. Envoy says more than its errors with debug only."""
    drain_seconds: float
    """PARLEY_DRAIN_SECONDS: how long running calls get at the end. Default 10."""
    tls: TlsFiles | None
    """PARLEY_TLS_CERTIFICATE_FILE, PARLEY_TLS_KEY_FILE, PARLEY_TLS_AUTHORITIES_FILE: TLS with the services, certificates on both sides.
    Empty by default: no TLS with the services."""

    @classmethod
    def read(cls, environment: Environment) -> EdgeSettings:
        """Reads the environment. SettingsError names the variable that is wrong."""
        page = environment.text("PARLEY_EDGE_PAGE", "")
        host = _listen_address("PARLEY_HOST", environment.text("PARLEY_HOST", "127.0.0.1"))
        trusted_hops = environment.integer("PARLEY_EDGE_TRUSTED_HOPS", 0, least=0, most=10)
        return cls(
            host=host,
            port=environment.integer("PARLEY_EDGE_PORT", 8080, least=1, most=65535),
            admin_port=environment.integer("PARLEY_EDGE_ADMIN_PORT", 9901, least=1, most=65535),
            metrics=metrics_address(environment, "edge"),
            chat=_addresses(environment, "PARLEY_CHAT_ADDRESS", "127.0.0.1:50051"),
            inference=_addresses(environment, "PARLEY_INFERENCE_ADDRESS", "127.0.0.1:50052"),
            retrieval=_addresses(environment, "PARLEY_RETRIEVAL_ADDRESS", "127.0.0.1:50053"),
            page=Path(page).resolve() if page else None,
            access_log=environment.text("PARLEY_EDGE_ACCESS_LOG", "/dev/stdout"),
            token_issuer=environment.text("PARLEY_TOKEN_ISSUER", "parley"),
            token_issuers=_token_issuers(environment),
            token_audience=environment.text("PARLEY_TOKEN_AUDIENCE", "parley"),
            jwks_seconds=environment.integer("PARLEY_EDGE_JWKS_SECONDS", 5, least=1, most=3600),
            allowed_origins=_origins(
                "PARLEY_EDGE_ALLOWED_ORIGINS", environment.text("PARLEY_EDGE_ALLOWED_ORIGINS", "")
            ),
            max_request_bytes=environment.integer(
                "PARLEY_EDGE_MAX_REQUEST_BYTES", 4 * 1024 * 1024 + 64 * 1024, least=1024, most=1024 * 1024 * 1024
            ),
            max_upload_bytes=environment.integer(
                "PARLEY_EDGE_MAX_UPLOAD_BYTES", 101_000_000, least=1024, most=1024 * 1024 * 1024
            ),
            user_calls_per_second=environment.integer(
                "PARLEY_EDGE_USER_CALLS_PER_SECOND", 100, least=1, most=1_000_000
            ),
            address_calls_per_second=environment.integer(
                "PARLEY_EDGE_ADDRESS_CALLS_PER_SECOND", 1000, least=1, most=10_000_000
            ),
            sign_ins_per_minute=environment.integer("PARLEY_EDGE_SIGN_INS_PER_MINUTE", 60, least=1, most=1_000_000),
            max_connections=environment.integer("PARLEY_EDGE_MAX_CONNECTIONS", 10_000, least=1, most=1_000_000),
            address_connections=environment.integer(
                "PARLEY_EDGE_ADDRESS_CONNECTIONS",
                0 if trusted_hops or ip_address(host).is_loopback else 1000,
                least=0,
                most=1_000_000,
            ),
            max_calls=environment.integer("PARLEY_EDGE_MAX_CALLS", 4096, least=1, most=1_000_000),
            max_streams_per_connection=environment.integer(
                "PARLEY_EDGE_MAX_STREAMS_PER_CONNECTION", 1024, least=1, most=100_000
            ),
            max_resets=environment.integer("PARLEY_EDGE_MAX_RESETS", 500, least=1, most=1_000_000),
            max_header_kib=environment.integer("PARLEY_EDGE_MAX_HEADER_KIB", 32, least=8, most=1024),
            max_headers=environment.integer("PARLEY_EDGE_MAX_HEADERS", 100, least=30, most=1000),
            headers_seconds=environment.integer("PARLEY_EDGE_HEADERS_SECONDS", 10, least=1, most=300),
            request_seconds=environment.integer("PARLEY_EDGE_REQUEST_SECONDS", 900, least=1, most=86_400),
            idle_connection_seconds=environment.integer(
                "PARLEY_EDGE_IDLE_CONNECTION_SECONDS", 600, least=1, most=86_400
            ),
            retry_percent=environment.integer("PARLEY_EDGE_RETRY_PERCENT", 25, least=0, most=100),
            max_heap_bytes=environment.integer(
                "PARLEY_EDGE_MAX_HEAP_BYTES", 512 * 1024 * 1024, least=64 * 1024 * 1024, most=64 * 1024**3
            ),
            stream_idle_seconds=environment.number("PARLEY_STREAM_IDLE_SECONDS", 300, least=0.1, most=86_400),
            max_stream_seconds=environment.integer("PARLEY_EDGE_MAX_STREAM_SECONDS", 3600, least=1, most=86_400),
            trusted_hops=trusted_hops,
            otlp_endpoint=environment.text("PARLEY_OTLP_ENDPOINT", ""),
            trace_sample_ratio=environment.number("PARLEY_TRACE_SAMPLE_RATIO", 1, least=0, most=1),
            log_level=environment.choice("PARLEY_LOG_LEVEL", "info", ("debug", "info", "warning", "error")),
            drain_seconds=environment.number("PARLEY_DRAIN_SECONDS", 10, least=0, most=3600),
            tls=TlsFiles.read(environment),
        )

    @property
    def own_host(self) -> str:
        """The address at which the edge reaches itself."""
        return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.host, self.host)  # noqa: S104 - compared, not bound


def _token_issuers(environment: Environment) -> tuple[TokenIssuer, ...]:
    said = environment.text("PARLEY_EDGE_CONFIG_FILE", "")
    own = environment.path("PARLEY_HOME", Path(".parley")) / "parley.toml"
    file = Path(said).expanduser() if said else own if own.exists() else None
    try:
        return read_token_issuers(file, own_issuer=environment.text("PARLEY_TOKEN_ISSUER", "parley"))
    except TokenIssuersError as error:
        raise SettingsError("PARLEY_EDGE_CONFIG_FILE", f"{file}: {error}.") from error


def _addresses(environment: Environment, variable: str, default: str) -> tuple[Address, ...]:
    texts = [text.strip() for text in environment.text(variable, default).split(",")]
    if len(texts) > _MOST_ADDRESSES:
        raise SettingsError(variable, f"{variable} must be {_MOST_ADDRESSES} addresses at most; it is {len(texts)}")
    addresses = tuple(Address.parse(variable, text) for text in texts)
    for address in addresses:
        if addresses.count(address) > 1:
            raise SettingsError(variable, f"{variable} must name each address once; {address} is there twice")
    return addresses


def _listen_address(variable: str, text: str) -> str:
    host = "127.0.0.1" if text == "localhost" else text
    try:
        ip_address(host)
    except ValueError:
        message = f"{variable} must be an IP address of this machine, for example 127.0.0.1 or 0.0.0.0; it is {text!r}"
        raise SettingsError(variable, message) from None
    return host


def _origins(variable: str, text: str) -> tuple[str, ...]:
    origins = tuple(origin.strip() for origin in text.split(",") if origin.strip())
    for origin in origins:
        if not _ORIGIN.fullmatch(origin):
            raise SettingsError(
                variable, f"{variable} must be origins like https://app.example.com; one of them is {origin!r}"
            )
    return origins
