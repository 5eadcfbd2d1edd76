"""What the inference service can be told from outside, and the one place that reads it from the environment.

Variables of providers keep the names that their users already know. Which provider takes what is bootstrap's business.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from parley_shared.s3_settings import S3Settings
from parley_shared.settings import Environment, Secret, ServiceSettings, SettingsError

SERVICE = "inference"
DEFAULT_PORT = 50052

_OLLAMA_PORT = 11434
_MOST_NAME = 200
_MOST_NAMES = 100
PREFILLS = ("none", "last", "prefix", "continue")
_CONFIG_FILE = "parley.toml"
_MOST_CHARACTERS = 1_000_000
"""As many as an answer may have that a request asks to go on with."""


_IN_FILE_TOO = {
    "connect_timeout_seconds": "PARLEY_INFERENCE_CONNECT_TIMEOUT_SECONDS",
    "first_token_timeout_seconds": "PARLEY_INFERENCE_FIRST_TOKEN_TIMEOUT_SECONDS",
    "idle_timeout_seconds": "PARLEY_INFERENCE_IDLE_TIMEOUT_SECONDS",
    "total_timeout_seconds": "PARLEY_INFERENCE_TOTAL_TIMEOUT_SECONDS",
    "max_running_calls": "PARLEY_INFERENCE_MAX_RUNNING_CALLS",
    "max_waiting_calls": "PARLEY_INFERENCE_MAX_WAITING_CALLS",
    "max_queue_seconds": "PARLEY_INFERENCE_MAX_QUEUE_SECONDS",
    "max_answer_characters": "PARLEY_INFERENCE_MAX_ANSWER_CHARACTERS",
}
"""The settings that the configuration file may hold as well, with their variables: where both say it, the variable wins."""


class NamedSecrets:
    """Finds the secrets whose variables the configuration file names. Shows none."""

    def __init__(self, environment: Environment) -> None:
        self._environment = environment

    def find(self, variable: str) -> Secret | None:
        """The secret in a variable; None when it is not set. Raises SettingsError for what can be no key."""
        return _key(self._environment, variable)

    def __repr__(self) -> str:
        return "[by name]"


@dataclass(frozen=True)
class InferenceSettings:
    """The settings of one inference process."""

    service: ServiceSettings
    """What every Parley service can be told: home, address, tokens, logs, telemetry."""

    config_file: Path | None
    """`PARLEY_INFERENCE_CONFIG_FILE`: the file of providers, aliases, fallbacks, prices and limits; `parley.toml` in the home, when it is
    there. None: there is none."""

    said: frozenset[str]
    """Which of the settings that the configuration file may hold too the environment says: over these it has no word."""

    secrets: NamedSecrets
    """For the keys whose variables the configuration file names."""

    openai_api_key: Secret | None
    """`OPENAI_API_KEY`: the key of OpenAI, or of the server at `OPENAI_BASE_URL`, which may need none."""

    openai_base_url: str
    """`OPENAI_BASE_URL`: any OpenAI-compatible server, with the path of its version: `http://localhost:8000/v1`. Empty for OpenAI's own."""

    anthropic_api_key: Secret | None
    """`ANTHROPIC_API_KEY`: the key of Anthropic, or of the server at `ANTHROPIC_BASE_URL`, which may need none."""

    anthropic_base_url: str
    """`ANTHROPIC_BASE_URL`: any server that speaks Anthropic's Messages API, without `/v1`. Empty for Anthropic's own."""

    ollama_base_url: str
    """From `OLLAMA_HOST`: Ollama, through its OpenAI-compatible door. Empty when it is not set."""

    model: str
    """`PARLEY_INFERENCE_MODEL`: the default model, `model` or `provider/model`."""

    fast_model: str
    """`PARLEY_INFERENCE_FAST_MODEL`: what the alias `fast` means; the default model when empty."""

    strong_model: str
    """`PARLEY_INFERENCE_STRONG_MODEL`: what the alias `strong` means; the default model when empty."""

    more_models: tuple[str, ...]
    """`PARLEY_INFERENCE_MODELS`: further models that a request may name, separated by commas. At most 100."""

    fallback_models: tuple[str, ...]
    """`PARLEY_INFERENCE_FALLBACK_MODELS`: the models or aliases that go on, in their order, when the one that was asked fails; separated
    by commas. At most 100."""

    embedding_model: str
    """`PARLEY_INFERENCE_EMBEDDING_MODEL`: the default embedding model, also called `embed`. Empty: nothing is embedded."""

    retrieval_jwks_file: Path
    """`PARLEY_INFERENCE_RETRIEVAL_JWKS_FILE`: the public key of retrieval, which embeds on its own account: its tokens are good for calling
    inference and for nothing else. By default `<home>/keys/retrieval.jwks.json`, which retrieval writes."""

    embedding_batch_texts: int
    """`PARLEY_INFERENCE_EMBEDDING_BATCH_TEXTS`: how many texts one call of a provider embeds at most. 1 to 256."""

    embedding_batch_tokens: int
    """`PARLEY_INFERENCE_EMBEDDING_BATCH_TOKENS`: how many tokens, estimated, one call of a provider embeds at most; a longer text goes
    alone. 1 to 1000000."""

    embedding_calls: int
    """`PARLEY_INFERENCE_EMBEDDING_CALLS`: how many calls that embed are under way at once. 1 to 64."""

    embedding_cache_megabytes: int
    """`PARLEY_INFERENCE_EMBEDDING_CACHE_MEGABYTES`: how much memory keeps vectors by the hash of their text. 0 to 65536; 0 keeps none."""

    prefill: str
    """`PARLEY_INFERENCE_PREFILL`: how the server at `OPENAI_BASE_URL` goes on with the beginning of an answer: none, last, prefix or
    continue. Empty: by its host where that is known, else none."""

    connect_timeout_seconds: float
    """`PARLEY_INFERENCE_CONNECT_TIMEOUT_SECONDS`: how long making a connection to a provider may take."""

    first_token_timeout_seconds: float
    """`PARLEY_INFERENCE_FIRST_TOKEN_TIMEOUT_SECONDS`: how long a provider may take until its first token."""

    idle_timeout_seconds: float
    """`PARLEY_INFERENCE_IDLE_TIMEOUT_SECONDS`: how long a provider may be silent between two tokens."""

    total_timeout_seconds: float
    """`PARLEY_INFERENCE_TOTAL_TIMEOUT_SECONDS`: how long one generation may take."""

    max_running_calls: int
    """`PARLEY_INFERENCE_MAX_RUNNING_CALLS`: how many calls of one provider may run at a time; 0 when there is no limit."""

    max_waiting_calls: int
    """`PARLEY_INFERENCE_MAX_WAITING_CALLS`: how many calls of one provider may wait for their turn."""

    max_queue_seconds: float
    """`PARLEY_INFERENCE_MAX_QUEUE_SECONDS`: how long a call may wait for its turn."""

    max_answer_characters: int
    """`PARLEY_INFERENCE_MAX_ANSWER_CHARACTERS`: after how many characters, text and reasoning together, an answer is ended."""

    anthropic_max_tokens: int
    """`PARLEY_INFERENCE_ANTHROPIC_MAX_TOKENS`: how many tokens an answer of Anthropic's may have when a request sets no limit: the API
    insists on one."""

    cache_bytes: int
    """`PARLEY_INFERENCE_CACHE_BYTES`: how much memory answers may take that are kept for requests with `cache_seconds`; 0: none is kept."""

    prices_file: Path | None
    """`PARLEY_INFERENCE_PRICES_FILE`: what the operator's models cost, in TOML. None: only the price of the built-in model is known."""

    agents_folder: Path | None
    """`PARLEY_INFERENCE_AGENTS_FOLDER`: the operator's own agents, one file of TOML for each. None: `agents` in the home, when
    it is there."""

    content_templates_folder: Path | None
    """`PARLEY_INFERENCE_CONTENT_TEMPLATES_FOLDER`: the operator's own templates of content, one file of TOML for each. None:
    `content-templates` in the home, when it is there."""

    offline_tokens_per_second: float
    """`PARLEY_INFERENCE_OFFLINE_TOKENS_PER_SECOND`: how fast the built-in model writes; 0 is as fast as it can."""

    @property
    def has_provider(self) -> bool:
        """Whether the environment configures anybody but the built-in model."""
        return bool(
            self.openai_api_key
            or self.openai_base_url
            or self.anthropic_api_key
            or self.anthropic_base_url
            or self.ollama_base_url
        )

    scoring_folder: Path
    """`PARLEY_INFERENCE_SCORING_FOLDER`: where models that score leads are kept, by default `<home>/inference/scoring`. Several processes
    may share it."""

    scoring_s3: S3Settings | None
    """`PARLEY_INFERENCE_SCORING_S3`: a place in an object store instead, `s3://bucket/folder`. None: they are kept in the folder."""

    scoring_training_seconds: float
    """`PARLEY_INFERENCE_SCORING_TRAINING_SECONDS`: how long the training of one such model may take. 1 to 3600."""

    scoring_memory_megabytes: int
    """`PARLEY_INFERENCE_SCORING_MEMORY_MEGABYTES`: how much memory the process that trains may have, and the one that scores. 512 to
    65536."""

    chat_address: str
    """`PARLEY_CHAT_ADDRESS`: host and port of the chat service, which knows the personal access tokens that were revoked."""

    @classmethod
    def read(cls, environment: Environment) -> InferenceSettings:
        """Reads the settings. Raises SettingsError, naming the variable, for the first that does not fit."""
        service = ServiceSettings.read(environment, service=SERVICE, default_port=DEFAULT_PORT)
        own_file = service.home / _CONFIG_FILE
        settings = cls(
            service=service,
            config_file=_file(environment, "PARLEY_INFERENCE_CONFIG_FILE") or (own_file if own_file.exists() else None),
            said=frozenset(name for name, variable in _IN_FILE_TOO.items() if environment.text(variable, "")),
            secrets=NamedSecrets(environment),
            openai_api_key=_key(environment, "OPENAI_API_KEY"),
            openai_base_url=base_url_of("openai", "OPENAI_BASE_URL", environment.text("OPENAI_BASE_URL", "")),
            anthropic_api_key=_key(environment, "ANTHROPIC_API_KEY"),
            anthropic_base_url=base_url_of(
                "anthropic", "ANTHROPIC_BASE_URL", environment.text("ANTHROPIC_BASE_URL", "")
            ),
            ollama_base_url=base_url_of("ollama", "OLLAMA_HOST", environment.text("OLLAMA_HOST", "")),
            model=_name(environment, "PARLEY_INFERENCE_MODEL"),
            fast_model=_name(environment, "PARLEY_INFERENCE_FAST_MODEL"),
            strong_model=_name(environment, "PARLEY_INFERENCE_STRONG_MODEL"),
            more_models=_names(environment, "PARLEY_INFERENCE_MODELS"),
            fallback_models=_names(environment, "PARLEY_INFERENCE_FALLBACK_MODELS"),
            embedding_model=_name(environment, "PARLEY_INFERENCE_EMBEDDING_MODEL"),
            retrieval_jwks_file=environment.path(
                "PARLEY_INFERENCE_RETRIEVAL_JWKS_FILE", service.home / "keys" / "retrieval.jwks.json"
            ),
            embedding_batch_texts=environment.integer("PARLEY_INFERENCE_EMBEDDING_BATCH_TEXTS", 32, least=1, most=256),
            embedding_batch_tokens=environment.integer(
                "PARLEY_INFERENCE_EMBEDDING_BATCH_TOKENS", 16_000, least=1, most=1_000_000
            ),
            embedding_calls=environment.integer("PARLEY_INFERENCE_EMBEDDING_CALLS", 4, least=1, most=64),
            embedding_cache_megabytes=environment.integer(
                "PARLEY_INFERENCE_EMBEDDING_CACHE_MEGABYTES", 32, least=0, most=65_536
            ),
            prefill=environment.choice("PARLEY_INFERENCE_PREFILL", "", PREFILLS),
            connect_timeout_seconds=environment.number(
                "PARLEY_INFERENCE_CONNECT_TIMEOUT_SECONDS", 5, least=0.05, most=300
            ),
            first_token_timeout_seconds=environment.number(
                "PARLEY_INFERENCE_FIRST_TOKEN_TIMEOUT_SECONDS", 60, least=0.05, most=3600
            ),
            idle_timeout_seconds=environment.number("PARLEY_INFERENCE_IDLE_TIMEOUT_SECONDS", 30, least=0.05, most=3600),
            total_timeout_seconds=environment.number(
                "PARLEY_INFERENCE_TOTAL_TIMEOUT_SECONDS", 900, least=0.05, most=86_400
            ),
            max_running_calls=environment.integer("PARLEY_INFERENCE_MAX_RUNNING_CALLS", 0, least=0, most=10_000),
            max_waiting_calls=environment.integer("PARLEY_INFERENCE_MAX_WAITING_CALLS", 100, least=0, most=10_000),
            max_queue_seconds=environment.number("PARLEY_INFERENCE_MAX_QUEUE_SECONDS", 60, least=0.05, most=3600),
            max_answer_characters=environment.integer(
                "PARLEY_INFERENCE_MAX_ANSWER_CHARACTERS", _MOST_CHARACTERS, least=1, most=_MOST_CHARACTERS
            ),
            anthropic_max_tokens=environment.integer(
                "PARLEY_INFERENCE_ANTHROPIC_MAX_TOKENS", 32_000, least=1, most=1_000_000
            ),
            cache_bytes=environment.integer(
                "PARLEY_INFERENCE_CACHE_BYTES", 64 * 1024 * 1024, least=0, most=16 * 1024**3
            ),
            prices_file=_file(environment, "PARLEY_INFERENCE_PRICES_FILE"),
            agents_folder=_file(environment, "PARLEY_INFERENCE_AGENTS_FOLDER"),
            content_templates_folder=_file(environment, "PARLEY_INFERENCE_CONTENT_TEMPLATES_FOLDER"),
            offline_tokens_per_second=environment.number(
                "PARLEY_INFERENCE_OFFLINE_TOKENS_PER_SECOND", 200, least=0, most=10_000
            ),
            scoring_folder=environment.path("PARLEY_INFERENCE_SCORING_FOLDER", service.home / "inference" / "scoring"),
            scoring_s3=S3Settings.read(environment, "PARLEY_INFERENCE_SCORING_S3"),
            scoring_training_seconds=environment.number(
                "PARLEY_INFERENCE_SCORING_TRAINING_SECONDS", 300, least=1, most=3600
            ),
            scoring_memory_megabytes=environment.integer(
                "PARLEY_INFERENCE_SCORING_MEMORY_MEGABYTES", 1024, least=512, most=65_536
            ),
            chat_address=environment.text("PARLEY_CHAT_ADDRESS", "127.0.0.1:50051"),
        )
        if not settings.has_provider and settings.config_file is None:
            settings.refuse_models_without_provider()
        return settings

    def refuse_models_without_provider(self) -> None:
        """Raises SettingsError when a model is named that nobody would run: the built-in model never stands in for another silently."""
        named = {
            "PARLEY_INFERENCE_MODEL": self.model,
            "PARLEY_INFERENCE_FAST_MODEL": self.fast_model,
            "PARLEY_INFERENCE_STRONG_MODEL": self.strong_model,
            "PARLEY_INFERENCE_MODELS": ", ".join(self.more_models),
            "PARLEY_INFERENCE_FALLBACK_MODELS": ", ".join(self.fallback_models),
            "PARLEY_INFERENCE_EMBEDDING_MODEL": self.embedding_model,
        }
        for variable, value in named.items():
            if value:
                raise SettingsError(
                    variable,
                    f"{variable} names a model and no provider is configured to run it. "
                    "Set OPENAI_API_KEY, OPENAI_BASE_URL, ANTHROPIC_API_KEY, ANTHROPIC_BASE_URL or OLLAMA_HOST.",
                )


