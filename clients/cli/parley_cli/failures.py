"""Errors in words: what happened, and what a person can do about it."""

from __future__ import annotations

from parley_client import (
    ClientClosedError,
    DeadlineExceededError,
    InternalError,
    ParleyError,
    PermissionDeniedError,
    TurnFailedError,
    UnauthenticatedError,
    UnavailableError,
    UnimplementedError,
    UnknownError,
)

from parley_cli.terminal import printable


def in_words(error: ParleyError, address: str) -> str:
    """One or two sentences for a person."""
    words = _words(error, address)
    if error.trace_id and isinstance(error, InternalError | UnknownError | TurnFailedError):
        words += f" (trace {error.trace_id})"
    return printable(words)


def _words(error: ParleyError, address: str) -> str:
    match error:
        case TurnFailedError():
            return f"The answer failed: {error.message}"
        case UnavailableError() if not error.reason and "upstream" in error.message:
            return f"Parley's edge answers at {address}, but a service behind it does not: `parley status` tells more."
        case UnavailableError() | InternalError() if not error.reason:
            return f"Parley does not answer at {address}; start it with `parley up`, or say where it is with --address."
        case ClientClosedError():
            return "The connection was closed."
        case UnauthenticatedError():
            return f"Parley at {address} refused the token: {error.message.rstrip('.')}. Give a good one with --token or PARLEY_TOKEN."
        case PermissionDeniedError() if scope := error.metadata.get("scope"):
            return f"The token may not do this: it lacks the scope {scope}."
        case DeadlineExceededError() if not error.reason:
            return f"Parley at {address} did not answer in time."
        case UnimplementedError():
            return f"What answers at {address} does not know this call. Is it Parley, and of this release?"
        case _:
            return str(error)
