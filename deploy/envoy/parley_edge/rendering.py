"""Fills the edge's template (envoy.yaml) from the settings and the contracts. It decides nothing that the template could say."""

from __future__ import annotations

import base64
import re
import ssl
from collections.abc import Iterable, Mapping, Sequence
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from parley_shared.settings import SettingsError, TlsFiles
from parley_shared.token_issuers import TokenIssuer

from parley_edge import connection_counter, contract, template
from parley_edge.settings import Address, EdgeSettings

_REFETCHED_BEFORE_SECONDS: Final = 5
"""How long before the keys are too old Envoy fetches them again."""

_LEAST_RETRIES: Final = 128
"""How many calls of a service may always be under way for a second time, however few run."""

_OWN_WORDS: Final = "%LOCAL_REPLY_BODY%"
"""What Envoy says of a refusal: where it tells more than we could, as the position of an error in JSON."""

_REFUSALS: Final[Mapping[int, tuple[int, str, str]]] = {
    400: (3, "ERROR_REASON_INVALID_FIELD", _OWN_WORDS),
    403: (7, "ERROR_REASON_TOKEN_INVALID", "The token is for somebody else."),
    404: (5, "ERROR_REASON_RESOURCE_NOT_FOUND", _OWN_WORDS),
    405: (12, "ERROR_REASON_RESOURCE_NOT_FOUND", _OWN_WORDS),
    408: (4, "ERROR_REASON_DEADLINE_EXCEEDED", "The request took too long to arrive."),
    413: (8, "ERROR_REASON_LIMIT_EXCEEDED", "The request is too large."),
    # 8 as for every other limit; OpenAI's and other clients of REST know the status.
    431: (8, "ERROR_REASON_LIMIT_EXCEEDED", "The request has too many headers, or too long ones."),
    429: (8, "ERROR_REASON_LIMIT_EXCEEDED", "Too many calls. Wait as many seconds as the header retry-after says."),
    503: (14, "ERROR_REASON_SERVICE_UNAVAILABLE", "The service that answers this does not answer now. Try again."),
    504: (4, "ERROR_REASON_DEADLINE_EXCEEDED", "The answer took too long."),
}
"""The gRPC code, the reason and the words of what the edge refuses by itself, by HTTP status; shaped as the services' errors are."""

_BEFORE_A_CALL: Final = (400, 408, 431)
"""What may be refused before a request is one: such a refusal has no trace."""

_OVERLOADED: Final = "The server has no memory left for another call. Try again."
_OVERLOADED_SECONDS: Final = 1
"""When who was refused for that comes again."""

_TRACE_ID: Final = "%REQ(X-PARLEY-TRACE-ID)%"

_ALLOWED_HEADERS: Final = (
    "authorization",
    "baggage",
    "cache-control",
    "content-type",
    "grpc-timeout",
    "idempotency-key",
    "last-event-id",
    "mcp-method",
    "mcp-name",
    "mcp-protocol-version",
    "mcp-session-id",
    "parley-time-zone",
    "pragma",
    "traceparent",
    "tracestate",
    "x-grpc-web",
    "x-request-id",
    "x-requested-with",
    "x-user-agent",
    # What OpenAI's clients send from a page. Nothing here reads the last ones; but no wildcard stands for names that begin so.
    "openai-beta",
    "openai-organization",
    "openai-project",
    "user-agent",
    "x-stainless-arch",
    "x-stainless-async",
    "x-stainless-custom-event-handler",
    "x-stainless-custom-poll-interval",
    "x-stainless-helper",
    "x-stainless-helper-method",
    "x-stainless-lang",
    "x-stainless-os",
    "x-stainless-package-version",
    "x-stainless-poll-helper",
    "x-stainless-raw-response",
    "x-stainless-read-timeout",
    "x-stainless-retry-count",
    "x-stainless-runtime",
    "x-stainless-runtime-version",
    "x-stainless-stream-helper",
    "x-stainless-timeout",
)
"""The headers that pages of other origins may send."""

_LOOPBACK: Final = r"https?://(localhost|127\.0\.0\.1|\[::1\])(:[0-9]+)?"
"""The origins of pages that this machine gives out."""

_REST_REQUEST: Final = {
    "or_filter": {
        "filters": [
            # The transcoder has made a gRPC request of it.
            {"header_filter": {"header": {"name": "x-envoy-original-path", "present_match": True}}},
            {
                "header_filter": {
                    "header": {
                        "name": "content-type",
                        "string_match": {"prefix": "application/grpc"},
                        "invert_match": True,
                        "treat_missing_header_as_empty": True,
                    }
                }
            },
        ]
    }
}


