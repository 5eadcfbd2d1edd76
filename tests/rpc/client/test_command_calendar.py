"""`parley calendar`, as processes, against the real chat."""

from __future__ import annotations

import json
from datetime import datetime, timedelta

from parley_testing.command import run


async def test_meetings_are_added_listed_and_deleted(here: dict[str, str]) -> None:
    here = here | {"TZ": "Europe/Berlin"}
    tomorrow = datetime.now() + timedelta(days=1)  # noqa: DTZ005 - days of the command are those of its computer.
    start = f"{tomorrow:%Y-%m-%d}T09:00"
    event_id = (
        await run(here, "calendar", "add", "Standup", start, "--repeat", "daily", "--with", "a@x.org")
    ).out.strip()
    assert event_id.startswith("evt_")
    listed = json.loads((await run(here, "calendar", "list", "--days", "4", "--json")).out)
    assert {meeting["event_id"] for meeting in listed} == {event_id}
    assert {meeting["time_zone"] for meeting in listed} == {"Europe/Berlin"}
    table = await run(here, "calendar", "list")
    assert "09:00-10:00" in table.out
    assert (await run(here, "calendar", "delete", listed[0]["meeting_id"])).code == 0
    left = {
        each["meeting_id"] for each in json.loads((await run(here, "calendar", "list", "--days", "4", "--json")).out)
    }
    assert listed[0]["meeting_id"] not in left
    assert {meeting["meeting_id"] for meeting in listed[1:]} <= left
    wrong = await run(here, "calendar", "add", "Trip", "tomorrow")
    assert (wrong.code, "START must be a time" in wrong.err) == (2, True)


async def test_a_calendar_of_a_private_network_is_refused_and_a_password_never_stands_in_the_line(
    here: dict[str, str],
) -> None:
    refused = await run(here, "calendar", "add-url", "https://127.0.0.1/me.ics")
    assert refused.code != 0
    assert "private address" in refused.err
    asked = await run(here, "calendar", "add-caldav", "https://caldav.example.org", "ada")
    assert (asked.code, "--password-file" in asked.err) == (2, True)
    none = await run(here, "calendar", "accounts")
    assert (none.code, none.out) == (0, "")
