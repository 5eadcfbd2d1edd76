"""Rules of tasks: what is read, what is refused, which days they name, and what becomes of the time of day when clocks change."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from itertools import islice

import pytest
from dateutil.rrule import rrulestr
from parley_chat.adapters.dateutil_rule_days import DateutilRuleDays
from parley_chat.domain.recurrence import Recurrence, RecurrenceError, read_recurrence
from parley_chat.operations.occurrences import Occurrence, matches_ever, next_occurrence, wall_time

DAYS = DateutilRuleDays()
LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)
BERLIN = "Europe/Berlin"


def due_times(rule: str, due: datetime, time_zone: str, count: int) -> list[datetime]:
    """The due times after one, each found from the one before it, as tasks do."""
    found: list[datetime] = []
    occurrence: Occurrence | None = Occurrence(wall_time(due, time_zone), due, read_recurrence(rule))
    while occurrence and len(found) < count:
        occurrence = next_occurrence(DAYS, occurrence.rule, occurrence.wall_time, time_zone, occurrence.due_time)
        found += [occurrence.due_time] if occurrence else []
    return found


def local(year: int, month: int, day: int, hour: int = 0) -> datetime:
    """A time without a zone, as rules have it."""
    return datetime(year, month, day, hour, tzinfo=UTC).replace(tzinfo=None)


def utc(month: int, day: int, hour: int, minute: int = 0) -> datetime:
    return datetime(2027, month, day, hour, minute, tzinfo=UTC)


@pytest.mark.parametrize(
    ("written", "normal"),
    [
        ("FREQ=WEEKLY;BYDAY=MO", "FREQ=WEEKLY;BYDAY=MO"),
        ("rrule:freq=weekly;byday=mo,th,mo;interval=1", "FREQ=WEEKLY;BYDAY=MO,TH"),
        (" FREQ=MONTHLY;BYDAY=-1FR,+2MO; ", "FREQ=MONTHLY;BYDAY=-1FR,2MO"),
        ("COUNT=3;INTERVAL=2;FREQ=DAILY", "FREQ=DAILY;INTERVAL=2;COUNT=3"),
        ("FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=-1;UNTIL=20301231", "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=-1;UNTIL=20301231"),
        ("FREQ=DAILY;UNTIL=20270401T215959Z", "FREQ=DAILY;UNTIL=20270401T215959Z"),
        ("FREQ=WEEKLY;BYDAY=SU;WKST=SU", "FREQ=WEEKLY;BYDAY=SU;WKST=SU"),
        ("FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-1", "FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-1"),
    ],
)
def test_a_rule_has_one_form_which_reads_as_itself(written: str, normal: str) -> None:
    assert str(read_recurrence(written)) == normal
    assert read_recurrence(normal) == read_recurrence(written)


@pytest.mark.parametrize(
    "written",
    [
        "weekly",
        "every Monday",
        "FREQ",
        "FREQ=",
        "INTERVAL=2",
        "FREQ=SECONDLY",
        "FREQ=MINUTELY;INTERVAL=30",
        "FREQ=HOURLY",
        "FREQ=DAILY;FREQ=WEEKLY",
        "FREQ=DAILY;BYHOUR=9",
        "FREQ=DAILY;BYSECOND=1,2,3",
        "FREQ=YEARLY;BYEASTER=0",
        "FREQ=DAILY;__class__=1",
        "FREQ=DAILY;INTERVAL=0",
        "FREQ=DAILY;INTERVAL=-1",
        "FREQ=DAILY;INTERVAL=1001",
        "FREQ=DAILY;INTERVAL=99999999999999999999",
        "FREQ=DAILY;INTERVAL=1.5",
        "FREQ=DAILY;INTERVAL=1_0",
        "FREQ=DAILY;COUNT=0",
        "FREQ=DAILY;COUNT=1001",
        "FREQ=DAILY;COUNT=2;UNTIL=20280101",
        "FREQ=DAILY;UNTIL=20270230",
        "FREQ=DAILY;UNTIL=19691231",
        "FREQ=DAILY;UNTIL=99991231",
        "FREQ=DAILY;UNTIL=20270101T250000",
        "FREQ=DAILY;UNTIL=2027-01-01",
        "FREQ=DAILY;UNTIL=tomorrow",
        "FREQ=MONTHLY;BYMONTHDAY=32",
        "FREQ=MONTHLY;BYMONTHDAY=0",
        "FREQ=MONTHLY;BYMONTHDAY=1,,2",
        "FREQ=YEARLY;BYMONTH=13",
        "FREQ=YEARLY;BYMONTH=-1",
        "FREQ=WEEKLY;BYDAY=XX",
        "FREQ=WEEKLY;BYDAY=1MO",
        "FREQ=MONTHLY;BYDAY=0MO",
        "FREQ=MONTHLY;BYDAY=54MO",
        "FREQ=WEEKLY;BYMONTHDAY=1",
        "FREQ=WEEKLY;BYDAY=MO;BYSETPOS=1",
        "FREQ=MONTHLY;BYSETPOS=1",
        "FREQ=DAILY\nDTSTART:20270101",
        "FREQ=DAILY;X=\x00",
        "FREQ=DAILY;INTERVAL=٢",
        "FREQ=DAILY;BYMONTH=" + ",".join("1" for _ in range(200)),
    ],
)
def test_what_is_no_rule_of_a_task_is_refused_in_words_for_people(written: str) -> None:
    with pytest.raises(RecurrenceError) as refused:
        read_recurrence(written)
    assert refused.value.words.startswith("must ")
    assert len(refused.value.words) < 200
    assert refused.value.words.isprintable()


@pytest.mark.parametrize(
    "rule",
    [
        "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30",
        "FREQ=MONTHLY;BYMONTH=2;BYMONTHDAY=30",
        "FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30",
        "FREQ=DAILY;INTERVAL=7;BYDAY=TU",
        "FREQ=MONTHLY;INTERVAL=12;BYMONTH=2",
        "FREQ=MONTHLY;BYDAY=6MO",
        "FREQ=YEARLY;BYDAY=MO;BYSETPOS=54",
        "FREQ=YEARLY;INTERVAL=1000",
        "FREQ=YEARLY;INTERVAL=2;BYMONTH=2;BYMONTHDAY=29",
    ],
)
def test_a_rule_that_never_matches_is_known_to_and_ends(rule: str) -> None:
    start = local(2027, 1, 4, 9)
    assert not matches_ever(DAYS, read_recurrence(rule), start)
    assert next_occurrence(DAYS, read_recurrence(rule), start, "UTC", LONG_AGO) is None


def test_a_rare_rule_is_waited_for() -> None:
    # The next 29 February that is a Monday.
    rule = "FREQ=DAILY;BYMONTH=2;BYMONTHDAY=29;BYDAY=MO"
    assert due_times(rule, utc(1, 4, 9), "UTC", 1) == [datetime(2044, 2, 29, 9, tzinfo=UTC)]


def test_the_work_is_bounded_by_what_is_asked_for_and_not_by_how_long_ago_a_rule_began() -> None:
    asked: list[date] = []

    class Counting(DateutilRuleDays):
        def days(self, rule: Recurrence, start: date, first: date, last: date) -> Iterator[date]:
            for day in super().days(rule, start, first, last):
                asked.append(day)
                yield day

    now = datetime(2026, 11, 21, 12, tzinfo=UTC)
    found = next_occurrence(Counting(), read_recurrence("FREQ=DAILY;INTERVAL=3"), local(1970, 1, 2, 9), "UTC", now)
    assert found is not None
    assert now < found.due_time <= now + timedelta(days=3)
    assert (found.due_time.date() - date(1970, 1, 2)).days % 3 == 0
    assert len(asked) <= 2
    asked.clear()
    counted = read_recurrence("FREQ=DAILY;COUNT=1000")
    assert next_occurrence(Counting(), counted, local(1970, 1, 2, 9), "UTC", now) is None
    assert len(asked) <= 1000


@pytest.mark.parametrize(
    "rule",
    [
        "FREQ=DAILY",
        "FREQ=DAILY;INTERVAL=10;BYMONTH=1,7",
        "FREQ=DAILY;BYDAY=MO,TU,WE,TH,FR",
        "FREQ=WEEKLY",
        "FREQ=WEEKLY;INTERVAL=2;BYDAY=TU,SU",
        "FREQ=WEEKLY;INTERVAL=2;BYDAY=TU,SU;WKST=SU",
        "FREQ=WEEKLY;INTERVAL=5;BYDAY=MO;BYMONTH=12,1",
        "FREQ=MONTHLY",
        "FREQ=MONTHLY;INTERVAL=5",
        "FREQ=MONTHLY;BYMONTHDAY=-1",
        "FREQ=MONTHLY;BYDAY=2TU,-1FR",
        "FREQ=MONTHLY;BYDAY=FR;BYMONTHDAY=13",
        "FREQ=MONTHLY;INTERVAL=3;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-2",
        "FREQ=YEARLY",
        "FREQ=YEARLY;INTERVAL=2;BYMONTH=4,10;BYDAY=1SU",
        "FREQ=YEARLY;BYDAY=20MO",
        "FREQ=YEARLY;BYMONTH=11;BYMONTHDAY=2,3,4,5,6,7,8;BYDAY=TU",
        "FREQ=YEARLY;BYMONTH=3;BYDAY=SU;BYSETPOS=-1",
    ],
)
@pytest.mark.parametrize("start", [date(2027, 1, 4), date(2027, 12, 31), date(2028, 2, 29)])
def test_the_days_of_a_rule_are_those_of_the_standard(rule: str, start: date) -> None:
    last = date(2040, 1, 1)
    at_midnight = local(start.year, start.month, start.day)
    expected = [each.date() for each in rrulestr(f"{rule};UNTIL=20400101T000000", dtstart=at_midnight)]
    assert list(DAYS.days(read_recurrence(rule), start, start, last)) == expected
    # From a later day on, too, and counted from the same start.
    later = start + timedelta(days=1000)
    from_later = [day for day in expected if day >= later]
    assert list(islice(DAYS.days(read_recurrence(rule), start, later, last), 20)) == from_later[:20]


def test_nine_oclock_stays_nine_oclock_when_the_clocks_go_forward_and_back() -> None:
    spring = due_times("FREQ=WEEKLY;BYDAY=SA,SU,MO", utc(3, 26, 8), BERLIN, 3)
    assert spring == [utc(3, 27, 8), utc(3, 28, 7), utc(3, 29, 7)]
    autumn = due_times("FREQ=DAILY", utc(10, 29, 7), BERLIN, 3)
    assert autumn == [utc(10, 30, 7), utc(10, 31, 8), utc(11, 1, 8)]
    south = due_times("FREQ=DAILY", datetime(2027, 4, 2, 22, tzinfo=UTC), "Australia/Sydney", 2)
    assert [wall_time(due, "Australia/Sydney").hour for due in south] == [9, 9]
    assert [due.hour for due in south] == [23, 23]


def test_a_time_that_the_clocks_skip_is_later_on_that_day_and_itself_again_on_the_next() -> None:
    # 28 March 2027 has no 02:30 in Berlin.
    found = due_times("FREQ=DAILY", utc(3, 26, 1, 30), BERLIN, 3)
    assert [wall_time(due, BERLIN).strftime("%d %H:%M") for due in found] == ["27 02:30", "28 03:30", "29 02:30"]


def test_of_a_time_that_the_clocks_have_twice_there_is_one_occurrence() -> None:
    found = due_times("FREQ=DAILY", utc(10, 30, 0, 30), BERLIN, 2)
    assert found == [utc(10, 31, 0, 30), utc(11, 1, 1, 30)]
    # Nor is the first one named behind the second.
    assert due_times("FREQ=DAILY", utc(10, 31, 1, 30), BERLIN, 1) == [utc(11, 1, 1, 30)]


def test_the_31st_and_the_29th_of_february_come_when_there_is_one() -> None:
    assert [due.month for due in due_times("FREQ=MONTHLY", utc(1, 31, 9), "UTC", 3)] == [3, 5, 7]
    leap = datetime(2028, 2, 29, 9, tzinfo=UTC)
    assert [due.year for due in due_times("FREQ=YEARLY", leap, "UTC", 2)] == [2032, 2036]


def test_a_count_is_the_number_of_occurrences_with_the_first_and_until_is_included() -> None:
    assert len(due_times("FREQ=DAILY;COUNT=3", utc(1, 1, 9), "UTC", 10)) == 2
    assert due_times("FREQ=DAILY;COUNT=1", utc(1, 1, 9), "UTC", 10) == []
    # 23:30 in Berlin on the 3rd is the 3rd there, whatever day it is in UTC.
    late = utc(1, 1, 22, 30)
    assert len(due_times("FREQ=DAILY;UNTIL=20270103", late, BERLIN, 10)) == 2
    assert len(due_times("FREQ=DAILY;UNTIL=20270103T233000", late, BERLIN, 10)) == 2
    assert len(due_times("FREQ=DAILY;UNTIL=20270103T223000Z", late, BERLIN, 10)) == 2
    assert len(due_times("FREQ=DAILY;UNTIL=20270103T222959Z", late, BERLIN, 10)) == 1


def test_what_was_missed_is_passed_over_and_counts() -> None:
    rule, start = read_recurrence("FREQ=WEEKLY;COUNT=5"), local(2027, 1, 4, 9)
    found = next_occurrence(DAYS, rule, start, "UTC", utc(1, 20, 12))
    assert found is not None
    assert (found.due_time, str(found.rule)) == (utc(1, 25, 9), "FREQ=WEEKLY;COUNT=2")
    assert next_occurrence(DAYS, rule, start, "UTC", utc(3, 1, 12)) is None


def test_at_the_end_of_all_years_a_rule_ends_too() -> None:
    start = local(9998, 12, 30, 9)
    found = next_occurrence(DAYS, read_recurrence("FREQ=DAILY"), start, "UTC", LONG_AGO)
    assert found is not None
    assert next_occurrence(DAYS, found.rule, found.wall_time, "UTC", LONG_AGO) is None
