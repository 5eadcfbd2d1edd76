"""Which moment a local time is: by the name of a zone, or by the offsets that a calendar came with. Not which zones calendars name."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

CUSTOM = "custom"
MOST_OFFSETS = 400
"""Of one zone: two a year, for 200 years."""


@dataclass(frozen=True, slots=True)
class Offset:
    """From when on clocks show how much more than UTC."""

    since: datetime
    """UTC."""
    seconds: int


@dataclass(frozen=True, slots=True)
class Zone:
    """A zone of time."""

    name: str
    """An IANA name, or `custom`."""
    offsets: tuple[Offset, ...] = ()
    """Of a custom zone, the earliest first; the first one counts also before it."""

    def moment(self, local: datetime) -> datetime:
        """The UTC time of a local one. What the clocks skip is as much later; of what they have twice, it is the first."""
        if self.name != CUSTOM:
            return local.replace(tzinfo=ZoneInfo(self.name), fold=0).astimezone(UTC)
        if not self.offsets:
            return local.replace(tzinfo=UTC)
        # Before a change of the clocks, the offset is still the old one: of two that fit, it is the first that holds.
        guess = local.replace(tzinfo=UTC)
        place = max(0, bisect_right(self.offsets, guess - _WIDEST, key=_since) - 1)
        for later in range(place, len(self.offsets)):
            moment = guess - timedelta(seconds=self.offsets[later].seconds)
            if later > place and moment < self.offsets[later].since:
                # The clocks skip it.
                return guess - timedelta(seconds=self.offsets[later - 1].seconds)
            if later + 1 == len(self.offsets) or moment < self.offsets[later + 1].since:
                return moment
        raise AssertionError("the last offset has no end")

    def pinned(self, local: datetime) -> Zone:
        """The zone as it is at one local time, for what is at no other."""
        if len(self.offsets) < 2:
            return self
        moment = self.moment(local)
        place = max(0, bisect_right(self.offsets, moment, key=_since) - 1)
        return Zone(self.name, (self.offsets[place],))

    def local(self, moment: datetime) -> datetime:
        """The local time of a moment, without a zone."""
        if self.name != CUSTOM:
            return moment.astimezone(ZoneInfo(self.name)).replace(tzinfo=None, fold=0)
        if not self.offsets:
            return moment.astimezone(UTC).replace(tzinfo=None)
        place = max(0, bisect_right(self.offsets, moment, key=_since) - 1)
        return (moment.astimezone(UTC) + timedelta(seconds=self.offsets[place].seconds)).replace(tzinfo=None)


_WIDEST = timedelta(hours=26)
UTC_ZONE = Zone("UTC")


def _since(offset: Offset) -> datetime:
    return offset.since
