"""The time zone of this computer, by the name that the time zone database has for it."""

from __future__ import annotations

import os
from pathlib import Path
from zoneinfo import ZoneInfo

_LOCAL_TIME = Path("/etc/localtime")
_DATABASE = "zoneinfo/"


def local_time_zone() -> str:
    """The IANA name of the zone: what TZ says, else where /etc/localtime leads; empty when neither names one."""
    for name in (os.environ.get("TZ", "").lstrip(":"), _linked()):
        if name and _is_known(name):
            return name
    return ""


def _linked() -> str:
    try:
        target = str(_LOCAL_TIME.readlink())
    except OSError:
        return ""
    return target.partition(_DATABASE)[2]


def _is_known(name: str) -> bool:
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        return False
    return True
