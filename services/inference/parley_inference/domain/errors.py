"""What can go wrong. The words for people are in servicers/status.py.

InferenceError
  ├ ModelNotFoundError          no model of this name is configured, or its provider does not know it
  ├ ModelNotCapableError        the model cannot do this
  ├ PromptTooLongError          the prompt does not fit into the model's window
  ├ GenerationTooLongError      the whole took longer than it may
  ├ AgentNotFoundError          there is no agent of this name
  ├ TemplateNotFoundError       there is no template of content of this name
  ├ ContentFieldsError          values do not fit their template
  ├ ResponseSchemaUnmetError    the answer does not satisfy the schema, nor does its repair
  ├ EmbeddingsTooLargeError     so many vectors do not fit into one answer
  └ ProviderError               the provider's side
      ├ ProviderUnavailableError    not reached, failed, or broke off
      ├ ProviderStalledError        silent for too long
      ├ ProviderRateLimitedError    too many calls
      ├ ProviderQuotaError          the operator's account has no credit left
      ├ ProviderQueueFullError      as many calls run and wait here as may
      ├ ProviderCredentialsError    refused the credentials
      └ ProviderRejectedError       refused the request as it stands
"""

from __future__ import annotations

from collections.abc import Sequence


class InferenceError(Exception):
    """The root of inference's own errors."""


class ModelNotFoundError(InferenceError):
    """No model of this name or alias is configured."""

    def __init__(self, model: str, *, provider: str = "", nearest: Sequence[str] = (), advice: str = "") -> None:
        super().__init__(f"model {model!r} not found")
        self.model = model
        self.provider = provider
        """Empty when it is not configured; else it is, and this provider does not know it."""
        self.nearest = tuple(nearest)
        """Names there are that look like it, the nearest first."""
        self.advice = advice
        """What to do, in a sentence for people; empty when there is nothing to say."""


class ModelNotCapableError(InferenceError):
    """The model cannot do what it is asked."""

    def __init__(self, model: str, capability: str) -> None:
        super().__init__(f"model {model!r} cannot {capability}")
        self.model = model
        """Empty when there is no model that could be meant."""
        self.capability = capability
        """`generate`, `embed`, `images` or `structured_output`."""


class PromptTooLongError(InferenceError):
    """The prompt does not fit into the model's context window."""

    def __init__(self, tokens: int, limit: int) -> None:
        super().__init__(f"{tokens or 'too many'} tokens, {limit or 'fewer'} fit")
        self.tokens = tokens
        """What the prompt has, estimated here or counted by the provider; 0 when nobody says."""
        self.limit = limit
        """What the window has; 0 when nobody says."""


class GenerationTooLongError(InferenceError):
    """The whole generation took longer than it may."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"longer than {seconds:g} s")
        self.seconds = seconds


class ResponseSchemaUnmetError(InferenceError):
    """What the model wrote does not satisfy the schema of the request."""

    def __init__(self, path: str) -> None:
        super().__init__(f"the answer does not satisfy the schema at {path}")
        self.path = path
        """The first place that does not, in JSONPath. Holds no words of the answer."""


class EmbeddingsTooLargeError(InferenceError):
    """So many vectors of this model do not fit into one answer."""

    def __init__(self, most: int, dimensions: int) -> None:
        super().__init__(f"more than {most} vectors of {dimensions} components")
        self.most = most
        """How many texts one request may have."""
        self.dimensions = dimensions


class AgentNotFoundError(InferenceError):
    """There is no agent of this name."""

    def __init__(self, agent_id: str, nearest: Sequence[str]) -> None:
        super().__init__(f"agent {agent_id!r} not found")
        self.agent_id = agent_id
        self.nearest = nearest
        """Those that may be meant, the likeliest first."""


class TemplateNotFoundError(InferenceError):
    """There is no template of content of this name."""

    def __init__(self, template_id: str, nearest: Sequence[str]) -> None:
        super().__init__(f"template {template_id!r} not found")
        self.template_id = template_id
        self.nearest = nearest
        """Those that may be meant, the likeliest first."""


class ContentFieldsError(InferenceError):
    """Values do not fit their template, or the caller's own template is none."""

    def __init__(self, problems: Sequence[tuple[str, str]]) -> None:
        super().__init__("; ".join(f"{field} {problem}" for field, problem in problems))
        self.problems = problems
        """Each wrong field as the contract names it (`fields.tone`), and what it must be, which goes on from its name."""


class ProviderError(InferenceError):
    """Something on the provider's side. `detail` is for the log, unless a subclass says otherwise."""

    def __init__(self, provider: str, detail: str = "") -> None:
        super().__init__(f"{provider}: {detail}" if detail else provider)
        self.provider = provider
        self.detail = detail
        """What happened. Bounded, and free of credentials."""


class ProviderUnavailableError(ProviderError):
    """It could not be reached, failed, or broke off."""

    def __init__(
        self, provider: str, detail: str = "", *, retry_after_seconds: float | None = None, advice: str = ""
    ) -> None:
        super().__init__(provider, detail)
        self.retry_after_seconds = retry_after_seconds
        """What the provider asked for, or how long it is left alone; None when nobody said."""
        self.advice = advice
        """What to do, in a sentence for people; empty when there is nothing to say."""


class ProviderStalledError(ProviderError):
    """It sent nothing for longer than it may."""

    def __init__(self, provider: str, seconds: float) -> None:
        super().__init__(provider, f"silent for {seconds:g} s")
        self.seconds = seconds


class ProviderRateLimitedError(ProviderError):
    """It limits the rate of calls."""

    def __init__(self, provider: str, detail: str = "", *, retry_after_seconds: float | None = None) -> None:
        super().__init__(provider, detail)
        self.retry_after_seconds = retry_after_seconds
        """What the provider asked for; None when it did not say."""


class ProviderQuotaError(ProviderError):
    """The operator's account there has no credit left. Waiting does not help."""


class ProviderQueueFullError(ProviderError):
    """As many calls of it run and wait here as may, or the turn did not come in time. It was not asked."""


class ProviderCredentialsError(ProviderError):
    """It refused the credentials that Parley is configured with. Providers repeat parts of keys: `detail` is for the log."""


class ProviderRejectedError(ProviderError):
    """It refused the request as it stands. `detail` may be told to the caller: it says what to change."""


def is_passing(error: InferenceError) -> bool:
    """Whether the provider failed and not the request: another model may do better."""
    return isinstance(
        error,
        ProviderUnavailableError
        | ProviderStalledError
        | ProviderRateLimitedError
        | ProviderQuotaError
        | ProviderQueueFullError,
    )
