"""What the chat service can be told from outside, and the one place that reads it from the environment.

Not the settings of a model or of the vector store: those belong to inference and retrieval.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from parley_shared.settings import Environment, ServiceSettings, SettingsError
from parley_shared.sql import default_database_url

SERVICE = "chat"
DEFAULT_PORT = 50051

_MINUTE = 60
_HOUR = 60 * _MINUTE
_DAY = 24 * _HOUR
_MOST_TOOL_NAMES = 100
_TRACE_URL = "PARLEY_CHAT_TRACE_URL"
_TRACE_ID = "{trace_id}"
_MOST_TRACE_URL = 500
_URL_CHARACTERS = re.compile(r"[A-Za-z0-9\-._~:/?#\[\]@!$&'()*+,;=%]+")


_CONFIG_FILE = "parley.toml"


class NamedVariables:
    """Finds the variables that the configuration file names. Shows none: they may hold secrets."""

    def __init__(self, environment: Environment) -> None:
        self._environment = environment

    def find(self, name: str) -> str | None:
        """The value of a variable, without blanks around it; None when it is not set or empty."""
        found = self._environment.secret(name)
        return found.reveal() if found else None

    def __repr__(self) -> str:
        return "[by name]"


_MOST_LIMIT = 1_000_000_000_000
_BUDGET_ZONE = "PARLEY_CHAT_BUDGET_TIME_ZONE"


@dataclass(frozen=True)
class BudgetSettings:
    """What one user may spend at most. 0, the default of each, is no limit."""

    day_cost_usd_micros: int
    """`PARLEY_CHAT_BUDGET_DAY_COST_USD_MICROS`: cost of a day, millionths of a US dollar. 0 to 1000000000000."""

    day_tokens: int
    """`PARLEY_CHAT_BUDGET_DAY_TOKENS`: tokens of a day, read and written. 0 to 1000000000000."""

    month_cost_usd_micros: int
    """`PARLEY_CHAT_BUDGET_MONTH_COST_USD_MICROS`: cost of a month. 0 to 1000000000000."""

    month_tokens: int
    """`PARLEY_CHAT_BUDGET_MONTH_TOKENS`: tokens of a month. 0 to 1000000000000."""

    total_cost_usd_micros: int
    """`PARLEY_CHAT_BUDGET_TOTAL_COST_USD_MICROS`: cost for good. 0 to 1000000000000."""

    total_tokens: int
    """`PARLEY_CHAT_BUDGET_TOTAL_TOKENS`: tokens for good. 0 to 1000000000000."""

    time_zone: str
    """`PARLEY_CHAT_BUDGET_TIME_BUDGET_ZONE`: where these days and months begin, an IANA name."""

    @classmethod
    def read(cls, environment: Environment) -> BudgetSettings:
        """Reads them. Raises SettingsError."""
        time_zone = environment.text(_BUDGET_ZONE, "UTC")
        try:
            ZoneInfo(time_zone)
        except (KeyError, ValueError, OSError):
            words = f"{_BUDGET_ZONE}: must be the name of a time zone, like Europe/Berlin."
            raise SettingsError(_BUDGET_ZONE, words) from None

        def limit(name: str) -> int:
            return environment.integer(name, 0, least=0, most=_MOST_LIMIT)

        return cls(
            day_cost_usd_micros=limit("PARLEY_CHAT_BUDGET_DAY_COST_USD_MICROS"),
            day_tokens=limit("PARLEY_CHAT_BUDGET_DAY_TOKENS"),
            month_cost_usd_micros=limit("PARLEY_CHAT_BUDGET_MONTH_COST_USD_MICROS"),
            month_tokens=limit("PARLEY_CHAT_BUDGET_MONTH_TOKENS"),
            total_cost_usd_micros=limit("PARLEY_CHAT_BUDGET_TOTAL_COST_USD_MICROS"),
            total_tokens=limit("PARLEY_CHAT_BUDGET_TOTAL_TOKENS"),
            time_zone=time_zone,
        )


@dataclass(frozen=True)
class ChatSettings:
    """The settings of one chat process."""

    service: ServiceSettings
    """What every Parley service can be told: home, address, tokens, logs, telemetry."""

    database_url: str = field(repr=False)  # It may hold a password.
    """`PARLEY_CHAT_DATABASE_URL`: `sqlite:///path` or `postgresql://user:password@host/name`; by default a file in the
    home folder."""

    config_file: Path | None
    """`PARLEY_CHAT_CONFIG_FILE`: the file whose tables `[mcp.servers.NAME]` name MCP servers; `parley.toml` in the home, when it is
    there."""

    variables: NamedVariables = field(compare=False)
    """For the variables that the configuration file names."""

    keys_folder: Path
    """`PARLEY_CHAT_KEYS_FOLDER`: where the private signing key and the local user's password are kept, by default
    `<home>/keys`. Made with mode 0700 at first run."""

    inference_address: str
    """`PARLEY_INFERENCE_ADDRESS`: host and port of the inference service."""

    retrieval_address: str
    """`PARLEY_RETRIEVAL_ADDRESS`: host and port of the retrieval service."""

    edge_spans_address: str
    """`PARLEY_CHAT_EDGE_SPANS_ADDRESS`: host and port at which the edge's spans are taken, as OTLP over gRPC and without a token: only
    the edge may reach it. Empty, the default: traces begin at chat."""

    trace_url: str
    """`PARLEY_CHAT_TRACE_URL`: where your trace backend shows a trace, for the page: an http(s) URL with `{trace_id}` where the 32 digits
    belong. At most 500 characters. Empty, the default: nowhere."""

    turn_log_folder: Path
    """`PARLEY_CHAT_TURN_LOG_FOLDER`: where the events of turns are kept while they can be resumed, by default
    `<home>/chat/turns`."""

    redis_url: str = field(repr=False)  # It may hold a password.
    """`PARLEY_CHAT_REDIS_URL`: `redis://host:port/database` or `rediss://…`: where several replicas keep the events of turns
    together. Empty, the default: one process keeps them in its folder."""

    access_token_seconds: int
    """`PARLEY_CHAT_ACCESS_TOKEN_SECONDS`: how long an access token from a sign-in lives. 60 seconds to 1 day."""

    refresh_token_seconds: int
    """`PARLEY_CHAT_REFRESH_TOKEN_SECONDS`: how long a refresh token lives unused. 5 minutes to 366 days."""

    audit_retention_days: int
    """`PARLEY_CHAT_AUDIT_RETENTION_DAYS`: how long the audit trail keeps what was done. 1 to 3650."""

    sign_up_open: bool
    """`PARLEY_CHAT_SIGN_UP`: whether anybody may make an account. Those who have one can always sign in."""

    local_user: bool
    """`PARLEY_CHAT_LOCAL_USER`: whether the first run makes an account for the person at this computer, its password
    in `<keys folder>/local-user.json`."""

    max_running_turns_per_user: int
    """`PARLEY_CHAT_MAX_RUNNING_TURNS_PER_USER`: how many turns one user may have running at once, texts without a session among them.
    1 to 1000."""

    max_running_turns: int
    """`PARLEY_CHAT_MAX_RUNNING_TURNS`: how many turns this process runs at once, texts without a session among them. 1 to 100000."""

    turn_log_retention_seconds: int
    """`PARLEY_CHAT_TURN_LOG_RETENTION_SECONDS`: how long the events of a turn can be resumed after its end. 1 second to
    7 days."""

    max_turn_seconds: int
    """`PARLEY_CHAT_MAX_TURN_SECONDS`: how long a turn may run before it fails, and a text without a session. 1 second to 1 day."""

    queue_seconds: int
    """`PARLEY_CHAT_QUEUE_SECONDS`: how long an answer waits at most when no model can be reached and its request says that it may wait.
    1 second to 1 day."""

    lease_seconds: float
    """`PARLEY_CHAT_LEASE_SECONDS`: how long after the last sign of life of another replica its turns are taken over. 0.5 to 60."""

    history_tokens: int
    """`PARLEY_CHAT_HISTORY_TOKENS`: how much of the earlier conversation a model is told, estimated tokens. 0 to 1000000."""

    passages: int
    """`PARLEY_CHAT_PASSAGES`: how many passages a model is given at most. 1 to 20."""

    search_seconds: float
    """`PARLEY_CHAT_SEARCH_SECONDS`: after how long an answer is given without context. 0.05 to 60."""

    inference_patience_seconds: float
    """`PARLEY_CHAT_INFERENCE_PATIENCE_SECONDS`: how long an answer tries inference again without progress before it fails.
    0 to 3600."""

    tool_rounds: int
    """`PARLEY_CHAT_TOOL_ROUNDS`: how often a model may call tools for one answer; each time it may call several. 0, no tools, to 50."""

    tool_seconds: float
    """`PARLEY_CHAT_TOOL_SECONDS`: how long one call of a tool may run. 0.1 to 600."""

    tools_ask: tuple[str, ...]
    """`PARLEY_CHAT_TOOLS_ASK`: which calls of tools wait for the user: names of tools and effects (`read`, `write`, `delete`,
    `external`), with commas between; `none` for none. At most 100."""

    approval_seconds: int
    """`PARLEY_CHAT_APPROVAL_SECONDS`: how long a call of a tool waits for the user's decision. 1 second to 5 days."""

    suggestion_seconds: float
    """`PARLEY_CHAT_SUGGESTION_SECONDS`: how long a model may take to suggest what to say next; without it, and after it, suggestions
    are made without a model. 0, which asks no model, to 30."""

    batch_places: int
    """`PARLEY_CHAT_BATCH_PLACES`: how many lines of batches this process has written at once, beside its answers. 0, which leaves them to
    other processes, to 1000."""

    batch_attempts: int
    """`PARLEY_CHAT_BATCH_ATTEMPTS`: how often a line of a batch is tried before it has failed. 1 to 100."""

    batch_lease_seconds: float
    """`PARLEY_CHAT_BATCH_LEASE_SECONDS`: how long after the last sign of life of another process its lines are taken over. 1 to 600."""

    batch_lines: int
    """`PARLEY_CHAT_BATCH_LINES`: how many lines a batch may have. 1 to 1000000."""

    batch_line_bytes: int
    """`PARLEY_CHAT_BATCH_LINE_BYTES`: how long a line of a batch may be. 1000 to 2000000."""

    batch_bytes: int
    """`PARLEY_CHAT_BATCH_BYTES`: how long a batch may be. 1000 to 1000000000."""

    batch_retention_days: int
    """`PARLEY_CHAT_BATCH_RETENTION_DAYS`: how long a batch is kept after its end. 1 to 3650."""

    max_batches_per_user: int
    """`PARLEY_CHAT_MAX_BATCHES_PER_USER`: how many batches a user may keep, ended ones included. 1 to 100000."""

    title_seconds: float
    """`PARLEY_CHAT_TITLE_SECONDS`: how long a model may take to name a session after its first answer; without it, and after it, the
    session is called as its first message begins. 0, which asks no model, to 120."""

    budgets: BudgetSettings
    """What each user may spend at most, as the operator sets it."""

    secrets_key: str = field(repr=False)
    """`PARLEY_CHAT_SECRETS_KEY`: what secrets of users in the database are sealed with, keys of webhooks and passwords of calendars: 32
    bytes in base64; several with commas between, of which the first seals and all open. Empty, the default: it is derived from the signing
    key."""

    outbound_private_addresses: bool
    """`PARLEY_CHAT_OUTBOUND_PRIVATE_ADDRESSES`: whether calendars and webhooks may be at private addresses and at this machine's own, and
    speak http."""

    calendar_sync_seconds: int
    """`PARLEY_CHAT_CALENDAR_SYNC_SECONDS`: how long after the last synchronization of a calendar account the next one is due. 60 seconds to
    1 day."""

    flags: str
    """`PARLEY_CHAT_FLAGS`: the operator's feature flags, which administrators override: `name=on`, `name=off` or `name=25` (percent), with
    a value after a colon where there is one, and commas between. At most 200."""

    calendar_syncs_at_once: int
    """`PARLEY_CHAT_CALENDAR_SYNCS_AT_ONCE`: how many calendar accounts this process synchronizes at once. 1 to 64."""

    @classmethod
    def read(cls, environment: Environment) -> ChatSettings:
        """Reads the settings. Raises SettingsError, naming the variable, for the first that is out of its bounds."""
        service = ServiceSettings.read(environment, service=SERVICE, default_port=DEFAULT_PORT)
        own_file = service.home / _CONFIG_FILE
        said_file = environment.text("PARLEY_CHAT_CONFIG_FILE", "")
        return cls(
            service=service,
            config_file=Path(said_file).expanduser() if said_file else own_file if own_file.exists() else None,
            variables=NamedVariables(environment),
            database_url=environment.text("PARLEY_CHAT_DATABASE_URL", default_database_url(service.home, SERVICE)),
            keys_folder=environment.path("PARLEY_CHAT_KEYS_FOLDER", service.home / "keys"),
            inference_address=environment.text("PARLEY_INFERENCE_ADDRESS", "127.0.0.1:50052"),
            retrieval_address=environment.text("PARLEY_RETRIEVAL_ADDRESS", "127.0.0.1:50053"),
            edge_spans_address=environment.text("PARLEY_CHAT_EDGE_SPANS_ADDRESS", ""),
            trace_url=_trace_url(environment.text(_TRACE_URL, "")),
            turn_log_folder=environment.path("PARLEY_CHAT_TURN_LOG_FOLDER", service.home / "chat" / "turns"),
            redis_url=environment.text("PARLEY_CHAT_REDIS_URL", ""),
            access_token_seconds=environment.integer(
                "PARLEY_CHAT_ACCESS_TOKEN_SECONDS", 15 * _MINUTE, least=_MINUTE, most=_DAY
            ),
            refresh_token_seconds=environment.integer(
                "PARLEY_CHAT_REFRESH_TOKEN_SECONDS", 30 * _DAY, least=5 * _MINUTE, most=366 * _DAY
            ),
            audit_retention_days=environment.integer("PARLEY_CHAT_AUDIT_RETENTION_DAYS", 365, least=1, most=3650),
            sign_up_open=environment.flag("PARLEY_CHAT_SIGN_UP", True),
            local_user=environment.flag("PARLEY_CHAT_LOCAL_USER", True),
            max_running_turns_per_user=environment.integer(
                "PARLEY_CHAT_MAX_RUNNING_TURNS_PER_USER", 8, least=1, most=1000
            ),
            max_running_turns=environment.integer("PARLEY_CHAT_MAX_RUNNING_TURNS", 500, least=1, most=100_000),
            turn_log_retention_seconds=environment.integer(
                "PARLEY_CHAT_TURN_LOG_RETENTION_SECONDS", _HOUR, least=1, most=7 * _DAY
            ),
            queue_seconds=environment.integer("PARLEY_CHAT_QUEUE_SECONDS", _DAY, least=1, most=_DAY),
            lease_seconds=environment.number("PARLEY_CHAT_LEASE_SECONDS", 2.0, least=0.5, most=60.0),
            history_tokens=environment.integer("PARLEY_CHAT_HISTORY_TOKENS", 6000, least=0, most=1_000_000),
            passages=environment.integer("PARLEY_CHAT_PASSAGES", 6, least=1, most=20),
            search_seconds=environment.number("PARLEY_CHAT_SEARCH_SECONDS", 3.0, least=0.05, most=60.0),
            inference_patience_seconds=environment.number(
                "PARLEY_CHAT_INFERENCE_PATIENCE_SECONDS", 20.0, least=0.0, most=3600.0
            ),
            tool_rounds=environment.integer("PARLEY_CHAT_TOOL_ROUNDS", 8, least=0, most=50),
            tool_seconds=environment.number("PARLEY_CHAT_TOOL_SECONDS", 30.0, least=0.1, most=600.0),
            tools_ask=_tools_ask(environment.text("PARLEY_CHAT_TOOLS_ASK", "delete,external")),
            approval_seconds=environment.integer("PARLEY_CHAT_APPROVAL_SECONDS", _DAY, least=1, most=5 * _DAY),
            suggestion_seconds=environment.number("PARLEY_CHAT_SUGGESTION_SECONDS", 2.0, least=0.0, most=30.0),
            batch_places=environment.integer("PARLEY_CHAT_BATCH_PLACES", 4, least=0, most=1000),
            batch_attempts=environment.integer("PARLEY_CHAT_BATCH_ATTEMPTS", 10, least=1, most=100),
            batch_lease_seconds=environment.number("PARLEY_CHAT_BATCH_LEASE_SECONDS", 15.0, least=1.0, most=600.0),
            batch_lines=environment.integer("PARLEY_CHAT_BATCH_LINES", 50_000, least=1, most=1_000_000),
            batch_line_bytes=environment.integer("PARLEY_CHAT_BATCH_LINE_BYTES", 256_000, least=1000, most=2_000_000),
            batch_bytes=environment.integer("PARLEY_CHAT_BATCH_BYTES", 100_000_000, least=1000, most=1_000_000_000),
            batch_retention_days=environment.integer("PARLEY_CHAT_BATCH_RETENTION_DAYS", 30, least=1, most=3650),
            max_batches_per_user=environment.integer("PARLEY_CHAT_MAX_BATCHES_PER_USER", 100, least=1, most=100_000),
            title_seconds=environment.number("PARLEY_CHAT_TITLE_SECONDS", 20.0, least=0.0, most=120.0),
            budgets=BudgetSettings.read(environment),
            secrets_key=environment.text("PARLEY_CHAT_SECRETS_KEY", ""),
            flags=environment.text("PARLEY_CHAT_FLAGS", ""),
            calendar_sync_seconds=environment.integer(
                "PARLEY_CHAT_CALENDAR_SYNC_SECONDS", 15 * _MINUTE, least=_MINUTE, most=_DAY
            ),
            calendar_syncs_at_once=environment.integer("PARLEY_CHAT_CALENDAR_SYNCS_AT_ONCE", 4, least=1, most=64),
            outbound_private_addresses=environment.flag("PARLEY_CHAT_OUTBOUND_PRIVATE_ADDRESSES", False),
            max_turn_seconds=environment.integer("PARLEY_CHAT_MAX_TURN_SECONDS", 15 * _MINUTE, least=1, most=_DAY),
        )