def base_url_of(kind: str, name: str, given: str) -> str:
    """Where the server of a provider of this kind begins: `openai`, `anthropic` or `ollama`; empty when nothing is given.

    Raises SettingsError with the name of what holds it.
    """
    if kind == "ollama":
        return _ollama_url(name, given)
    if kind == "anthropic":
        # Its users write it without the version, and some with it.
        return _url(name, given, like="http://localhost:8000").removesuffix("/v1")
    return _url(name, given)


def _key(environment: Environment, name: str) -> Secret | None:
    key = environment.secret(name)
    if key is not None and not (key.reveal().isascii() and key.reveal().isprintable() and " " not in key.reveal()):
        raise SettingsError(name, f"{name} holds characters that no key has.")
    return key


def _name(environment: Environment, variable: str) -> str:
    name = environment.text(variable, "")
    if len(name) > _MOST_NAME or not name.isprintable():
        raise SettingsError(variable, f"{variable} must be the name of a model, of at most {_MOST_NAME} characters.")
    return name


def _names(environment: Environment, variable: str) -> tuple[str, ...]:
    names = tuple(name.strip() for name in environment.text(variable, "").split(",") if name.strip())
    if len(names) > _MOST_NAMES or any(len(name) > _MOST_NAME or not name.isprintable() for name in names):
        raise SettingsError(variable, f"{variable} must be at most {_MOST_NAMES} names of models, separated by commas.")
    return names


