"""A typed client for Parley: streams that resume, retries, errors with reasons.

`Parley.connect` is where it begins. Answers are the contract's own generated messages; events of a turn are small values that `match`
takes apart; errors are one class for each gRPC status (the table is in `parley_client.errors`).
"""

from __future__ import annotations

from parley_client.address import AddressError
from parley_client.backoff import Backoff
from parley_client.client import Parley, new_client_message_id
from parley_client.connection import SideName
from parley_client.errors import (
    AbortedError,
    AlreadyExistsError,
    CallCancelledError,
    ClientClosedError,
    DataLossError,
    DeadlineExceededError,
    FailedPreconditionError,
    FieldViolation,
    InternalError,
    InvalidArgumentError,
    NotFoundError,
    OutOfRangeError,
    ParleyError,
    PermissionDeniedError,
    ResourceExhaustedError,
    StreamGapError,
    TurnFailedError,
    UnauthenticatedError,
    UnavailableError,
    UnimplementedError,
    UnknownError,
)
from parley_client.events import (
    ApprovalDecided,
    ApprovalRequested,
    BudgetReached,
    NoticeGiven,
    OnFailureName,
    ProviderSwitched,
    ReasoningDelta,
    RouteChosen,
    RouteName,
    SourcesFound,
    TextDelta,
    ToolCalled,
    ToolReturned,
    TurnCompleted,
    TurnEvent,
    TurnFailed,
    TurnQueued,
    TurnRestarted,
    TurnStarted,
    TurnStopped,
    route_name,
)
from parley_client.failover import Failover, FailoverEvent, Placement, Side
from parley_client.features import FeatureName
from parley_client.tokens import FixedToken, PasswordTokens, TokenError, TokenProvider
from parley_client.turn import Turn
from parley_client.version import VERSION

__version__ = VERSION

__all__ = [
    "AbortedError",
    "AddressError",
    "AlreadyExistsError",
    "ApprovalDecided",
    "ApprovalRequested",
    "Backoff",
    "BudgetReached",
    "CallCancelledError",
    "ClientClosedError",
    "DataLossError",
    "DeadlineExceededError",
    "FailedPreconditionError",
    "Failover",
    "FailoverEvent",
    "FeatureName",
    "FieldViolation",
    "FixedToken",
    "InternalError",
    "InvalidArgumentError",
    "NotFoundError",
    "NoticeGiven",
    "OnFailureName",
    "OutOfRangeError",
    "Parley",
    "ParleyError",
    "PasswordTokens",
    "PermissionDeniedError",
    "Placement",
    "ProviderSwitched",
    "ReasoningDelta",
    "ResourceExhaustedError",
    "RouteChosen",
    "RouteName",
    "Side",
    "SideName",
    "SourcesFound",
    "StreamGapError",
    "TextDelta",
    "TokenError",
    "TokenProvider",
    "ToolCalled",
    "ToolReturned",
    "Turn",
    "TurnCompleted",
    "TurnEvent",
    "TurnFailed",
    "TurnFailedError",
    "TurnQueued",
    "TurnRestarted",
    "TurnStarted",
    "TurnStopped",
    "UnauthenticatedError",
    "UnavailableError",
    "UnimplementedError",
    "UnknownError",
    "new_client_message_id",
    "route_name",
]