def _trace_url(written: str) -> str:
    """Checks the template of a trace's address: the page makes links of it."""
    before, placeholder, after = written.partition(_TRACE_ID)
    try:
        parts = urlsplit(f"{before}{'0' * 32}{after}")
        is_right = parts.scheme in {"http", "https"} and bool(parts.hostname) and "@" not in parts.netloc
        # A placeholder in the host would ask another one for each trace.
        is_right = is_right and urlsplit(before).netloc == parts.netloc
        parts.port  # noqa: B018 - reading it checks it
    except ValueError:
        is_right = False
    if written and not (
        is_right and placeholder and len(written) <= _MOST_TRACE_URL and _URL_CHARACTERS.fullmatch(before + after)
    ):
        words = f"{_TRACE_URL} must be an http(s) URL of at most {_MOST_TRACE_URL} characters with one {_TRACE_ID} in its path or query."
        raise SettingsError(_TRACE_URL, words)
    return written


def _tools_ask(written: str) -> tuple[str, ...]:
    """Reads names and effects."""
    names = [name.strip() for name in written.split(",") if name.strip()]
    if names == ["none"]:
        return ()
    if len(names) > _MOST_TOOL_NAMES or any(not re.fullmatch(r"[A-Za-z0-9_.-]{1,64}", name) for name in names):
        words = (
            f"PARLEY_CHAT_TOOLS_ASK: at most {_MOST_TOOL_NAMES} names of tools and effects (read, write, delete, external) with commas "
            "between, or none."
        )
        raise SettingsError("PARLEY_CHAT_TOOLS_ASK", words)
    return tuple(sorted(set(names)))
