"""What signs tokens."""

from __future__ import annotations

from typing import Protocol

from parley_chat.domain.tokens import Claims


class TokenSigner(Protocol):
    """Signs what every Parley service can verify with the public keys."""

    def sign(self, claims: Claims) -> str:
        """The bearer token that says these claims."""