def render(settings: EdgeSettings) -> str:
    """Envoy's bootstrap configuration, as YAML."""
    source = (files("parley_edge") / "envoy.yaml").read_text(encoding="utf-8")
    return template.write(template.fill(source, _values(settings)))


def _values(settings: EdgeSettings) -> dict[str, Any]:
    return {
        "host": settings.host,
        "port": settings.port,
        "own_host": settings.own_host,
        "admin_port": settings.admin_port,
        "metrics_address": _socket(settings.metrics) if settings.metrics else None,
        "descriptor_file": str(contract.descriptor_file()),
        "contract_folder": f"{contract.openapi_file().parent}/",
        "rest_services": contract.rest_services(),
        "rest_roots": contract.rest_roots(),
        "stream_switches": _path_matches(path for path in contract.stream_switches() if not contract.is_openai(path)),
        "openai_stream_switches": _path_matches(filter(contract.is_openai, contract.stream_switches())),
        "open_methods": contract.open_methods(),
        "sign_ins": contract.sign_ins(),
        "local_replies": _local_replies(),
        "page_prefix": f"{settings.page}/" if settings.page else None,
        "page_styles": "'self'",
        "access_log": settings.access_log,
        "token_issuer": settings.token_issuer,
        "token_audience": settings.token_audience,
        "foreign_providers": {
            f"issuer-{each.name}": _foreign_provider(each, settings) for each in settings.token_issuers
        },
        "any_provider": _any_provider(settings.token_issuers),
        "jwks_cache_seconds": settings.jwks_seconds + _REFETCHED_BEFORE_SECONDS,
        "allowed_origins": [{"exact": origin} for origin in settings.allowed_origins],
        "allowed_headers": ",".join(_ALLOWED_HEADERS),
        "foreign_origins": _foreign_origins(settings.allowed_origins),
        "max_request_bytes": settings.max_request_bytes,
        "max_upload_bytes": max(settings.max_upload_bytes, settings.max_request_bytes),
        **{
            f"{process}_uploads": [each.path for each in contract.uploads_to(process)]
            for process in contract.UPLOADED_TO
        },
        "rest_uploads": [
            path
            for process in contract.UPLOADED_TO
            for method in contract.uploads_to(process)
            for path in method.rest_paths
        ],
        "user_calls_per_second": settings.user_calls_per_second,
        "user_burst": 2 * settings.user_calls_per_second,
        "address_calls_per_second": settings.address_calls_per_second,
        "address_burst": 2 * settings.address_calls_per_second,
        "sign_ins_per_minute": settings.sign_ins_per_minute,
        "max_streams_per_connection": settings.max_streams_per_connection,
        "max_resets": settings.max_resets,
        "max_header_kib": settings.max_header_kib,
        "max_headers": settings.max_headers,
        "headers_seconds": settings.headers_seconds,
        "request_seconds": settings.request_seconds,
        "idle_connection_seconds": settings.idle_connection_seconds,
        "retry_percent": settings.retry_percent,
        "least_retries": _LEAST_RETRIES,
        "limit_words": _REFUSALS[429][2],
        "max_connections": settings.max_connections,
        "connection_counter": _connection_counter(settings.address_connections),
        "max_calls": settings.max_calls,
        "max_heap_bytes": settings.max_heap_bytes,
        "idle_cut_seconds": f"{settings.stream_idle_seconds + 30:g}",
        "max_stream_seconds": settings.max_stream_seconds,
        "trusted_hops": settings.trusted_hops,
        "trace_parts_per_million": round(settings.trace_sample_ratio * 1_000_000),
        **_collector(settings.otlp_endpoint),
        "version": version("parley-edge"),
        **_service("chat", settings.chat, settings.tls),
        **_service("inference", settings.inference, settings.tls),
        **_service("retrieval", settings.retrieval, settings.tls),
    }


def _connection_counter(limit: int) -> str | None:
    """Envoy's filter that bounds the connections of an address, in base64; None when they are not bounded."""
    return base64.b64encode(connection_counter.module(limit)).decode() if limit else None


def _socket(address: tuple[str, int]) -> dict[str, Any]:
    return {"address": address[0], "port_value": address[1]}


def _foreign_provider(issuer: TokenIssuer, settings: EdgeSettings) -> dict[str, Any]:
    """How Envoy verifies the tokens of an identity provider that the operator trusts."""
    return {
        "issuer": issuer.issuer,
        "audiences": list(issuer.audiences),
        "require_expiration": True,
        "clock_skew_seconds": issuer.clock_skew_seconds,
        "forward": True,
        "from_headers": [{"name": "authorization", "value_prefix": "Bearer "}],
        "claim_to_headers": [{"header_name": "x-parley-user-id", "claim_name": "sub"}],
        "jwt_cache_config": {"jwt_cache_size": 1000},
        "remote_jwks": {
            "http_uri": {
                "uri": f"http://parley-edge/.well-known/issuers/{issuer.name}/jwks.json",
                "cluster": "edge",
                # Chat may have to ask the provider first.
                "timeout": "12s",
            },
            "cache_duration": f"{settings.jwks_seconds + _REFETCHED_BEFORE_SECONDS}s",
            "async_fetch": {"fast_listener": True, "failed_refetch_duration": "2s"},
        },
    }