def _file(environment: Environment, variable: str) -> Path | None:
    return environment.path(variable, Path()) if environment.text(variable, "") else None


def _url(variable: str, given: str, *, like: str = "http://localhost:8000/v1") -> str:
    """A base URL without a slash at its end. Raises SettingsError; the value is not repeated: it may hold a password."""
    if not given:
        return ""
    try:
        parts = urlsplit(given)
        usable = parts.scheme in {"http", "https"} and parts.hostname and (parts.port is None or parts.port > 0)
    except ValueError:
        usable = False
    if not usable or parts.username or parts.password or parts.query or parts.fragment or not given.isprintable():
        raise SettingsError(variable, f"{variable} must be the URL of a server, like {like}, without user or query.")
    return given.rstrip("/")


def _ollama_url(name: str, given: str) -> str:
    """What OLLAMA_HOST means: a URL, or a host with or without a port. Ollama's own server reads it too, as the address to listen on."""
    if not given:
        return ""
    has_scheme = "://" in given
    url = _url(name, given if has_scheme else f"http://{given}")
    parts = urlsplit(url)
    host = parts.hostname or ""
    if host in {"0.0.0.0", "::"}:  # noqa: S104 - "listen everywhere" is no place to connect to
        host = "127.0.0.1"
    port = parts.port or (_OLLAMA_PORT if parts.scheme == "http" else 443)
    shown = f"[{host}]" if ":" in host else host
    path = parts.path.rstrip("/").removesuffix("/v1")
    return f"{parts.scheme}://{shown}:{port}{path}/v1"
