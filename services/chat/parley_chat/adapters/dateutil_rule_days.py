"""The days that rules name, by python-dateutil.

It is asked for one period at a time, a month or a year: on its own it would look for the next occurrence of a rule that never matches up to
the year 9999, which takes it half a minute of work that nothing can interrupt.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, timedelta
from typing import Literal

from dateutil.rrule import MONTHLY, YEARLY, rrule, weekday

from parley_chat.domain.recurrence import Frequency, Recurrence

_BEYOND_ALL_YEARS = 10_000
_MONTHS = 12
_WEEK = 7


class DateutilRuleDays:
    """The port `RuleDays`."""

    def days(self, rule: Recurrence, start: date, first: date, last: date) -> Iterator[date]:
        """Steps from period to period, beginning with the one of `first`."""
        match rule.frequency:
            case Frequency.YEARLY:
                named = _of_years(rule, start, first, last)
            case Frequency.MONTHLY:
                named = _of_months(rule, start, first, last)
            case Frequency.WEEKLY | Frequency.DAILY:
                named = _of_days(rule, start, first, last)
        return (day for day in named if first <= day <= last)


def _of_years(rule: Recurrence, start: date, first: date, last: date) -> Iterator[date]:
    months, month_days = rule.months, rule.month_days
    if not rule.days and not month_days:
        # What a rule does not say, its first day says.
        months, month_days = months or (start.month,), (start.day,)
    for year in range(_in_step(start.year, first.year, rule.interval), last.year + 1, rule.interval):
        yield from _in_period(YEARLY, rule, date(year, 1, 1), months, month_days)


def _of_months(rule: Recurrence, start: date, first: date, last: date) -> Iterator[date]:
    month_days = rule.month_days or (() if rule.days else (start.day,))
    begin = _in_step(_month_number(start), _month_number(first), rule.interval)
    for number in range(begin, _month_number(last) + 1, rule.interval):
        month = date(number // _MONTHS, number % _MONTHS + 1, 1)
        if not rule.months or month.month in rule.months:
            yield from _in_period(MONTHLY, rule, month, (), month_days)


def _of_days(rule: Recurrence, start: date, first: date, last: date) -> Iterator[date]:
    """Steps of days and weeks cross the ends of months and years: of the days that match in each year, the interval leaves some."""
    days: tuple[weekday, ...] = tuple(weekday(day.weekday) for day in rule.days)
    if rule.frequency is Frequency.WEEKLY:
        days, begin, step = days or (weekday(start.weekday()),), _week(start, rule.week_start), _WEEK * rule.interval
    else:
        days, begin, step = days or tuple(weekday(day) for day in range(_WEEK)), start, rule.interval
    for year in range(first.year, last.year + 1):
        found = rrule(
            YEARLY,
            interval=_BEYOND_ALL_YEARS,
            dtstart=datetime(year, 1, 1),  # noqa: DTZ001 - days have no zone
            bymonth=rule.months or None,
            bymonthday=rule.month_days or None,
            byweekday=days,
        )
        for each in found:
            day = each.date()
            counted = _week(day, rule.week_start) if rule.frequency is Frequency.WEEKLY else day
            if (counted - begin).days % step == 0:
                yield day


def _in_period(
    frequency: Literal[0, 1], rule: Recurrence, start: date, months: tuple[int, ...], month_days: tuple[int, ...]
) -> Iterator[date]:
    """The days of the one year (0, `YEARLY`) or month (1, `MONTHLY`) that begins at `start`: the one behind it is beyond all years."""
    found = rrule(
        frequency,
        interval=_BEYOND_ALL_YEARS * (_MONTHS if frequency == MONTHLY else 1),
        dtstart=datetime(start.year, start.month, 1),  # noqa: DTZ001 - days have no zone
        bymonth=months or None,
        bymonthday=month_days or None,
        byweekday=tuple(weekday(day.weekday, day.ordinal or None) for day in rule.days) or None,
        bysetpos=rule.positions or None,
    )
    return (each.date() for each in found)


def _in_step(start: int, first: int, interval: int) -> int:
    """The first number from `first` on that is reached from `start`."""
    return first + (start - first) % interval


def _month_number(day: date) -> int:
    return day.year * _MONTHS + day.month - 1


def _week(day: date, week_start: int) -> date:
    """The first day of a day's week."""
    return day - timedelta(days=(day.weekday() - week_start) % _WEEK)
