"""Leads that a known rule made: what a model should find in them is known beforehand."""

from __future__ import annotations

import csv
import io
import math
import random
from typing import Any

SOURCES = {"referral": 1.2, "webinar": 0.4, "search": 0.0, "list": -1.2}
"""What each source adds to the log-odds."""
WANTS = ("asked for pricing and a demo", "wants a security review", "budget approved for this quarter")
SHUNS = ("just looking around today", "student project without funds", "please unsubscribe me now")


def leads(
    count: int,
    *,
    seed: int = 1,
    share: float = 0.4,
    missing: float = 0.0,
    with_text: bool = False,
    random_labels: bool = False,
) -> list[dict[str, Any]]:
    """Rows with `employees` (long-tailed, more is better), `days_silent` (more is worse), `source`, `noise` and the label `won`.

    `share` is about how many are won; `missing` the share of values that are not there; with text, `notes` says most.
    """
    chance = random.Random(seed)
    rows: list[dict[str, Any]] = []
    for _ in range(count):
        size, silent, noise = chance.gauss(0, 1), chance.random() * 30, chance.gauss(0, 1)
        source = chance.choice(list(SOURCES))
        log_odds = math.log(share / (1 - share)) + 1.0 * size - 0.08 * (silent - 15) + SOURCES[source]
        row: dict[str, Any] = {
            "employees": round(math.exp(4 + size)),
            "days_silent": round(silent, 1),
            "source": source,
            "noise": round(noise, 3),
        }
        if with_text:
            wants = chance.random() < 0.5
            said = [chance.choice(WANTS if wants else SHUNS) for _ in range(2)]
            row["notes"] = " and ".join(["call on day", str(chance.randrange(30)), *said])
            log_odds += 1.5 if wants else -1.5
        won = chance.random() < (share if random_labels else 1 / (1 + math.exp(-log_odds)))
        for name in row:
            if chance.random() < missing:
                row[name] = None
        rows.append(row | {"won": "yes" if won else "no"})
    return rows


def as_csv(rows: list[dict[str, Any]]) -> str:
    """The rows as CSV with CRLF."""
    out = io.StringIO(newline="")
    writer = csv.DictWriter(out, fieldnames=list(rows[0]))
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue()
