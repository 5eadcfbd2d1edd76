"""What can go wrong. The words for people are in servicers/status.py.

InferenceError
  ├ ModelNotFoundError          no model of this name is configured, or its provider does not know it
  ├ ModelNotCapableError        the model cannot do this
  ├ GenerationTooLongError      the whole took longer than it may
  └ ProviderError               the provider's side
      ├ ProviderUnavailableError    not reached, failed, or broke off
      ├ ProviderStalledError        silent for too long
      ├ ProviderRateLimitedError    too many calls
      ├ ProviderCredentialsError    refused the credentials
      └ ProviderRejectedError       refused the request as it stands
"""

from __future__ import annotations


class InferenceError(Exception):
    """The root of inference's own errors."""


class ModelNotFoundError(InferenceError):
    """No model of this name or alias is configured."""

    def __init__(self, model: str, *, provider: str = "") -> None:
        super().__init__(f"model {model!r} not found")
        self.model = model
        self.provider = provider
        """Empty when it is not configured; else it is, and this provider does not know it."""


class ModelNotCapableError(InferenceError):
    """The model cannot do what it is asked."""

    def __init__(self, model: str, capability: str) -> None:
        super().__init__(f"model {model!r} cannot {capability}")
        self.model = model
        """Empty when there is no model that could be meant."""
        self.capability = capability
        """`generate` or `embed`."""


class GenerationTooLongError(InferenceError):
    """The whole generation took longer than it may."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"longer than {seconds:g} s")
        self.seconds = seconds


class ProviderError(InferenceError):
    """Something on the provider's side. `detail` is for the log, unless a subclass says otherwise."""

    def __init__(self, provider: str, detail: str = "") -> None:
        super().__init__(f"{provider}: {detail}" if detail else provider)
        self.provider = provider
        self.detail = detail
        """What happened. Bounded, and free of credentials."""


class ProviderUnavailableError(ProviderError):
    """It could not be reached, failed, or broke off."""

    def __init__(self, provider: str, detail: str = "", *, retry_after_seconds: float | None = None) -> None:
        super().__init__(provider, detail)
        self.retry_after_seconds = retry_after_seconds
        """What the provider asked for, or how long it is left alone; None when nobody said."""


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


class ProviderCredentialsError(ProviderError):
    """It refused the credentials that Parley is configured with. Providers repeat parts of keys: `detail` is for the log."""


class ProviderRejectedError(ProviderError):
    """It refused the request as it stands. `detail` may be told to the caller: it says what to change."""


def is_passing(error: InferenceError) -> bool:
    """Whether the provider failed and not the request: another model may do better."""
    return isinstance(error, ProviderUnavailableError | ProviderStalledError | ProviderRateLimitedError)
