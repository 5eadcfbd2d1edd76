"""The audit trail of who got in, who did not, and who may what: lines of the log `parley.audit`, in words that never change.

No line holds an e-mail address, a password or a token. Not the events of what users own, which are data: domain/events.py.
"""

from __future__ import annotations

import logging
from enum import StrEnum

_logger = logging.getLogger("parley.audit")


class Deed(StrEnum):
    """What somebody did, or tried."""

    SIGNED_UP = "signed up"
    SIGNED_IN = "signed in"
    SIGN_IN_FAILED = "sign-in failed"
    SIGN_IN_HELD_BACK = "sign-in held back"
    FOREIGN_USER_SEEN = "foreign user seen for the first time"
    TOKEN_CREATED = "personal access token created"  # noqa: S105 - words, no secret
    TOKEN_REVOKED = "personal access token revoked"  # noqa: S105 - words, no secret
    ROLE_SET = "role set"
    USER_DISABLED = "user disabled"
    USER_ENABLED = "user enabled"


def audit(deed: Deed, user_id: str, **details: str) -> None:
    """Writes a line on a user; "" is nobody that is known."""
    _logger.info(deed.value, extra={"user_id": user_id, **details})