def _any_provider(issuers: Sequence[TokenIssuer]) -> dict[str, Any]:
    names = ["parley", *(f"issuer-{each.name}" for each in issuers)]
    requirements = [{"provider_name": name} for name in names]
    return {"requires_any": {"requirements": requirements}} if issuers else requirements[0]


def _foreign_origins(allowed: Iterable[str]) -> list[dict[str, Any]]:
    """What the headers of a page's call hold that is neither this machine's nor one that may call."""
    ours = "|".join([_LOOPBACK, *(re.escape(origin) for origin in allowed)])
    return [
        {"name": "origin", "present_match": True},
        {"name": "origin", "string_match": {"safe_regex": {"regex": ours}}, "invert_match": True},
    ]


def _path_matches(paths: Iterable[str]) -> list[dict[str, Any]]:
    return [_path_match(path) for path in paths]


def _path_match(path: str) -> dict[str, Any]:
    """How a route matches a path template: a variable is one segment, without a colon, which would begin a verb."""
    if "{" not in path:
        return {"path": path}
    return {"safe_regex": {"regex": re.sub(r"\\\{\w+\\\}", "[^/:]+", re.escape(path))}}


def _service(process: str, addresses: Sequence[Address], tls: TlsFiles | None) -> dict[str, Any]:
    return {
        f"{process}_addresses": [{"address": address.host, "port_value": address.port} for address in addresses],
        f"{process}_discovery": _discovery(*addresses),
        f"{process}_packages": contract.packages_of(process),
        f"{process}_reads": contract.reads_of(process),
        f"{process}_tls": _mutual_tls(tls, addresses) if tls else None,
    }


def _mutual_tls(files: TlsFiles, addresses: Sequence[Address]) -> dict[str, Any]:
    """How the edge proves itself to a service, whose certificate must be for one of its hosts."""
    hosts = {address.host: "IP_ADDRESS" if address.is_ip else "DNS" for address in addresses}
    return {
        "name": "envoy.transport_sockets.tls",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext",
            "common_tls_context": {
                "alpn_protocols": ["h2"],
                "tls_params": {"tls_minimum_protocol_version": "TLSv1_2", "tls_maximum_protocol_version": "TLSv1_3"},
                "tls_certificates": [
                    {
                        "certificate_chain": {"filename": str(files.certificate)},
                        "private_key": {"filename": str(files.key)},
                    }
                ],
                "validation_context": {
                    "trusted_ca": {"filename": str(files.authorities)},
                    "match_typed_subject_alt_names": [
                        {"san_type": kind, "matcher": {"exact": host}} for host, kind in hosts.items()
                    ],
                },
            },
        },
    }


def _discovery(*addresses: Address) -> str:
    """Names stand for all the addresses that they have at the moment; with them, an IP address stands for itself."""
    return "STATIC" if all(address.is_ip for address in addresses) else "STRICT_DNS"


def _collector(endpoint: str) -> dict[str, Any]:
    """Where spans go; all None when they go nowhere."""
    if not endpoint:
        return {
            "collector_host": None,
            "collector_port": None,
            "collector_discovery": "STATIC",
            "collector_authorities": None,
        }
    variable = "PARLEY_OTLP_ENDPOINT"
    parts = urlsplit(endpoint if "://" in endpoint else f"http://{endpoint}")
    if parts.scheme not in {"http", "https"}:
        raise SettingsError(variable, f"{variable} must be http://host:port or https://host:port; it is {endpoint!r}")
    has_port = ":" in parts.netloc.rpartition("]")[2]
    address = Address.parse(variable, parts.netloc if has_port else f"{parts.netloc}:4317")
    return {
        "collector_host": address.host,
        "collector_port": address.port,
        "collector_discovery": _discovery(address),
        "collector_authorities": _authorities(variable) if parts.scheme == "https" else None,
    }


def _authorities(variable: str) -> str:
    """The system's certificate authorities, which Envoy does not look for by itself."""
    paths = ssl.get_default_verify_paths()
    for file in (paths.cafile, paths.openssl_cafile, "/etc/ssl/certs/ca-certificates.crt"):
        if file and Path(file).is_file():
            return file
    raise SettingsError(
        variable,
        f"{variable} is https, and this system has no file of certificate authorities; SSL_CERT_FILE names one.",
    )


