"""What people are told when a server of others did not do what it was asked. Nothing in it is of the server's own words."""

from __future__ import annotations

from parley_chat.domain.outbound import (
    AddressRefusedError,
    OutboundError,
    Refusal,
    RemoteTooLargeError,
    RemoteUnreachableError,
    Trouble,
)

_REFUSALS = {
    Refusal.URL: "The address is no URL.",
    Refusal.SCHEME: "The address, or one that it leads to, is not https.",
    Refusal.CREDENTIALS: "The address, or one that it leads to, has a user name or a password in it.",
    Refusal.PORT: "The address, or one that it leads to, has a port that is not asked.",
    Refusal.ADDRESS: "The address leads into a private network, which the operator does not allow.",
}
_TROUBLES = {
    Trouble.NAME: "There is no host of this name.",
    Trouble.CONNECT: "Nothing answers at this address.",
    Trouble.TLS: "The server's certificate is not valid.",
    Trouble.TIMEOUT: "The server took too long.",
    Trouble.BROKEN: "The server's answer broke off, or is not HTTP.",
    Trouble.REDIRECTS: "The server sends from one address to the next without an end.",
}
_UNAUTHORIZED, _FORBIDDEN, _NOT_FOUND, _GONE, _TOO_MANY = 401, 403, 404, 410, 429


def outbound_words(error: OutboundError) -> str:
    """Why a server could not be asked, or did not answer in full."""
    match error:
        case AddressRefusedError(refusal=refusal):
            return _REFUSALS[refusal]
        case RemoteUnreachableError(trouble=trouble):
            return _TROUBLES[trouble]
        case RemoteTooLargeError(most_bytes=most):
            return f"The server's answer is larger than {most // 1_000_000} MB."
        case _:
            return "The server did not answer."


def status_words(status: int) -> str:
    """What a status of HTTP means for whoever connects a calendar."""
    if status in (_UNAUTHORIZED, _FORBIDDEN):
        return f"The server does not let this user in ({status}): is the user name or the password wrong?"
    if status in (_NOT_FOUND, _GONE):
        return f"There is no calendar at this address ({status})."
    if status == _TOO_MANY:
        return "The server was asked too often (429)."
    return f"The server answered with the status {status}."
