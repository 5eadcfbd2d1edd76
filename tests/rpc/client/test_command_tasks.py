"""`parley task` and what `parley events` says of reminders, as processes, against the real chat."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from parley_chat.adapters.sql_schema import tasks
from parley_testing.command import run
from parley_testing.running_chat import RunningChat
from sqlalchemy import update


@pytest.fixture
def here(here: dict[str, str]) -> dict[str, str]:
    """The same, in Berlin."""
    return here | {"TZ": "Europe/Berlin"}


async def test_a_task_that_repeats_is_made_shown_done_changed_and_ended(here: dict[str, str]) -> None:
    options = ("--due", "2037-03-23T09:00", "--repeat", "weekly", "--remind", "30", "--remind", "0")
    made = await run(here, "task", "add", "Water the plants", *options)
    assert made.code == 0, made.err
    task_id = made.out.strip()
    listed = (await run(here, "task", "list")).out
    assert "WEEKLY" in listed
    assert "2037-03-23 08:30" in listed
    done = (await run(here, "task", "done", task_id)).out.splitlines()
    assert done[0] == "Done: Water the plants"
    assert done[1].startswith("Next: 2037-03-30 09:00  tsk_")
    next_id = done[1].split()[-1]
    changed = await run(here, "task", "change", next_id, "--repeat", "", "--no-reminders", "--title", "Water", "--json")
    left = json.loads(changed.out)
    assert left["title"] == "Water"
    assert (left["recurrence"], left["remind_minutes_before"], left.get("remind_time")) == ("", [], None)
    assert left["due_time"] == "2037-03-30T07:00:00Z"
    assert (await run(here, "task", "done", next_id)).out == "Done: Water\n"


async def test_a_rule_that_cannot_be_and_a_change_of_nothing_are_refused_in_words(here: dict[str, str]) -> None:
    never = ("--due", "2037-01-01", "--repeat", "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30")
    refused = await run(here, "task", "add", "Never", *never)
    assert refused.code != 0
    assert "recurrence" in refused.err
    nothing = await run(here, "task", "change", "tsk_" + 32 * "0")
    assert (nothing.code, "--help" in nothing.err) == (2, True)


async def test_the_events_say_for_when_a_late_reminder_was_meant(here: dict[str, str], running: RunningChat) -> None:
    made = await run(here, "task", "add", "Pay", "--due", "2037-01-01T09:00", "--remind", "0")
    meant = datetime.now(UTC) - timedelta(days=2)
    async with running.app.database.write() as connection:
        passed = update(tasks).where(tasks.c.task_id == made.out.strip())
        await connection.execute(passed.values(remind_time=meant))
    # A change makes chat look, and it has looked before it takes the one behind that.
    for _ in range(30):
        await run(here, "task", "add", "Another")
        shown = (await run(here, "events")).out
        if "task reminded" in shown:
            break
    [line] = [line for line in shown.splitlines() if "task reminded" in line]
    assert line.endswith(f"Pay  (meant for {meant.astimezone(ZoneInfo('Europe/Berlin')):%Y-%m-%d %H:%M})")
