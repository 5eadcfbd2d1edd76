"""What can go wrong in a conversation. The words for people are in servicers/status.py, except a Failure's, which is data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from parley_chat.domain.conversation import Failure
from parley_chat.domain.tool_approvals import ApprovalState


class ChatError(Exception):
    """The root of chat's own errors."""


class NotFoundError(ChatError):
    """The thing does not exist, or is another user's."""

    def __init__(self, resource: str) -> None:
        super().__init__(f"{resource} not found")
        self.resource = resource
        """`session`, `message`, `turn`, `task` or `project`, for example."""


class ClientMessageIdReusedError(ChatError):
    """The name belongs to a turn that was asked something else."""

    def __init__(self, turn_id: str) -> None:
        super().__init__("client_message_id reused")
        self.turn_id = turn_id


class TurnLogExpiredError(ChatError):
    """The turn ended and its events are no longer kept."""

    def __init__(self, turn_id: str) -> None:
        super().__init__("turn log expired")
        self.turn_id = turn_id


class TooManyTurnsError(ChatError):
    """The user, or the process, runs as many turns as it may."""

    def __init__(self, limit: int) -> None:
        super().__init__("too many running turns")
        self.limit = limit


class DrainingError(ChatError):
    """The process is about to end and starts nothing new."""


class TurnFailedError(ChatError):
    """The turn ended in failure. Raised to who waits for its answer."""

    def __init__(self, turn_id: str, failure: Failure) -> None:
        super().__init__(failure.message)
        self.turn_id = turn_id
        self.failure = failure


class TurnStoppedError(ChatError):
    """The turn was stopped. Raised to who waits for its answer."""

    def __init__(self, turn_id: str) -> None:
        super().__init__("turn stopped")
        self.turn_id = turn_id


class GenerationError(ChatError):
    """The model could not answer, or broke off; or inference refused the request."""

    def __init__(
        self,
        failure: Failure,
        *,
        metadata: Mapping[str, str] = MappingProxyType({}),
        violations: Sequence[tuple[str, str]] = (),
        retry_after_seconds: float | None = None,
    ) -> None:
        super().__init__(failure.message)
        self.failure = failure
        self.metadata = dict(metadata)
        """The facts that belong to the reason."""
        self.violations = tuple(violations)
        """Fields and what is wrong with them, as inference names them."""
        self.retry_after_seconds = retry_after_seconds
        """When the same may succeed; None when inference does not say."""


class InferenceUnreachableError(GenerationError):
    """Inference could not be reached, or its process ended: nothing is known of the model, and another try may find it."""


class KnowledgeUnavailableError(ChatError):
    """The knowledge base did not answer."""


class ApprovalClosedError(ChatError):
    """The call of a tool was decided otherwise, or its user is no longer asked."""

    def __init__(self, state: ApprovalState) -> None:
        super().__init__(f"approval closed: {state.value}")
        self.state = state


class ToolScopeMissingError(ChatError):
    """A token that may not use a tool itself cannot let a model use it."""

    def __init__(self, scope: str) -> None:
        super().__init__(f"scope missing: {scope}")
        self.scope = scope


class ToolArgumentsError(ChatError):
    """The arguments of a tool do not fit it."""

    def __init__(self, violations: Sequence[tuple[str, str]]) -> None:
        super().__init__("arguments do not fit")
        self.violations = tuple(violations)
        """Fields, and what each must be."""
