"""The figures of a run of faults, for people and as JSON."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from parley_testing.fault_kills import Kills
from parley_testing.fault_readers import Tally
from parley_testing.fault_upstream import FaultUpstream
from parley_testing.fault_verdict import RanTurn, Verdict

_NEEDED = ("chat", "inference", "redis")
"""Without which no answer goes on."""


@dataclass(frozen=True, slots=True)
class Times:
    """Many times, in milliseconds."""

    count: int
    p50: float
    p95: float
    most: float

    @classmethod
    def of(cls, seconds: Sequence[float]) -> Times:
        """Of times in seconds; zeros when there are none."""
        values = sorted(1000 * value for value in seconds)
        if not values:
            return cls(0, 0.0, 0.0, 0.0)
        p95 = statistics.quantiles(values, n=20, method="inclusive")[-1] if len(values) > 1 else values[0]
        return cls(len(values), round(statistics.median(values), 1), round(p95, 1), round(values[-1], 1))

    def __str__(self) -> str:
        if not self.count:
            return "none"
        return f"p50 {self.p50:8,.0f}   p95 {self.p95:8,.0f}   max {self.most:8,.0f} ms   of {self.count:,}"


@dataclass(frozen=True, slots=True)
class FaultReport:
    """What happened, and what was found."""

    seconds: float
    turns: int
    outcomes: dict[str, int]
    cuts: dict[str, int]
    kills: dict[str, int]
    freezes: int
    transcripts: int
    events: int
    lost: int
    repeated: int
    out_of_order: int
    reattach: Times
    """From the resume call to its first event, after a cut while nothing was away."""
    reattach_after_kill: Times
    """From the end of a stream to the first event of the next, while something was away or had just come back."""
    takeover: Times
    """From the kill of a chat process to the request with which its successor goes on with an answer."""
    complaints: list[str]

    @classmethod
    def of(
        cls,
        verdict: Verdict,
        turns: Sequence[RanTurn],
        tally: Tally,
        kills: Kills,
        upstream: FaultUpstream,
        *,
        seconds: float,
    ) -> FaultReport:
        """Adds everything up."""
        calm = [one for one in tally.reattached if kills.calm(one.broken, one.first_event)]
        shaken = [one for one in tally.reattached if not kills.calm(one.broken, one.first_event)]
        return cls(
            seconds=round(seconds, 1),
            turns=len(turns),
            outcomes=dict(verdict.outcomes),
            cuts=dict(sorted(tally.cuts.items())),
            kills=dict(sorted(kills.counts().items())),
            freezes=len(kills.frozen),
            transcripts=verdict.transcripts,
            events=verdict.events,
            lost=verdict.lost,
            repeated=verdict.repeated,
            out_of_order=verdict.out_of_order,
            reattach=Times.of([one.first_event - one.called for one in calm]),
            reattach_after_kill=Times.of([one.first_event - one.broken for one in shaken]),
            takeover=Times.of(_takeovers(kills, upstream)),
            complaints=list(verdict.complaints),
        )

    def as_json(self) -> dict[str, object]:
        """The same as plain values."""
        return asdict(self)

    def __str__(self) -> str:
        def sums(counts: dict[str, int]) -> str:
            return f"{sum(counts.values()):,} ({', '.join(f'{name} {count:,}' for name, count in counts.items())})"

        lines = [
            f"{'turns':<28}{sums(self.outcomes)} in {self.seconds:,.0f} s",
            f"{'cuts':<28}{sums(self.cuts)}",
            f"{'kill -9':<28}{sums(self.kills)}",
            *([f"{'frozen for 2.5 to 4.5 s':<28}{self.freezes:,} (chat)"] if self.freezes else []),
            f"{'compared':<28}{self.events:,} events in {self.transcripts:,} transcripts",
            f"{'lost':<28}{self.lost:,}",
            f"{'repeated':<28}{self.repeated:,}",
            f"{'out of order':<28}{self.out_of_order:,}",
            f"{'reattach after a cut':<28}{self.reattach}",
            f"{'reattach around a kill':<28}{self.reattach_after_kill}",
            f"{'takeover after a kill':<28}{self.takeover}",
        ]
        return "\n".join([*lines, *(f"  ! {complaint}" for complaint in self.complaints[:40])])


def _takeovers(kills: Kills, upstream: FaultUpstream) -> list[float]:
    """From each kill of a chat process to the next request of each answer that it cut off, when all else that answers need was there."""
    found = []
    for left in upstream.left:
        kill = kills.last_before(left.time, *_NEEDED)
        asked = next((asked for asked in upstream.asked if asked.key == left.key and asked.time >= left.time), None)
        if kill is None or asked is None or not kill.name.startswith("chat"):
            continue
        if not kills.away(kill.time, asked.time, *_NEEDED, besides=kill):
            found.append(asked.time - kill.time)
    return found
