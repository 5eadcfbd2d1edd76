"""What people are told when a server that they named is not asked, or does not answer."""

from __future__ import annotations

from parley_shared.validation import Violations

from parley_chat.domain.outbound import AddressRefusedError, OutboundRules, Refusal, Trouble, check_url

REFUSALS = {
    Refusal.URL: "must be the URL of a host, at most 2,048 characters long",
    Refusal.SCHEME: "must begin with https://",
    Refusal.CREDENTIALS: "must not have a user or a password in it",
    Refusal.PORT: "must have the port 443, or one from 1024",
    Refusal.ADDRESS: "must be at a public address",
}
"""After the name of the field."""

SENTENCES = {
    Refusal.URL: "This is not the URL of a host.",
    Refusal.SCHEME: "Only https:// is asked.",
    Refusal.CREDENTIALS: "There is a user or a password in the URL.",
    Refusal.PORT: "Only port 443 and those from 1024 are asked.",
    Refusal.ADDRESS: "The host is not at a public address.",
    Trouble.NAME: "There is no such host.",
    Trouble.CONNECT: "Nobody listens there.",
    Trouble.TLS: "The connection is not secure: the server's certificate is not valid for its name, or it does not speak TLS.",
    Trouble.TIMEOUT: "It took too long to answer.",
    Trouble.BROKEN: "The connection broke off, or the answer cannot be read.",
    Trouble.REDIRECTS: "It led from one place to another too often.",
}
"""What went wrong, on its own."""


def check_url_field(violations: Violations, field: str, url: str, rules: OutboundRules) -> None:
    """A URL that may be asked, as far as it can be told without looking the host up."""
    try:
        check_url(url, rules)
    except AddressRefusedError as error:
        violations.add(field, REFUSALS[error.refusal])


def sentence_of(code: str) -> str:
    """The sentence for the value of a Refusal or of a Trouble; empty when there is none."""
    return next((words for each, words in SENTENCES.items() if each.value == code), "")