def _local_replies() -> list[dict[str, Any]]:
    missing = {"header_filter": {"header": {"name": "authorization", "present_match": False}}}
    untraced = {"header_filter": {"header": {"name": "x-parley-trace-id", "present_match": False}}}
    # Started while chat is away, the edge has no keys yet: no token is wrong because of that.
    without_keys = _details_hold("Jwks_remote_fetch_is_failed")
    code, reason, words = _REFUSALS[503]
    return [
        *_overload_replies(),
        {**_reply("EQ", 401, code, reason, words, without_keys), "status_code": 503},
        # gRPC makes its status of this one.
        {"filter": without_keys, "status_code": 503, "body_format_override": {"text_format": words}},
        _reply(
            "EQ", 401, 16, "ERROR_REASON_TOKEN_MISSING", "This call needs a token: authorization: Bearer ...", missing
        ),
        _reply("EQ", 401, 16, "ERROR_REASON_TOKEN_EXPIRED", "The token has expired.", _details_hold("Jwt_is_expired")),
        _reply("EQ", 401, 16, "ERROR_REASON_TOKEN_INVALID", "The token is not valid."),
        _reply("EQ", 403, 7, "ERROR_REASON_TOKEN_INVALID", _OWN_WORDS, _details_hold("direct_response")),
        *(_reply("EQ", status, *_REFUSALS[status], untraced, trace_id="") for status in _BEFORE_A_CALL),
        _reply("EQ", 429, *_REFUSALS[429], retry_after=True),
        *(_reply("EQ", status, code, reason, words) for status, (code, reason, words) in _REFUSALS.items()),
        _reply("GE", 400, 13, "ERROR_REASON_INTERNAL", _OWN_WORDS),
    ]


def _overload_replies() -> list[dict[str, Any]]:
    """What is said while there is no memory: before all filters, so that nothing but this knows of gRPC-web, and there is no trace."""
    overloaded = _details_hold("overload")
    headers = {"retry-after": str(_OVERLOADED_SECONDS)}
    grpc_web = {
        "header_filter": {"header": {"name": "content-type", "string_match": {"prefix": "application/grpc-web"}}}
    }
    rest = _reply("EQ", 503, 14, "ERROR_REASON_SERVICE_UNAVAILABLE", _OVERLOADED, overloaded, trace_id="")
    return [
        {
            "filter": {"and_filter": {"filters": [grpc_web, overloaded]}},
            "body_format_override": {"text_format": "", "content_type": "application/grpc-web+proto"},
            "headers_to_add": _headers(headers | {"grpc-status": "14", "grpc-message": _OVERLOADED}),
        },
        {**rest, "headers_to_add": _headers(headers)},
        # gRPC: these words become the message.
        {
            "filter": overloaded,
            "body_format_override": {"text_format": _OVERLOADED},
            "headers_to_add": _headers(headers),
        },
    ]


def _headers(headers: Mapping[str, str]) -> list[dict[str, Any]]:
    return [
        {"header": {"key": name, "value": value}, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}
        for name, value in headers.items()
    ]


def _details_hold(words: str) -> dict[str, Any]:
    """A filter for what Envoy says of a refusal to itself."""
    return {
        "extension_filter": {
            "name": "envoy.access_loggers.extension_filters.cel",
            "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.access_loggers.filters.cel.v3.ExpressionFilter",
                "expression": f"response.code_details.contains('{words}')",
            },
        }
    }


def _reply(
    comparison: str,
    status: int,
    code: int,
    reason: str,
    words: str,
    *conditions: dict[str, Any],
    trace_id: str = _TRACE_ID,
    retry_after: bool = False,
) -> dict[str, Any]:
    # Envoy insists on a runtime key; nothing sets it.
    value = {"default_value": status, "runtime_key": "parley.unused"}
    has_status = {"status_code_filter": {"comparison": {"op": comparison, "value": value}}}
    return {
        "filter": {"and_filter": {"filters": [_REST_REQUEST, has_status, *conditions]}},
        "body_format_override": _error(code, reason, words, trace_id, retry_after=retry_after),
    }


def _error(code: int, reason: str, words: str, trace_id: str, *, retry_after: bool) -> dict[str, Any]:
    """A google.rpc.Status as the transcoder prints those of the services."""
    info: dict[str, Any] = {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": reason, "domain": "parley"}
    if trace_id:
        info["metadata"] = {"trace_id": trace_id}
    details = [info]
    if retry_after:
        wait = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "%RESP(RETRY-AFTER)%s"}
        details.append(wait)
    return {
        "json_format": {"code": code, "message": words, "details": details},
        "content_type": "application/json",
    }
