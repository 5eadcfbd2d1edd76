"""How long one waits after sign-ins that failed. Not where failures are counted."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import timedelta

FORGOTTEN_AFTER = timedelta(minutes=15)
"""Without another failure, the count begins anew."""


@dataclass(frozen=True)
class DelayRule:
    """Some failures are free; each one more doubles the wait, up to a bound."""

    free: int
    most_seconds: float

    def seconds_after(self, failures: int) -> float:
        """The wait after so many failures."""
        beyond = failures - self.free
        return 0.0 if beyond < 0 else min(self.most_seconds, 2.0 ** min(beyond, 30))


OF_AN_ADDRESS = DelayRule(free=5, most_seconds=60.0)
"""For one account from one address of the network: somebody who guesses, or who has forgotten the password."""

OF_AN_ACCOUNT = DelayRule(free=50, most_seconds=15.0)
"""For one account from anywhere: many who guess together. A short wait at most, because the owner waits too."""


@dataclass(frozen=True)
class FailureKey:
    """What failures have in common that are counted together."""

    name: str
    rule: DelayRule


def failure_keys(email: str, address: str) -> tuple[FailureKey, FailureKey]:
    """What a sign-in counts for: the account from this address, and the account; the same whether or not there is such an account."""
    return (
        FailureKey(_hashed("address", email, address), OF_AN_ADDRESS),
        FailureKey(_hashed("account", email), OF_AN_ACCOUNT),
    )


def _hashed(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()
