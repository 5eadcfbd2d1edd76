"""When events take place: rules in the zone of the event, across changes of the clocks, moved, added and left out, and bounded."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import icalendar
import pytest
import recurring_ical_events  # type: ignore[import-untyped]  # It comes without types.
from parley_chat.adapters.dateutil_rule_days import DateutilRuleDays
from parley_chat.adapters.ical_reading import read_file
from parley_chat.domain.calendar import CalendarEvent, EventBody, Meeting
from parley_chat.domain.calendar_zones import CUSTOM, Offset, Zone
from parley_chat.operations.meetings import meeting_of, meetings_between, reach_of
from parley_chat.ports.calendar import CalendarSourceError
from parley_testing.calendars import calendar, event

DAYS = DateutilRuleDays()
SINCE = datetime(2026, 1, 1, tzinfo=UTC)


def body_of(*lines: str, zones: tuple[str, ...] = (), time_zone: str = "", more: tuple[str, ...] = ()) -> EventBody:
    """What is read of one event."""
    content = calendar(*zones, event("a@x", *lines), *more)
    reading = read_file(content, time_zone, {}, DAYS)
    assert reading.warnings == []
    [found] = reading.changed
    return found.body


def found(body: EventBody, first: datetime, last: datetime, zone: str = "UTC") -> list[Meeting]:
    whole = CalendarEvent("evt_" + 32 * "0", "", "", body, SINCE, SINCE)
    return sorted(meetings_between(whole, DAYS, first, last, ZoneInfo(zone)), key=lambda each: each.span.start)


def begins(body: EventBody, first: datetime, last: datetime, zone: str = "UTC") -> list[str]:
    return [f"{meeting.span.start:%m-%d %H:%M}" for meeting in found(body, first, last, zone)]


def at(month: int, day: int, hour: int = 0, year: int = 2026) -> datetime:
    return datetime(year, month, day, hour, tzinfo=UTC)


def test_a_series_keeps_its_local_time_when_clocks_change() -> None:
    body = body_of("DTSTART;TZID=Europe/Berlin:20260301T093000", "DURATION:PT1H", "RRULE:FREQ=WEEKLY")
    assert begins(body, at(3, 20), at(4, 7)) == ["03-22 08:30", "03-29 07:30", "04-05 07:30"]
    assert begins(body, at(10, 18), at(11, 2)) == ["10-18 07:30", "10-25 08:30", "11-01 08:30"]


def test_a_time_that_clocks_skip_is_as_much_later_and_one_that_comes_twice_is_the_first() -> None:
    body = body_of("DTSTART;TZID=Europe/Berlin:20260327T023000", "DURATION:PT1H", "RRULE:FREQ=DAILY")
    assert begins(body, at(3, 28), at(3, 31)) == ["03-28 01:30", "03-29 01:30", "03-30 00:30"]
    assert begins(body, at(10, 24), at(10, 27)) == ["10-24 00:30", "10-25 00:30", "10-26 01:30"]


def test_an_event_takes_as_much_time_whatever_the_clocks_do_in_it() -> None:
    body = body_of(
        "DTSTART;TZID=Europe/Berlin:20260321T230000", "DTEND;TZID=Europe/Berlin:20260322T070000", "RRULE:FREQ=WEEKLY"
    )
    assert {meeting.span.length for meeting in found(body, at(3, 20), at(4, 7))} == {timedelta(hours=8)}


ZONE = (
    "BEGIN:VTIMEZONE\r\nTZID:{name}\r\n"
    "BEGIN:STANDARD\r\nDTSTART:16011028T030000\r\nRRULE:FREQ=YEARLY;BYDAY=-1SU;BYMONTH=10\r\n"
    "TZOFFSETFROM:+0200\r\nTZOFFSETTO:+0100\r\nEND:STANDARD\r\n"
    "BEGIN:DAYLIGHT\r\nDTSTART:16010325T020000\r\nRRULE:FREQ=YEARLY;BYDAY=-1SU;BYMONTH=3\r\n"
    "TZOFFSETFROM:+0100\r\nTZOFFSETTO:+0200\r\nEND:DAYLIGHT\r\nEND:VTIMEZONE"
)


@pytest.mark.parametrize(
    ("name", "zones", "known"),
    [
        ("Europe/Berlin", (), "Europe/Berlin"),
        ("europe/berlin", (), "Europe/Berlin"),
        ("W. Europe Standard Time", (), "Europe/Berlin"),
        ("/freeassociation.sourceforge.net/Europe/Berlin", (), "Europe/Berlin"),
        ("My own zone", (ZONE.format(name="My own zone"),), CUSTOM),
    ],
)
def test_a_zone_is_known_by_all_its_names_and_by_its_own_description(
    name: str, zones: tuple[str, ...], known: str
) -> None:
    body = body_of(f'DTSTART;TZID="{name}":20260301T093000', "DURATION:PT1H", "RRULE:FREQ=WEEKLY", zones=zones)
    assert body.span.zone.name == known
    assert begins(body, at(3, 20), at(4, 7)) == ["03-22 08:30", "03-29 07:30", "04-05 07:30"]
    assert begins(body, at(10, 18), at(11, 2)) == ["10-18 07:30", "10-25 08:30", "11-01 08:30"]


def test_a_custom_zone_is_as_the_real_one_at_each_change_of_the_clocks() -> None:
    real = Zone("Europe/Berlin")
    body = body_of('DTSTART;TZID="Mine":20260301T093000', zones=(ZONE.format(name="Mine"),))
    custom = body.span.zone
    local = datetime(2026, 3, 28, 12)  # noqa: DTZ001 - local times have no zone
    for _ in range(24 * 4 * 2):
        assert custom.moment(local) == real.moment(local), local
        assert custom.local(real.moment(local)) == real.local(real.moment(local)), local
        local += timedelta(minutes=15)
    local = datetime(2026, 10, 24, 12)  # noqa: DTZ001 - local times have no zone
    for _ in range(24 * 4 * 2):
        assert custom.moment(local) == real.moment(local), local
        local += timedelta(minutes=15)
    pinned = custom.pinned(datetime(2026, 7, 1))  # noqa: DTZ001 - local times have no zone
    assert pinned == Zone(CUSTOM, (Offset(pinned.offsets[0].since, 7200),))


def test_a_description_of_a_zone_cannot_change_what_a_known_name_means() -> None:
    lying = ZONE.format(name="Europe/London").replace("+0", "+1")
    body = body_of("DTSTART;TZID=Europe/London:20260701T120000", zones=(lying,))
    assert begins(body, at(7, 1), at(7, 2)) == ["07-01 11:00"]


def test_times_without_a_zone_are_the_accounts_or_else_the_calendars() -> None:
    assert begins(body_of("DTSTART:20260701T120000", time_zone="America/New_York"), at(7, 1), at(7, 2)) == [
        "07-01 16:00"
    ]
    content = calendar(event("a@x", "DTSTART:20260701T120000"), headers=("X-WR-TIMEZONE:Asia/Tokyo",))
    [read] = read_file(content, "", {}, DAYS).changed
    assert begins(read.body, at(7, 1), at(7, 2)) == ["07-01 03:00"]
    assert begins(body_of("DTSTART:20260701T120000"), at(7, 1), at(7, 2)) == ["07-01 12:00"]


def test_whole_days_are_those_of_who_looks() -> None:
    body = body_of("DTSTART;VALUE=DATE:20260701", "DTEND;VALUE=DATE:20260703", "RRULE:FREQ=YEARLY")
    assert [meeting.key for meeting in found(body, at(7, 2, 12), at(7, 4))] == ["20260701"]
    # In Tokyo it is over before it is in UTC, and in Los Angeles it is not.
    assert found(body, at(7, 2, 16), at(7, 4), "Asia/Tokyo") == []
    assert len(found(body, at(7, 3, 6), at(7, 4), "America/Los_Angeles")) == 1
    assert [meeting.key for meeting in found(body, at(6, 30, 0, 2030), at(7, 5, 0, 2030))] == ["20300701"]


def test_what_is_moved_added_and_left_out() -> None:
    body = body_of(
        "DTSTART;TZID=Europe/Berlin:20261102T090000",
        "DTEND;TZID=Europe/Berlin:20261102T100000",
        "RRULE:FREQ=DAILY;COUNT=5",
        "EXDATE:20261103T080000Z",
        "RDATE;TZID=Europe/Berlin:20261120T150000",
        more=(
            event("a@x", "RECURRENCE-ID:20261104T080000Z", "DTSTART:20261220T100000Z", "DURATION:PT1H", title="Moved"),
            event("a@x", "RECURRENCE-ID:20261105T080000Z", "DTSTART:20261105T080000Z", "STATUS:CANCELLED"),
        ),
    )
    assert begins(body, at(11, 1), at(12, 1)) == ["11-02 08:00", "11-05 08:00", "11-06 08:00", "11-20 14:00"]
    [moved] = found(body, at(12, 1), at(12, 31))
    assert (moved.details.title, moved.original_start) == ("Moved", at(11, 4, 8))
    assert moved.meeting_id.endswith("_20261104T080000Z")
    whole = CalendarEvent("evt_" + 32 * "0", "", "", body, SINCE, SINCE)
    assert meeting_of(whole, DAYS, "20261104T080000Z") == moved
    assert meeting_of(whole, DAYS, "20261103T080000Z") is None
    assert meeting_of(whole, DAYS, "20261107T080000Z") is None
    reach = reach_of(body, DAYS)
    assert reach.first <= at(11, 2, 8)
    assert reach.last is not None
    assert at(12, 20, 11) <= reach.last < at(12, 25)


def test_who_is_invited_to_single_occurrences_has_these_only() -> None:
    content = calendar(event("a@x", "RECURRENCE-ID:20261104T080000Z", "DTSTART:20261104T090000Z", "DURATION:PT1H"))
    [read] = read_file(content, "", {}, DAYS).changed
    assert begins(read.body, at(11, 1), at(12, 1)) == ["11-04 09:00"]


def test_what_takes_no_time_is_at_its_begin() -> None:
    body = body_of("DTSTART:20261104T090000Z")
    assert len(found(body, at(11, 4, 9), at(11, 5))) == 1
    assert found(body, at(11, 4, 8), at(11, 4, 9)) == []


RULES = [
    "FREQ=DAILY;INTERVAL=3",
    "FREQ=DAILY;BYDAY=MO,WE;INTERVAL=2",
    "FREQ=DAILY;COUNT=40",
    "FREQ=WEEKLY",
    "FREQ=WEEKLY;INTERVAL=2;BYDAY=MO,TH,SU",
    "FREQ=WEEKLY;INTERVAL=2;BYDAY=MO,SU;WKST=SU",
    "FREQ=WEEKLY;BYDAY=TU;BYMONTH=1,6",
    "FREQ=WEEKLY;COUNT=30;BYDAY=TU,FR",
    "FREQ=MONTHLY;BYMONTHDAY=-1",
    "FREQ=MONTHLY;BYDAY=1MO,-1FR",
    "FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-1",
    "FREQ=YEARLY;BYMONTH=11;BYDAY=4TH",
    "FREQ=WEEKLY;UNTIL=20261231T235959Z",
]


@pytest.mark.parametrize("rule", RULES)
def test_the_occurrences_are_those_of_another_implementation(rule: str) -> None:
    first, last = at(2, 1), at(2, 1, 0, 2028)
    # A Tuesday, which only some of the rules name: of the others, the first is compared apart.
    content = calendar(event("a@x", "DTSTART;TZID=Europe/Berlin:20260106T093000", "DURATION:PT1H", f"RRULE:{rule}"))
    [read] = read_file(content, "", {}, DAYS).changed
    theirs = recurring_ical_events.of(icalendar.Calendar.from_ical(content)).between(first, last)
    expected = sorted(component.start.astimezone(UTC) for component in theirs)
    ours = [meeting.span.start for meeting in found(read.body, first, last)]
    if "COUNT" in rule and "BYDAY" not in rule:
        assert ours == expected
    elif "COUNT" in rule:
        assert ours == [each for each in expected if each >= first]
    else:
        assert ours == expected


def test_a_rule_that_never_matches_and_one_since_ever_are_expanded_all_the_same() -> None:
    # On its own the library of rules would look for the first two for half a minute each, and nothing could stop it.
    for rule, count in (
        ("FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30", 0),
        ("FREQ=DAILY;BYMONTH=2;BYMONTHDAY=31", 0),
        ("FREQ=DAILY", 7),
    ):
        body = body_of("DTSTART:19000101T090000Z", f"RRULE:{rule}")
        assert len(found(body, at(11, 1), at(11, 8))) == count
        assert reach_of(body, DAYS).last is None


@pytest.mark.parametrize(
    "rule",
    ["FREQ=SECONDLY", "FREQ=MINUTELY;INTERVAL=5", "FREQ=HOURLY", "FREQ=DAILY;BYHOUR=9,17", "FREQ=YEARLY;BYWEEKNO=20"],
)
def test_a_rule_that_is_not_supported_is_told_and_the_first_time_stays(rule: str) -> None:
    content = calendar(event("a@x", "DTSTART:20261104T090000Z", f"RRULE:{rule}"))
    reading = read_file(content, "", {}, DAYS)
    assert len(reading.warnings) == 1
    assert begins(reading.changed[0].body, at(11, 1), at(12, 1)) == ["11-04 09:00"]


def test_a_rule_may_say_the_time_of_day_again() -> None:
    body = body_of("DTSTART:20261104T090000Z", "RRULE:FREQ=DAILY;BYHOUR=9;BYMINUTE=0;COUNT=2;X-OTHER=1")
    assert begins(body, at(11, 1), at(12, 1)) == ["11-04 09:00", "11-05 09:00"]


def test_reading_ends_at_its_deadline() -> None:
    with pytest.raises(CalendarSourceError, match="too long"):
        read_file(calendar(event("a@x", "DTSTART:20261104T090000Z")), "", {}, DAYS, -1.0)
